// For pages of --path: the functions that pages written for llama.cpp's server import from here.
//
//   for await (const chunk of llama('Once upon a time', { n_predict: 32 })) text += chunk.data.content;

import { stream } from './page/stream.js';

const DEFAULTS = { stream: true, n_predict: 500, temperature: 0.2, stop: ['</s>'] };
let settings = null;

/** Stream a completion; yields {data} for each event and returns the text. config: {controller, api_url} */
export async function* llama(prompt, params = {}, config = {}) {
  const controller = config.controller ?? new AbortController();
  const { api_key: key = '', ...fields } = params;
  let content = '';
  try {
    for await (const data of stream(`${config.api_url ?? ''}/completion`, { ...DEFAULTS, ...fields, prompt, stream: true },
                                    { key, signal: controller.signal })) {
      content += data.content;
      yield { event: 'message', data };
      if (data.generation_settings) settings = data.generation_settings;
      if (data.stop) break;
    }
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  }
  return content;
}

/** The same as an EventTarget with the events message, generation_settings, timings and done. */
export function llamaEventTarget(prompt, params = {}, config = {}) {
  const target = new EventTarget();
  const tell = (name, detail) => target.dispatchEvent(new CustomEvent(name, { detail }));
  (async () => {
    let content = '';
    for await (const chunk of llama(prompt, params, config)) {
      content += chunk.data.content;
      tell('message', chunk.data);
      if (chunk.data.generation_settings) tell('generation_settings', chunk.data.generation_settings);
      if (chunk.data.timings) tell('timings', chunk.data.timings);
    }
    tell('done', { content });
  })().catch((error) => tell('error', error));
  return target;
}

/** The whole text. */
export async function llamaPromise(prompt, params = {}, config = {}) {
  let content = '';
  for await (const chunk of llama(prompt, params, config)) content += chunk.data.content;
  return content;
}

/** The old form: callback(chunk) for each event. */
export async function llamaComplete(params, controller, callback) {
  for await (const chunk of llama(params.prompt, params, { controller })) callback(chunk);
}

/** The settings of the server. */
export async function llamaModelInfo(config = {}) {
  settings ??= (await (await fetch(`${config.api_url ?? ''}/props`)).json()).default_generation_settings;
  return settings;
}
