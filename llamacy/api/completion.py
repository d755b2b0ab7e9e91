"""From a prompt to a text: tokens one after another, and the dicts that tell of them."""

import time
from collections.abc import Generator
from typing import Any, cast
from uuid import uuid4

from ..sampling import Sampler
from ..server.text import TextOut, decoded
from .options import Choice
from .types import Completion, Finish, Logprobs


def tokens(llama: Any, prompt: list[int], choice: Choice) -> Generator[int, None, None]:
    """The tokens that follow a prompt, without end but for the context's. Runs only in a turn."""
    llama._open()
    params = choice.params
    params.seed = 0 if choice.seed is None else choice.seed
    sampler = Sampler(params, llama._model.vocab)
    if choice.seed is None:
        sampler.rng.load_text(llama._rng.state_text())
    for token in prompt[-params.n_prev:]:
        sampler.accept(token, False)
    text = list(prompt)
    try:
        while len(text) <= llama.n_ctx():
            row = evaluated(llama, text)
            if choice.processor is not None:
                process(choice.processor, text, row)
            token = sampler.sample(row, context_rng=sampler.rng)
            if params.logit_bias or choice.processor is not None:
                llama._cache.evaluated = False             # this row is no longer the model's
            if choice.criterion is not None and choice.criterion(array(text), vector(row)):
                return
            sampler.accept(token, True)
            yield token
            text.append(token)
    finally:
        if choice.seed is None:
            llama._rng.load_text(sampler.rng.state_text())


def evaluated(llama: Any, text: list[int]) -> Any:
    """The row of logits behind a text. Errors  KeyboardInterrupt; ValueError: the Llama was closed meanwhile."""
    try:
        return llama._cache.evaluate(text)
    except KeyboardInterrupt:
        llama._open()
        raise


def process(processor: Any, text: list[int], row: Any) -> None:
    scores = vector(row)
    scores[:] = processor(array(text), scores)


def array(ids: list[int]) -> Any:
    import numpy
    return numpy.array(ids, numpy.intc)


def vector(row: Any) -> Any:
    import numpy
    return numpy.frombuffer(row, numpy.float32)


class Answer:
    """A completion while it is made.

    prompt       ids.  choice: how tokens are chosen.  most: tokens, at most
    stop         [bytes]: texts that end it.  n_logprobs: None, or tokens to report beside each
    reason       None until it has ended.  n: tokens so far
    """

    def __init__(self, llama: Any, prompt: list[int], choice: Choice, most: int, stop: list[bytes],
                 n_logprobs: int | None = None, offset: int = 0) -> None:
        self.llama, self.prompt, self.choice, self.most = llama, prompt, choice, most
        self.out = TextOut(stop)
        self.n = 0
        self.reason: Finish = None
        self.n_logprobs, self.offset = n_logprobs, offset
        self.fresh: list[tuple[str, float | None, dict[str, float] | None]] = []      # logprobs that have not been told

    @property
    def text(self) -> str:
        return decoded(bytes(self.out.text))

    def pieces(self) -> Generator[str, None, None]:
        """The text in pieces, none of them empty but the last, after which `reason` is set."""
        vocab = self.llama._model.vocab
        steps = tokens(self.llama, self.prompt, self.choice)
        try:
            for token in steps:
                if vocab.is_eog(token):
                    self.reason = "stop"
                    break
                self.n += 1
                if self.n_logprobs is not None:
                    self.fresh.append(logprob(vocab, self.llama._cache.row(), token, self.n_logprobs))
                piece = vocab.piece(token, False)
                begins = self.n == 1 and self.prompt == [vocab.bos] and piece[:1] == b" "      # of a text, not of a word in it
                _, chunk = self.out.add(piece[begins:])
                if self.out.stopped:
                    self.reason = "stop"
                    break
                if chunk:
                    yield decoded(chunk)
                if self.n >= self.most:
                    self.reason = "length"
                    break
            self.reason = self.reason or ("stop" if len(self.prompt) + self.n < self.llama.n_ctx() else "length")
            yield decoded(self.out.flush())
        finally:
            steps.close()

    def logprobs(self) -> Logprobs | None:
        """Of the tokens since the last call; None if nobody asked."""
        if self.n_logprobs is None:
            return None
        found: Logprobs = {"tokens": [], "text_offset": [], "token_logprobs": [], "top_logprobs": []}
        for text, value, top in self.fresh:
            found["tokens"].append(text)
            found["text_offset"].append(self.offset)
            found["token_logprobs"].append(value)
            found["top_logprobs"].append(top)
            self.offset += len(text)
        self.fresh = []
        return found

    def note_prompt(self) -> None:
        """Logprobs of the prompt's tokens, for an echo."""
        vocab, cache = self.llama._model.vocab, self.llama._cache
        ids = self.prompt[1:] if self.prompt[:1] == [vocab.bos] else self.prompt
        first = len(self.prompt) - len(ids)
        cache.evaluate(self.prompt)
        self.offset = 0
        for at, token in enumerate(ids, first):
            if at == first:
                self.fresh.append((decoded(vocab.piece(token, False)), None, None))
            else:
                self.fresh.append(logprob(vocab, cache.scores[at - 1], token, self.n_logprobs or 0))


def logprob(vocab: Any, row: Any, token: int, n: int) -> tuple[str, float | None, dict[str, float] | None]:
    """(text, log of the probability, {text: log} of the n likeliest and itself) of a token, before any sampler."""
    import numpy
    values = numpy.asarray(row, numpy.float64)
    top = values.max()
    values = values - top - numpy.log(numpy.exp(values - top).sum())
    listed = {decoded(vocab.piece(int(i), False)): float(values[i]) for i in numpy.argsort(-values, kind="stable")[:n]}
    text = decoded(vocab.piece(token, False))
    listed[text] = float(values[token])
    return text, float(values[token]), listed


class Frame:
    """What all dicts of an answer have in common."""

    def __init__(self, model: str, prefix: str = "cmpl-") -> None:
        self.model, self.created, self.id = model, int(time.time()), prefix + str(uuid4())

    def dict(self, kind: str, choice: dict[str, Any], answer: "Answer | None" = None) -> dict[str, Any]:
        body = {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": [choice]}
        if answer is not None:
            asked, made = len(answer.prompt), answer.n
            body["usage"] = {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made}
        return body


def chunks(answer: Answer, frame: Frame, before: str, after: str) -> Generator[Completion, None, None]:
    """The answer as a stream; `before` and `after` are put around its text."""
    if before:
        yield chunk(frame, before, answer.logprobs(), None)
    for piece in answer.pieces():
        if piece:
            yield chunk(frame, piece, answer.logprobs(), None)
    yield chunk(frame, after, answer.logprobs() if answer.fresh else None, answer.reason)


def chunk(frame: Frame, text: str, logprobs: Logprobs | None, reason: Finish) -> Completion:
    return cast(Completion, frame.dict("text_completion", {"text": text, "index": 0, "logprobs": logprobs,
                                                           "finish_reason": reason}))


def whole(answer: Answer, frame: Frame, before: str, after: str) -> Completion:
    for _ in answer.pieces():
        pass
    choice = {"text": before + answer.text + after, "index": 0, "logprobs": answer.logprobs(), "finish_reason": answer.reason}
    return cast(Completion, frame.dict("text_completion", choice, answer))
