"""Functions of the caller that look at each step: they may change the logits, or end the text."""

from collections.abc import Callable
from typing import Any

Processor = Callable[[Any, Any], Any]      # (token ids, logits) -> logits; numpy arrays
Criterion = Callable[[Any, Any], bool]     # (token ids, logits) -> True: that is enough


class LogitsProcessorList(list[Processor]):
    """Processors, applied one after another."""

    def __call__(self, ids: Any, logits: Any) -> Any:
        for processor in self:
            logits = processor(ids, logits)
        return logits


class StoppingCriteriaList(list[Criterion]):
    """Criteria, any of which ends the text."""

    def __call__(self, ids: Any, logits: Any) -> bool:
        return any(criterion(ids, logits) for criterion in self)
