// What stands around a conversation: the list at the side, the drawer with the settings, the colours.

import { $, icon } from './dom.js';

export const narrow = matchMedia('(max-width: 760px)');
const dark = matchMedia('(prefers-color-scheme: dark)');
const ICONS = [['side-open', 'menu'], ['side-close', 'close'], ['drawer-open', 'sliders'], ['drawer-close', 'close'], ['to-end', 'down']];

export class Frame {
  constructor(store) {
    this.store = store;
    const on = (id, what) => $(id).addEventListener('click', what);
    for (const [id, name] of ICONS) $(id).append(icon(name));
    on('side-open', () => this.side(!document.body.classList.contains('side')));
    on('side-close', () => this.side(false));
    on('shade', () => this.side(false));
    on('drawer-open', () => this.drawer($('drawer').hidden));
    on('drawer-close', () => this.drawer(false));
    on('theme', () => this.changeTheme());
    dark.addEventListener('change', () => this.drawTheme());
    narrow.addEventListener('change', () => this.usualSide());
    this.usualSide();
    this.drawTheme();
  }

  usualSide() {
    this.side(!narrow.matches && this.store.get('side', true));
  }

  side(on) {
    document.body.classList.toggle('side', on);
    if (!narrow.matches) this.store.set('side', on);
    $('shade').hidden = !(narrow.matches && on);
  }

  drawer(on) {
    $('drawer').hidden = !on;
    $('drawer-open').setAttribute('aria-expanded', String(on));
    $(on ? 'drawer-close' : 'drawer-open').focus({ preventScroll: true });
  }

  /** Escape, when nothing else wants it. */
  close() {
    if (!$('drawer').hidden) this.drawer(false);
    else if (narrow.matches) this.side(false);
  }

  get isDark() {
    const { theme } = document.documentElement.dataset;
    return theme ? theme === 'dark' : dark.matches;
  }

  changeTheme() {
    const theme = this.isDark ? 'light' : 'dark';
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem('llamacy.theme', theme); } catch { /* it lasts as long as the page */ }
    this.drawTheme();
  }

  drawTheme() {
    $('theme').replaceChildren(icon(this.isDark ? 'sun' : 'moon'));
    $('theme').title = this.isDark ? 'Light colours' : 'Dark colours';
  }
}
