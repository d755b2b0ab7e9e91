// One answer: a request, and a version of a message that fills while the answer comes.

import { stream } from './stream.js';

export class Run {
  constructor(version, ontick) {
    this.version = version;
    this.ontick = ontick;
    this.controller = new AbortController();
    this.asked = performance.now();
    this.first = 0;
    this.n = 0;
  }

  stop() {
    this.controller.abort();
  }

  /** Resolves when the answer has ended, in whatever way: errors are in the version then. */
  async go(path, body, key) {
    const { version } = this;
    try {
      for await (const event of stream(path, body, { key, signal: this.controller.signal })) {
        this.take(event);
        this.ontick(false);
      }
    } catch (error) {
      if (error.name === 'AbortError') version.note = 'Stopped.';
      else version.error = { text: error.message, kind: error.kind ?? 'page' };
    }
    this.end ??= performance.now();
    this.tell();
    this.ontick(true);
  }

  /** Tokens per second since the first one. */
  get rate() {
    const seconds = ((this.end ?? performance.now()) - this.first) / 1000;
    return this.n > 1 && seconds > 0 ? (this.n - 1) / seconds : 0;
  }

  take(event) {
    const { version } = this;
    const choice = event.choices?.[0];
    const text = choice ? choice.delta?.content ?? '' : event.content ?? '';
    const last = event.stop === true || Boolean(choice?.finish_reason);
    if (text || event.stop === false) {
      this.first ||= performance.now();
      this.n++;
    }
    version.text += text;
    const probs = event.completion_probabilities ?? converted(choice?.logprobs?.content);
    if (event.stop === true && probs) version.probs = probs;   // the native form ends with all of them once more
    else if (probs) version.probs.push(...probs);
    if (event.timings) this.timings = event.timings;
    if (event.usage) this.usage = event.usage;
    if (event.tokens_evaluated !== undefined) {
      this.usage = { prompt_tokens: event.tokens_evaluated, completion_tokens: event.tokens_predicted };
    }
    if (event.truncated) version.note = 'The context was full: the beginning of the text was left out.';
    else if (last && (event.stopped_limit || choice?.finish_reason === 'length')) version.note = 'Ended at the limit of tokens.';
  }

  tell() {
    const n = this.usage?.completion_tokens ?? this.n;
    const rate = this.timings?.predicted_n > 1 ? this.timings.predicted_per_second : this.rate;
    this.version.stats = { n, rate, prompt: this.usage?.prompt_tokens ?? 0, wait: this.first ? this.first - this.asked : 0 };
  }
}

/** OpenAI's log probabilities -> the native form. */
function converted(content) {
  return content?.map((entry) => ({
    content: entry.token,
    probs: (entry.top_logprobs ?? []).map((top) => ({ tok_str: top.token, prob: Math.exp(top.logprob) })),
  }));
}
