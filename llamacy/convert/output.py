"""Writing: pieces of the tensors go through threads into the file, which appears whole or not at all.

Memory holds a few pieces of a million elements per thread, however large the model is.
"""

import os
import stat
import sys
import zlib
from time import monotonic

import numpy as np

from llamacy.convert._values import convert
from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.tensor import FLOATS, floats
from llamacy.gguf import GGUFWriter
from llamacy.gguf.byteorder import swap_data
from llamacy.gguf.types import DEFAULT_ALIGNMENT, TYPES, align_up, row_bytes
from llamacy.quantize.workers import Workers

F32, F16, Q8_0, BF16 = 0, 1, 8, 30
STORED = {"F32": F32, "F16": F16, "BF16": BF16}
INFO_BYTES = 64  # of a tensor in the header, beside its name
MAX_DIMS = 4


class Item:
    """A tensor of the file: its name there, its type there, and where its numbers come from."""

    __slots__ = ("name", "type", "tensor", "ne", "nbytes", "bad", "crc")

    def __init__(self, name, type, tensor):
        self.name = name
        self.type = type
        self.tensor = tensor
        self.ne = tuple(reversed(tensor.shape))
        self.bad = 0  # values that are not finite
        self.crc = 0
        if not 1 <= len(self.ne) <= MAX_DIMS or min(self.ne) < 1:
            raise ConvertError(f"{name}: shape {list(tensor.shape)}, expected 1 to {MAX_DIMS} sizes above 0")
        if self.ne[0] % TYPES[type].block:
            raise ConvertError(f"{name}: rows of {self.ne[0]} elements, expected a multiple of {TYPES[type].block} for "
                               f"{TYPES[type].name}")
        self.nbytes = row_bytes(type, self.ne[0])
        for n in self.ne[1:]:
            self.nbytes *= n

    def pieces(self, swap):
        for n, read in self.tensor.pieces():
            yield Piece(self, n, read, swap)


class Piece:
    """Some elements of an item: a job for a thread, and its result `data`."""

    __slots__ = ("item", "n", "read", "swap", "data", "bad")

    def __init__(self, item, n, read, swap):
        self.item = item
        self.n = n
        self.read = read
        self.swap = swap
        self.data = None
        self.bad = 0

    def __call__(self):
        item, tensor = self.item, self.item.tensor
        array, source = self.read(), STORED.get(tensor.dtype)
        if source is None or tensor.change is not None:
            array, source = floats(tensor.dtype, array), F32
        if tensor.change is not None:
            array = np.ascontiguousarray(tensor.change(array), np.float32)
        raw = array.view(np.uint8)
        if source == item.type:
            self.data = raw
        else:
            self.data, self.bad = convert(source, item.type, raw)
        if self.swap:
            self.data = swap_data(self.data, item.type)
        return self


class Output:
    """The file to be: path, metadata, items, byte order."""

    def __init__(self, path, metadata, items, byteorder="little"):
        self.path = path
        self.metadata = metadata
        self.items = items
        self.byteorder = byteorder

    @property
    def nbytes(self):
        head = self.metadata.measure() + sum(len(item.name.encode()) + INFO_BYTES for item in self.items)
        return head + sum(align_up(item.nbytes, DEFAULT_ALIGNMENT) for item in self.items)

    def check(self, inputs):
        """Errors  ConvertError: it would replace an input, or the disk has no room for it."""
        for path in inputs:
            if os.path.exists(self.path) and os.path.samefile(path, self.path):
                raise ConvertError(f"{self.path}: this is an input; name another output with --outfile")
        folder = os.path.dirname(os.path.realpath(self.path))
        if not os.path.isdir(folder):
            raise ConvertError(f"{folder}: no such folder for the output")
        if os.path.exists(self.path) and not stat.S_ISREG(os.stat(self.path).st_mode):
            return
        disk = os.statvfs(folder)
        needed, free = self.nbytes, disk.f_bavail * disk.f_frsize
        if needed > free:
            raise ConvertError(f"{folder}: the output needs {needed} bytes, {free} are free")

    def write(self, n_threads, log, verify=False):
        """Write it. verify: items learn the checksums of their data. Errors  ConvertError, OSError: nothing is left."""
        with GGUFWriter(self.path, byteorder=self.byteorder, pad_header=bool(self.items)) as writer:
            self.metadata.write(writer)
            for item in self.items:
                try:
                    writer.add_tensor(item.name, item.ne, item.type)
                except ValueError as error:
                    raise ConvertError(shorten(error)) from None
            if self.items:
                self._write_data(writer, n_threads, log, verify)

    def _write_data(self, writer, n_threads, log, verify):
        swap = self.byteorder != sys.byteorder
        for item in self.items:
            item.crc = item.bad = 0
        jobs = (piece for item in self.items for piece in item.pieces(swap))
        before = None
        with Workers(n_threads) as workers, Progress(self.items, log) as progress:
            for piece in workers.in_order(jobs):
                if piece.item is not before:
                    progress.begin(piece.item)
                    before = piece.item
                writer.write(piece.data)
                if verify:
                    piece.item.crc = zlib.crc32(piece.data, piece.item.crc)
                piece.item.bad += piece.bad
                progress.add(len(piece.data))
                piece.data = None


class Progress:
    """A bar on a terminal, a line per tensor elsewhere."""

    def __init__(self, items, log):
        self.n = len(items)
        self.done = 0
        self.log = log
        self.start = monotonic()
        self.bar = None
        if log.on_terminal:
            from tqdm import tqdm
            self.bar = tqdm(
                total=sum(item.nbytes for item in items), unit="B", unit_scale=True, desc="Writing", file=sys.stderr
            )

    def begin(self, item):
        self.done += 1
        if self.bar is not None:
            self.bar.set_postfix_str(item.name, refresh=False)
            return
        size = " x ".join(f"{n:6d}" for n in item.tensor.shape)
        self.log.info(f"[{self.done:{len(str(self.n))}}/{self.n}] Writing tensor {item.name:38} | size {size:16} | "
                      f"type {TYPES[item.type].name.upper():4} | T+{int(monotonic() - self.start):4}")

    def add(self, nbytes):
        if self.bar is not None:
            self.bar.update(nbytes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()
