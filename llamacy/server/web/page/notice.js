// What the page tells: one line above the conversation, and words for those who listen.

import { $, h, iconButton } from './dom.js';

const UNDO_TIME = 8000;                      // ms
let timer = 0;

/** Show a line; label and action: of a button beside it. */
export function notice(words, label = '', action = null) {
  clearTimeout(timer);
  const button = label ? h('button', { type: 'button', class: 'link-button', text: label, onclick: () => { hush(); action(); } }) : null;
  $('notice').replaceChildren(...[words, button, iconButton('close', 'Close the notice', hush)].filter(Boolean));
  $('notice').hidden = false;
  if (label === 'Undo') timer = setTimeout(hush, UNDO_TIME);
}

export function hush() {
  $('notice').hidden = true;
}

/** For screen readers only. */
export function speak(words) {
  $('spoken').textContent = words;
}
