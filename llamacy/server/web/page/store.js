// Conversations and settings in the browser's storage: one entry each, so that saving one does not rewrite the others.

const PREFIX = 'llamacy.';
const FULL = "The browser's storage is full: what is new is kept only while this page is open. Export and delete old conversations.";
const OFF = 'The browser keeps nothing for this page (storage is switched off): conversations end with it.';

export class Store {
  /** onfail(sentence) is called when something could not be kept. */
  constructor(onfail) {
    this.onfail = onfail;
    this.conversations = this.load();
  }

  load() {
    const found = [];
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const key = localStorage.key(i);
        if (!key.startsWith(`${PREFIX}c.`)) continue;
        const conversation = checked(parsed(localStorage.getItem(key)));
        if (conversation) found.push(conversation);
      }
    } catch {
      this.onfail(OFF);
    }
    return found.sort((a, b) => b.updated - a.updated);
  }

  get(name, fallback) {
    try {
      return parsed(localStorage.getItem(PREFIX + name)) ?? fallback;
    } catch {
      return fallback;
    }
  }

  set(name, value) {
    try {
      localStorage.setItem(PREFIX + name, JSON.stringify(value));
      return true;
    } catch (error) {
      this.onfail(error.name === 'QuotaExceededError' ? FULL : OFF);
      return false;
    }
  }

  /** Another window of the browser has changed this conversation. */
  reread(id) {
    const known = this.conversations.find((one) => one.id === id);
    let fresh = null;
    try { fresh = checked(parsed(localStorage.getItem(`${PREFIX}c.${id}`))); } catch { /* nothing can be read */ }
    this.conversations = this.conversations.filter((one) => one !== known);
    if (fresh) this.conversations.push(fresh);
    this.conversations.sort((a, b) => b.updated - a.updated);
  }

  create(mode) {
    const now = Date.now();
    const conversation = { id: newId(), mode, title: '', system: '', created: now, updated: now, messages: [], prompt: '', output: null };
    this.conversations.unshift(conversation);
    return conversation;
  }

  /** An empty conversation is not worth keeping. */
  save(conversation, touch = true) {
    if (!this.conversations.includes(conversation)) return true;   // deleted while its answer was still coming
    if (touch) {
      conversation.updated = Date.now();
      this.conversations.sort((a, b) => b.updated - a.updated);
    }
    if (!isEmpty(conversation)) return this.set(`c.${conversation.id}`, conversation);
    this.forget(conversation);
    return true;
  }

  remove(conversation) {
    this.conversations = this.conversations.filter((one) => one !== conversation);
    this.forget(conversation);
  }

  forget(conversation) {
    try { localStorage.removeItem(`${PREFIX}c.${conversation.id}`); } catch { /* nothing was kept */ }
  }

  /** Take in what an export holds; returns how many conversations came. Throws on anything else. */
  take(text) {
    const rows = JSON.parse(text).conversations;
    if (!Array.isArray(rows)) throw new Error('no conversations in it');
    const good = rows.map(checked).filter(Boolean);
    for (const conversation of good) {
      if (this.conversations.some((one) => one.id === conversation.id)) conversation.id = newId();
      this.conversations.push(conversation);
      this.save(conversation, false);
    }
    this.conversations.sort((a, b) => b.updated - a.updated);
    return good.length;
  }
}

function newId() {
  return Date.now().toString(36) + Math.random().toString(36).slice(2, 8);
}

function parsed(text) {
  try { return text === null ? null : JSON.parse(text); } catch { return null; }
}

export function isEmpty(conversation) {
  return !conversation.messages.length && !conversation.prompt && !conversation.output && !conversation.system;
}

/** What the list shows: the name it was given, else its first words; "" if there are none yet. */
export function titleOf(conversation) {
  if (conversation.title) return conversation.title;
  const first = conversation.mode === 'chat' ? conversation.messages.find((m) => m.role === 'user') : null;
  const text = (first ? shown(first).text : conversation.prompt).trim().replace(/\s+/g, ' ');
  return text.length > 48 ? `${text.slice(0, 47)}…` : text;
}

/** A message keeps all its versions; this is the one on the page. */
export function shown(message) {
  return message.versions[message.at];
}

export function version(text = '') {
  return { text, probs: [], stats: null, error: null, note: '' };
}

/** A conversation with the fields that the page relies on, whatever was in the file; null if it is none. */
function checked(value) {
  if (!value || typeof value !== 'object' || typeof value.id !== 'string' || !Array.isArray(value.messages)) return null;
  const text = (x) => (typeof x === 'string' ? x : '');
  const one = (v) => ({
    text: text(v?.text), note: text(v?.note), stats: v?.stats && typeof v.stats === 'object' ? v.stats : null,
    error: text(v?.error?.text) ? { text: v.error.text, kind: text(v.error.kind) } : null,
    probs: Array.isArray(v?.probs) ? v.probs.filter((p) => typeof p?.content === 'string' && Array.isArray(p.probs)) : [],
  });
  const known = (m) => (m?.role === 'user' || m?.role === 'assistant') && m.versions?.length;
  const messages = value.messages.filter(known).map((m) => ({
    role: m.role, versions: m.versions.map(one), at: Math.min(Math.max(0, m.at | 0), m.versions.length - 1),
  }));
  return {
    id: value.id, mode: value.mode === 'text' ? 'text' : 'chat', title: text(value.title), system: text(value.system),
    created: Number(value.created) || 0, updated: Number(value.updated) || 0, messages, prompt: text(value.prompt),
    output: value.output ? one(value.output) : null,
  };
}

/** A conversation as Markdown. */
export function markdownOf(conversation) {
  const parts = [`# ${titleOf(conversation) || 'Untitled'}`];
  if (conversation.mode === 'text') return `${parts[0]}\n\n${conversation.prompt}${conversation.output?.text ?? ''}\n`;
  if (conversation.system) parts.push(`**System**\n\n${conversation.system}`);
  for (const message of conversation.messages) {
    parts.push(`**${message.role === 'user' ? 'You' : 'Assistant'}**\n\n${shown(message).text}`);
  }
  return `${parts.join('\n\n')}\n`;
}
