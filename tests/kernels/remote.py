"""Kernels that this process cannot load: tables that look like lcy.Kernels and run in kernel_server.c.

Those of ARM run under an emulator; those of AVX-VNNI on AVX-512's form of the same instructions, those of AMX on tiles in
memory. A kernel is called as one of this process is, with sizes and addresses; what lies there is copied to the server and
back.
"""

import atexit
import ctypes
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np

import lcy

BUILD = Path(__file__).resolve().parents[2] / "build"
ARM, STAND_IN = BUILD / "aarch64-linux-gnu" / "kernel-server", BUILD / "stand-in" / "kernel-server"
EMULATOR = "qemu-aarch64"
NEEDED = dict.fromkeys(("avxvnni", "avx512amx"), 1 << 3 | 1 << 4)  # LCY_CPU_AVX512 and .._VNNI: what the stand-ins run on
# The least processor of the emulator's that has the level: what it does not know ends the server.
PROCESSORS = {"reference": "cortex-a53", "neon": "cortex-a53", "dotprod": "neoverse-n1", "i8mm": "max"}
TABLES, MATMUL, CONVERT, QUANTIZE, NORM, SILU, SOFTMAX, SCORES, VALUES, FLASH = range(10)
INTEGER, FLOAT, READ, WRITTEN, NULL, ROOM = range(6)
TOUCHED = -1000
TABLE_BYTES = 65537 * 2 * 2


def missing():
    """Why there are no emulated levels; None if there are."""
    if not ARM.exists():
        return f"no {ARM.relative_to(BUILD.parent)}: make kernel-servers (apt-get install gcc-aarch64-linux-gnu)"
    return None if shutil.which(EMULATOR) else f"no {EMULATOR}: apt-get install qemu-user"


class Server:
    """A kernel server, started when it is first asked."""

    def __init__(self, command):
        self.command, self.process = command, None

    def ask(self, request):
        if self.process is None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            atexit.register(self.stop)
        try:
            for part in request:
                self.process.stdin.write(part)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass                                           # read() says what became of it

    def read(self, size):
        got = self.process.stdout.read(size)
        if len(got) < size:
            status, self.process = self.process.wait(), None
            raise AssertionError(f"{' '.join(self.command)} ended with {status}: the kernel read past its input, or met an "
                                 "instruction that the processor lacks")
        return got

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None

    def tables(self):
        """(features of the processor, [(name, needs, addresses of its kernels)] with plain C first)."""
        self.ask([struct.pack("<4I", TABLES, 0, 0, 0)])
        features, count = struct.unpack("<2I", self.read(8))
        size, found = lcy.table_bytes(), []
        for _ in range(count + 1):
            name, needs = struct.unpack("<16sQ", self.read(24))
            found.append((name.rstrip(b"\0").decode(), needs, np.frombuffer(self.read(size), np.uint64).tolist()))
        return features, found


def read(address, size):
    """An argument that the kernel reads."""
    return (READ, address, max(size, 0)) if address else (NULL, 0, 0)


def written(address, size):
    """An argument that the kernel reads and writes."""
    return (WRITTEN, address, max(size, 0))


def rows_of(count, stride, size):
    """Bytes of `count` rows of `size` bytes that lie `stride` bytes apart."""
    return (count - 1) * stride + size if count > 0 else 0


class Kernel:
    """One entry of a table: called with sizes and addresses like the function it stands for."""

    def __init__(self, server, level, slot, address, what, arguments):
        self.server, self.level, self.slot, self.address = server, level, slot, address
        self.what, self.arguments = what, arguments

    def __bool__(self):
        return bool(self.address)

    def __call__(self, *args):
        arguments = self.arguments(*args)
        heads, bodies, back = [], [], []
        for a in arguments:
            if isinstance(a, float):
                heads.append(struct.pack("<qf4x", FLOAT, a))
            elif isinstance(a, int):
                heads.append(struct.pack("<qq", INTEGER, a))
            else:
                kind, address, size = a
                heads.append(struct.pack("<qq", kind, size))
                bodies.append(ctypes.string_at(address, size) if size and kind != ROOM else b"")
                back += [(address, size)] if kind == WRITTEN else []
        self.server.ask([struct.pack("<4I", self.what, self.level, self.slot, len(arguments)), *heads, *bodies])
        status, = struct.unpack("<q", self.server.read(8))
        for address, size in back:
            ctypes.memmove(address, self.server.read(size), size)
        assert status != TOUCHED, "written outside the output"
        return status


# ---- what the kernels read and write, from their arguments ----


def matmul_of(weights, activations):
    def arguments(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride):
        return (k, rows, tokens, read(w, rows_of(rows, w_stride, lcy.row_bytes(weights, k))), w_stride,
                read(x, rows_of(tokens, x_stride, lcy.row_bytes(activations, k))), x_stride,
                written(out, rows_of(tokens, 4 * out_stride, 4 * rows)), out_stride)
    return arguments


def to_float_of(fmt):
    return lambda n, y, x: (n, written(y, 4 * n), read(x, lcy.row_bytes(fmt, n)))


