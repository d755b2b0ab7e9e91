# Merging neighbours, best pair first: the engine that SPM and BPE share. They differ in how they rank a pair.
#
# Symbols are a linked list over one text; a pair waits in a binary heap under the key rank << 32 | left symbol, so the
# smallest key is the best rank and, of equals, the leftmost. A pair that was overtaken by another merge is recognised
# when it comes up: a symbol only ever grows or becomes empty, so the two sizes no longer add up. n log n, whatever the
# text.

cdef enum:
    UNRANKED = 0xFFFFFFFF
    # What tokenizing returns instead of 0; more than 0 is 1 + a byte for which there is no token.
    NO_MEMORY = -1
    NEED_ORDER = -2  # see order.pxi
    TOO_MANY = -3  # overlapping special tokens
    TOO_LONG = -4  # normalized text

cdef struct Symbol:
    uint64_t hash
    uint32_t start, size  # bytes of the text; size 0: merged into its left neighbour
    int32_t prev, next  # -1: none

cdef struct Pair:
    uint64_t key
    uint32_t right, size

cdef struct Ids:
    int32_t *data
    size_t count, room

cdef struct Work:
    const uint8_t *text  # what the symbols are pieces of
    Symbol *symbols
    size_t count, room
    Pair *heap
    size_t heap_count, heap_room

ctypedef uint32_t (*rank_of)(const Core *c, const uint8_t *text, const Symbol *left, const Symbol *right) noexcept nogil


cdef int grow(void **data, size_t *room, size_t need, size_t size) noexcept nogil:
    """Make room for `need` items of `size` bytes, at least twice the room there was."""
    cdef size_t more
    cdef void *moved
    if need <= room[0]:
        return 0
    more = need if need > 2 * room[0] else 2 * room[0]
    moved = realloc(data[0], more * size)
    if moved is NULL:
        return NO_MEMORY
    data[0] = moved
    room[0] = more
    return 0


cdef inline int push_id(Ids *ids, int32_t id) noexcept nogil:
    if ids.count == ids.room and grow(<void **> &ids.data, &ids.room, ids.count + 16, sizeof(int32_t)):
        return NO_MEMORY
    ids.data[ids.count] = id
    ids.count += 1
    return 0


cdef void work_free(Work *w) noexcept nogil:
    free(w.symbols)
    free(w.heap)


cdef int start_symbols(Work *w, const uint8_t *text, size_t most) noexcept nogil:
    """Begin a new list of up to `most` symbols over `text`."""
    w.text = text
    w.count = 0
    w.heap_count = 0
    return grow(<void **> &w.symbols, &w.room, most, sizeof(Symbol))


cdef inline void add_symbol(Work *w, uint32_t start, uint32_t size) noexcept nogil:
    """Append a symbol; it ends the list until the next one comes."""
    cdef Symbol *s = &w.symbols[w.count]
    s.hash = hash_on(0, w.text + start, size)
    s.start = start
    s.size = size
    s.prev = <int32_t> w.count - 1
    s.next = -1
    if w.count:
        w.symbols[w.count - 1].next = <int32_t> w.count
    w.count += 1


cdef int heap_push(Work *w, Pair pair) noexcept nogil:
    cdef size_t i = w.heap_count, up
    if grow(<void **> &w.heap, &w.heap_room, i + 1, sizeof(Pair)):
        return NO_MEMORY
    w.heap_count += 1
    while i:
        up = (i - 1) >> 1
        if w.heap[up].key <= pair.key:
            break
        w.heap[i] = w.heap[up]
        i = up
    w.heap[i] = pair
    return 0


cdef Pair heap_pop(Work *w) noexcept nogil:
    """Take the smallest key. The heap must not be empty."""
    cdef Pair top = w.heap[0]
    cdef Pair last
    cdef size_t i = 0, down = 1
    w.heap_count -= 1
    last = w.heap[w.heap_count]
    while down < w.heap_count:
        if down + 1 < w.heap_count and w.heap[down + 1].key < w.heap[down].key:
            down += 1
        if last.key <= w.heap[down].key:
            break
        w.heap[i] = w.heap[down]
        i = down
        down = 2 * i + 1
    w.heap[i] = last
    return top


cdef int offer(const Core *c, Work *w, int32_t left, int32_t right, rank_of rank) noexcept nogil:
    """Queue two neighbours (-1: there is none) if they can be merged."""
    cdef Pair pair
    cdef uint64_t r
    if left < 0 or right < 0:
        return 0
    r = rank(c, w.text, &w.symbols[left], &w.symbols[right])
    if r == UNRANKED:
        return 0
    pair.key = r << 32 | <uint32_t> left
    pair.right = right
    pair.size = w.symbols[left].size + w.symbols[right].size
    return heap_push(w, pair)


cdef int merge_symbols(const Core *c, Work *w, rank_of rank) noexcept nogil:
    """Merge until no two neighbours can be merged. Returns 0 or NO_MEMORY."""
    cdef Pair pair
    cdef Symbol *left
    cdef Symbol *right
    cdef int32_t i
    for i in range(1, <int32_t> w.count):
        if offer(c, w, i - 1, i, rank):
            return NO_MEMORY
    while w.heap_count:
        pair = heap_pop(w)
        i = <int32_t> <uint32_t> pair.key
        left = &w.symbols[i]
        right = &w.symbols[pair.right]
        if left.size == 0 or right.size == 0 or left.size + right.size != pair.size:
            continue
        left.hash = left.hash * power(right.size) + right.hash
        left.size = pair.size
        left.next = right.next
        right.size = 0
        if right.next >= 0:
            w.symbols[right.next].prev = i
        if offer(c, w, left.prev, i, rank) or offer(c, w, i, left.next, rank):
            return NO_MEMORY
    return 0
