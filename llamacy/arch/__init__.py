"""Architectures: one small file per family, and the registry of their names.

A family's module has `tensors(hparams)`, the names and shapes it reads, and `build(model, plan)`, the forward pass.
"""

FAMILIES = {  # general.architecture -> (module, rope mode: -1 none, 0 neighbours, 2 halves)
    "llama": ("llama", 0),
}


def family(name):
    """The module of an architecture, or None. Only what a model needs is imported."""
    if name not in FAMILIES:
        return None
    return getattr(__import__("llamacy.arch." + FAMILIES[name][0]).arch, FAMILIES[name][0])


def rope_mode(name):
    return FAMILIES[name][1]
