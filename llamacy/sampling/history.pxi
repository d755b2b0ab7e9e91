# The tokens that penalties can see. Textual part of _sampler.pyx.

ctypedef struct History:
    int32_t *tokens                # (capacity,) the last `count` tokens
    size_t count, capacity
    size_t size                    # how far back it reaches: more is forgotten, what is missing counts as token 0


cdef int push(History *h, int32_t token) except -1:
    """Append a token. Room is made as tokens come: a user may ask for a history of any size."""
    cdef size_t wanted
    cdef int32_t *grown
    if h.count == h.capacity:
        if h.count >= h.size and h.count - h.size >= h.size // 2:
            memmove(h.tokens, h.tokens + (h.count - h.size), h.size * sizeof(int32_t))
            h.count = h.size
        else:
            wanted = 2 * h.capacity + 64
            grown = <int32_t *> realloc(h.tokens, wanted * sizeof(int32_t))
            if grown is NULL:
                raise MemoryError
            h.tokens = grown
            h.capacity = wanted
    h.tokens[h.count] = token
    h.count += 1
    return 0


cdef int copy_history(History *to, const History *source) except -1:
    cdef size_t i
    to.count = 0
    to.size = source.size
    for i in range(source.count):
        push(to, source.tokens[i])
    return 0


cdef inline float penalized(float logit, size_t count, float repeat, float frequency, float presence) noexcept nogil:
    logit = logit * repeat if logit <= 0 else logit / repeat
    return logit - (<float> count * frequency + presence)


cdef void penalize(float *logits, const History *h, size_t window, int32_t *counts, float repeat, float frequency,
                   float presence) noexcept nogil:
    """Make the tokens among the last `window` less likely. counts: (n_vocab,) all 0, before and after."""
    cdef const int32_t *seen = h.tokens + (h.count - min(window, h.count))
    cdef size_t i, n = min(window, h.count)
    cdef size_t zeros = window - n
    for i in range(n):
        counts[seen[i]] += 1
    if zeros:
        logits[0] = penalized(logits[0], zeros + counts[0], repeat, frequency, presence)
        counts[0] = 0
    for i in range(n):
        if counts[seen[i]]:
            logits[seen[i]] = penalized(logits[seen[i]], counts[seen[i]], repeat, frequency, presence)
            counts[seen[i]] = 0