def from_float_of(fmt):
    return lambda n, y, x: (n, written(y, lcy.row_bytes(fmt, n)), read(x, 4 * n))


def quantize_of(fmt):
    def arguments(rows, n, y, x, imatrix):
        count = rows * n if rows > 0 else 0
        return (rows, n, written(y, max(rows, 0) * lcy.row_bytes(fmt, n)), read(x, 4 * count), read(imatrix, 4 * n))
    return arguments


def rms_norm(n, x, w, eps, y):
    return n, read(x, 4 * n), read(w, 4 * n), float(eps), written(y, 4 * n)


def silu_mul(n, g, u, y, tables):
    return n, read(g, 4 * n), read(u, 4 * n), written(y, 4 * n), read(tables, TABLE_BYTES)


def softmax(n, x, scale, tables):
    return n, written(x, 4 * n), float(scale), read(tables, TABLE_BYTES)


def head_of(head, n, d):
    """The n cells of a lcy.Head (by reference) as six arguments, heads of d channels."""
    head = head._obj
    cells = np.frombuffer(ctypes.string_at(head.cells, 4 * n), np.int32)
    return (read(head.rows, rows_of(int(cells.max(initial=-1)) + 1, head.stride, lcy.row_bytes(head.fmt, d))), head.stride,
            read(head.cells, 4 * n), lcy.Kernels.to_float.offset // 8 + head.fmt.type, head.block, head.bytes)


def room(d, rows):
    """lcy_attention_scratch"""
    return ROOM, 0, 4 * (rows * (d + 1024) + max(d, 64) * 512)


def scores(d, n, k, rows, q, out, out_stride, _):
    return (d, n, *head_of(k, n, d), rows, read(q, 4 * rows * d), written(out, rows_of(rows, 4 * out_stride, 4 * n)), out_stride,
            room(d, rows))


def values(d, rows, n, v, p, p_stride, out, _):
    seen = np.frombuffer(ctypes.string_at(n, 4 * rows), np.int32).tolist()
    return (d, rows, read(n, 4 * rows), *head_of(v, max(seen), d), read(p, 4 * max(r * p_stride + i for r, i in enumerate(seen))),
            p_stride, room(d, rows), *(written(out[r], 4 * d) for r in range(rows)))


def flash(d, n, k, v, q, scale, out):
    return (d, n, *head_of(k, n, d), *head_of(v, n, d), read(q, 4 * d), float(scale), written(out, 4 * d))


OPERATIONS = {"rms_norm": (NORM, rms_norm), "silu_mul": (SILU, silu_mul), "softmax": (SOFTMAX, softmax),
              "kq_f16": (SCORES, scores), "kq_f32": (SCORES, scores), "flash_f16": (FLASH, flash),
              **{f"pv_{kind}": (VALUES, values) for kind in ("f16", "f32", "packed")}}


class Table:
    """One level's kernels, as lcy.Kernels has them: by type; operations by name."""

    def __init__(self, server, level, addresses):
        def kernel(slot, what, arguments):
            return Kernel(server, level, slot, addresses[slot], what, arguments)

        def by_type(field, what, arguments):
            first = getattr(lcy.Kernels, field).offset // 8
            known = {fmt.type: fmt for fmt in lcy.FORMATS}
            return [kernel(first + t, what, arguments(known[t])) if t in known else None for t in range(lcy.TYPE_COUNT)]

        def product(fmt):
            return matmul_of(fmt, lcy.lib.lcy_format_of(fmt.dot_with).contents)

        self.matmul = by_type("matmul", MATMUL, product)
        self.to_float = by_type("to_float", CONVERT, to_float_of)
        self.from_float = by_type("from_float", CONVERT, from_float_of)
        self.quantize = by_type("quantize", QUANTIZE, quantize_of)
        first = lcy.Kernels.operations.offset // 8
        self.operations = {name: kernel(first + lcy.OPERATIONS.index(name), *call) for name, call in OPERATIONS.items()}


def on(processor, *settings):
    """A server on an emulated processor, with settings for its environment."""
    return Server([EMULATOR, "-cpu", processor, *(word for setting in settings for word in ("-E", setting)), str(ARM)])


def tables_of(server):
    """The tables of all levels that a server was built with."""
    _, found = server.tables()
    server.stop()
    return found


def emulated():
    """(name, table) of ARM's plain C and each of its levels, each on a processor of its own; [] where that is missing."""
    found = [] if missing() else tables_of(on("max"))
    return [(name, Table(on(PROCESSORS[name]), i, addresses)) for i, (name, _, addresses) in enumerate(found)]


def stand_ins():
    """(name, table) of plain C and each level that something stands in for, if this machine has that; [] if not."""
    server, have = Server([str(STAND_IN)]), lcy.lib.lcy_cpu_features()
    found = tables_of(server) if STAND_IN.exists() else []
    return [(name, Table(server, i, addresses)) for i, (name, _, addresses) in enumerate(found)
            if NEEDED.get(name, 0) & have == NEEDED.get(name, 0)]
