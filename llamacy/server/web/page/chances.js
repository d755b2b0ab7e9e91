// What else might have stood there: tokens with their probabilities, on hover, by touch, or with the arrow keys.

import { $, h } from './dom.js';

/** An element that shows an answer token by token. */
export function tokenView(probs) {
  const view = h('div', { class: 'tokens', tabindex: 0, role: 'group', 'aria-label': 'The answer token by token: arrow keys move' });
  view.probs = probs;
  grow(view);
  return view;
}

/** Add what has come since. */
export function grow(view) {
  for (let i = view.childElementCount; i < view.probs.length; i++) {
    const entry = view.probs[i];
    const chosen = entry.probs.find((one) => one.tok_str === entry.content)?.prob;
    const span = h('span', { class: 'token', 'data-i': i, text: entry.content });
    span.style.setProperty('--sure', (chosen ?? 0).toFixed(3));
    view.append(span);
  }
}

function visible(token) {
  return token.replaceAll(' ', '␣').replaceAll('\n', '⏎').replaceAll('\t', '⇥') || '∅';
}

function show(span) {
  const view = span.closest('.tokens');
  const entry = view.probs[Number(span.dataset.i)];
  document.querySelector('.token.at')?.classList.remove('at');
  span.classList.add('at');
  const box = $('chances');
  box.replaceChildren(h('table', {}, h('tbody', {}, ...entry.probs.map((one) => {
    const bar = h('i');
    bar.style.setProperty('--share', one.prob);
    return h('tr', { class: one.tok_str === entry.content ? 'chosen' : '' }, h('th', { scope: 'row', text: visible(one.tok_str) }),
             h('td', { class: 'bar' }, bar), h('td', { text: percent(one.prob) }));
  }))));
  box.hidden = false;
  const at = span.getClientRects()[0] ?? span.getBoundingClientRect();
  const size = box.getBoundingClientRect();
  const above = at.top - size.height - 8;
  box.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
  box.style.top = `${above > 8 ? above : at.bottom + 8}px`;
}

function percent(share) {
  return `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)} %`;
}

export function hide() {
  $('chances').hidden = true;
  document.querySelector('.token.at')?.classList.remove('at');
}

export function listen() {
  document.addEventListener('pointerover', (event) => {
    const span = event.target.closest?.('.token');
    if (span) show(span);
    else if (!event.target.closest?.('#chances')) hide();
  });
  document.addEventListener('scroll', hide, true);
  document.addEventListener('focusout', (event) => { if (event.target.closest?.('.tokens')) hide(); });
  document.addEventListener('keydown', (event) => {
    const view = event.target.closest?.('.tokens');
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!view || !step || !view.childElementCount) return;
    event.preventDefault();
    const at = [...view.children].findIndex((span) => span.classList.contains('at'));
    const span = view.children[Math.max(0, Math.min(view.childElementCount - 1, at < 0 ? 0 : at + step))];
    span.scrollIntoView({ block: 'nearest' });
    show(span);
    const entry = view.probs[Number(span.dataset.i)];
    $('spoken').textContent = entry.probs.map((one) => `${visible(one.tok_str)} ${percent(one.prob)}`).join(', ');
  });
}
