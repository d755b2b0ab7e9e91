// The chat: messages as they are, and as they come.

import { grow, tokenView } from './chances.js';
import { $, copy, h, icon, iconButton } from './dom.js';
import { markdown } from './markdown.js';
import { shown } from './store.js';

const SLOWEST = 250;                         // ms between two drawings of a message that is coming

export class Chat {
  /** actions: answer(at), edit(at, text), remove(at), turn(at, step), keyWanted() */
  constructor(actions) {
    this.actions = actions;
    this.nodes = new Map();                  // message -> its <li>
    this.due = 0;
    this.pause = 16;
  }

  /** run: the Run of the last message while it is coming. */
  show(conversation, run) {
    this.conversation = conversation;
    this.run = run;
    this.nodes.clear();
    $('messages').replaceChildren(...conversation.messages.map((message, at) => this.message(message, at)));
    $('hello').hidden = conversation.messages.length > 0;
  }

  message(message, at) {
    const mine = message.role === 'user';
    const node = h('li', { class: `message ${message.role}` },
                   h('span', { class: 'unseen', text: mine ? 'You: ' : 'Answer: ' }),
                   h('div', { class: 'body' }), h('div', { class: 'after' }));
    this.nodes.set(message, node);
    this.fill(message, at);
    return node;
  }

  fill(message, at) {
    const node = this.nodes.get(message);
    const version = shown(message);
    const coming = this.run?.version === version;
    node.classList.toggle('coming', coming);
    node.setAttribute('aria-busy', String(coming));
    this.body(node.querySelector('.body'), message, version, coming);
    node.querySelector('.after').replaceChildren(...(coming ? [] : this.after(message, version, at)));
  }

  body(body, message, version, coming) {
    if (message.role === 'user') {
      body.replaceChildren(h('div', { class: 'plain', text: version.text }));
    } else if (version.probs.length && !version.asText) {
      const view = body.querySelector('.tokens');
      if (view?.probs === version.probs) grow(view);
      else body.replaceChildren(tokenView(version.probs));
    } else if (version.text) {
      body.replaceChildren(h('div', { class: 'prose' }, ...markdown(version.text)));
    } else {
      body.replaceChildren(coming ? h('div', { class: 'waiting', title: 'Waiting for the first token' }, h('i'), h('i'), h('i')) : '');
    }
  }

  after(message, version, at) {
    const parts = [];
    if (version.error) parts.push(errorLine(version.error, () => this.actions.answer(at), this.actions.keyWanted));
    if (version.note) parts.push(h('p', { class: 'note', text: version.note }));
    parts.push(this.tools(message, version, at));
    return parts;
  }

  tools(message, version, at) {
    const bar = h('div', { class: 'tools' });
    const copyButton = iconButton('copy', 'Copy', () => copy(version.text, copyButton));
    if (this.run) {                          // nothing changes under an answer that is coming
      bar.append(copyButton);
      return bar;
    }
    if (message.versions.length > 1) {
      bar.append(h('span', { class: 'versions' },
                   iconButton('left', 'Earlier version', () => this.actions.turn(at, -1), { disabled: message.at === 0 }),
                   h('span', { text: `${message.at + 1}/${message.versions.length}` }),
                   iconButton('right', 'Later version', () => this.actions.turn(at, 1),
                              { disabled: message.at === message.versions.length - 1 })));
    }
    bar.append(copyButton, iconButton('edit', 'Edit', () => this.edit(message, at)));
    if (message.role === 'assistant') bar.append(iconButton('again', 'Answer again', () => this.actions.answer(at)));
    if (version.probs.length) {
      bar.append(iconButton('bars', version.asText ? 'Show the tokens' : 'Show as text', () => {
        version.asText = !version.asText;
        this.fill(message, at);
      }));
    }
    bar.append(iconButton('trash', 'Delete', () => this.actions.remove(at)));
    if (version.stats?.n) bar.append(h('span', { class: 'stats', text: statsLine(version.stats) }));
    return bar;
  }

  /** The message becomes a box. What comes after it is dropped once it is sent. */
  edit(message, at) {
    const node = this.nodes.get(message);
    const mine = message.role === 'user';
    const area = h('textarea', { 'aria-label': 'Edit the message', rows: 1 });
    const send = () => { if (area.value.trim()) this.actions.edit(at, area.value); };
    const cancel = () => { node.classList.remove('editing'); this.fill(message, at); };
    area.value = shown(message).text;
    area.addEventListener('input', () => fit(area));
    area.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') { event.stopPropagation(); cancel(); }
      if (event.key === 'Enter' && !event.isComposing && (mine ? !event.shiftKey : event.ctrlKey)) { event.preventDefault(); send(); }
    });
    node.classList.add('editing');
    node.querySelector('.body').replaceChildren(area);
    node.querySelector('.after').replaceChildren(h('div', { class: 'choices' },
      h('button', { type: 'button', class: 'button', text: 'Cancel', onclick: cancel }),
      h('button', { type: 'button', class: 'button strong', text: mine ? 'Send' : 'Save', onclick: send })));
    fit(area);
    area.focus();
  }

  /** The message that is coming has grown: draw it, but never spend most of the time on drawing. */
  tick(ended) {
    clearTimeout(this.due);
    if (ended) {
      this.due = 0;
      this.last = 0;
      return;
    }
    const wait = Math.max(0, (this.last ?? 0) + this.pause - performance.now());
    this.due = setTimeout(() => {
      const start = performance.now();
      const at = this.conversation.messages.length - 1;
      const message = this.conversation.messages[at];
      if (!message || !this.nodes.has(message)) return;
      const follow = atEnd();
      this.fill(message, at);
      if (follow) toEnd();
      this.last = performance.now();
      this.pause = Math.min(SLOWEST, Math.max(16, 3 * (this.last - start)));
    }, wait);
  }
}

export function rateText(rate) {
  return rate ? `${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s` : '';
}

export function statsLine(stats) {
  return [`${stats.n} ${stats.n === 1 ? 'token' : 'tokens'}`, rateText(stats.rate)].filter(Boolean).join(' · ');
}

/** An error as a line with a way on. */
export function errorLine(error, again, keyWanted) {
  const button = (text, onclick) => h('button', { type: 'button', class: 'button', text, onclick });
  return h('div', { class: 'error', role: 'alert' }, h('span', { text: error.text }),
           error.kind === 'key' ? button('Enter the key', keyWanted) : null, button('Try again', again));
}

/** A box as high as its text. */
export function fit(area) {
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight + 2}px`;
}

export function atEnd() {
  const main = $('main');
  return main.scrollHeight - main.scrollTop - main.clientHeight < 48;
}

export function toEnd() {
  $('main').scrollTop = $('main').scrollHeight;
}

export function sendButton(running) {
  const button = $('send');
  button.replaceChildren(icon(running ? 'stop' : 'send'));
  button.setAttribute('aria-label', running ? 'Stop' : 'Send');
  button.title = running ? 'Stop (Esc)' : 'Send (Enter)';
  button.classList.toggle('running', running);
}
