"""The numbers of the format: tensor types, and types of metadata values, by id.

Source  ggml_type and gguf_type of llama.cpp b2794. Differs: BF16 (30), which came a few days later, is known.
"""


class TypeInfo:
    """A tensor type: its name as logs print it, elements per block, bytes per block."""

    __slots__ = ("name", "block", "bytes")

    def __init__(self, name, block, nbytes):
        self.name = name
        self.block = block
        self.bytes = nbytes


TYPES = {
    0: TypeInfo("f32", 1, 4),
    1: TypeInfo("f16", 1, 2),
    2: TypeInfo("q4_0", 32, 18),
    3: TypeInfo("q4_1", 32, 20),
    6: TypeInfo("q5_0", 32, 22),
    7: TypeInfo("q5_1", 32, 24),
    8: TypeInfo("q8_0", 32, 34),
    9: TypeInfo("q8_1", 32, 36),
    10: TypeInfo("q2_K", 256, 84),
    11: TypeInfo("q3_K", 256, 110),
    12: TypeInfo("q4_K", 256, 144),
    13: TypeInfo("q5_K", 256, 176),
    14: TypeInfo("q6_K", 256, 210),
    15: TypeInfo("q8_K", 256, 292),
    16: TypeInfo("iq2_xxs", 256, 66),
    17: TypeInfo("iq2_xs", 256, 74),
    18: TypeInfo("iq3_xxs", 256, 98),
    19: TypeInfo("iq1_s", 256, 50),
    20: TypeInfo("iq4_nl", 32, 18),
    21: TypeInfo("iq3_s", 256, 110),
    22: TypeInfo("iq2_s", 256, 82),
    23: TypeInfo("iq4_xs", 256, 136),
    24: TypeInfo("i8", 1, 1),
    25: TypeInfo("i16", 1, 2),
    26: TypeInfo("i32", 1, 4),
    27: TypeInfo("i64", 1, 8),
    28: TypeInfo("f64", 1, 8),
    29: TypeInfo("iq1_m", 256, 56),
    30: TypeInfo("bf16", 1, 2),
}
REMOVED_TYPES = (4, 5)  # Q4_2, Q4_3

# Types of metadata values: position = id, text = as the metadata dump prints it.
VALUE_NAMES = ("u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "arr", "u64", "i64", "f64")
VALUE_SIZES = (1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8)  # bytes; 0: has a length of its own
VALUE_FORMATS = "BbHhIif?  Qqd"  # memoryview and struct codes
U16, U32, I32, BOOL, STRING, ARRAY = 2, 4, 5, 7, 8, 9

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MIN_ALIGNMENT = 8  # so that no element of a tensor straddles its natural border
MAX_KEY = 65535  # bytes
MAX_NAME = 63  # bytes; readers keep names in 64, the last one a NUL
MAX_DIMS = 4


def row_bytes(type, n):
    """Bytes of n elements of tensor type `type`. ValueError: unknown type, or n is not a multiple of its block."""
    info = TYPES.get(type)
    if info is None:
        raise ValueError(f"unknown tensor type {type}")
    if n % info.block:
        raise ValueError(f"{n} elements of type {type} ({info.name}) are not a multiple of block size {info.block}")
    return n // info.block * info.bytes


def align_up(n, alignment):
    """n rounded up to a multiple of `alignment`, a power of two."""
    return (n + alignment - 1) & -alignment
