"""PyTorch's files (.pth, .pt, .bin): a zip archive of one pickle and, uncompressed, the numbers it speaks of."""

import math
import struct
import zipfile

import numpy as np

from llamacy.convert import statedict
from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.files import map_whole
from llamacy.convert.statedict import StoredTensor
from llamacy.convert.tensor import DTYPES, Tensor

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
MAX_ENTRIES = 1 << 20
MAX_DIMS = 8


def read(path):
    """dict of names to Tensor, in the order of the state dict. Errors  ConvertError, OSError."""
    archive = Archive(path)
    pickles = [name for name in archive.entries if name.endswith(".pkl")]
    if len(pickles) != 1:
        raise ConvertError(f"{path}: found {len(pickles)} entries named *.pkl, expected one")
    place = pickles[0][:-len(".pkl")]
    found = statedict.load(bytes(archive.data(pickles[0])), f"{path}: {shorten(pickles[0])}")
    if isinstance(found, dict) and "model" in found:
        found = found["model"]
    if not isinstance(found, dict):
        raise ConvertError(f"{path}: the pickle holds {type(found).__name__}, expected names and tensors")
    return {name: _tensor(archive, place, name, value) for name, value in found.items()}


def _tensor(archive, place, name, stored):
    where = f"{archive.path}: tensor {shorten(name)!r}"
    if not isinstance(name, str) or not isinstance(stored, StoredTensor):
        raise ConvertError(f"{where}: found {type(stored).__name__}, expected a tensor")
    if len(stored.shape) > MAX_DIMS:
        raise ConvertError(f"{where}: {len(stored.shape)} dimensions, expected at most {MAX_DIMS}")
    dtype, size = stored.storage.dtype, np.dtype(DTYPES[stored.storage.dtype]).itemsize
    data = archive.data(f"{place}/{stored.storage.key}")
    last = stored.offset + sum((n - 1) * step for n, step in zip(stored.shape, stored.stride))
    empty = 0 in stored.shape
    if not empty and last >= len(data) // size:
        raise ConvertError(f"{where}: needs elements up to {last} of storage {shorten(stored.storage.key)}, "
                           f"which has {len(data) // size}")
    if not empty and math.prod(stored.shape) > len(data) // size:
        raise ConvertError(f"{where}: shape {stored.shape} repeats elements of its storage by stride {stored.stride}")
    flat = np.empty(0, DTYPES[dtype]) if empty else np.frombuffer(data[:len(data) // size * size], DTYPES[dtype])
    view = flat.reshape(stored.shape) if empty else np.lib.stride_tricks.as_strided(
        flat[stored.offset:], stored.shape, [step * size for step in stored.stride], writeable=False)
    origin = f"pytorch storage data={shorten(stored.storage.key)} {dtype} in {archive.path}"
    return Tensor(dtype, [view], origin=origin)


class Archive:
    """The entries of a zip file, as they lie in it. Errors  ConvertError: anything but plain stored entries."""

    def __init__(self, path):
        self.path = path
        self.whole = map_whole(path)
        try:
            with zipfile.ZipFile(path) as file:
                infos = file.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, UnicodeDecodeError, OverflowError,
                IndexError) as error:
            raise ConvertError(f"{path}: not a sound zip archive: {shorten(error)}") from None
        if len(infos) > MAX_ENTRIES:
            raise ConvertError(f"{path}: {len(infos)} entries, expected at most {MAX_ENTRIES}")
        self.entries = {}
        for info in infos:
            if info.filename in self.entries:
                raise ConvertError(f"{path}: two entries {shorten(info.filename)!r}")
            self.entries[info.filename] = self._range(info)
        self._check_overlaps()

    def data(self, name):
        if name not in self.entries:
            raise ConvertError(f"{self.path}: no entry {shorten(name)!r} in the archive")
        begin, end = self.entries[name][1:]
        return self.whole[begin:end]

    def _range(self, info):
        """(where its header starts, where its data start, where these end)"""
        where = f"{self.path}: entry {shorten(info.filename)!r}"
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.compress_size != info.file_size:
            raise ConvertError(f"{where}: compressed or encrypted, expected plain data")
        at = info.header_offset
        if at < 0 or at + LOCAL_HEADER.size > len(self.whole):
            raise ConvertError(f"{where}: its header is at {at}, but the file has {len(self.whole)} bytes")
        magic, *_, n_name, n_extra = LOCAL_HEADER.unpack_from(self.whole, at)
        begin = at + LOCAL_HEADER.size + n_name + n_extra
        if magic != b"PK\3\4" or begin + info.file_size > len(self.whole):
            raise ConvertError(f"{where}: {info.file_size} bytes at {begin}, but the file has {len(self.whole)}")
        return at, begin, begin + info.file_size

    def _check_overlaps(self):
        """Bytes that belong to two entries are how a small file pretends to be a large one."""
        before = 0
        for begin, _, end in sorted(self.entries.values()):
            if begin < before:
                raise ConvertError(f"{self.path}: entries of the archive overlap at byte {begin}")
            before = end
