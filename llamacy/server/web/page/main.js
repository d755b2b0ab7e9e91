// The page: which conversation is shown, what runs, and what the buttons do.

import { listen as listenForTokens, hide as hideChances } from './chances.js';
import { Chat, atEnd, fit, rateText, sendButton, toEnd } from './chat.js';
import { $, download } from './dom.js';
import { requestFields } from './fields.js';
import { Frame, narrow } from './frame.js';
import { List } from './list.js';
import { hush, notice, speak } from './notice.js';
import { Run } from './run.js';
import { Settings } from './settings.js';
import { Slots } from './slots.js';
import { Store, isEmpty, shown, titleOf, version } from './store.js';
import { getJson } from './stream.js';
import { Text } from './text.js';

const SAVE_EVERY = 2000;                     // ms, while an answer comes

const runs = new Map();                      // conversation -> its Run
let current;
let nContext = 0;

const store = new Store(notice);
const frame = new Frame(store);
const settings = new Settings(store, (name) => {
  if (name === 'key') connect();
});
const slots = new Slots(settings);
const chat = new Chat({ answer, edit, remove, turn, keyWanted });
const text = new Text({ go: complete, stop, clear: clearText, edited: changed, keyWanted });
const list = new List(store, { open, remove: removeConversation, renamed: (one) => { store.save(one, false); list.draw(current); } });

// ---- which conversation

function open(conversation) {
  current = conversation;
  const chats = conversation.mode === 'chat';
  $('chat').hidden = !chats;
  $('text').hidden = chats;
  $('composer').hidden = !chats;
  $('text-tools').hidden = chats;
  $('mode-chat').setAttribute('aria-pressed', String(chats));
  $('mode-text').setAttribute('aria-pressed', String(!chats));
  hideChances();
  redraw();
  settings.useConversation(conversation, changed);
  store.set('current', conversation.id);
  list.draw(conversation, runs);
  drawTitle();
  if (narrow.matches) frame.side(false);
  toEnd();
}

function redraw() {
  (current.mode === 'chat' ? chat : text).show(current, runs.get(current));
  sendButton(runs.has(current));
  status();
}

function drawTitle() {
  const title = titleOf(current);
  document.title = title ? `${title} · llamacy` : 'llamacy';
}

/** An empty conversation of the mode: the one that is there already, or a new one. */
function begin(mode) {
  open(store.conversations.find((one) => one.mode === mode && isEmpty(one)) ?? store.create(mode));
  (mode === 'chat' ? $('input') : $('prompt')).focus();
}

function removeConversation(conversation) {
  runs.get(conversation)?.stop();
  store.remove(conversation);
  if (conversation === current) open(store.conversations[0] ?? store.create('chat'));
  list.draw(current, runs);
  notice(`“${titleOf(conversation) || 'Untitled'}” was deleted.`, 'Undo', () => {
    store.conversations.push(conversation);
    store.save(conversation, false);
    store.conversations.sort((a, b) => b.updated - a.updated);
    open(conversation);
  });
}

function changed() {
  store.save(current);
  list.draw(current, runs);
  drawTitle();
}

// ---- answers

/** Run a request whose answer goes into `into`; `view` shows it while its conversation is on the page. */
async function start(conversation, path, body, into, view) {
  let saved = performance.now();
  const run = new Run(into, (ended) => {
    if (performance.now() - saved > SAVE_EVERY) {
      saved = performance.now();
      store.save(conversation);
    }
    if (conversation !== current) return;
    view.tick(ended);
    status();
  });
  runs.set(conversation, run);
  redrawIf(conversation);
  slots.watch(true);
  speak('Writing');
  await run.go(path, body, settings.key);
  runs.delete(conversation);
  store.save(conversation);
  slots.watch(runs.size > 0);
  speak(into.error ? into.error.text : 'The answer is complete');
  redrawIf(conversation);
  list.draw(current, runs);
}

function redrawIf(conversation) {
  if (conversation !== current) return;
  const follow = atEnd();
  redraw();
  if (follow) toEnd();
}

