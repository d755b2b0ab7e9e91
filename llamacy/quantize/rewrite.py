"""The rewrite: tensors stream from the mapped input through threads to the output, which appears whole or not at all.

Memory holds a few pieces of about a million weights per thread, however large the model is.
"""

import os
import stat

from llamacy.errors import LlamacyError, ModelError, UsageError, one_line
from llamacy.gguf import GGUFWriter
from llamacy.gguf.split import split_name
from llamacy.gguf.types import TYPES, align_up, row_bytes
from llamacy.quantize import _rows, metadata
from llamacy.quantize.workers import Workers

PIECE = 1 << 20          # weights in one job
MOST_THREADS = 256


class Output:
    """One file to be written: path, metadata pairs, the steps whose tensors it holds; nbytes of the finished file."""

    def __init__(self, path, gguf, pairs, steps):
        self.path = path
        self.pairs = pairs
        self.steps = steps
        head, alignment = metadata.measure(gguf, pairs, [(step.tensor.name, step.ne) for step in steps])
        self.nbytes = align_up(head, alignment) + sum(align_up(step.nbytes, alignment) for step in steps)

    def open(self, gguf):
        """GGUFWriter with everything declared. Errors  OSError: the file cannot be made."""
        writer = GGUFWriter(self.path)
        try:
            metadata.add(writer, gguf, self.pairs)
            for step in self.steps:
                writer.add_tensor(step.tensor.name, step.ne, step.target)
        except BaseException:
            writer.abort()
            raise
        return writer


def output_paths(gguf, settings, path):
    """[path]: one file, or with keep_split one for each part of the input."""
    count = gguf.n_splits
    return [split_name(path, no, count) for no in range(count)] if settings.keep_split else [path]


def outputs(gguf, plan, paths, pairs):
    """[Output]: the files at these paths."""
    if len(paths) == 1:
        return [Output(paths[0], gguf, pairs, plan.steps)]
    found = []
    for no, path in enumerate(paths):
        own = {**(pairs if no == 0 else {}), **metadata.split_pairs(no, len(paths), len(plan.steps))}
        found.append(Output(path, gguf, own, [step for step in plan.steps if step.tensor.shard == no]))
    return found


def check_paths(gguf, paths, others=()):
    """Errors  UsageError: an output is one of the files that are read (the parts of the model, `others`)."""
    inputs = [gguf.part_path(no) for no in range(gguf.n_splits)] + list(others)
    for output in paths:
        for path in inputs:
            if _same_file(path, output):
                raise UsageError(f"the output {one_line(output)} is the same file as the input {one_line(path)}: "
                                 "choose another name")


def _same_file(a, b):
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False     # one of them does not exist


def check_space(outputs):
    """Errors  LlamacyError: the disk has less room than the files need while the old ones still exist."""
    needed, room = {}, {}
    for output in outputs:
        folder = os.path.dirname(os.path.realpath(output.path))
        if not _is_regular(output.path) or not os.path.isdir(folder):
            continue
        device = os.stat(folder).st_dev
        needed[device] = needed.get(device, 0) + output.nbytes
        disk = os.statvfs(folder)
        room[device] = folder, disk.f_bavail * disk.f_frsize
    for device, nbytes in needed.items():
        folder, free = room[device]
        if nbytes > free:
            raise LlamacyError(f"not enough space in {one_line(folder)}: "
                               f"the output needs {nbytes} bytes, {free} are free")


def _is_regular(path):
    """True for a file and for nothing yet; False for a pipe or a device."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True


def rewrite(gguf, plan, outputs, n_threads, report):
    """Write the outputs, all or none.

    Errors  ModelError: a value is not a number, or too large for its new type. OSError: a file cannot be written.
            GGUFError: the input has become shorter.
    """
    writers = []
    try:
        for output in outputs:
            writers.append(output.open(gguf))
        with Workers(min(n_threads, MOST_THREADS, 1 + plan.n_elements // PIECE)) as workers:
            for piece in workers.in_order(_jobs(gguf, plan)):
                if piece.first:
                    report.begin(piece.step)
                writers[piece.step.tensor.shard if len(writers) > 1 else 0].write(piece.data)
                report.progress(piece.step, piece.n_elements)
                if piece.last:
                    report.end(piece.step)
        gguf.check()
        for writer in writers:
            writer.close()
    except (LlamacyError, OSError):
        gguf.check()             # bytes that are missing look like bad ones, or cannot be written
        raise
    finally:
        for writer in writers:
            writer.abort()       # does nothing to those that were closed


class Piece:
    """Some rows of a tensor, all of one slice: a job for a thread, and its result `data`."""

    __slots__ = ("step", "source", "first", "last", "at", "rows", "weights", "data")

    def __init__(self, step, source, at, rows, n_rows, weights=None):
        self.step = step
        self.source = source
        self.at = at                                 # its first row, counted through all slices
        self.rows = rows
        self.first = at == 0
        self.last = at + rows == n_rows
        self.weights = weights
        self.data = None

    @property
    def n_elements(self):
        return self.rows * self.step.ne[0]

    def __call__(self):
        step, n = self.step, self.step.ne[0]
        try:
            if step.converts:
                self.data = _rows.convert(step.tensor.type, step.target, n, self.source, self.weights)
            else:
                _rows.check(step.target, self.source)
                self.data = self.source
        except _rows.BadValue as error:
            raise self._refusal(error) from None
        return self

    def _refusal(self, error):
        name = self.step.tensor.name
        type = TYPES[self.step.target if error.fresh else self.step.tensor.type]
        block = self.at * self.step.ne[0] // type.block + error.index
        if error.fresh:
            return ModelError(f"quantized data validation failed: tensor '{name}' as {type.name}: "
                              f"found {error.what} value at block {block}")
        return ModelError(f"tensor '{name}' has invalid data: found {error.what} value at block {block}")


def _jobs(gguf, plan):
    for step in plan.steps:
        yield from _pieces(step, gguf.data(step.tensor.name))


def _pieces(step, data):
    """Pieces of a tensor in the order of its bytes."""
    n, stride = step.ne[0], row_bytes(step.tensor.type, step.ne[0])
    n_rows = len(data) // stride
    per_slice = step.ne[1] if step.weights is not None else n_rows
    most = max(1, PIECE // n)
    for start in range(0, n_rows, per_slice):
        weights = None
        if step.weights is not None:
            slice_no = start // per_slice
            weights = step.weights[slice_no * n:(slice_no + 1) * n]
        for at in range(start, start + per_slice, most):
            rows = min(most, start + per_slice - at)
            yield Piece(step, data[at * stride:(at + rows) * stride], at, rows, n_rows, weights)
