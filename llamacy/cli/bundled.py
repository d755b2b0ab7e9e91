"""The model that comes with llamacy: what the name `bundled` means, and what runs when no model is named."""

import os

NAME = "bundled"
FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "models", "tales-q8_0.gguf")


def path(name):
    """The file that a model's name on a command line stands for. A file which really has the name goes first."""
    return FILE if name == NAME and not os.path.exists(name) else name


def settle(params, log):
    """Where no model was named and none is at the default place, take ours, and say so in one line."""
    if params.model_named or os.path.exists(params.model):
        return
    log.tee(b"llama_init_from_gpt_params: no model was named and %s does not exist: using the bundled one "
            b"(-m FILE names another)\n" % os.fsencode(params.model))
    if getattr(params, "alias", None) == params.model:
        params.alias = NAME
    params.model = FILE
