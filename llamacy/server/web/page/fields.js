// The settings: one row each. Defaults come from the server (/props); this says how a row looks and what a number may be.

export const GROUPS = [
  ['Sampling', [
    ['temperature', 'Temperature', 'float', { min: 0, max: 2, step: 0.05, hint: '0: always the likeliest token' }],
    ['top_k', 'Top-k', 'int', { min: 0, max: 200, step: 1, hint: 'So many of the likeliest tokens; 0: all' }],
    ['top_p', 'Top-p', 'float', { min: 0, max: 1, step: 0.01, hint: 'The likeliest tokens that reach this sum' }],
    ['min_p', 'Min-p', 'float', { min: 0, max: 1, step: 0.01, hint: 'At least this share of the best token' }],
    ['n_predict', 'Most tokens', 'int', { hint: '-1: as many as fit' }],
    ['seed', 'Seed', 'int', { hint: '-1: another one each time' }],
    ['stop', 'Stop words', 'lines', { hint: 'One per line' }],
  ]],
  ['Repetition', [
    ['repeat_penalty', 'Repeat penalty', 'float', { min: 0.5, max: 2, step: 0.01, hint: '1: off' }],
    ['repeat_last_n', 'Looks back', 'int', { hint: 'Tokens; 0: off' }],
    ['presence_penalty', 'Presence penalty', 'float', { min: -2, max: 2, step: 0.05 }],
    ['frequency_penalty', 'Frequency penalty', 'float', { min: -2, max: 2, step: 0.05 }],
    ['penalize_nl', 'Penalise newlines', 'bool', {}],
  ]],
  ['Structure', [
    ['structure', 'Answers follow', 'choice', {
      options: [['', 'nothing'], ['grammar', 'a grammar (GBNF)'], ['json_schema', 'a JSON schema']],
    }],
    ['structure_text', 'Grammar or schema', 'code', { hint: '' }],
  ]],
  ['Probabilities', [
    ['n_probs', 'Show the likeliest', 'int', { min: 0, max: 20, step: 1, hint: 'Tokens; then point at a token of the answer' }],
  ]],
  ['More sampling', [
    ['samplers', 'Order of samplers', 'words', {}],
    ['tfs_z', 'Tail-free z', 'float', { min: 0, max: 1, step: 0.01, hint: '1: off' }],
    ['typical_p', 'Typical-p', 'float', { min: 0, max: 1, step: 0.01, hint: '1: off' }],
    ['dynatemp_range', 'Dynamic temperature', 'float', { min: 0, max: 2, step: 0.05, hint: 'Range; 0: off' }],
    ['dynatemp_exponent', 'Its exponent', 'float', { min: 0, max: 4, step: 0.1 }],
    ['mirostat', 'Mirostat', 'choice', { options: [[0, 'off'], [1, 'version 1'], [2, 'version 2']] }],
    ['mirostat_tau', 'Mirostat tau', 'float', { min: 0, max: 10, step: 0.1 }],
    ['mirostat_eta', 'Mirostat eta', 'float', { min: 0, max: 1, step: 0.01 }],
    ['min_keep', 'Keep at least', 'int', { hint: 'Tokens, whatever the samplers say' }],
    ['ignore_eos', 'Go on after the end', 'bool', {}],
    ['logit_bias', 'Logit bias', 'json', { hint: '[["word", 1.5], [15043, false]]' }],
  ]],
  ['Context', [
    ['cache_prompt', 'Reuse the cache', 'bool', {}],
    ['n_keep', 'Keep when full', 'int', { hint: 'Tokens of the beginning; -1: all of the prompt' }],
    ['n_discard', 'Drop when full', 'int', { hint: 'Tokens; 0: half' }],
    ['id_slot', 'Slot', 'int', { hint: '-1: any' }],
  ]],
];

export const ROWS = GROUPS.flatMap(([, rows]) => rows);

// What /props does not tell.
const OURS = { structure: '', structure_text: '', cache_prompt: true, id_slot: -1, logit_bias: '', stop: [], seed: -1 };

/** Single precision as the server tells it (0.800000011920929) -> what was meant (0.8). */
const short = (x) => (typeof x === 'number' && !Number.isInteger(x) ? Number(x.toPrecision(7)) : x);

export function defaultsOf(props) {
  const told = props?.default_generation_settings ?? {};
  const known = Object.fromEntries(ROWS.map(([name]) => [name, short(told[name])]).filter(([, value]) => value !== undefined));
  return { ...known, ...OURS, ...(Array.isArray(told.stop) ? { stop: told.stop } : {}) };
}

/** The fields of a request. Throws an Error that says which setting is wrong. */
export function requestFields(values) {
  const { structure, structure_text: text, logit_bias: bias, ...plain } = values;
  const body = { ...plain };
  if (structure === 'grammar' && text.trim()) body.grammar = text;
  if (structure === 'json_schema' && text.trim()) body.json_schema = json(text, 'The JSON schema');
  if (bias?.trim()) body.logit_bias = json(bias, 'The logit bias');
  return body;
}

export function json(text, what) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} is no JSON: ${error.message}`);
  }
}
