// The completion mode: a text, and how the model goes on.

import { grow, tokenView } from './chances.js';
import { errorLine, fit, statsLine } from './chat.js';
import { $, copy, h } from './dom.js';

export class Text {
  /** actions: go(keep), stop(), clear(), edited(), keyWanted() */
  constructor(actions) {
    this.actions = actions;
    const prompt = $('prompt');
    prompt.addEventListener('input', () => { this.conversation.prompt = prompt.value; fit(prompt); actions.edited(); this.tools(); });
    document.querySelector('.sheet').addEventListener('click', (event) => {
      if (event.target === event.currentTarget) prompt.focus();
    });
    prompt.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); actions.go(true); }
    });
  }

  show(conversation, run) {
    this.conversation = conversation;
    this.run = run;
    $('prompt').value = conversation.prompt;
    fit($('prompt'));
    $('output').replaceChildren();
    this.fill();
  }

  fill() {
    const output = $('output');
    const version = this.conversation.output;
    $('text').classList.toggle('coming', Boolean(this.run));
    output.hidden = !version && !this.run;
    if (version?.probs.length) {
      const view = output.querySelector('.tokens');
      if (view?.probs === version.probs) grow(view);
      else output.replaceChildren(tokenView(version.probs));
    } else {
      output.textContent = version?.text ?? '';
    }
    $('text-note').replaceChildren(...this.notes(this.run ? null : version));
    this.tools();
  }

  notes(version) {
    const parts = [];
    if (version?.error) parts.push(errorLine(version.error, () => this.actions.go(false), this.actions.keyWanted));
    if (version?.note) parts.push(h('p', { class: 'note', text: version.note }));
    if (version?.stats?.n) parts.push(h('p', { class: 'note', text: statsLine(version.stats) }));
    return parts;
  }

  tools() {
    const bar = $('text-tools');
    const { prompt, output } = this.conversation;
    const button = (text, onclick, strong = false, disabled = false) =>
      h('button', { type: 'button', class: strong ? 'button strong' : 'button', text, onclick, disabled });
    if (this.run) {
      bar.replaceChildren(button('Stop', this.actions.stop, true));
      return;
    }
    const all = () => prompt + (output?.text ?? '');
    const copyButton = button('Copy', () => copy(all(), copyButton), false, !all());
    bar.replaceChildren(
      button(output?.text ? 'Go on' : 'Complete', () => this.actions.go(true), true, !prompt),
      ...(output ? [button('Again', () => this.actions.go(false))] : []),
      copyButton,
      ...(all() ? [button('Clear', this.actions.clear)] : []));
  }

  tick() {
    if (this.due) return;
    this.due = requestAnimationFrame(() => { this.due = 0; this.fill(); });
  }
}
