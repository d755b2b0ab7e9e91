"""One pass over the metadata of a GGUF file in memory: what is where, with every number checked before it is used.

    magic version n_tensors n_kv | key type value | key type value | ... | name dims type offset | ... | padding | data

The cursor never passes the end: each read asks for `n <= size - pos`, which cannot wrap because pos <= size. A count is
compared with what the rest of the file can hold before anything is made of it, so memory stays within a small multiple
of the file's size. Values are not decoded here; an array of strings is only walked, its table is made when asked for.
"""
from cpython.buffer cimport Py_buffer, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

import sys

from llamacy.errors import GGUFError
from llamacy.gguf.types import (ARRAY, BOOL, DEFAULT_ALIGNMENT, MAGIC, MAX_DIMS, MAX_KEY, MAX_NAME, MIN_ALIGNMENT,
                                REMOVED_TYPES, STRING, TYPES, U32, VALUE_NAMES, VALUE_SIZES, VERSIONS)

cdef enum:
    KEY_VALUE_MIN = 8 + 4 + 1  # length of the key, type, the smallest value
    TENSOR_MIN = 8 + 4 + 4 + 8  # length of the name, n_dims, type, offset
    N_TYPES = 31
    N_VALUES = 13
    T_BOOL = 7
    T_STRING = 8
    T_ARRAY = 9

cdef bint sys_little = sys.byteorder == "little"
cdef uint32_t block_size[N_TYPES]
cdef uint32_t block_bytes[N_TYPES]
cdef uint32_t value_size[N_VALUES]


def _fill_tables():
    for i in range(N_TYPES):
        info = TYPES.get(i)
        block_size[i] = info.block if info else 0
        block_bytes[i] = info.bytes if info else 0
    for i in range(N_VALUES):
        value_size[i] = VALUE_SIZES[i]
    assert max(TYPES) + 1 == N_TYPES and len(VALUE_NAMES) == N_VALUES
    assert (BOOL, STRING, ARRAY) == (T_BOOL, T_STRING, T_ARRAY)


_fill_tables()


cdef inline uint32_t swap32(uint32_t v) noexcept nogil:
    v = (v & 0x00FF00FF) << 8 | (v >> 8 & 0x00FF00FF)
    return v << 16 | v >> 16


cdef inline uint32_t load32(const uint8_t *p, bint swap) noexcept nogil:
    cdef uint32_t v = 0
    memcpy(&v, p, 4)
    return swap32(v) if swap else v


cdef inline uint64_t load64(const uint8_t *p, bint swap) noexcept nogil:
    cdef uint64_t v = 0
    memcpy(&v, p, 8)
    return <uint64_t> swap32(<uint32_t> v) << 32 | swap32(<uint32_t> (v >> 32)) if swap else v


cdef uint64_t walk_strings(const uint8_t *base, uint64_t size, uint64_t *pos, uint64_t n, bint swap,
                           uint64_t *offsets, uint64_t *lengths) noexcept nogil:
    """Step over n strings from *pos; returns how many fit in `size`, *pos then stands at the first that does not.

    offsets, lengths (n,) are filled unless NULL.
    """
    cdef uint64_t i = 0, p = pos[0], length
    while i < n and size - p >= 8:
        length = load64(base + p, swap)
        if length > size - p - 8:
            break
        p += 8
        if offsets is not NULL:
            offsets[i] = p
            lengths[i] = length
        p += length
        i += 1
    pos[0] = p
    return i


cdef brief(text):
    """A key or a name (str or bytes) for a message: a line stays a line, also where a key has 65535 bytes."""
    return text if len(text) <= 80 else text[:77] + (b"..." if isinstance(text, bytes) else "...")


cdef class Value:
    """Where a metadata value stands: `nbytes` bytes from `start` on. For arrays with the elements' type id and count.

    For a string and for an array `start` is behind the length; elem is -1 and count 0 where they mean nothing.
    """

    cdef readonly int type, elem
    cdef readonly uint64_t count, start, nbytes


