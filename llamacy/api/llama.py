"""`Llama`: a model and its context, for programs."""

import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, TypeVar, Unpack, overload
from weakref import WeakSet

from ..cli import bundled
from ..cli.buildinfo import default_threads
from ..sampling import Mt19937, Sampler
from ..sampling.params import RANDOM_SEED
from . import chat, completion
from .cache import Cache
from .embed import POOLINGS, Embedder
from .formats import ChatFormat
from .options import Choice, Sampling
from .state import LlamaState
from .stream import Stream
from .turns import Turns
from .types import ChatChunk, ChatCompletion, Completion, Embeddings, Messages

T = TypeVar("T")
SCALINGS = {-1: None, 0: "none", 1: "linear", 2: "yarn"}
CACHE_TYPES: dict[Any, str] = {None: "f16", 0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 20: "iq4_nl"}
WITHOUT_GPU = ("n_gpu_layers", "main_gpu", "tensor_split", "split_mode", "offload_kqv", "mul_mat_q")
IGNORED = ("vocab_only", "numa", "tokenizer", "draft_model", "low_vram", "f16_kv", "rpc_servers")


class Llama:
    """A model with a context. Methods, defaults and the shapes of answers are those of llama-cpp-python 0.2.70.

    model_path       a GGUF file; of a split model the first part; "bundled": the small one that comes with llamacy
    n_ctx            tokens; 0: what the model was trained for.  n_batch: tokens of a prompt that are computed at once
    n_threads        None: one per physical core
    seed             of the random numbers; -1 or 0xFFFFFFFF: another one each time
    logits_all       keep the logits behind every token: for `scores`, and for logprobs with echo
    embedding        make room for `embed`.  pooling_type: 0 (or -1) a vector per token, 1 mean, 2 first, 3 last token
    type_k, type_v   of the cache: a name ("q8_0") or GGML's number
    chat_format      a name of api/formats.py, or Jinja text; None: the model's own, else llama-2
    verbose          the loader tells on stderr what it finds

    May be used by several threads: calls wait for each other, in their order. A context manager; `close` gives memory back.
    Errors  OSError: the file cannot be read. GGUFError, ModelError: it is no model that can be run. MemoryError: too large.
    """

    def __init__(self, model_path: "str | os.PathLike[str]", *, n_ctx: int = 512, n_batch: int = 512, n_ubatch: int = 512,
                 n_threads: int | None = None, n_threads_batch: int | None = None, seed: int = RANDOM_SEED,
                 use_mmap: bool = True, use_mlock: bool = False, kv_overrides: "dict[str, bool | int | float | str] | None" = None,
                 rope_scaling_type: int | None = -1, rope_freq_base: float = 0.0, rope_freq_scale: float = 0.0,
                 yarn_ext_factor: float = -1.0, yarn_attn_factor: float = 1.0, yarn_beta_fast: float = 32.0,
                 yarn_beta_slow: float = 1.0, yarn_orig_ctx: int = 0, logits_all: bool = False, embedding: bool = False,
                 pooling_type: int = -1, flash_attn: bool = False, last_n_tokens_size: int = 64,
                 lora_path: str | None = None, lora_base: str | None = None, lora_scale: float = 1.0,
                 type_k: "int | str | None" = None, type_v: "int | str | None" = None, chat_format: str | None = None,
                 chat_handler: Callable[..., Any] | None = None, n_gpu_layers: int = 0, verbose: bool = True,
                 **others: Any) -> None:
        from ..engine import Context, Model
        self._closed = False
        refuse_unknown(others)
        warn_of_gpu(n_gpu_layers)
        self.model_path = os.fspath(model_path)
        self.verbose, self.chat_handler = verbose, chat_handler
        self.last_n_tokens_size = last_n_tokens_size
        log = to_stderr if verbose else nothing
        threads = n_threads or default_threads()
        batch = max(1, n_batch)
        sizes = {
            "n_batch": batch, "n_ubatch": min(n_ubatch, batch), "n_threads": threads,
            "n_threads_batch": n_threads_batch or threads, "flash_attn": flash_attn, "rope_freq_base": rope_freq_base,
            "rope_freq_scale": rope_freq_scale, "rope_scaling": SCALINGS[rope_scaling_type or -1],
            "yarn_orig_ctx": yarn_orig_ctx, "yarn_ext_factor": yarn_ext_factor, "yarn_attn_factor": yarn_attn_factor,
            "yarn_beta_fast": yarn_beta_fast, "yarn_beta_slow": yarn_beta_slow, "type_k": CACHE_TYPES.get(type_k, type_k),
            "type_v": CACHE_TYPES.get(type_v, type_v)}
        self._model: Any = Model(bundled.path(self.model_path), use_mmap=use_mmap and lora_path is None, use_mlock=use_mlock,
                                 overrides=overrides(kv_overrides), log=log)
        if lora_path is not None:
            self._model.apply_lora(lora_path, lora_scale, base_path=lora_base, log=log)
        self._context: Any = Context(self._model, n_ctx=n_ctx, n_outputs=batch if logits_all else 1, log=log, **sizes)
        self._cache = Cache(self._context, self.n_vocab(), logits_all)
        self._embedder = Embedder(self._model, sizes, POOLINGS[pooling_type]) if embedding else None
        self._chat_format = ChatFormat(chat_format, self._model)
        self.chat_format = self._chat_format.name
        self._turns = Turns()
        self._streams: WeakSet[Stream[Any]] = WeakSet()
        self.set_seed(seed)

    # ---- texts

    @overload
    def create_completion(self, prompt: "str | list[int]", suffix: str | None = None, max_tokens: int | None = 16, *,
                          logprobs: int | None = None, echo: bool = False, stop: "str | list[str] | None" = None,
                          stream: Literal[False] = False, model: str | None = None,
                          **sampling: Unpack[Sampling]) -> Completion: ...

    @overload
    def create_completion(self, prompt: "str | list[int]", suffix: str | None = None, max_tokens: int | None = 16, *,
                          logprobs: int | None = None, echo: bool = False, stop: "str | list[str] | None" = None,
                          stream: Literal[True], model: str | None = None,
                          **sampling: Unpack[Sampling]) -> Stream[Completion]: ...

    def create_completion(self, prompt: "str | list[int]", suffix: str | None = None, max_tokens: int | None = 16, *,
                          logprobs: int | None = None, echo: bool = False, stop: "str | list[str] | None" = None,
                          stream: bool = False, model: str | None = None,
                          **sampling: Unpack[Sampling]) -> "Completion | Stream[Completion]":
        """Continue a text. The dict of an answer or, with `stream`, an iterator over its pieces.

        prompt      text, in which special tokens are found, or ids
        max_tokens  None, 0 or less: until the context is full
        logprobs    tell the logarithms of the probabilities of each token and of so many others
        echo        begin with the prompt.  suffix: end with this.  stop: texts that end the answer
        sampling    of options.py: temperature, top_k, seed, grammar, logit_bias, ...
        Errors      ValueError: a prompt longer than the context, or logprobs of an echo without logits_all.
        """
        self._open()
        answer = self._answer(prompt, max_tokens, stop, Choice(sampling, self.last_n_tokens_size), logprobs)
        if logprobs is not None and echo:
            if self._cache.scores is None:
                raise ValueError("logprobs of an echo: the Llama must be made with logits_all=True")
            with self._turn():
                answer.note_prompt()
        before = (prompt if isinstance(prompt, str) else self._text(prompt)) if echo else ""
        frame = completion.Frame(model or self.model_path)
        if stream:
            return self._stream(completion.chunks(answer, frame, before, suffix or ""))
        with self._turn():
            return completion.whole(answer, frame, before, suffix or "")

    @overload
    def __call__(self, prompt: str, suffix: str | None = None, max_tokens: int | None = 16, *,
                 logprobs: int | None = None, echo: bool = False, stop: "str | list[str] | None" = None,
                 stream: Literal[False] = False, model: str | None = None,
                 **sampling: Unpack[Sampling]) -> Completion: ...

    @overload
    def __call__(self, prompt: str, suffix: str | None = None, max_tokens: int | None = 16, *,
                 logprobs: int | None = None, echo: bool = False, stop: "str | list[str] | None" = None,
                 stream: Literal[True], model: str | None = None,
                 **sampling: Unpack[Sampling]) -> Stream[Completion]: ...

    def __call__(self, prompt: str, suffix: str | None = None, max_tokens: int | None = 16, **settings: Any) -> Any:
        """The same as create_completion."""
        return self.create_completion(prompt, suffix, max_tokens, **settings)

    @overload
    def create_chat_completion(self, messages: Messages, *, functions: Any = None, function_call: Any = None,
                               tools: Any = None, tool_choice: Any = None, response_format: "dict[str, Any] | None" = None,
                               max_tokens: int | None = None, stop: "str | list[str] | None" = None,
                               logprobs: bool | None = None, top_logprobs: int | None = None, model: str | None = None,
                               stream: Literal[False] = False, **sampling: Unpack[Sampling]) -> ChatCompletion: ...

    @overload
    def create_chat_completion(self, messages: Messages, *, functions: Any = None, function_call: Any = None,
                               tools: Any = None, tool_choice: Any = None, response_format: "dict[str, Any] | None" = None,
                               max_tokens: int | None = None, stop: "str | list[str] | None" = None,
                               logprobs: bool | None = None, top_logprobs: int | None = None, model: str | None = None,
                               stream: Literal[True], **sampling: Unpack[Sampling]) -> Stream[ChatChunk]: ...

    def create_chat_completion(self, messages: Messages, *, functions: Any = None, function_call: Any = None,
                               tools: Any = None, tool_choice: Any = None, response_format: "dict[str, Any] | None" = None,
                               max_tokens: int | None = None, stop: "str | list[str] | None" = None,
                               logprobs: bool | None = None, top_logprobs: int | None = None, model: str | None = None,
                               stream: bool = False, **sampling: Unpack[Sampling]) -> "ChatCompletion | Stream[ChatChunk]":
        """Answer a conversation: [{"role": "user", "content": "Hello"}, ...].

        tools, tool_choice      functions that the model may call; a grammar keeps the calls well-formed
        response_format         {"type": "json_object"}, or {"type": "json_schema", "json_schema": {"schema": {...}}}
        sampling                as for create_completion, but temperature is 0.2 if not given
        Errors                  ValueError: messages, tools or a format that cannot be, or too long a conversation.
        """
        self._open()
        body = {"functions": functions, "function_call": function_call, "tools": tools, "tool_choice": tool_choice,
                "response_format": response_format}
        if self.chat_handler is not None:
            return self.chat_handler(llama=self, messages=messages, max_tokens=max_tokens, stop=stop, stream=stream,
                                     **body, **sampling)
        wanted = chat.Chat(self._chat_format, messages, body, sampling.get("grammar"))
        settings: dict[str, Any] = {"temperature": 0.2, **sampling, "grammar": wanted.grammar}
        stops = [*([stop] if isinstance(stop, str) else stop or ()), *self._chat_format.stop]
        answer = self._answer(wanted.prompt, max_tokens, stops, Choice(settings, self.last_n_tokens_size),
                              (top_logprobs or 0) if logprobs else None)
        frame = completion.Frame(model or self.model_path, "chatcmpl-")
        if stream:
            return self._stream(chat.chunks(wanted, answer, frame))
        with self._turn():
            return chat.whole(wanted, answer, frame)

    def _answer(self, prompt: "str | list[int]", max_tokens: int | None, stop: "str | list[str] | None", choice: Choice,
                logprobs: int | None) -> completion.Answer:
        ids = self._prompt(prompt)
        room = self.n_ctx() - len(ids)
        if room <= 0:
            raise ValueError(f"Requested tokens ({len(ids)}) exceed context window of {self.n_ctx()}")
        most = room if max_tokens is None or max_tokens <= 0 else min(max_tokens, room)
        words = [stop] if isinstance(stop, str) else stop or ()
        text = prompt if isinstance(prompt, str) else self._text(ids)
        return completion.Answer(self, ids, choice, most, [word.encode() for word in words if word], logprobs, len(text))

    def _prompt(self, prompt: "str | list[int]") -> list[int]:
        """Ids. Errors  ValueError: there are none, or some that the vocabulary does not have."""
        vocab = self._model.vocab
        if isinstance(prompt, str):
            ids = vocab.tokenize(prompt.encode("utf-8", "replace"), True, True)
            ids = ids or [vocab.bos]
        else:
            ids = [int(id) for id in prompt]
        if not ids or not all(0 <= id < vocab.n_tokens for id in ids):
            raise ValueError(f"a prompt must have tokens, all from 0 to {vocab.n_tokens - 1}")
        return ids

    def _text(self, ids: Sequence[int]) -> str:
        return self.detokenize(ids).decode("utf-8", "replace")

    # ---- tokens

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:
        """Ids of a text (bytes). special: the texts of special tokens become these tokens."""
        self._open()
        if isinstance(text, str):
            raise TypeError("tokenize takes bytes: text.encode()")
        ids: list[int] = self._model.vocab.tokenize(bytes(text), add_bos, special)
        return ids

    def detokenize(self, tokens: Sequence[int], prev_tokens: Sequence[int] | None = None) -> bytes:
        """The text of ids (bytes): of a text with BOS without the blank that tokenize put before it."""
        self._open()
        text: bytes = self._model.vocab.pieces(tokens, False)
        begins = bool(tokens) and tokens[0] == self.token_bos() and not prev_tokens
        return text[1:] if begins and text[:1] == b" " else text

    def token_bos(self) -> int:
        self._open()
        return int(self._model.vocab.bos)

    def token_eos(self) -> int:
        self._open()
        return int(self._model.vocab.eos)

    def token_nl(self) -> int:
        self._open()
        return int(self._model.vocab.lf)

    def n_vocab(self) -> int:
        self._open()
        return int(self._model.vocab.n_tokens)

    def n_ctx(self) -> int:
        """Tokens that the context has room for; a multiple of 256."""
        self._open()
        return int(self._context.n_ctx)

    def n_embd(self) -> int:
        self._open()
        return int(self._model.hparams.n_embd)

    @property
    def metadata(self) -> dict[str, str]:
        """The scalars of the file's metadata, as texts."""
        self._open()
        found = {key: self._model.gguf.get(key) for key in self._model.gguf.keys()}
        return {key: as_text(value) for key, value in found.items() if isinstance(value, (bytes, bool, int, float))}

    # ---- embeddings

    def create_embedding(self, input: "str | list[str]", model: str | None = None) -> Embeddings:
        """Vectors of texts, in OpenAI's form. Errors  RuntimeError: made without embedding=True."""
        texts = [input] if isinstance(input, str) else list(input)
        vectors, count = self.embed(texts, return_count=True)
        return {"object": "list", "model": model or self.model_path,
                "data": [{"object": "embedding", "embedding": vector, "index": i} for i, vector in enumerate(vectors)],
                "usage": {"prompt_tokens": count, "total_tokens": count}}

    def embed(self, input: "str | list[str]", normalize: bool = False, truncate: bool = True,
              return_count: bool = False) -> Any:
        """The vector of a text, or a list of those of several; with return_count also their tokens.

        normalize  make them 1 long.  truncate: cut texts longer than n_batch tokens, else ValueError
        Errors     RuntimeError: made without embedding=True.
        """
        self._open()
        if self._embedder is None:
            raise RuntimeError("embeddings: the Llama must be made with embedding=True")
        texts = [input] if isinstance(input, str) else list(input)
        ids = [self._model.vocab.tokenize(text.encode("utf-8", "replace"), True, False) for text in texts]
        with self._turn():
            vectors = [self._embedder.vector(tokens, normalize, truncate) for tokens in ids]
        found = vectors[0] if isinstance(input, str) else vectors
        return (found, sum(map(len, ids))) if return_count else found

    # ---- step by step

    def eval(self, tokens: Sequence[int]) -> None:
        """Append tokens to what the context holds. Errors  ContextFull."""
        self._open()
        ids = self._prompt(list(tokens))
        with self._turn():
            self._cache.evaluate(self._cache.tokens + ids)

    def sample(self, **settings: Any) -> int:
        """A token after those that were evaluated; `temp` or `temperature` and the other settings of options.py."""
        self._open()
        choice = Choice(renamed(settings), self.last_n_tokens_size)
        with self._turn():
            if not self._cache.tokens:
                raise ValueError("nothing has been evaluated yet")
            steps = completion.tokens(self, list(self._cache.tokens), choice)
            try:
                return next(steps)
            finally:
                steps.close()

    def generate(self, tokens: Sequence[int], reset: bool = True, **settings: Any) -> Stream[int]:
        """Tokens after these, one by one; reset=False: after those that were evaluated, and these."""
        self._open()
        ids = ([] if reset else list(self._cache.tokens)) + self._prompt(list(tokens))
        choice = Choice(renamed(settings), self.last_n_tokens_size)
        return self._stream(completion.tokens(self, ids, choice))

    def reset(self) -> None:
        """Forget all tokens."""
        self._open()
        with self._turn():
            self._cache.forget(0)

    @property
    def n_tokens(self) -> int:
        """Tokens that the context holds."""
        self._open()
        return len(self._cache.tokens)

    @property
    def eval_tokens(self) -> list[int]:
        self._open()
        return list(self._cache.tokens)

    @property
    def eval_logits(self) -> list[list[float]]:
        """The logits behind the last token; with logits_all those behind all."""
        self._open()
        if self._cache.scores is not None:
            rows: list[list[float]] = self._cache.scores[:self.n_tokens].tolist()
            return rows
        return [self._context.logits.tolist()] if self._cache.tokens else []

    @property
    def scores(self) -> Any:
        """(n_ctx, n_vocab) float32, numpy: the logits behind each token. Errors  ValueError: without logits_all."""
        self._open()
        if self._cache.scores is None:
            raise ValueError("scores: the Llama must be made with logits_all=True")
        return self._cache.scores

    def set_seed(self, seed: int) -> None:
        seed &= 0xFFFFFFFF
        self._rng = Mt19937(int.from_bytes(os.urandom(4), "little") if seed == RANDOM_SEED else seed)

    # ---- states

    def save_state(self) -> LlamaState:
        self._open()
        with self._turn():
            scores = self._cache.scores
            self._context.rng.load_text(self._rng.state_text())
            return LlamaState(list(self._cache.tokens), self._context.state_bytes(),
                              None if scores is None else scores[:len(self._cache.tokens)].copy())

    def load_state(self, state: LlamaState) -> None:
        """Errors  LlamacyError: of another model, or too large for this context; nothing has changed."""
        self._open()
        with self._turn():
            self._context.load_state(state.data)
            self._rng.load_text(self._context.rng.state_text())
            self._cache.tokens = list(state.tokens)
            self._cache.evaluated = True
            if self._cache.scores is not None and state.scores is not None:
                self._cache.scores[:len(state.tokens)] = state.scores

    # ---- the end

    def close(self) -> None:
        """Give the memory back; what runs in other threads ends with an error, streams just end. Again: nothing."""
        if self._closed:
            return
        self._turns.refuse_callbacks()
        self._closed = True
        self._turns.stop(None, self._context)
        with self._turns.turn():
            for stream in list(self._streams):
                stream.close()
            self._context.close()
            if self._embedder is not None:
                self._embedder.close()
            self._model.close()
            self._context = self._model = self._cache = self._embedder = None      # type: ignore[assignment]

    def __enter__(self) -> "Llama":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _stream(self, steps: Generator[T, None, None]) -> Stream[T]:
        stream = Stream(self._turns, steps, self._context)
        self._streams.add(stream)
        return stream

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._turns.turn():
            self._open()
            yield

    def _open(self) -> None:
        if self._closed:
            raise ValueError("this Llama is closed")


def refuse_unknown(others: dict[str, Any]) -> None:
    for name in others:
        if name not in WITHOUT_GPU + IGNORED:
            raise TypeError(f"Llama() got an unexpected keyword argument {name!r}")


def warn_of_gpu(n_gpu_layers: int) -> None:
    if n_gpu_layers:
        warnings.warn(f"n_gpu_layers={n_gpu_layers}: this build computes on the CPU", stacklevel=3)


def overrides(given: "dict[str, bool | int | float | str] | None") -> list[tuple[str, str, Any]]:
    """The engine's rows (key, kind, value)."""
    return [(key, type(value).__name__, value.encode() if isinstance(value, str) else value)
            for key, value in (given or {}).items()]


def renamed(settings: dict[str, Any]) -> dict[str, Any]:
    """The low-level methods call the temperature `temp`."""
    return {"temperature" if name == "temp" else name: value for name, value in settings.items()}


def as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value).lower() if isinstance(value, bool) else f"{value:f}" if isinstance(value, float) else str(value)


def to_stderr(line: bytes) -> None:
    sys.stderr.write(line.decode("utf-8", "replace"))


def nothing(*words: object) -> None:
    pass
