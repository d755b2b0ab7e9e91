"""The Python interface: `from llamacy import Llama`. Names and shapes are those that users of llama-cpp-python know."""

from .grammar import LlamaGrammar
from .hooks import LogitsProcessorList, StoppingCriteriaList
from .llama import Llama
from .state import LlamaState

__all__ = ["Llama", "LlamaGrammar", "LlamaState", "LogitsProcessorList", "StoppingCriteriaList"]
