"""One model as several files, and several as one. Tensors are copied byte for byte, only their places change.

The first part has all keys of the model; every part has the three keys of llamacy.gguf.split.
"""

import os
import stat

from llamacy.errors import GGUFError, LlamacyError, UsageError, one_line
from llamacy.gguf.split import COUNT, NO, TENSORS, TYPES, split_name, split_prefix
from llamacy.gguf.types import DEFAULT_ALIGNMENT, align_up
from llamacy.gguf.writer import ALIGNMENT_KEY, GGUFWriter

PIECE = 1 << 24          # bytes copied at once: between two pieces Python sees its signals
MOST_PARTS = 65535       # what a u16 counts
SCALAR_BYTES = {"u16": 2, "i32": 4}


class Part:
    """A file to be written.

    pairs       {key: None}, copied from the model, or {key: (kind, value)}; in file order
    tensors     [TensorInfo] of the model, in file order
    head_bytes  metadata and tensor infos with the zeros behind them;  nbytes: of the whole file
    """

    def __init__(self, gguf, path, pairs, tensors):
        self.path = path
        self.pairs = pairs
        self.tensors = tensors
        alignment = gguf.alignment if ALIGNMENT_KEY in pairs else DEFAULT_ALIGNMENT
        infos = sum(24 + len(tensor.name.encode()) + 8 * len(shape(tensor)) for tensor in tensors)
        self.head_bytes = align_up(24 + sum(_pair_bytes(gguf, *pair) for pair in pairs.items()) + infos, alignment)
        self.nbytes = self.head_bytes + sum(align_up(tensor.nbytes, alignment) for tensor in tensors)

    @property
    def data_bytes(self):
        """Bytes of the tensors, without the zeros between them."""
        return sum(tensor.nbytes for tensor in self.tensors)


def shape(tensor):
    """Its sizes as they are written: sizes of 1 at the end left out, but for the first."""
    n = len(tensor.ne)
    while n > 1 and tensor.ne[n - 1] == 1:
        n -= 1
    return tensor.ne[:n]


def _pair_bytes(gguf, key, pair):
    value = len(gguf.raw(key)[1]) if pair is None else SCALAR_BYTES[pair[0]]
    return 8 + len(key.encode()) + 4 + value


# --- what to write


def split(gguf, prefix, *, max_tensors=128, max_bytes=0, metadata_first=False):
    """[Part] named PREFIX-0000N-of-0000M.gguf, all tensors in order.

    max_tensors     a part begins at each multiple of it; not used with max_bytes
    max_bytes       a part begins where the tensors, each rounded up to 32 bytes, would be more; 0: no limit
    metadata_first  no tensors in the first part
    Errors  UsageError: the first tensor is larger than max_bytes, or there would be too many parts.
    """
    tensors = list(gguf.tensors.values())
    groups = _by_size(tensors, max_bytes) if max_bytes else _by_number(tensors, max_tensors)
    if metadata_first:
        groups.insert(0, [])
    if len(groups) > MOST_PARTS:
        raise UsageError(f"{len(groups)} splits, expected at most {MOST_PARTS}: the limit on them is too small")
    parts = []
    for no, group in enumerate(groups):
        pairs = dict.fromkeys(gguf.keys()) if no == 0 else {}
        pairs.update(_split_pairs(no, len(groups), len(tensors)))
        parts.append(Part(gguf, split_name(prefix, no, len(groups)), pairs, group))
    return parts


def _by_number(tensors, most):
    return [tensors[i:i + most] for i in range(0, len(tensors), most)] or [[]]


def _by_size(tensors, most):
    groups, filled = [[]], 0
    for tensor in tensors:
        nbytes = align_up(tensor.nbytes, DEFAULT_ALIGNMENT)
        filled += nbytes
        if filled > most:
            if not groups[-1]:
                raise UsageError("one of splits have 0 tensors. Maybe size or tensors limit is too small")
            groups.append([])
            filled = nbytes
        groups[-1].append(tensor)
    return groups


def _split_pairs(no, count, n_tensors):
    return {NO: (TYPES[NO], no), COUNT: (TYPES[COUNT], count), TENSORS: (TYPES[TENSORS], n_tensors)}


def merge(gguf, path):
    """The Part that is the whole model again. The keys of the split stay, with split.count 0, as readers know it."""
    pairs = dict.fromkeys(gguf.keys())
    pairs[COUNT] = TYPES[COUNT], 0
    return Part(gguf, path, pairs, list(gguf.tensors.values()))


def count_of(gguf):
    """Number of parts that a file, the first of them, says there are.

    Errors  GGUFError: it does not say, it is no sensible number, or the file has another name than a first part.
    """
    if COUNT not in gguf:
        raise GGUFError(gguf.path, None, COUNT, f"input file does not contain {COUNT} metadata")
    count = gguf[COUNT]
    if gguf.type_name(COUNT) != TYPES[COUNT] or count < 1:
        raise GGUFError(gguf.path, None, COUNT, "input file does not contain a valid split count "
                                                f"{gguf.format_value(COUNT).decode('utf-8', 'replace')}")
    if split_prefix(gguf.path, 0, count) is None:
        raise GGUFError(gguf.path, None, COUNT, f"unexpected input file name: {gguf.path} i_split=0 n_split={count}")
    return count


# --- writing


def check_targets(parts):
    """Errors  UsageError: a file is there already. LlamacyError: the disk has less room than the files need."""
    for part in parts:
        if _is_regular(part.path):
            raise UsageError(f"{one_line(part.path)} exists already and is not overwritten: "
                             "remove it or choose another name")
    folder = os.path.dirname(os.path.realpath(parts[0].path))
    if not os.path.isdir(folder) or os.path.exists(parts[0].path):
        return                   # the first write says what is wrong; a device needs no room
    disk = os.statvfs(folder)
    free, needed = disk.f_bavail * disk.f_frsize, sum(part.nbytes for part in parts)
    if needed > free:
        raise LlamacyError(f"not enough space in {one_line(folder)}: the output needs {needed} bytes, {free} are free")


def _is_regular(path):
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def nothing(path):
    pass


def write(gguf, parts, begin=nothing, end=nothing, copying=nothing):
    """Write the parts one after another. After a failure none of them is left.

    begin, end  called with the path of a file that is written;  copying: with that of the one whose tensors come next
    Errors      those of check_targets. OSError: a file cannot be written.
    """
    check_targets(parts)
    begun = []
    try:
        for part in parts:
            begin(part.path)
            begun.append(part.path)
            _write(gguf, part, copying)
            end(part.path)
    except BaseException:
        for path in begun:
            if _is_regular(path):
                os.unlink(path)
        raise


def _write(gguf, part, copying):
    with GGUFWriter(part.path, byteorder=gguf.byteorder) as writer:
        for key, pair in part.pairs.items():
            if pair is None:
                writer.copy(gguf, key)
            else:
                writer.add(key, *pair)
        for tensor in part.tensors:
            writer.add_tensor(tensor.name, shape(tensor), tensor.type)
        shard = None
        for tensor in part.tensors:
            if tensor.shard != shard:
                shard = tensor.shard
                copying(gguf.part_path(shard))
            source, end = gguf.mapping(tensor.shard), tensor.offset + tensor.nbytes
            try:
                for at in range(tensor.offset, end, PIECE):
                    writer.write(source[at:min(at + PIECE, end)])
            finally:
                gguf.check()     # bytes that are missing cannot be written either
