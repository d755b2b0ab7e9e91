"""docs/server.md, made from the table of options.

    python -m llamacy.cli.server_help > docs/server.md
"""

from . import server_options as options
from .help import cell, code, plain, shown_default


def markdown():
    """The text of docs/server.md (str)."""
    parts = [INTRODUCTION]
    for title, rows in options.SECTIONS:
        parts.append(f"### {title[:1].upper()}{title[1:]}\n\n| Flag | Default | Meaning |\n|---|---|---|\n")
        parts += [f"| {cell(row)} | {code(shown_default(row))} | {plain(row[5])} |\n" for row in rows]
        parts.append("\n")
    return "".join(parts).rstrip() + "\n" + NOTES


INTRODUCTION = """\
# `server`: the HTTP API

Made from `llamacy/cli/server_options.py` by `python -m llamacy.cli.server_help > docs/server.md`.

```
./server -m models/7B/ggml-model-q4_0.gguf -c 4096 -np 4
curl http://127.0.0.1:8080/completion -d '{"prompt": "Once upon a time", "n_predict": 32}'
```

| Path | What |
|---|---|
| POST `/completion`, `/completions` | a text is continued; `"stream": true` for server-sent events |
| POST `/v1/completions` | the same, with the members of OpenAI's text completions beside the native ones; `max_tokens` counts |
| POST `/v1/chat/completions`, `/chat/completions` | a conversation, in OpenAI's form; tools, `response_format`, `logprobs` |
| POST `/infill` | what stands between `input_prefix` and `input_suffix` |
| POST `/tokenize`, `/detokenize` | text to ids and back |
| POST `/embedding`, `/embeddings`, `/v1/embeddings` | vectors, with `--embeddings` |
| GET `/health`, `/slots`, `/props`, `/v1/models`, `/metrics` | what the server is and does |
| POST `/slots/ID?action=save`, `restore`, `erase` | the cache of a slot, with `--slot-save-path` |

| GET `/`, `/completion.js` | the page, and functions for pages of your own |

Fields, defaults, error texts and the form of streams are those of llama.cpp's server of build 2794. A field of the wrong type
means its default; a number out of range is brought into it.

## Flags

A flag is one word and its value the next. Flags are matched as they are written. When a flag is repeated the last one holds,
but for those that may be repeated. Logs go to stdout, one line each; what the loader says goes to stderr.

"""

NOTES = """
## The page

![the page](page.png)

`http://127.0.0.1:8080/` is a page for chats and for texts that the model continues. Nothing is loaded from anywhere else, and
conversations stay in the browser. Answers can be stopped, had again (all versions are kept), edited and copied; conversations
renamed, exported and imported. The settings begin with the server's defaults; a grammar or a JSON schema can be put there, and
with "Show the likeliest" above 0 a token shows what else might have stood in its place. Enter sends, Shift+Enter begins a line, Esc
stops, Alt+N begins a conversation; `/?q=TEXT` asks at once.

`--path DIR` serves files of your own instead, with HEAD, Range and ETag. They may import `llama`, `llamaEventTarget`,
`llamaPromise` and `llamaModelInfo` from `/completion.js`; what llama.cpp bundles as `/index.js` does not exist here.

## What differs from llama.cpp's server

- **Keys.** With `--api-key` everything is guarded but `/health`, the page and the files of `--path`. llama.cpp leaves `/slots`,
  `/metrics`, `/v1/models` and the actions on slots open.
- **Origins.** Pages of this machine may read answers, others only with `--cors ORIGIN`. llama.cpp lets every page read them.
- **Clients that leave.** Their requests end at once, streaming or not, also while they wait or while their prompt is read.
- **Slots.** A slot is busy from the moment it takes a request on. It is free before its last answer is sent. A prompt with
  `cache_prompt` goes to the idle slot that knows most of it. After a context shift only what came before the shift is used again.
- **The same answer.** A request with a seed, or greedy, gives one text, whatever else is computed beside it and whether or not
  its prompt was cached. Therefore penalties never see the prompt, unless `penalty_prompt` is given; llama.cpp shows them the
  cached part of it. Mirostat draws from the request's own generator.
- **Long prompts** are read in pieces small enough that streams beside them keep at least about half of their speed.
- **Streams.** Text that was held back because it might have become a stop word is sent with the last token; llama.cpp loses it.
- **Several prompts** in one request are answered in their order, and their stream is one event with all answers.
- **System prompts.** Requests that run while `system_prompt` changes go on with the old one.
- **Echoes.** `generation_settings` shows the `n_predict` and `seed` of the request, and `temp` beside `temperature`. `n_keep` is
  0 if it is not given, whatever the request before had.
- **Chat templates** that llama.cpp does not know are rendered as Jinja, in a sandbox with bounds. If that fails the request fails;
  chatml never steps in. BOS is not doubled.
- **Tools** work: the call is kept well-formed by a grammar. A template that does not mention tools gets them described in a
  system message. Streams bring a call in pieces, as OpenAI's do; a call that is cut off ends with "length".
- **Chat streams** have `completion_probabilities` in their chunks if `n_probs` is given (OpenAI's `logprobs` with
  `--openai-strict`), and answers say `"truncated": true` if a part of the conversation did not fit.
- **`--openai-strict`**: streams begin with a role and end with `[DONE]`, bad parameters are 400, `finish_reason` tells the truth
  in whole answers too, `logprobs` has OpenAI's form, `logit_bias` may be an object, embeddings count tokens.
- What makes llama.cpp crash or hang is answered with an error.

## Limits

A body has at most `--body-limit` MiB (1 MiB if it is sent as a form) and 200 levels. A name of a slot file has at most 255 bytes
and no separators. A client that does not take in an event within `--timeout` seconds is cut off; a slot whose client has 512
events to read waits for it. SIGTERM and SIGINT let running requests finish; a second one ends the process.

## Prometheus

`--metrics` gives llama.cpp's ten numbers and three histograms: `llamacpp:request_queue_seconds`,
`llamacpp:time_to_first_token_seconds`, `llamacpp:inter_token_latency_seconds`. [grafana.json](grafana.json) is a dashboard for them.
"""


if __name__ == "__main__":
    print(markdown(), end="")
