"""Tensor data of the other byte order."""

from llamacy.gguf.types import TYPES
from llamacy.gguf.values import swap_elements

# Plain numbers: bytes of each.
ELEMENTS = {"f32": 4, "f16": 2, "bf16": 2, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "f64": 8}

# Blocks that are single bytes but for a few f16 scales: where in the block these start. The types that are missing hold
# wider bit fields, for which no big-endian layout was ever written down.
SCALES = {"q4_0": (0,), "q4_1": (0, 2), "q8_0": (0,), "q2_K": (80, 82), "q3_K": (108,), "q4_K": (0, 2), "q5_K": (0, 2),
          "q6_K": (208,), "iq4_nl": (0,)}


def swap_data(raw, type):
    """bytearray: a tensor's data (whole blocks) in the other byte order. ValueError: this type cannot be turned."""
    info = TYPES[type]
    if info.name in ELEMENTS:
        return swap_elements(raw, ELEMENTS[info.name])
    if info.name not in SCALES:
        raise ValueError(f"type {info.name} cannot be read in the other byte order")
    raw = bytes(raw)
    swapped = bytearray(raw)
    for at in SCALES[info.name]:
        swapped[at::info.bytes] = raw[at + 1::info.bytes]
        swapped[at + 1::info.bytes] = raw[at::info.bytes]
    return swapped