function stop() {
  runs.get(current)?.stop();
}

/** The fields of a request; null if a setting is wrong, which is told. */
function fieldsOrTell() {
  try {
    return requestFields(settings.values);
  } catch (error) {
    notice(error.message, 'Settings', () => frame.drawer(true));
    return null;
  }
}

function send(words) {
  const conversation = current;
  if (runs.has(conversation) || !words.trim()) return false;
  conversation.messages.push({ role: 'user', versions: [version(words)], at: 0 });
  if (answer(conversation.messages.length)) return true;
  conversation.messages.pop();
  redraw();
  return false;
}

/** (Again) the answer at this place; what came after it is dropped. */
function answer(at) {
  const conversation = current;
  const fields = fieldsOrTell();
  if (!fields || runs.has(conversation)) return false;
  const { messages } = conversation;
  messages.length = Math.min(messages.length, at + 1);
  const into = version();
  const old = messages[at];
  if (!old) messages.push({ role: 'assistant', versions: [into], at: 0 });
  else if (shown(old).error) old.versions[old.at] = into;
  else old.at = old.versions.push(into) - 1;
  const said = messages.slice(0, at).map((one) => ({ role: one.role, content: shown(one).text })).filter((one) => one.content);
  const body = {
    ...fields, stream: true, stream_options: { include_usage: true },
    messages: conversation.system.trim() ? [{ role: 'system', content: conversation.system }, ...said] : said,
  };
  if (fields.n_probs > 0) Object.assign(body, { logprobs: true, top_logprobs: fields.n_probs });
  store.save(conversation);
  list.draw(current, runs);
  start(conversation, 'v1/chat/completions', body, into, chat);
  toEnd();
  return true;
}

function edit(at, words) {
  const message = current.messages[at];
  if (runs.has(current) || (message.role === 'user' && !fieldsOrTell())) return;
  message.versions = [version(words)];
  message.at = 0;
  current.messages.length = at + 1;
  changed();
  if (message.role === 'user') answer(at + 1);
  else redraw();
}

function remove(at) {
  if (runs.has(current)) return;
  const conversation = current;
  const before = [...conversation.messages];
  const pair = before[at].role === 'user' && before[at + 1]?.role === 'assistant';
  conversation.messages.splice(at, pair ? 2 : 1);
  changed();
  redraw();
  notice('The message was deleted.', 'Undo', () => {
    conversation.messages = before;
    restored(conversation);
  });
}

function restored(conversation) {
  store.save(conversation);
  list.draw(current, runs);
  redrawIf(conversation);
}

function turn(at, step) {
  const message = current.messages[at];
  message.at = Math.max(0, Math.min(message.versions.length - 1, message.at + step));
  changed();
  redraw();
}

/** keep: what has been written becomes part of the text. Else it is written anew. */
function complete(keep) {
  const conversation = current;
  const fields = fieldsOrTell();
  if (!fields || runs.has(conversation)) return;
  if (keep && conversation.output) conversation.prompt += conversation.output.text;
  if (!conversation.prompt) return;
  conversation.output = version();
  store.save(conversation);
  start(conversation, 'completion', { ...fields, prompt: conversation.prompt, stream: true }, conversation.output, text);
  toEnd();
}

function clearText() {
  const conversation = current;
  const { prompt, output } = conversation;
  Object.assign(conversation, { prompt: '', output: null });
  changed();
  redraw();
  $('prompt').focus();
  notice('The text was cleared.', 'Undo', () => {
    Object.assign(conversation, { prompt, output });
    restored(conversation);
  });
}

// ---- the server

async function connect() {
  try {
    const props = await getJson('props', settings.key);
    const told = props.default_generation_settings;
    nContext = told.n_ctx;
    settings.useServer(props);
    const name = told.model.split(/[/\\]/).pop();
    $('model').textContent = name;
    $('model').title = told.model;
    $('hello-model').textContent = `${name} answers, with a memory of ${nContext.toLocaleString('en')} tokens.`;
    hush();
    slots.gone = false;
    slots.watch(runs.size > 0);
    status();
  } catch (error) {
    settings.build();
    if (error.kind === 'key') notice(settings.key ? error.message : 'This server wants an API key.', 'Enter the key', keyWanted);
    else notice(error.message, 'Try again', connect);
  }
}

