"""Memory that is a file, read-only: it outlives the file's name, and bytes that are cut off read as zeros."""
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.exc cimport PyErr_SetFromErrno
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, mmap, munmap

cimport cython

from llamacy._lcy cimport lcy_guard_add, lcy_guard_whole, lcy_guard_remove

cdef extern from *:
    """
    #include <sys/mman.h>
    /* What comes from the disk then comes in pages of 2 MiB where the file system can, which takes a quarter of the time and
     * costs no page faults. A system that cannot says no, and nothing is lost. */
    static void ask_for_huge_pages(void *start, size_t size) {
    #ifdef MADV_HUGEPAGE
        (void)madvise(start, size, MADV_HUGEPAGE);
    #else
        (void)start, (void)size;
    #endif
    }
    """
    void ask_for_huge_pages(void *start, size_t size) noexcept nogil


@cython.final
cdef class Mapped:
    """`size` bytes of a file descriptor, which may be closed afterwards. A buffer; unmapped with its last user.

    Errors  OSError: the system refuses.
    """
    cdef void *start
    cdef Py_ssize_t size
    cdef int guard

    def __cinit__(self, int fd, Py_ssize_t size):
        self.guard = -1
        self.start = mmap(NULL, <size_t> size, PROT_READ, MAP_SHARED, fd, 0)
        if self.start == MAP_FAILED:
            self.start = NULL
            PyErr_SetFromErrno(OSError)
        self.size = size
        ask_for_huge_pages(self.start, <size_t> size)
        self.guard = lcy_guard_add(self.start, <size_t> size)

    def __dealloc__(self):
        lcy_guard_remove(self.guard)
        if self.start is not NULL:
            munmap(self.start, <size_t> self.size)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.start, self.size, 1, flags)

    def whole(self):
        """False if the file no longer has all these bytes: what is missing reads as zeros."""
        return lcy_guard_whole(self.guard) != 0
