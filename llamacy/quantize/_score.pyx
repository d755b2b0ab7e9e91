"""How surprised a model is by a token: the one number of a perplexity that takes a look at every logit."""
from cpython.buffer cimport Py_buffer, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport expf, log
from libc.stdint cimport int64_t


def surprise(logits, int64_t token):
    """-log of the probability of `token`. logits: (n_vocab,) float32. ValueError: no such token."""
    cdef Py_buffer view
    cdef const float *x
    cdef int64_t n, i
    cdef float most
    cdef double total = 0
    PyObject_GetBuffer(logits, &view, PyBUF_SIMPLE)
    try:
        x, n = <const float *> view.buf, view.len // 4
        if not 0 <= token < n:
            raise ValueError(f"token {token} of {n}")
        with nogil:
            most = x[0]
            for i in range(n):
                if x[i] > most:
                    most = x[i]
            for i in range(n):
                total += expf(x[i] - most)
        return log(total) - (x[token] - most)
    finally:
        PyBuffer_Release(&view)
