"""Answers of the engine -> the JSON of the native API."""

from .text import decoded


def final(server, answer, content=None, streamed=False):
    """The object that ends a completion. content: instead of the answer's text."""
    body = {
        "content": decoded(answer.text) if content is None else content, "id_slot": answer.id_slot, "stop": True,
        "model": server.config.alias, "tokens_predicted": answer.n_predicted, "tokens_evaluated": answer.n_evaluated,
        "generation_settings": {**answer.task.settings, "n_keep": answer.n_keep}, "prompt": answer.task.prompt,
        "truncated": answer.truncated, "stopped_eos": answer.stopped_eos, "stopped_word": answer.stopped_word,
        "stopped_limit": answer.stopped_limit, "stopping_word": decoded(answer.word), "tokens_cached": answer.n_cached,
        "timings": answer.timing.body(),
    }
    if answer.task.fields["n_probs"] > 0:
        body["completion_probabilities"] = probabilities(server, answer, streamed)
    return body


def probabilities(server, answer, streamed):
    """What was recorded; without the stop word's tokens where the text lacks them too."""
    if streamed or not answer.stopped_word:
        return answer.probs
    n = len(server.vocab.tokenize(answer.word, False, False))
    return answer.probs[:max(0, len(answer.probs) - n)]


class Partials:
    """The events of a stream, with the probabilities that belong to the text of each."""

    def __init__(self, server, task):
        self.server, self.task = server, task
        self.recorded, self.sent = [], 0

    def event(self, partial):
        body = {"content": decoded(partial.content), "stop": False, "id_slot": partial.id_slot, "multimodal": False}
        if self.task.fields["n_probs"] > 0:
            body["completion_probabilities"] = self.probs(partial)
        return body

    def probs(self, partial):
        if partial.probs is not None:
            self.recorded.append(partial.probs)
        if not partial.content:
            return []
        n = len(self.server.vocab.tokenize(partial.content, False, False))
        start, self.sent = self.sent, min(self.sent + n, len(self.recorded))
        return self.recorded[start:self.sent]
