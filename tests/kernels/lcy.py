"""The C library as the kernel tests see it: ctypes over llamacy/liblcy.so, no Python of ours in between."""

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from pathlib import Path

import numpy as np

LIBRARY = os.environ.get("LLAMACY_LIBRARY") or Path(__file__).resolve().parents[2] / "llamacy" / "liblcy.so"
TYPE_COUNT = 31
CANARY = 64

DOT = ctypes.CFUNCTYPE(c_float, c_int64, c_void_p, c_void_p)
CONVERT = ctypes.CFUNCTYPE(None, c_int64, c_void_p, c_void_p)
KQ = (c_int64, c_int64, c_void_p, c_int64, c_void_p, c_void_p, c_int64, c_void_p)
PV = (c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_int64, c_void_p, c_void_p)
SIGNATURES = {                                                                                   # in lcy_kernels' order
    "rms_norm": (c_int64, c_void_p, c_void_p, c_float, c_void_p),
    "silu_mul": (c_int64, c_void_p, c_void_p, c_void_p, c_void_p), "softmax": (c_int64, c_void_p, c_float, c_void_p),
    "kq_f16": KQ, "kq_f32": KQ, "pv_f16": PV, "pv_f32": PV, "pv_packed": PV,
    "flash_f16": (c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_float, c_void_p),
}
OPERATIONS = tuple(SIGNATURES)
QUANTIZE = ctypes.CFUNCTYPE(c_int, c_int64, c_int64, c_void_p, c_void_p, c_void_p)
MATMUL = ctypes.CFUNCTYPE(None, c_int64, c_int64, c_int64, c_void_p, c_int64, c_void_p, c_int64, c_void_p, c_int64)


class Format(ctypes.Structure):
    """struct lcy_format"""
    _fields_ = [("type", c_int), ("name", c_char_p), ("block", c_int32), ("bytes", c_int32), ("dot_with", c_int),
                ("to_float", CONVERT), ("from_float", CONVERT), ("quantize", QUANTIZE), ("dot", DOT)]


class Kernels(ctypes.Structure):
    """struct lcy_kernels; room for what is appended later"""
    _fields_ = [("matmul", MATMUL * TYPE_COUNT), ("to_float", CONVERT * TYPE_COUNT),
                ("from_float", CONVERT * TYPE_COUNT), ("operations", c_void_p * len(OPERATIONS)),
                ("quantize", QUANTIZE * TYPE_COUNT), ("int8_peak", c_void_p), ("more", c_void_p * 256)]


class Head(ctypes.Structure):
    """struct lcy_head; `fmt`, a Format, is for those who copy what it points to"""
    _fields_ = [("rows", c_void_p), ("stride", c_int64), ("cells", c_void_p), ("to_float", CONVERT), ("block", c_int32),
                ("bytes", c_int32)]


class Isa(ctypes.Structure):
    """struct lcy_isa"""
    _fields_ = [("name", c_char_p), ("needs", c_uint32), ("fill", c_void_p)]


lib = ctypes.CDLL(os.fspath(LIBRARY))
lib.lcy_format_of.restype = POINTER(Format)
lib.lcy_row_bytes.restype = c_size_t
lib.lcy_row_bytes.argtypes = [c_int, c_int64]
lib.lcy_cpu_features.restype = c_uint32
lib.lcy_kernels_init.argtypes = [POINTER(Kernels), c_uint32]
lib.lcy_isa_at.restype = POINTER(Isa)

FORMATS = [f.contents for f in (lib.lcy_format_of(t) for t in range(TYPE_COUNT)) if f]
BY_NAME = {f.name.decode(): f for f in FORMATS}


def kernels(cpu):
    """The table of kernels for these CPU features."""
    table = Kernels()
    lib.lcy_kernels_init(byref(table), cpu)
    return table


def table_bytes():
    """sizeof(struct lcy_kernels)"""
    return Kernels.more.offset


def operation(table, name):
    """An operation of a table by its name."""
    if isinstance(table.operations, dict):
        return table.operations[name]
    return ctypes.CFUNCTYPE(None, *SIGNATURES[name])(table.operations[OPERATIONS.index(name)])


