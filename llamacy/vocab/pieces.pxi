# Tokens to bytes, where the text of a token is not what it says.

cdef bytes byte_of_text(bytes text):
    """<0x41> -> A; nothing if that is not what the text looks like."""
    try:
        return bytes((int(text[3:5], 16),))
    except ValueError:
        return b""


cdef bytes bytes_of_codes(bytes text):
    """What a BPE token stands for. A character that stands for no byte is left as it is."""
    cdef const uint8_t *p = <const uint8_t *> PyBytes_AS_STRING(text)
    cdef uint64_t n = PyBytes_GET_SIZE(text), i = 0, size = 0
    cdef uint8_t *out = <uint8_t *> malloc(n + 1)
    cdef uint32_t code = 0
    cdef int step
    if out is NULL:
        raise MemoryError()
    try:
        while i < n:
            step = decode(p + i, n - i, &code)
            if step and code < BYTE_CODES and byte_of_code[code] >= 0:
                out[size] = <uint8_t> byte_of_code[code]
                size += 1
            else:
                step = step or 1
                memcpy(out + size, p + i, step)
                size += step
            i += step
        return out[:size]
    finally:
        free(out)
