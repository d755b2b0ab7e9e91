"""What a Llama knows at one moment, to be taken up again later."""

from typing import Any


class LlamaState:
    """Of save_state. `tokens`: ids in the cache; `data`: the cache, logits and random numbers as session files hold them;
    `scores`: rows of logits (numpy) with logits_all, else None. Can be pickled."""

    def __init__(self, tokens: list[int], data: bytes, scores: Any = None) -> None:
        self.tokens, self.data, self.scores = tokens, data, scores

    @property
    def n_tokens(self) -> int:
        return len(self.tokens)

    @property
    def llama_state_size(self) -> int:
        return len(self.data)
