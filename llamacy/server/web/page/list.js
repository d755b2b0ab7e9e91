// The list of conversations.

import { $, download, h, icon, iconButton } from './dom.js';
import { isEmpty, markdownOf, titleOf } from './store.js';

export class List {
  /** actions: open(conversation), remove(conversation), renamed(conversation) */
  constructor(store, actions) {
    this.store = store;
    this.actions = actions;
  }

  draw(current, runs = new Map()) {
    const shown = this.store.conversations.filter((one) => one === current || !isEmpty(one));
    $('list').replaceChildren(h('ul', {}, ...shown.map((one) => this.item(one, one === current, runs.has(one)))));
  }

  item(conversation, isCurrent, busy) {
    const name = titleOf(conversation) || (conversation.mode === 'chat' ? 'New chat' : 'New text');
    const open = h('button', { type: 'button', class: 'open', title: name, 'aria-current': isCurrent ? 'true' : null,
                               onclick: () => this.actions.open(conversation) },
                   icon(conversation.mode === 'chat' ? 'chat' : 'page'), h('span', { text: name }),
                   busy ? h('i', { class: 'busy', title: 'writing' }) : null);
    const item = h('li', { class: isCurrent ? 'current' : '' }, open);
    if (!isEmpty(conversation)) {
      item.append(h('span', { class: 'item-tools' },
                    iconButton('edit', 'Rename', () => this.rename(conversation, item)),
                    iconButton('down', 'Save as Markdown',
                               () => download(`${fileName(name)}.md`, 'text/markdown', markdownOf(conversation))),
                    iconButton('trash', 'Delete', () => this.actions.remove(conversation))));
    }
    return item;
  }

  rename(conversation, item) {
    const box = h('input', { 'aria-label': 'Name of the conversation', maxlength: 120 });
    const finish = (keep) => {
      if (finish.done) return;
      finish.done = true;
      if (keep && box.value.trim()) conversation.title = box.value.trim();
      this.actions.renamed(conversation);
    };
    box.value = titleOf(conversation);
    box.addEventListener('blur', () => finish(true));
    box.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') finish(true);
      if (event.key === 'Escape') { event.stopPropagation(); finish(false); }
    });
    item.replaceChildren(box);
    box.select();
  }
}

function fileName(title) {
  return title.replace(/[^\p{L}\p{N} _-]+/gu, '').trim().slice(0, 60) || 'conversation';
}
