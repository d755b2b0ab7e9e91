# Growable arrays of numbers, tables from numbers to numbers, and what is made of them, in C.

cdef uint32_t NOTHING = 0xFFFFFFFF

cdef struct Array:
    uint32_t *data
    size_t count, room

cdef struct Map:
    uint64_t *keys  # (room,) FREE where there is no entry
    uint32_t *values
    size_t count, room  # room: 0 or a power of two, at least twice count

cdef struct Lists:  # many lists of numbers
    Array head  # by list: its newest entry; NOTHING: it has none
    Array item, next  # by entry

cdef uint64_t FREE = 0xFFFFFFFFFFFFFFFF


cdef int reserve(Array *a, size_t extra) except -1:
    """Make room for `extra` more numbers."""
    cdef size_t room
    cdef void *data
    if a.count + extra <= a.room:
        return 0
    room = max(2 * a.room, a.count + extra, <size_t> 16)
    data = realloc(a.data, room * sizeof(uint32_t))
    if data is NULL:
        raise MemoryError()
    a.data, a.room = <uint32_t *> data, room
    return 0


cdef inline int push(Array *a, uint32_t x) except -1:
    if a.count == a.room:
        reserve(a, 1)
    a.data[a.count] = x
    a.count += 1
    return 0


cdef int push_all(Array *a, const uint32_t *data, size_t count) except -1:
    """`data` must not lie in `a`."""
    if count:
        reserve(a, count)
        memcpy(a.data + a.count, data, count * sizeof(uint32_t))
        a.count += count
    return 0


cdef inline uint64_t scramble(uint64_t x) noexcept nogil:
    x = (x ^ (x >> 32)) * 0x9E3779B97F4A7C15ULL
    return x ^ (x >> 29)


cdef inline uint32_t map_get(const Map *m, uint64_t key) noexcept nogil:
    """NOTHING: it has no such key."""
    cdef size_t i
    if m.room == 0:
        return NOTHING
    i = scramble(key) & (m.room - 1)
    while m.keys[i] != key:
        if m.keys[i] == FREE:
            return NOTHING
        i = (i + 1) & (m.room - 1)
    return m.values[i]


cdef int map_put(Map *m, uint64_t key, uint32_t value) except -1:
    """Add a key that is not there yet."""
    cdef size_t i
    if 2 * (m.count + 1) > m.room:
        map_grow(m)
    i = scramble(key) & (m.room - 1)
    while m.keys[i] != FREE:
        i = (i + 1) & (m.room - 1)
    m.keys[i] = key
    m.values[i] = value
    m.count += 1
    return 0


cdef int map_grow(Map *m) except -1:
    cdef Map old = m[0]
    cdef size_t i, room = max(2 * old.room, <size_t> 64)
    cdef uint64_t *keys = <uint64_t *> malloc(room * sizeof(uint64_t))
    cdef uint32_t *values = <uint32_t *> malloc(room * sizeof(uint32_t))
    if keys is NULL or values is NULL:
        free(keys)
        free(values)
        raise MemoryError()
    memset(keys, 0xFF, room * sizeof(uint64_t))
    m.keys, m.values, m.count, m.room = keys, values, 0, room
    for i in range(old.room):
        if old.keys[i] != FREE:
            map_put(m, old.keys[i], old.values[i])
    map_free(&old)
    return 0


cdef void map_free(Map *m) noexcept:
    free(m.keys)
    free(m.values)


cdef int by_value(const void *a, const void *b) noexcept nogil:
    cdef uint32_t x = (<const uint32_t *> a)[0], y = (<const uint32_t *> b)[0]
    return (x > y) - (x < y)


cdef void sort(uint32_t *data, size_t count) noexcept nogil:
    """Ascending. Most are of a few numbers."""
    cdef size_t i, k
    cdef uint32_t x
    if count > 24:
        qsort(data, count, sizeof(uint32_t), &by_value)
        return
    for i in range(1, count):
        x, k = data[i], i
        while k > 0 and data[k - 1] > x:
            data[k] = data[k - 1]
            k -= 1
        data[k] = x


cdef size_t sort_unique(uint32_t *data, size_t count) noexcept nogil:
    """Ascending, each once; return how many are left."""
    cdef size_t i, n = 0
    sort(data, count)
    for i in range(count):
        if n == 0 or data[i] != data[n - 1]:
            data[n] = data[i]
            n += 1
    return n


cdef int heap_push(Array *heap, uint32_t x) except -1:
    """heap: the largest first, then each above those at twice its place and the one behind that."""
    cdef size_t i
    push(heap, x)
    i = heap.count - 1
    while i > 0 and heap.data[(i - 1) // 2] < x:
        heap.data[i] = heap.data[(i - 1) // 2]
        i = (i - 1) // 2
    heap.data[i] = x
    return 0


cdef uint32_t heap_pop(Array *heap) noexcept nogil:
    """Remove the largest."""
    cdef uint32_t top = heap.data[0], x
    cdef size_t i = 0, child = 1
    heap.count -= 1
    x = heap.data[heap.count]
    while child < heap.count:
        if child + 1 < heap.count and heap.data[child + 1] > heap.data[child]:
            child += 1
        if heap.data[child] <= x:
            break
        heap.data[i] = heap.data[child]
        i, child = child, 2 * child + 1
    heap.data[i] = x
    return top


cdef int lists_new(Lists *l, size_t count) except -1:
    cdef size_t i
    reserve(&l.head, count)
    for i in range(count):
        push(&l.head, NOTHING)
    return 0


cdef int lists_add(Lists *l, uint32_t list, uint32_t item) except -1:
    push(&l.item, item)
    push(&l.next, l.head.data[list])
    l.head.data[list] = <uint32_t> l.item.count - 1
    return 0


cdef void lists_free(Lists *l) noexcept:
    free(l.head.data)
    free(l.item.data)
    free(l.next.data)
