# The samplers: each shortens, reorders or scales the candidates. Textual part of _sampler.pyx.
#
# Everything is single precision and in this order of operations: results are compared bit by bit with recorded runs.


cdef void top_k(Candidates *c, int k, size_t min_keep) noexcept nogil:
    cdef size_t keep = min(max(<size_t> k, min_keep), c.size) if k > 0 else c.size
    if not c.sorted:
        bring_best(c, keep)
        c.sorted = True
    c.size = keep


cdef inline float curvature(const Candidate *c) noexcept nogil:
    """|second difference| of the probabilities of c[0], c[1], c[2]."""
    return fabsf((c[0].p - c[1].p) - (c[1].p - c[2].p))


cdef void tail_free(Candidates *c, float z, size_t min_keep) noexcept nogil:
    cdef size_t i, n
    cdef float total = 0, share, seen = 0
    if z >= 1 or c.size <= 2:
        return
    softmax(c)
    n = c.size - 2
    for i in range(n):
        total += curvature(&c.data[i])
    for i in range(n):
        share = curvature(&c.data[i]) / total if total > <float> 1e-6 else <float> 1.0 / <float> n
        seen += share
        if seen > z and i >= min_keep:
            c.size = i
            return


cdef void typical(Candidates *c, float p, size_t min_keep) noexcept nogil:
    """Keep those whose surprise is nearest to the entropy, nearest first. Stays in that order, unsorted."""
    cdef size_t i, keep = 0
    cdef float entropy = 0, seen = 0
    cdef uint64_t *order
    if p >= 1:
        return
    softmax(c)
    for i in range(c.size):
        entropy += -c.data[i].p * logf(c.data[i].p)
    for i in range(c.size):
        c.keys[i] = <uint64_t> ascending(fabsf(-logf(c.data[i].p) - entropy)) << 32 | i
    order = sort_keys(c.keys, c.spare, c.size)
    while keep < c.size:
        seen += c.data[order[keep] & 0xFFFFFFFFU].p
        keep += 1
        if seen > p and keep >= min_keep:
            break
    place(c, order, keep)
    c.size = keep
    c.sorted = False


cdef void top_p(Candidates *c, float p, size_t min_keep) noexcept nogil:
    cdef size_t i
    cdef float seen = 0
    if p >= 1:
        return
    softmax(c)
    for i in range(c.size):
        seen += c.data[i].p
        if seen >= p and i + 1 >= min_keep:
            c.size = i + 1
            return


cdef void min_p(Candidates *c, float p, size_t min_keep) noexcept nogil:
    cdef size_t i, keep = 0
    cdef float limit, top
    if p <= 0 or c.size == 0:
        return
    if not c.sorted:
        top = -FLT_MAX
        for i in range(c.size):
            top = max(top, c.data[i].logit)
        limit = top + logf(p)
        for i in range(c.size):
            keep += c.data[i].logit >= limit
        if keep >= min_keep:
            drop_below(c, limit)
            return
    sort(c)
    limit = c.data[0].logit + logf(p)
    keep = 1
    while keep < c.size and not (c.data[keep].logit < limit and keep >= min_keep):
        keep += 1
    c.size = keep


cdef void drop_below(Candidates *c, float limit) noexcept nogil:
    """Close up the candidates with logits of at least `limit`."""
    cdef size_t i, n = 0
    for i in range(c.size):
        if c.data[i].logit >= limit:
            c.data[n] = c.data[i]
            n += 1
    c.size = n


cdef void divide(Candidates *c, float by) noexcept nogil:
    cdef size_t i
    for i in range(c.size):
        c.data[i].logit /= by


cdef void dynamic_temperature(Candidates *c, float low, float high, float exponent) noexcept nogil:
    """Divide by a temperature from low (one candidate has it all) to high (all are alike)."""
    cdef size_t i
    cdef float p, entropy = 0, most
    if c.size <= 1:
        return
    most = -logf(<float> 1.0 / <float> c.size)
    softmax(c)
    for i in range(c.size):
        p = c.data[i].p
        if p > 0:
            entropy -= p * logf(p)
    divide(c, low + (high - low) * powf(entropy / most, exponent))


cdef size_t draw(const Candidates *c, Mt19937 rng, double *u) noexcept nogil:
    """Position of a candidate drawn by the p of each; *u: the number that decided, -1 if none was needed."""
    cdef double total = 0, border = 0
    cdef size_t i
    u[0] = -1
    if c.size < 2:
        return 0
    for i in range(c.size):
        total += c.data[i].p
    u[0] = rng.uniform()
    for i in range(c.size - 1):
        border += c.data[i].p / total
        if not border < u[0]:              # also if it is not a number
            return i
    return c.size - 1


cdef int mirostat_cut(Candidates *c, float mu, size_t n_vocab) noexcept nogil:
    """How many candidates Mirostat 1 keeps; 0 or less: all. It guesses the slope of Zipf's law from the 100 best."""
    cdef size_t i
    cdef float t, b, tb = 0, tt = 0, slope, excess, k
    for i in range(min(<size_t> 99, c.size - 1)):
        t = logf(<float> (i + 2) / <float> (i + 1))
        b = logf(c.data[i].p / c.data[i + 1].p)
        tb += t * b
        tt += t * t
    slope = tb / tt
    excess = slope - 1
    k = powf((excess * powf(2, mu)) / (1 - powf(<float> n_vocab, -excess)), 1 / slope)
    return <int> k if 0 <= k < <float> 2147483648.0 else 0


cdef void drop_surprising(Candidates *c, float mu) noexcept nogil:
    """Mirostat 2: keep those before the first whose surprise in bits is above mu, and at least one."""
    cdef size_t keep = 0
    while keep < c.size and not -log2f(c.data[keep].p) > mu:
        keep += 1
    c.size = max(<size_t> 1, keep)


cdef void log_softmax(float *x, size_t n) noexcept nogil:
    """x: (n,), in place."""
    cdef size_t i
    cdef float top = x[0], total = 0
    for i in range(1, n):
        if top < x[i]:
            top = x[i]
    for i in range(n):
        x[i] = expf(x[i] - top)
        total += x[i]
    for i in range(n):
        x[i] = logf(x[i] / total)


cdef void guide(float *x, float *g, size_t n, float scale) noexcept nogil:
    """Classifier-free guidance: move away from what the other prompt suggests. x, g: (n,), both in place."""
    cdef size_t i
    log_softmax(x, n)
    log_softmax(g, n)
    for i in range(n):
        x[i] = scale * (x[i] - g[i]) + g[i]
