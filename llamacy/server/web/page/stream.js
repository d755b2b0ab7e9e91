// The way to the server: JSON answers, streams of events, and errors as sentences.

export class ServerError extends Error {
  /** kind: 'offline', 'key', 'full', 'broken', 'request', 'server' or 'missing' */
  constructor(message, kind, status = 0) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

const OFFLINE = 'The server cannot be reached. Is it still running?';
const BROKEN = 'The connection broke off before the answer was complete.';

function headers(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Addresses are relative to the page, so that it works behind a prefix. */
async function ask(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ServerError(OFFLINE, 'offline');
  }
}

export async function getJson(path, key = '') {
  const response = await ask(path, { headers: headers(key), cache: 'no-store' });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

async function refusal(response) {
  let said = null;
  try { said = (await response.json()).error; } catch { /* no JSON: the status must do */ }
  return sentence(said, response.status);
}

/** An error that the server tells ({code, message}) as one line for a reader. */
export function sentence(said, status) {
  const message = String(said?.message ?? '');
  const code = said?.code ?? status;
  if (code === 401) return new ServerError('The server wants another API key than the one given in the settings.', 'key', code);
  if (code === 413) return new ServerError('The request is larger than the server allows (--body-limit).', 'request', code);
  if (/too big compared to KV|context/i.test(message)) {
    return new ServerError(`This does not fit into the server's context. Shorten it, or start the server with a larger -c. (${message})`,
                           'full', code);
  }
  if (code === 503) return new ServerError(`The server is busy or shutting down. ${message}`, 'server', code);
  const parts = `${message || 'no reason given'}`;
  if (code < 500 || /json\.exception|param/i.test(message)) return new ServerError(`The server refused this: ${parts}`, 'request', code);
  return new ServerError(`The server failed (${code}): ${parts}`, 'server', code);
}

/** POST a body, yield the JSON of each event. Throws ServerError, or an AbortError when `signal` fires. */
export async function* stream(path, body, { key = '', signal } = {}) {
  const response = await ask(path, {
    method: 'POST', body: JSON.stringify(body), signal,
    headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream', ...headers(key) },
  });
  if (!response.ok) throw await refusal(response);
  let ended = false;
  for await (const line of lines(response.body, signal)) {
    const at = line.indexOf(':');
    const field = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? '' : line.slice(at + 1).trim();
    if (field === 'error') throw sentence(JSON.parse(value));
    if (field !== 'data' || value === '[DONE]') continue;
    const event = JSON.parse(value);
    if (event.error) throw sentence(event.error);
    ended ||= event.stop === true || Boolean(event.choices?.[0]?.finish_reason);
    yield event;
  }
  if (!ended) throw new ServerError(BROKEN, 'broken');
}

async function* lines(body, signal) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      rest += decoder.decode(value, { stream: true });
      const found = rest.split('\n');
      rest = found.pop();
      yield* found.filter((line) => line);
    }
    if (rest) yield rest;
  } catch (error) {
    if (error.name === 'AbortError' || signal?.aborted || error instanceof ServerError) throw error;
    throw new ServerError(BROKEN, 'broken');
  } finally {
    reader.cancel().catch(() => {});
  }
}
