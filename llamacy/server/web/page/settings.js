// The drawer: a form made from fields.js. Only what differs from the server's defaults is kept.

import { $, h, iconButton } from './dom.js';
import { GROUPS, defaultsOf, json } from './fields.js';

const KEYS = [['Enter', 'sends'], ['Shift+Enter', 'begins a line'], ['Esc', 'stops'], ['Alt+N', 'begins a conversation']];
const FOLDED = new Set(['More sampling', 'Context']);

export class Settings {
  constructor(store, onchange) {
    this.store = store;
    this.onchange = onchange;
    this.changed = store.get('settings', {});
    this.defaults = defaultsOf(null);
    this.key = store.get('key', '');
    this.rows = new Map();                   // name -> {show(), node}
  }

  get values() {
    const known = Object.entries(this.changed).filter(([name]) => name in this.defaults);
    return { ...this.defaults, ...Object.fromEntries(known) };
  }

  useServer(props) {
    this.defaults = defaultsOf(props);
    this.build();
  }

  set(name, value) {
    if (JSON.stringify(value) === JSON.stringify(this.defaults[name])) delete this.changed[name];
    else this.changed[name] = value;
    this.store.set('settings', this.changed);
    this.rows.get(name)?.mark();
    this.onchange(name);
  }

  reset() {
    this.changed = {};
    this.store.set('settings', {});
    this.build();
    this.onchange('');
  }

  setKey(key) {
    this.key = key.trim();
    this.store.set('key', this.key);
    this.onchange('key');
  }

  /** The conversation whose system message the first box shows. */
  useConversation(conversation, onedit) {
    this.conversation = conversation;
    this.onedit = onedit;
    const box = $('system');
    if (!box) return;
    box.value = conversation.system;
    box.closest('fieldset').hidden = conversation.mode !== 'chat';
  }

  build() {
    const key = h('input', { id: 'key', type: 'password', spellcheck: 'false', placeholder: 'none', autocomplete: 'off',
                             onchange: (event) => this.setKey(event.target.value) });
    key.value = this.key;
    $('settings').replaceChildren(
      h('fieldset', {}, h('legend', { text: 'System message' }),
        h('textarea', { id: 'system', rows: 3, 'aria-label': 'System message of this conversation',
                        placeholder: 'You are a helpful assistant.',
                        oninput: (event) => { this.conversation.system = event.target.value; this.onedit(); } })),
      ...GROUPS.map(([title, rows]) => this.group(title, rows)),
      h('fieldset', {}, h('legend', { text: 'Server' }),
        h('div', { class: 'row' }, h('label', { for: 'key', text: 'API key' }), key,
          h('small', { text: 'If the server was started with --api-key. Kept in this browser.' }))),
      h('p', { class: 'keys' }, ...KEYS.flatMap(([key, what]) => [h('kbd', { text: key }), ` ${what} `])));
    for (const row of this.rows.values()) row.mark();
    this.dim();
    if (this.conversation) this.useConversation(this.conversation, this.onedit);
  }

  group(title, rows) {
    const nodes = rows.map((row) => this.row(...row));
    if (!FOLDED.has(title)) return h('fieldset', {}, h('legend', { text: title }), ...nodes);
    const open = rows.some(([name]) => name in this.changed);
    return h('details', { open }, h('summary', { text: title }), ...nodes);
  }

  row(name, label, kind, more) {
    const id = `s-${name}`;
    const input = this.input(id, name, kind, more);
    const show = () => { input.set(this.values[name]); };
    const undo = iconButton('again', `Back to ${word(this.defaults[name])}`, () => { this.set(name, this.defaults[name]); show(); });
    undo.classList.add('undo');
    const node = h('div', { class: 'row' }, h('label', { for: id, text: label }), undo, ...input.nodes,
                   h('small', { id: `${id}-hint`, text: more.hint ?? '' }));
    this.rows.set(name, { node, show, mark: () => node.classList.toggle('changed', name in this.changed) });
    show();
    return node;
  }

