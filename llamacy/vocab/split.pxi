# Cutting text into words with a compiled pattern (pattern.py compiles and describes it). All positions are code points.

cdef enum:
    OP_REPEAT = 0  # set, least, most: as many as possible, then fewer
    OP_SPLIT = 1  # to: go on here; if that fails, there
    OP_JUMP = 2  # to
    OP_AHEAD = 3  # set, wanted: the next character is in the set (1), or is not or there is none (0)
    OP_END = 4  # the piece ends here
    OP_MATCH = 5
    OP_WORDS = 4
    MAX_ALTERNATIVES = 16
    MAX_CHOICES = 48  # REPEATs and SPLITs in one alternative; pattern.py refuses more
    UNBOUNDED = 0xFFFFFFFF

cdef struct Choice:
    const uint32_t *op  # where to go on
    size_t low, high  # at which positions, from high down to low


cdef inline bint in_set(const uint32_t *set, uint32_t code, uint8_t category) noexcept nogil:
    """set: bitmap of ASCII (4 words), categories | 1 << 31 to negate all beyond ASCII, number of ranges, the ranges."""
    cdef uint32_t low = 0, high, middle
    cdef bint found
    if code < 0x80:
        return set[code >> 5] >> (code & 31) & 1
    found = set[4] >> category & 1
    high = set[5]
    while low < high and not found:
        middle = (low + high) >> 1
        if code < set[6 + 2 * middle]:
            high = middle
        elif code > set[7 + 2 * middle]:
            low = middle + 1
        else:
            found = True
    return found ^ (set[4] >> 31)


cdef inline size_t run_end(const uint32_t *set, const uint32_t *codes, const uint8_t *categories, size_t at,
                           size_t end) noexcept nogil:
    """The first position from `at` on that is not in the set, at most `end`."""
    while at < end and in_set(set, codes[at], categories[at]):
        at += 1
    return at


cdef size_t match_alternative(const uint32_t *program, const uint32_t *op, const uint32_t *codes,
                              const uint8_t *categories, size_t at, size_t end) noexcept nogil:
    """Where a match from `at` on ends; `at` itself: there is none."""
    cdef Choice choices[MAX_CHOICES]
    cdef size_t start = at, stop, limit
    cdef int depth = 0
    cdef bint fine
    while op[0] != OP_MATCH:
        fine = True
        if op[0] == OP_REPEAT:
            limit = end if op[3] == UNBOUNDED or op[3] > end - at else at + op[3]
            stop = run_end(program + op[1], codes, categories, at, limit)
            fine = stop - at >= op[2]
            if fine and stop - at > op[2]:
                choices[depth].op = op + OP_WORDS
                choices[depth].low = at + op[2]
                choices[depth].high = stop - 1
                depth += 1
            at = stop
        elif op[0] == OP_SPLIT:
            choices[depth].op = program + op[1]
            choices[depth].low = choices[depth].high = at
            depth += 1
        elif op[0] == OP_JUMP:
            op = program + op[1]
            continue
        elif op[0] == OP_AHEAD:
            fine = (at < end and in_set(program + op[1], codes[at], categories[at])) == op[2]
        else:  # OP_END
            fine = at == end
        if fine:
            op += OP_WORDS
            continue
        if depth == 0:
            return start
        op = choices[depth - 1].op
        at = choices[depth - 1].high
        if at == choices[depth - 1].low:
            depth -= 1
        else:
            choices[depth - 1].high -= 1
    return at


cdef size_t match_at(const uint32_t *program, const uint32_t *codes, const uint8_t *categories, size_t at, size_t end,
                     size_t *hopeless) noexcept nogil:
    """Where the match at `at` ends; `at` itself: there is none.

    hopeless (program[0],): up to where an alternative cannot match. One that begins with any number of characters of a
    set and fails, fails at each later position of that run too, or it would have matched here with the characters
    between. This keeps the search linear.
    """
    cdef const uint32_t *op
    cdef size_t stop
    cdef uint32_t i
    for i in range(program[0]):
        if at < hopeless[i]:
            continue
        op = program + program[1 + i]
        stop = match_alternative(program, op, codes, categories, at, end)
        if stop > at:
            return stop
        if op[0] == OP_REPEAT and op[3] == UNBOUNDED:
            hopeless[i] = run_end(program + op[1], codes, categories, at, end)
    return at


cdef size_t split_thousands(const uint32_t *program, const uint32_t *codes, const uint8_t *categories,
                            const uint32_t *ends, size_t count, uint32_t *out) noexcept nogil:
    """split_pieces for a program without alternatives: cut runs of its set in threes, counted from the run's end."""
    cdef size_t piece, at = 0, start, stop, n = 0
    for piece in range(count):
        start = at
        while at < ends[piece]:
            stop = run_end(program + 1, codes, categories, at, ends[piece])
            if stop == at:
                at += 1
                continue
            at += (stop - at) % 3
            while at < stop:
                if at > start:
                    out[n] = <uint32_t> at
                    n += 1
                at += 3
        out[n] = <uint32_t> at
        n += 1
    return n


cdef size_t split_pieces(const uint32_t *program, const uint32_t *codes, const uint8_t *categories,
                         const uint32_t *ends, size_t count, uint32_t *out) noexcept nogil:
    """Cut each piece at all matches; what lies between two of them is a piece too. Returns how many there are then.

    ends (count,): piece i ends before codes[ends[i]]. out: the same of the new pieces, room for one per code point.
    """
    cdef size_t hopeless[MAX_ALTERNATIVES]
    cdef size_t piece, at = 0, gap, stop, n = 0
    if program[0] == 0:
        return split_thousands(program, codes, categories, ends, count, out)
    memset(hopeless, 0, sizeof(hopeless))
    for piece in range(count):
        gap = at
        while at < ends[piece]:
            stop = match_at(program, codes, categories, at, ends[piece], hopeless)
            if stop == at:
                at += 1
                continue
            if gap < at:
                out[n] = <uint32_t> at
                n += 1
            out[n] = <uint32_t> stop
            n += 1
            at = gap = stop
        if gap < at:
            out[n] = <uint32_t> at
            n += 1
    return n
