# Memory that others own, held for as long as C code points into it.

cdef class Buffers:
    """Holds on to the memory that a Core points into."""

    cdef Py_buffer views[16]
    cdef int count

    cdef const void *add(self, view) except? NULL:
        """The address of a memoryview's items; the view stays held."""
        PyObject_GetBuffer(view, &self.views[self.count], PyBUF_FORMAT | PyBUF_ND)
        self.count += 1
        return self.views[self.count - 1].buf

    cdef Texts texts(self, strings):
        """A StringArray as C sees it."""
        cdef Texts t
        t.base = <const uint8_t *> self.add(strings.buffer)
        t.offset = <const uint64_t *> self.add(strings.offsets)
        t.length = <const uint64_t *> self.add(strings.lengths)
        t.count = len(strings)
        return t

    def __dealloc__(self):
        cdef int i
        for i in range(self.count):
            PyBuffer_Release(&self.views[i])
