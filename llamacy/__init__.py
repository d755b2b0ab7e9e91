"""llamacy: LLaMA inference from the command line and from Python. Importing this package loads nothing else."""

__version__ = "0.1.0"

TYPE_CHECKING = False      # type checkers take it for True
if TYPE_CHECKING:
    from llamacy.api import Llama as Llama, LlamaGrammar as LlamaGrammar, LlamaState as LlamaState
    from llamacy.api import LogitsProcessorList as LogitsProcessorList, StoppingCriteriaList as StoppingCriteriaList

API = ("Llama", "LlamaGrammar", "LlamaState", "LogitsProcessorList", "StoppingCriteriaList")


def __getattr__(name):
    if name not in API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llamacy import api        # on demand: a start of ./main does not need it
    return getattr(api, name)


def __dir__():
    return sorted([*globals(), *API])
