// The slots as small bars. Asked for only while this page waits for answers, so that a page left open does not fill the log.

import { $, h } from './dom.js';
import { getJson } from './stream.js';

const MOST = 16;

export class Slots {
  constructor(settings) {
    this.settings = settings;
    this.gone = false;
    this.timer = 0;
  }

  /** busy: look again and again. */
  async watch(busy) {
    this.busy = busy;
    if (this.gone || this.timer) return;
    await this.look();
    if (this.busy && !this.gone) {
      this.timer = setTimeout(() => { this.timer = 0; this.watch(this.busy); }, document.hidden ? 5000 : 1000);
    }
  }

  async look() {
    try {
      this.draw(await getJson('slots', this.settings.key));
    } catch (error) {
      this.gone = error.status === 501 || error.status === 404;
      $('slots').hidden = true;
    }
  }

  draw(slots) {
    const box = $('slots');
    const busy = slots.filter((slot) => slot.state).length;
    const all = `${busy} of ${slots.length} slots at work`;
    box.replaceChildren(...slots.slice(0, MOST).map((slot) => {
      const { n_decoded: made, n_remain: left } = slot.next_token;
      const share = slot.state ? Math.min(1, made / Math.max(1, left >= 0 ? made + left : slot.n_ctx)) : 0;
      const bar = h('span', { class: slot.state ? 'slot at-work' : 'slot' });
      bar.style.setProperty('--share', share.toFixed(3));
      return bar;
    }));
    box.setAttribute('aria-label', all);
    const doing = (slot) => (slot.state ? `${slot.next_token.n_decoded} tokens written` : 'idle');
    box.title = [all, ...slots.map((slot) => `Slot ${slot.id}: ${doing(slot)}`)].join('\n');
    box.hidden = false;
  }
}
