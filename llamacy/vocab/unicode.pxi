# UTF-8 in both directions, and what generate_unicode.py knows of code points.

include "unicode_data.pxi"

cdef enum:  # sets of categories: bit i is number i of the generator's CATEGORIES
    SEPARATOR = 0x700
    MARK = 0x3800
    PUNCTUATION = 0x1FC000
    CONTROL = 0x1E000000

cdef enum:
    NO_CATEGORY = 29
    BAD_BYTE = 0x110000  # + b: stands for a byte b that is no part of a valid character
    REPLACEMENT = 0xFFFD


cdef inline int lead_length(uint8_t lead) noexcept nogil:
    """Bytes of the character that begins with `lead`; a continuation byte counts as one."""
    if lead < 0xC0:
        return 1
    return 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


cdef inline int decode(const uint8_t *text, uint64_t n, uint32_t *code) noexcept nogil:
    """Read one character from `text` (n > 0 bytes). Returns its length; 0: there is none.

    Overlong forms and surrogates are taken as they are, as the reference does.
    """
    cdef uint8_t lead = text[0]
    cdef int i, size = lead_length(lead)
    cdef uint32_t c = lead if size == 1 else lead & (0x7F >> size)
    if lead >= 0xF8 or size == 1 and lead >= 0x80 or <uint64_t> size > n:
        return 0
    for i in range(1, size):
        if text[i] & 0xC0 != 0x80:
            return 0
        c = c << 6 | text[i] & 0x3F
    code[0] = c
    return size if c < BAD_BYTE else 0


cdef inline int encode(uint32_t c, uint8_t *out) noexcept nogil:
    """Write one character, or the byte that BAD_BYTE stands for. out (4,). Returns its length."""
    if c < 0x80 or c >= BAD_BYTE:
        out[0] = <uint8_t> c
        return 1
    if c < 0x800:
        out[0] = 0xC0 | c >> 6
        out[1] = 0x80 | c & 0x3F
        return 2
    if c < 0x10000:
        out[0] = 0xE0 | c >> 12
        out[1] = 0x80 | c >> 6 & 0x3F
        out[2] = 0x80 | c & 0x3F
        return 3
    out[0] = 0xF0 | c >> 18
    out[1] = 0x80 | c >> 12 & 0x3F
    out[2] = 0x80 | c >> 6 & 0x3F
    out[3] = 0x80 | c & 0x3F
    return 4


cdef bint is_utf8(const uint8_t *text, uint64_t n) noexcept nogil:
    cdef uint64_t i = 0
    cdef uint32_t c
    cdef int size
    while i < n:
        if text[i] < 0x80:
            i += 1
            continue
        size = decode(text + i, n - i, &c)
        if size == 0:
            return False
        i += size
    return True


cdef uint64_t decode_all(const uint8_t *text, uint64_t n, uint32_t *codes) noexcept nogil:
    """codes (n,): the characters of `text`, BAD_BYTE + b for what is none. Returns how many there are."""
    cdef uint64_t i = 0, count = 0
    cdef int size
    while i < n:
        size = decode(text + i, n - i, &codes[count])
        if size == 0:
            codes[count] = BAD_BYTE + text[i]
            size = 1
        i += size
        count += 1
    return count


cdef uint8_t ascii_categories[0x80]


cdef uint8_t category_of(uint32_t c) noexcept nogil:
    """Index into the generator's CATEGORIES."""
    cdef int low = 0, high = N_CATEGORY_RUNS, middle
    if c < 0x80:
        return ascii_categories[c]
    if c >= BAD_BYTE:
        return NO_CATEGORY
    while high - low > 1:
        middle = (low + high) >> 1
        if category_runs[middle] >> 5 <= c:
            low = middle
        else:
            high = middle
    return category_runs[low] & 31


cdef void fill_ascii_categories() noexcept:
    cdef uint32_t c, run = 0
    for c in range(0x80):
        while category_runs[run + 1] >> 5 <= c:
            run += 1
        ascii_categories[c] = category_runs[run] & 31


fill_ascii_categories()


cdef uint32_t lower_of(uint32_t c) noexcept nogil:
    """Simple lower case, one code point for one."""
    cdef int low = 0, high = N_LOWER_RUNS, middle
    while high - low > 1:
        middle = (low + high) >> 1
        if lower_runs[middle].first <= c:
            low = middle
        else:
            high = middle
    if lower_runs[low].first <= c <= lower_runs[low].last and (c - lower_runs[low].first) % lower_runs[low].step == 0:
        return c + lower_runs[low].delta
    return c


cdef uint32_t first_of_decomposition(uint32_t c) noexcept nogil:
    """The first code point of the canonical decomposition: a letter without its accents."""
    cdef int low = 0, high = N_NFD_RUNS, middle
    while high - low > 1:
        middle = (low + high) >> 1
        if nfd_runs[middle].first <= c:
            low = middle
        else:
            high = middle
    if nfd_runs[low].first <= c <= nfd_runs[low].last:
        return first_of_nfd[nfd_runs[low].index + c - nfd_runs[low].first]
    return c
