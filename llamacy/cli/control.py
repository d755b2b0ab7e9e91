"""Control vectors: GGUF files with one `direction.LAYER` vector per layer, scaled and summed."""

import os
from array import array

from ..errors import LlamacyError

F32 = 0
PREFIX = "direction."


def load(files):
    """[(path, strength)] -> {layer: array of f32}. LlamacyError: the text is the reference's line for it."""
    total, shape = {}, None
    for path, strength in files:
        vectors = read(path)
        found = max(vectors), len(vectors[max(vectors)])
        if shape not in (None, found):
            raise LlamacyError(f"llama_control_vector_load: control vector in {path} does not match previous vector "
                               f"dimensions")
        shape = found
        for layer, vector in vectors.items():
            scaled = array("f", [value * strength for value in vector])
            total[layer] = array("f", [x + y for x, y in zip(total[layer], scaled)]) if layer in total else scaled
    return total


def read(path):
    """{layer from 1: array of f32} of one file; all vectors have the same length."""
    from ..gguf import GGUFFile
    who = "llama_control_vector_load_one:"
    try:
        file = GGUFFile(path)
    except (LlamacyError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise LlamacyError(f"{who} failed to load control vector from {path}: {reason}") from None
    with file:
        vectors = {}
        for name, tensor in file.tensors.items():
            layer = _layer(name)
            if layer is None:
                continue
            if layer < 1 or tensor.type != F32 or len(tensor.ne) != 1:
                raise LlamacyError(f"{who} direction tensor invalid in {path}: {name}")
            vectors[layer] = array("f", bytes(file.data(name)))
    if not vectors:
        raise LlamacyError(f"{who} no direction tensors found in {path}")
    if len({len(vector) for vector in vectors.values()}) > 1:
        raise LlamacyError(f"{who} direction tensor sizes mismatched in {path}")
    return vectors


def apply(context, params):
    """Give the context the vectors that the flags name. LlamacyError: see `load`; and if they are of another model."""
    context.set_control_vector(load([(os.fsdecode(path), strength) for path, strength in params.control_vectors]),
                               params.control_vector_layer_start, params.control_vector_layer_end)


def _layer(name):
    """The number in `direction.N`, None for other tensors, 0 for a bad number."""
    if not name.startswith(PREFIX):
        return None
    number = name[len(PREFIX):]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0
