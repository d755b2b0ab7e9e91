"""The fields of a request for a completion: one validated table. Nothing else of a body reaches the engine.

A row is (name, type, default, least, most, target). Numbers convert freely; a missing field, null or a value of another type
means the default, never an error; a number out of range is brought into it. target: the attribute of SamplingParams, or "".
"""

import math

from .jsontext import float32

MOST_PROBS = 1024      # candidates per token: an answer with all of a large vocabulary would take gigabytes
I32 = (-2**31, 2**31 - 1)
F32 = (-3.4028234663852886e38, 3.4028234663852886e38)

FIELDS = (
    ("stream", "bool", False, None, None, ""),
    ("cache_prompt", "bool", False, None, None, ""),
    ("n_predict", "int", -1, *I32, ""),
    ("temperature", "float", 0.8, *F32, "temp"),
    ("dynatemp_range", "float", 0.0, *F32, "dynatemp_range"),
    ("dynatemp_exponent", "float", 1.0, *F32, "dynatemp_exponent"),
    ("top_k", "int", 40, *I32, "top_k"),
    ("top_p", "float", 0.95, *F32, "top_p"),
    ("min_p", "float", 0.05, *F32, "min_p"),
    ("tfs_z", "float", 1.0, *F32, "tfs_z"),
    ("typical_p", "float", 1.0, *F32, "typical_p"),
    ("repeat_last_n", "int", 64, *I32, "penalty_last_n"),
    ("repeat_penalty", "float", 1.0, *F32, "penalty_repeat"),
    ("frequency_penalty", "float", 0.0, *F32, "penalty_freq"),
    ("presence_penalty", "float", 0.0, *F32, "penalty_present"),
    ("penalize_nl", "bool", False, None, None, "penalize_nl"),
    ("mirostat", "int", 0, *I32, "mirostat"),
    ("mirostat_tau", "float", 5.0, *F32, "mirostat_tau"),
    ("mirostat_eta", "float", 0.1, *F32, "mirostat_eta"),
    ("n_keep", "int", 0, *I32, ""),
    ("n_discard", "int", 0, *I32, ""),
    ("seed", "seed", 0xFFFFFFFF, 0, 0xFFFFFFFF, "seed"),
    ("n_probs", "int", 0, I32[0], MOST_PROBS, "n_probs"),
    ("min_keep", "int", 0, *I32, "min_keep"),
    ("ignore_eos", "bool", False, None, None, ""),
    ("id_slot", "int", -1, *I32, ""),
)
TYPES = {"bool": "b", "int": "i", "float": "f", "seed": "j"}      # as the reference's log names them


def read(body, warn, fields=FIELDS):
    """{name: value} of a body (dict). warn(name, type) is called for each value of a wrong type."""
    return {row[0]: value(body, row, warn) for row in fields}


def value(body, row, warn):
    name, kind, default, least, most, _ = row
    found = body.get(name)
    if found is None:
        return default if kind != "float" else float32(default)
    number = isinstance(found, (bool, int, float))
    if not (isinstance(found, bool) if kind == "bool" else number):
        warn(name, TYPES[kind])
        return default if kind != "float" else float32(default)
    if kind == "bool":
        return found
    if kind == "float":
        return clamp(float32(as_float(found)), least, most)
    whole = 0 if isinstance(found, float) and not math.isfinite(found) else int(found)
    return whole & 0xFFFFFFFF if kind == "seed" else clamp(whole, least, most)


def as_float(number):
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


def clamp(number, least, most):
    return max(least, min(most, number))
