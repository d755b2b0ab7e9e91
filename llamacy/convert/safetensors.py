"""Files of the safetensors format.

    u64 n, JSON of n bytes {name: {dtype, shape, data_offsets: [begin, end)}}, data; offsets count from the start of the
    data
"""

import json
import math
import struct

import numpy as np

from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.files import map_whole
from llamacy.convert.jsonfile import unique
from llamacy.convert.tensor import DTYPES, Tensor

MAX_DIMS = 8
MAX_HEADER = 100_000_000  # bytes; what the format's own library allows


def read(path):
    """dict of names to Tensor, in the order of the header. Errors  ConvertError, OSError."""
    whole = map_whole(path)
    header, start = _header(path, whole)
    found, ranges = {}, []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape, begin, end = _entry(path, name, entry, len(whole) - start)
        raw = whole[start + begin:start + end]
        view = np.frombuffer(raw, DTYPES[dtype]) if raw else np.empty(0, DTYPES[dtype])
        origin = f"safetensors {dtype} data in {path} at {start + begin}"
        found[name] = Tensor(dtype, [view.reshape(shape)], origin=origin)
        ranges.append((begin, end, name))
    _check_tiling(path, ranges, len(whole) - start)
    return found


def _header(path, whole):
    """(the JSON object, where the data start)"""
    if len(whole) < 8:
        raise ConvertError(f"{path}: {len(whole)} bytes, expected a header of 8 and more")
    n, = struct.unpack_from("<Q", whole)
    if n > min(MAX_HEADER, len(whole) - 8):
        raise ConvertError(f"{path}: header length: found {n}, expected at most {min(MAX_HEADER, len(whole) - 8)}")
    try:
        header = json.loads(bytes(whole[8:8 + n]).decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ConvertError(f"{path}: header: not JSON: {shorten(error)}") from None
    if not isinstance(header, dict):
        raise ConvertError(f"{path}: header: found {type(header).__name__}, expected an object")
    return header, 8 + n


def _entry(path, name, entry, n_data):
    """(dtype, shape, begin, end) of a tensor, all of them checked."""
    where = f"{path}: tensor {shorten(name)!r}"
    try:
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError):
        raise ConvertError(f"{where}: expected an object with dtype, shape, data_offsets") from None
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ConvertError(f"{where}: dtype: found {shorten(dtype)}, expected one of {', '.join(DTYPES)}")
    if not _is_naturals(shape) or len(shape) > MAX_DIMS or math.prod(n or 1 for n in shape) >= 1 << 60:
        raise ConvertError(f"{where}: shape: found {shorten(shape)}, expected at most {MAX_DIMS} sizes")
    if not _is_naturals(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= n_data:
        raise ConvertError(f"{where}: data_offsets: found {shorten(offsets)}, expected a range in 0..{n_data}")
    nbytes = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if offsets[1] - offsets[0] != nbytes:
        raise ConvertError(
            f"{where}: data: found {offsets[1] - offsets[0]} bytes, expected {nbytes} for {dtype} {shape}"
        )
    return dtype, tuple(shape), *offsets


def _is_naturals(found):
    return isinstance(found, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in found)


def _check_tiling(path, ranges, n_data):
    """Errors  ConvertError: two tensors share bytes, or some bytes belong to none."""
    at = 0
    for begin, end, name in sorted(ranges):
        if begin != at:
            raise ConvertError(f"{path}: tensor {shorten(name)!r}: data start at {begin}, expected {at}: "
                               + ("overlaps another" if begin < at else "a gap before it"))
        at = end
    if at != n_data:
        raise ConvertError(f"{path}: {n_data} bytes of data, expected {at} as the tensors have")