cdef class TensorInfo:
    """A tensor of a file. ne: 1 to 4 sizes, innermost first. offset: from the start of file number `shard`."""

    cdef readonly str name
    cdef readonly tuple ne
    cdef readonly int type, shard
    cdef readonly uint64_t offset, nbytes
    cdef uint64_t relative, at  # offset as written in the file, and where it stands there (for messages)

    def __repr__(self):
        return f"TensorInfo({self.name!r}, ne={self.ne}, type={self.type}, offset={self.offset}, shard={self.shard})"


cdef class Header:
    """All that the scan found. values: dict of str to Value, tensors: list of TensorInfo, both in file order."""

    cdef readonly int version
    cdef readonly bint swap  # the file's byte order is not this machine's
    cdef readonly str byteorder
    cdef readonly uint64_t alignment, data_start
    cdef readonly dict values
    cdef readonly list tensors


cdef class StringArray:
    """The strings of an array, undecoded: string i is buffer[offsets[i]:offsets[i] + lengths[i]].

    buffer: memoryview 'B' of the whole file. offsets, lengths: memoryviews 'Q', owned by this object.
    """

    cdef readonly object buffer, offsets, lengths
    cdef readonly Py_ssize_t count

    def __len__(self):
        return self.count

    def __getitem__(self, Py_ssize_t i):
        cdef uint64_t start = self.offsets[i]
        cdef uint64_t length = self.lengths[i]
        return bytes(self.buffer[start:start + length])


def string_array(path, view, Value value, bint swap, uint64_t most=INT64_MAX):
    """The StringArray of the first `most` strings of `value`.

    The file may have been changed since the scan: the walk checks its bounds again.
    """
    cdef Py_buffer b
    cdef uint64_t pos = value.start, done, count = min(value.count, most)
    cdef bytes offsets = PyBytes_FromStringAndSize(NULL, 8 * count)  # count <= file size / 8 since the scan
    cdef bytes lengths = PyBytes_FromStringAndSize(NULL, 8 * count)
    cdef StringArray s = StringArray.__new__(StringArray)
    PyObject_GetBuffer(view, &b, PyBUF_SIMPLE)
    done = walk_strings(<const uint8_t *> b.buf, b.len, &pos, count, swap,
                        <uint64_t *> PyBytes_AS_STRING(offsets), <uint64_t *> PyBytes_AS_STRING(lengths))
    PyBuffer_Release(&b)
    if done < count:
        raise GGUFError(path, pos, f"array element {done}", "the file was changed while it was being read")
    s.buffer = view
    s.offsets = memoryview(offsets).cast("Q")
    s.lengths = memoryview(lengths).cast("Q")
    s.count = count
    return s


def scan(path, view, int shard=0):
    """Check the metadata in `view`, the bytes of the file `path`, and return its Header. GGUFError: anything wrong."""
    return Scanner(path, view).run(shard)


