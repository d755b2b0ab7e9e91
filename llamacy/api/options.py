"""The settings of one answer, as callers name them."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, TypedDict

from ..sampling import SamplingParams
from .grammar import LlamaGrammar


class Sampling(TypedDict, total=False):
    """How tokens are chosen; each may be left out. Defaults are those of DEFAULTS."""

    temperature: float          # 0: always the likeliest token
    top_k: int                  # 0 or less: all
    top_p: float
    min_p: float
    typical_p: float
    tfs_z: float
    repeat_penalty: float       # over the last 64 tokens, the prompt's among them
    frequency_penalty: float
    presence_penalty: float
    penalize_nl: bool
    mirostat_mode: int
    mirostat_tau: float
    mirostat_eta: float
    seed: int | None            # None: the generator of the Llama goes on
    logit_bias: "dict[str, float] | dict[int, float] | None"
    grammar: LlamaGrammar | str | None
    logits_processor: Callable[[Any, Any], Any] | None
    stopping_criteria: Callable[[Any, Any], bool] | None


DEFAULTS: dict[str, Any] = {
    "temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "typical_p": 1.0, "tfs_z": 1.0, "repeat_penalty": 1.1,
    "frequency_penalty": 0.0, "presence_penalty": 0.0, "penalize_nl": True, "mirostat_mode": 0, "mirostat_tau": 5.0,
    "mirostat_eta": 0.1, "seed": None, "logit_bias": None, "grammar": None, "logits_processor": None,
    "stopping_criteria": None,
}

# Here -> SamplingParams.
FIELDS = {
    "temperature": "temp", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "typical_p": "typical_p", "tfs_z": "tfs_z",
    "repeat_penalty": "penalty_repeat", "frequency_penalty": "penalty_freq", "presence_penalty": "penalty_present",
    "penalize_nl": "penalize_nl", "mirostat_mode": "mirostat", "mirostat_tau": "mirostat_tau", "mirostat_eta": "mirostat_eta",
}


class Choice:
    """Settings, complete and checked: `params` for the sampler, and the caller's functions.

    Errors  TypeError: a name that is none. ValueError: a value that cannot be.
    """

    def __init__(self, given: "Sampling | dict[str, Any]", last_n: int = 64) -> None:
        unknown = next((name for name in given if name not in DEFAULTS), None)
        if unknown is not None:
            near = get_close_matches(unknown, DEFAULTS, 1)
            raise TypeError(f"{unknown!r} is no setting of an answer" + (f": did you mean {near[0]!r}?" if near else ""))
        values = {**DEFAULTS, **given}
        self.params = SamplingParams(n_prev=max(1, last_n), penalty_last_n=last_n,
                                     **{field: values[name] for name, field in FIELDS.items()})
        self.params.logit_bias = biases(values["logit_bias"])
        grammar = values["grammar"]
        if grammar is not None:
            self.params.grammar = (grammar if isinstance(grammar, LlamaGrammar) else LlamaGrammar(grammar)).text.encode()
        self.seed = values["seed"]
        self.processor, self.criterion = values["logits_processor"], values["stopping_criteria"]


def biases(given: Any) -> dict[int, float]:
    try:
        return {int(token): float(bias) for token, bias in (given or {}).items()}
    except (TypeError, ValueError, AttributeError):
        raise ValueError(f"logit_bias: found {given!r}, expected token ids with numbers") from None