def built():
    """(name, CPU features it needs) of each built ISA level, weakest first."""
    found = []
    while isa := lib.lcy_isa_at(len(found)):
        found.append((isa.contents.name.decode(), isa.contents.needs))
    return found


def levels():
    """(name, table) of each built ISA level that this CPU can run, weakest first; each level alone over plain C."""
    have = lib.lcy_cpu_features()
    return [(name, kernels(needs)) for name, needs in built() if needs & have == needs]


def address(entry):
    """Where a function pointer points (0: NULL), to tell one kernel of a machine from another."""
    return entry.address if hasattr(entry, "address") else ctypes.cast(entry, c_void_p).value or 0


def guarded(size):
    """(array of `size` bytes, check): check() fails if a byte around the array has changed."""
    buffer = np.full(size + 2 * CANARY, 0xA5, np.uint8)

    def check():
        assert (buffer[:CANARY] == 0xA5).all(), "written before the output"
        assert (buffer[CANARY + size:] == 0xA5).all(), "written past the output"

    return buffer[CANARY:CANARY + size], check


def pointer(array):
    """The address of a numpy array, which must be contiguous in its last axis."""
    return array.ctypes.data


def row_bytes(fmt, n):
    return n // fmt.block * fmt.bytes


def from_float(fmt, x, table=None):
    """(rows, n) floats -> (rows, bytes), by the run-time rule; by the table's kernel if one is given."""
    x = np.ascontiguousarray(x, np.float32)
    out, check = guarded(x.shape[0] * row_bytes(fmt, x.shape[1]))
    out = out.reshape(x.shape[0], -1)
    convert = table.from_float[fmt.type] if table else fmt.from_float
    for packed, row in zip(out, x):
        convert(len(row), pointer(packed), pointer(row))
    check()
    return out


def to_float(fmt, packed, table=None):
    """(rows, bytes) -> (rows, n) floats."""
    packed = np.ascontiguousarray(packed)
    n = packed.shape[1] // fmt.bytes * fmt.block
    out, check = guarded(packed.shape[0] * n * 4)
    out = out.reshape(packed.shape[0], -1)
    convert = table.to_float[fmt.type] if table else fmt.to_float
    for row, values in zip(packed, out):
        convert(n, pointer(values), pointer(row))
    check()
    return out.view(np.float32)


def without_signs_of_nan(fmt, packed, at):
    """Packed rows, f16 fields at these bytes of a block without the sign where they are no number.

    Of 0 / 0 an x86 makes a negative NaN, an ARM a positive one.
    """
    blocks = packed.reshape(-1, fmt.bytes).copy()
    for first in at:
        halves = blocks[:, first:first + 2].copy().view(np.uint16)
        halves[(halves & 0x7FFF) > 0x7C00] &= 0x7FFF
        blocks[:, first:first + 2] = halves.view(np.uint8)
    return blocks.reshape(packed.shape)


def quantize(fmt, x, imatrix=None, table=None):
    """(rows, n) floats -> (status, (rows, bytes)), by the rule of files; by the table's kernel if one is given."""
    x = np.ascontiguousarray(x, np.float32)
    rows, n = x.shape
    out, check = guarded(rows * row_bytes(fmt, n))
    weights = None if imatrix is None else np.ascontiguousarray(imatrix, np.float32)
    convert = table.quantize[fmt.type] if table else fmt.quantize
    status = convert(rows, n, pointer(out), pointer(x), None if weights is None else pointer(weights))
    check()
    return status, out.reshape(rows, -1)


def matmul(kernel, k, w, x, gap=3):
    """(rows, bytes) weights x (tokens, bytes) activations -> (tokens, rows) floats; checks what must stay unwritten.

    `gap` floats lie between the rows of the output.
    """
    rows, tokens = len(w), len(x)
    out, check = guarded(tokens * (rows + gap) * 4)
    kernel(k, rows, tokens, pointer(w), w.strides[0], pointer(x), x.strides[0], pointer(out), rows + gap)
    check()
    out = out.reshape(tokens, (rows + gap) * 4)
    assert (out[:, rows * 4:] == 0xA5).all(), "written between the rows of the output"
    return np.ascontiguousarray(out[:, :rows * 4]).view(np.float32)
