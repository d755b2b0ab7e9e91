# Private functions that tests call from Python.

def _test_words(patterns, bytes text not None, bint unicode=False):
    """list of bytes: `text` cut into words by patterns."""
    from llamacy.vocab.pattern import compile
    cdef size_t n = len(text), i, count, start = 0
    cdef uint32_t *codes = <uint32_t *> calloc(3 * n + 3, sizeof(uint32_t))
    cdef uint32_t *ends = codes + n + 1
    cdef uint32_t *more = ends + n + 1
    cdef uint8_t *categories = <uint8_t *> calloc(n + 1, 1)
    cdef bytes program
    assert codes is not NULL and categories is not NULL
    n = decode_all(<const uint8_t *> PyBytes_AS_STRING(text), n, codes)
    for i in range(n):
        categories[i] = category_of(codes[i])
    ends[0] = <uint32_t> n
    count = 1 if n else 0
    for program in [compile(pattern, unicode) for pattern in patterns]:
        count = split_pieces(<const uint32_t *> PyBytes_AS_STRING(program), codes, categories, ends, count, more)
        ends, more = more, ends
    words = []
    for i in range(count):
        words.append(b"".join([_test_encode(codes[k]) for k in range(start, ends[i])]))
        start = ends[i]
    free(codes)
    free(categories)
    return words


def _test_encode(uint32_t code):
    cdef uint8_t out[4]
    return out[:encode(code, out)]


from llamacy.vocab.pattern import CATEGORIES as GENERAL_CATEGORIES


def _test_code_point(uint32_t code):
    """(category, lower case, first of the decomposition)"""
    return GENERAL_CATEGORIES[category_of(code)], lower_of(code), first_of_decomposition(code)