cdef class Scanner:
    cdef Py_buffer buffer
    cdef const uint8_t *base
    cdef uint64_t size, pos
    cdef bint swap
    cdef object path
    # What is being read, for messages only: "key-value pairs", 3, "general.name"
    cdef str section, name
    cdef uint64_t index

    def __cinit__(self, path, view):
        self.path = path
        PyObject_GetBuffer(view, &self.buffer, PyBUF_SIMPLE)
        self.base = <const uint8_t *> self.buffer.buf
        self.size = self.buffer.len
        self.section = "header"

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)

    cdef Header run(self, int shard):
        cdef Header h = Header.__new__(Header)
        cdef uint64_t n_tensors, n_values
        self.magic()
        h.version = self.version()
        h.swap = self.swap
        h.byteorder = "little" if sys_little != self.swap else "big"
        n_tensors, n_values = self.counts()
        h.values = self.key_values(n_values)
        h.alignment = self.alignment(h.values)
        h.tensors = self.tensor_infos(n_tensors, shard)
        h.data_start = (self.pos + h.alignment - 1) & ~(h.alignment - 1)  # pos < 2^63, alignment < 2^32
        self.place(h.tensors, h.data_start, h.alignment)
        return h

    # --- errors and primitive reads

    cdef fail(self, uint64_t at, str what, str message):
        """Raise the error: `what` is the field inside the record that is being read."""
        cdef bint tensor = self.section == "tensor info"
        if self.name is not None:
            what = f"{'tensor' if tensor else 'key'} '{brief(self.name)}' {what}"
        elif self.section != "header":
            what = f"{'tensor' if tensor else 'key-value pair'} {self.index} {what}"
        self.blame(at, what, message)

    cdef blame(self, uint64_t at, str field, str message):
        if self.swap:
            message += f" (the version field says that the file is {'big' if sys_little else 'little'}-endian)"
        raise GGUFError(self.path, at, field, message)

    cdef int need(self, uint64_t n, str what) except -1:
        if n > self.size - self.pos:
            self.fail(self.pos, what, f"failed to read {self.section}: expected {n} bytes, "
                                      f"found {self.size - self.pos}")
        return 0

    cdef uint32_t u32(self, str what) except? 0xFFFFFFFF:
        self.need(4, what)
        self.pos += 4
        return load32(self.base + self.pos - 4, self.swap)

    cdef uint64_t u64(self, str what) except? 0xFFFFFFFFFFFFFFFF:
        self.need(8, what)
        self.pos += 8
        return load64(self.base + self.pos - 8, self.swap)

    cdef uint64_t length(self, str what) except? 0xFFFFFFFFFFFFFFFF:
        """The length in front of a string; the string itself is in the file."""
        cdef uint64_t n = self.u64(what)
        if n > self.size - self.pos:
            self.fail(self.pos - 8, what, f"failed to read {self.section}: found {n}, expected at most "
                                          f"{self.size - self.pos}, the bytes left in the file")
        return n

    cdef str identifier(self, str what, uint64_t longest):
        """A key or a name: 1 to `longest` bytes of UTF-8 without NUL."""
        cdef uint64_t at = self.pos, n = self.length(what)
        cdef const uint8_t *p = self.base + self.pos
        if n == 0 or n > longest:
            self.fail(at, what, f"found a length of {n} bytes, expected 1 to {longest}")
        if memchr(p, 0, n) is not NULL:
            self.fail(at, what, f"found a NUL byte in {brief(bytes(p[:n]))!r}")
        self.pos += n
        try:
            return p[:n].decode("utf-8")
        except UnicodeDecodeError:
            self.fail(at, what, f"expected UTF-8, found {brief(bytes(p[:n]))!r}")

    # --- header

    cdef int magic(self) except -1:
        cdef bytes found = self.base[:4 if self.size > 4 else self.size]
        if found != MAGIC:
            text = found.decode("latin-1")
            self.fail(0, "magic", f"invalid magic characters '{text}', expected '{MAGIC.decode()}'" if found else
                      f"the file is empty, expected '{MAGIC.decode()}'")
        self.pos = 4
        return 0

    cdef int version(self) except -1:
        """A file of the other byte order shows itself by a version that is sane only when swapped."""
        cdef uint32_t v = self.u32("version")
        if v == 1:
            self.fail(4, "version", "GGUFv1 is no longer supported. please use a more up-to-date version (2 or 3)")
        if v not in VERSIONS:
            self.swap = True
            v = load32(self.base + 4, True)
            if v not in VERSIONS:
                self.swap = False
                self.fail(4, "version", f"found {load32(self.base + 4, False)}, expected 2 or 3")
        return v

    cdef tuple counts(self):
        cdef uint64_t n_tensors = self.u64("tensor count")
        cdef uint64_t n_values = self.u64("key-value count")
        cdef uint64_t left = self.size - self.pos
        if n_values > left // KEY_VALUE_MIN:
            self.fail(16, "key-value count", f"failed to read header: found {n_values}, expected at most "
                                             f"{left // KEY_VALUE_MIN}, all that the {left} bytes left can hold")
        left -= n_values * KEY_VALUE_MIN
        if n_tensors > left // TENSOR_MIN:
            self.fail(8, "tensor count", f"failed to read header: found {n_tensors}, expected at most "
                                         f"{left // TENSOR_MIN}, all that the {left} bytes left can hold")
        return n_tensors, n_values

    # --- key-value pairs

    cdef dict key_values(self, uint64_t n):
        cdef dict values = {}
        cdef uint64_t at
        cdef str key
        self.section = "key-value pairs"
        for self.index in range(n):
            self.name = None
            at = self.pos
            key = self.identifier("key", MAX_KEY)
            if key in values:
                self.fail(at, "key", f"duplicated key '{brief(key)}'")
            self.name = key
            values[key] = self.value()
        self.name = None
        return values

    cdef Value value(self):
        cdef Value v = Value.__new__(Value)
        v.elem = -1
        v.type = self.value_type("type")
        v.start = self.pos
        if v.type == T_ARRAY:
            self.array(v)
        elif v.type == T_STRING:
            v.nbytes = self.length("string length")
            v.start = self.pos
        else:
            v.nbytes = value_size[v.type]
            self.need(v.nbytes, "value")
            if v.type == T_BOOL:
                self.bools(v, 1)
        self.pos = v.start + v.nbytes
        return v

    cdef int value_type(self, str what) except -1:
        cdef uint32_t t = self.u32(what)
        if t >= N_VALUES:
            self.fail(self.pos - 4, what, f"failed to read {self.section}: found invalid type {t}, "
                                          f"expected 0 to {N_VALUES - 1}")
        return t

    cdef int array(self, Value v) except -1:
        cdef uint64_t pos, done, left
        v.elem = self.value_type("array element type")
        if v.elem == T_ARRAY:
            self.fail(self.pos - 4, "array element type", "arrays of arrays are not supported")
        v.count = self.u64("array count")
        v.start = pos = self.pos
        left = self.size - pos
        cdef uint64_t least = value_size[v.elem] if v.elem != T_STRING else 8
        if v.count > left // least:
            self.fail(pos - 8, "array count", f"array size is too large ({v.count}), expected at most {left // least}, "
                                              f"all that the {left} bytes left can hold")
        if v.elem == T_STRING:
            done = walk_strings(self.base, self.size, &pos, v.count, self.swap, NULL, NULL)
            if done < v.count:
                self.pos = pos
                self.length(f"array element {done}")
        else:
            pos += v.count * least
        if v.elem == T_BOOL:
            self.bools(v, v.count)
        v.nbytes = pos - v.start
        return 0

    cdef int bools(self, Value v, uint64_t n) except -1:
        cdef uint64_t i
        for i in range(n):
            if self.base[v.start + i] > 1:
                self.fail(v.start + i, "value", f"found {self.base[v.start + i]}, expected a bool, 0 or 1")
        return 0

    cdef uint64_t alignment(self, dict values) except 0:
        cdef Value v = values.get("general.alignment")
        cdef uint32_t n
        if v is None:
            return DEFAULT_ALIGNMENT
        self.name = "general.alignment"
        if v.type != U32:
            self.fail(v.start, "type", f"has wrong type {VALUE_NAMES[v.type]} but expected type u32")
        n = load32(self.base + v.start, self.swap)
        if n < MIN_ALIGNMENT or n & (n - 1):
            self.fail(v.start, "value", f"found {n}, expected a power of two, at least {MIN_ALIGNMENT}")
        self.name = None
        return n

    # --- tensors

    cdef list tensor_infos(self, uint64_t n, int shard):
        cdef list tensors = []
        cdef set names = set()
        cdef TensorInfo t
        cdef uint64_t at
        self.section = "tensor info"
        for self.index in range(n):
            self.name = None
            at = self.pos
            t = TensorInfo.__new__(TensorInfo)
            t.name = self.identifier("name", MAX_NAME)
            if t.name in names:
                self.fail(at, "name", f"failed to read tensor info: duplicated tensor name {t.name}")
            names.add(t.name)
            self.name = t.name
            t.shard = shard
            self.shape(t)
            t.at = self.pos
            t.relative = self.u64("offset")
            tensors.append(t)
        self.name = None
        return tensors

    cdef int shape(self, TensorInfo t) except -1:
        """Dimensions, type and size in bytes; every product is checked before it is made."""
        cdef uint64_t at = self.pos, elements = 1, dim
        cdef uint32_t n_dims = self.u32("n_dims"), i
        if n_dims > MAX_DIMS:
            self.fail(at, "n_dims", f"failed to read tensor info: found {n_dims}, expected at most {MAX_DIMS}")
        dims = []
        for i in range(n_dims):
            at = self.pos
            dim = self.u64("dimension")
            if dim == 0 or dim > <uint64_t> INT64_MAX:
                self.fail(at, f"dimension {i}", f"found {<int64_t> dim}, expected 1 or more")
            if dim > <uint64_t> INT64_MAX // elements:
                self.fail(at, f"dimension {i}", f"found {dim}, but all dimensions multiplied must be less than 2^63")
            elements *= dim
            dims.append(dim)
        t.ne = tuple(dims) if dims else (1,)
        self.tensor_type(t, elements)
        return 0

    cdef int tensor_type(self, TensorInfo t, uint64_t elements) except -1:
        cdef uint64_t at = self.pos, block
        cdef int32_t n = <int32_t> self.u32("type")
        if n in REMOVED_TYPES:
            self.fail(at, "type", f"found {n}, a type that was removed from the format")
        if n < 0 or n >= N_TYPES:
            self.fail(at, "type", f"found {n}, expected a known type, 0 to {N_TYPES - 1}")
        t.type = n
        block = block_size[n]
        row = t.ne[0]
        if elements % block:
            self.fail(at, "type", f"tensor '{t.name}' of type {n} ({TYPES[n].name}) number of elements ({elements}) "
                                  f"is not a multiple of block size ({block})")
        if row % block:
            self.fail(at, "type", f"found type {n} ({TYPES[n].name}) with rows of {row} elements, expected "
                                  f"a multiple of block size ({block})")
        if elements // block > self.size // block_bytes[n]:
            self.out_of_bounds(t, f"{elements // block * <object> block_bytes[n]} bytes in a file of {self.size}")
        t.nbytes = elements // block * block_bytes[n]
        return 0

    cdef out_of_bounds(self, TensorInfo t, str found):
        self.blame(self.pos, "tensor data", f"tensor '{t.name}' data is not within the file bounds, model is corrupted "
                                            f"or incomplete: found {found}")

    cdef int place(self, list tensors, uint64_t data_start, uint64_t alignment) except -1:
        """Offsets of the data: aligned, inside the file, and no byte belongs to two tensors."""
        cdef TensorInfo t
        cdef uint64_t end = 0
        cdef bint sorted_by_offset = True
        for t in tensors:
            self.name = t.name
            self.pos = t.at
            if t.relative & (alignment - 1):
                self.fail(t.at, "offset", f"found {t.relative}, expected a multiple of the alignment {alignment}")
            if (data_start > self.size or t.relative > self.size - data_start
                    or t.nbytes > self.size - data_start - t.relative):
                self.out_of_bounds(t, f"{t.nbytes} bytes from offset {t.relative + <object> data_start} on "
                                      f"in a file of {self.size}")
            t.offset = data_start + t.relative
            if t.offset < end:
                sorted_by_offset = False
            end = t.offset + t.nbytes
        self.overlap(tensors if sorted_by_offset else sorted(tensors, key=_offset))
        return 0

    cdef int overlap(self, list tensors) except -1:
        cdef TensorInfo t, before = None
        for t in tensors:
            if before is not None and t.offset < before.offset + before.nbytes:
                self.name = t.name
                self.fail(t.at, "offset", f"found data at byte {t.offset}, inside tensor '{before.name}' "
                                          f"(bytes {before.offset} to {before.offset + before.nbytes})")
            before = t
        return 0


def _offset(TensorInfo t):
    return t.offset