  /** {nodes, set(value)} of a kind of row. */
  input(id, name, kind, more) {
    const put = (value) => { this.set(name, value); if (name === 'structure') this.dim(); };
    if (kind === 'bool') {
      const box = h('input', { id, type: 'checkbox', class: 'switch', onchange: () => put(box.checked) });
      return { nodes: [box], set: (value) => { box.checked = value; } };
    }
    if (kind === 'choice') {
      const select = h('select', { id, onchange: () => put(more.options[select.selectedIndex][0]) },
                       ...more.options.map(([value, text]) => h('option', { value, text })));
      return { nodes: [select], set: (value) => { select.selectedIndex = Math.max(0, more.options.findIndex(([v]) => v === value)); } };
    }
    if (kind === 'lines' || kind === 'words' || kind === 'code' || kind === 'json') return this.area(id, name, kind, put);
    return this.number(id, name, kind, more, put);
  }

  area(id, name, kind, put) {
    const area = h('textarea', { id, rows: { code: 6, lines: 2, words: 2, json: 1 }[kind], spellcheck: 'false', class: kind,
                                 'aria-describedby': `${id}-hint` });
    const read = {
      lines: (text) => text.split('\n').filter(Boolean).map((line) => line.replaceAll('\\n', '\n')),
      words: (text) => text.split(/[\s,;]+/).filter(Boolean), code: (text) => text, json: (text) => text,
    }[kind];
    const write = { lines: (list) => list.map((line) => line.replaceAll('\n', '\\n')).join('\n'), words: (list) => (list ?? []).join(' '),
                    code: (text) => text, json: (text) => text }[kind];
    area.addEventListener('input', () => { put(read(area.value)); this.check(name, area); });
    return { nodes: [area], set: (value) => { area.value = write(value); } };
  }

  number(id, name, kind, more, put) {
    const box = h('input', { id, type: 'number', step: kind === 'int' ? 1 : 'any', inputmode: 'decimal',
                             'aria-describedby': `${id}-hint` });
    const range = more.max === undefined ? null : h('input', { type: 'range', min: more.min, max: more.max, step: more.step,
                                                               'aria-label': `${name}, slider`, tabindex: -1 });
    const take = (text) => {
      const value = kind === 'int' ? Math.trunc(Number(text)) : Number(text);
      const good = text.trim() !== '' && Number.isFinite(value);
      box.setAttribute('aria-invalid', String(!good));
      if (good) put(value);
      return good;
    };
    box.addEventListener('input', () => { if (take(box.value) && range) range.value = box.value; });
    range?.addEventListener('input', () => { box.value = range.value; take(range.value); });
    return { nodes: range ? [box, range] : [box], set: (value) => { box.value = value ?? ''; if (range) range.value = value; } };
  }

  /** Say at once that a schema is no JSON. */
  check(name, area) {
    const strict = name === 'logit_bias' || (name === 'structure_text' && this.values.structure === 'json_schema');
    let wrong = '';
    try { if (strict && area.value.trim()) json(area.value, 'This'); } catch (error) { wrong = error.message; }
    area.setAttribute('aria-invalid', String(Boolean(wrong)));
    const row = GROUPS.flatMap(([, rows]) => rows).find(([one]) => one === name);
    $(`s-${name}-hint`).textContent = wrong || row[3].hint;
  }

  /** The box for a grammar is there when one is wanted. */
  dim() {
    const { structure } = this.values;
    const { node } = this.rows.get('structure_text');
    const area = node.querySelector('textarea');
    node.hidden = !structure;
    area.placeholder = structure === 'grammar' ? 'root ::= "yes" | "no"' : '{"type": "object", "properties": {"name": {"type": "string"}}}';
    this.check('structure_text', area);
  }
}

function word(value) {
  return Array.isArray(value) ? value.join(' ') || 'none' : value === '' ? 'none' : String(value);
}