function keyWanted() {
  frame.drawer(true);
  $('key').focus();
  $('key').scrollIntoView({ block: 'center' });
}

function status() {
  const run = runs.get(current);
  const message = current.messages.at(-1);
  const last = current.mode === 'chat' ? message && shown(message) : current.output;
  const stats = run ? null : last?.stats;
  const rate = run ? run.rate : stats?.rate;
  const used = stats ? stats.prompt + stats.n : 0;
  $('rate').textContent = run && !run.n ? 'reading the prompt …' : rateText(rate);
  if (used && nContext) $('room').textContent = `${Math.min(used, nContext)} of ${nContext} tokens of context`;
  else $('room').textContent = run?.n ? `${run.n} tokens` : '';
}

// ---- start

function wire() {
  const on = (id, event, what) => $(id).addEventListener(event, what);
  on('new-chat', 'click', () => begin('chat'));
  on('new-text', 'click', () => begin('text'));
  on('mode-chat', 'click', () => current.mode === 'chat' || begin('chat'));
  on('mode-text', 'click', () => current.mode === 'text' || begin('text'));
  on('reset', 'click', () => settings.reset());
  on('settings', 'submit', (event) => event.preventDefault());
  on('to-end', 'click', toEnd);
  on('main', 'scroll', () => { $('to-end').hidden = atEnd(); });
  on('export-all', 'click', () => {
    download('llamacy-conversations.json', 'application/json', JSON.stringify({ conversations: store.conversations }, null, 1));
  });
  on('import', 'click', () => $('import-file').click());
  on('import-file', 'change', importFile);
  on('delete-all', 'click', deleteAll);
  wireComposer(on);
  document.addEventListener('keydown', onKey);
  addEventListener('pagehide', () => store.save(current, false));
  addEventListener('storage', (event) => {
    const id = event.key?.match(/^llamacy\.c\.(.+)/)?.[1];
    if (!id || id === current.id || [...runs.keys()].some((one) => one.id === id)) return;
    store.reread(id);
    list.draw(current, runs);
  });
  addEventListener('online', () => { if (!$('notice').hidden) connect(); });
}

function wireComposer(on) {
  on('input', 'input', () => fit($('input')));
  on('input', 'keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  on('composer', 'submit', (event) => {
    event.preventDefault();
    if (runs.has(current)) stop();
    else submit();
  });
}

function submit() {
  if (!send($('input').value)) return;
  $('input').value = '';
  fit($('input'));
}

function onKey(event) {
  if (event.key === 'Escape') {
    if (!$('chances').hidden) hideChances();
    else if (runs.has(current)) stop();
    else frame.close();
  } else if (event.altKey && event.code === 'KeyN') {
    event.preventDefault();
    begin(current.mode);
  }
}

async function importFile(event) {
  const [file] = event.target.files;
  event.target.value = '';
  if (!file) return;
  try {
    notice(`${store.take(await file.text())} conversations came in.`);
  } catch (error) {
    notice(`${file.name} cannot be imported: ${error.message}`);
  }
  list.draw(current, runs);
}

function deleteAll() {
  const all = store.conversations.filter((one) => !isEmpty(one));
  if (!all.length || !confirm(`Delete all ${all.length} conversations? This cannot be undone.`)) return;
  for (const one of all) {
    runs.get(one)?.stop();
    store.remove(one);
  }
  open(store.create('chat'));
}

wire();
listenForTokens();
settings.build();
open(store.conversations.find((one) => one.id === store.get('current', '')) ?? store.conversations[0] ?? store.create('chat'));
if (!narrow.matches) (current.mode === 'chat' ? $('input') : $('prompt')).focus();
connect().then(() => {
  const asked = new URLSearchParams(location.search).get('q');
  if (!asked) return;
  history.replaceState(null, '', location.pathname);
  begin('chat');
  send(asked);
});
