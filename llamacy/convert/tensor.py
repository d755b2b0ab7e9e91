"""A tensor of a checkpoint: where its numbers are, not the numbers.

The numbers stay in the mapped file until a piece of a million or so is asked for. Rearrangements (permuted heads, a
transposition, a part of the rows) are numpy views of the mapping, so they cost nothing, and the piece's copy does them
all.
"""

import math

import numpy as np

from llamacy.convert.errors import ConvertError

# Types as safetensors calls them -> the stored elements. bf16 and the 8-bit floats have no numpy type: their bits.
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
          "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1", "F8_E4M3": "|u1",
          "F8_E5M2": "|u1"}
FLOATS = ("F32", "F16", "BF16")
OPAQUE = ("F8_E4M3", "F8_E5M2")
PIECE = 1 << 20  # elements


class Tensor:
    """dtype  a key of DTYPES.        shape  outermost first.        origin  for listings: file and place.

    views   numpy views whose elements, in C order and joined along `axis`, are the tensor. A view may have another
    shape
            than the tensor (a permuted one has more dimensions) if there is only one or they join along axis 0.
    change  None, or what to do to the float32 values of each piece.
    """

    __slots__ = ("dtype", "shape", "origin", "views", "axis", "change")

    def __init__(self, dtype, views, shape=None, axis=0, origin="", change=None):
        self.dtype = dtype
        self.views = list(views)
        self.axis = axis
        self.origin = origin
        self.change = change
        self.shape = tuple(self.views[0].shape if shape is None else shape)

    @property
    def n_elements(self):
        return sum(view.size for view in self.views)

    def rearranged(self, rule, shape=None):
        """The same numbers through rule(view) -> view, read as of `shape`. Many parts are copied into one."""
        try:
            view = rule(self._one().reshape(self.shape))
        except ValueError as error:
            raise ConvertError(f"{self.origin}: a tensor of {list(self.shape)} does not fit: {error}") from None
        made = Tensor(self.dtype, [view], shape, origin=self.origin, change=self.change)
        if math.prod(made.shape) != view.size:
            raise ConvertError(f"{self.origin}: a tensor of {list(self.shape)} does not become {list(made.shape)}")
        return made

    def changed(self, rule):
        """rule(float32 array) -> float32 array is applied to all values."""
        return Tensor(self.dtype, self.views, self.shape, self.axis, self.origin, rule)

    def rows(self, first, last):
        """Rows first to last - 1 along axis 0."""
        return self.rearranged(lambda a: a[first:last])

    def transposed(self):
        return self.rearranged(lambda a: a.T)

    def _one(self):
        return self.views[0] if len(self.views) == 1 else np.concatenate(self.views, axis=self.axis)

    def pieces(self):
        """Yield (number, function that returns so many elements as a flat array of this machine's byte order)."""
        if self.axis == 0:
            for view in self.views:
                for part in split(view):
                    yield part.size, lambda part=part: native(part)
            return
        step = max(1, PIECE // self.shape[1])
        for at in range(0, self.shape[0], step):
            parts = [view[at:at + step] for view in self.views]
            yield sum(part.size for part in parts), lambda parts=parts: native(np.concatenate(parts, axis=1))

    def array(self):
        """All of it, as float32, for small tensors and for checks."""
        found = np.concatenate([read() for _, read in self.pieces()])
        found = floats(self.dtype, found).reshape(self.shape)
        return found if self.change is None else self.change(found)


def split(view):
    """Views of PIECE elements at most that, one after the other, are `view`."""
    if view.size <= PIECE:
        yield view
    elif view.shape[0] == 1 or view[0].size > PIECE:
        for row in view:
            yield from split(row)
    else:
        step = PIECE // view[0].size
        for at in range(0, view.shape[0], step):
            yield view[at:at + step]


def native(array):
    """Flat, contiguous, in this machine's byte order; no copy if it is so already."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(-1)


def floats(dtype, array):
    """float32 values of a flat array of `dtype`."""
    if dtype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    if dtype in OPAQUE:
        raise ConvertError(f"values of type {dtype} cannot be converted, expected {', '.join(FLOATS)}")
    return array.astype(np.float32)


def stack(tensors, shape=None):
    """Tensors of one type and shape along a new first axis."""
    return _join(tensors, shape or (len(tensors), *tensors[0].shape), 0)


def join(tensors, axis):
    """Tensors of one type one after the other along `axis`, 0 or 1."""
    shape = list(tensors[0].shape)
    shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
    return _join(tensors, shape, axis)


def _join(tensors, shape, axis):
    views = [view for tensor in tensors for view in tensor.views]
    return Tensor(tensors[0].dtype, views, shape, axis, " + ".join(tensor.origin for tensor in tensors))


def permuted(tensor, n_head):
    """Rows of a q or k matrix from the order of halves to that of pairs, head by head.

        out[a*D + 2*j + p] = in[a*D + p*(D/2) + j]      D rows per head, a < n_head, p in {0, 1}, j < D/2

    Errors  ConvertError: the rows do not divide into heads of an even size.
    """
    rows = tensor.shape[0]
    if not n_head or rows % (2 * n_head):
        raise ConvertError(f"{tensor.origin}: {rows} rows, expected a multiple of twice the {n_head} heads")

    def rule(a):
        return a.reshape(n_head, 2, rows // n_head // 2, *a.shape[1:]).swapaxes(1, 2)
    return tensor.rearranged(rule, tensor.shape)
