# Words that have been met before in a text: their tokens are copied. Most words of a text are repeated.
#
# Nothing but the time depends on it. A word is an array of items (bytes or code points) that stays where it is for as
# long as the table is used; so do the tokens, in the list that is being made.

cdef enum:
    KNOWN_SLOTS = 1 << 14  # the slot of a word is the upper 14 bits of its mixed hash
    KNOWN_FROM = 4096  # bytes or code points of text: below that, clearing the table costs more than it gives
    KNOWN_LONGEST = 256  # bytes of a word

cdef struct KnownWord:
    uint64_t hash
    uint32_t start, size  # bytes from the beginning of the text; size 0: free
    uint32_t first, count  # tokens

cdef struct Known:
    const uint8_t *text
    KnownWord *slots  # (KNOWN_SLOTS,); NULL: nothing is kept


cdef void known_new(Known *k, const void *text, uint64_t items) noexcept nogil:
    """Words of `text` will be kept, if it is long enough and there is memory."""
    k.text = <const uint8_t *> text
    k.slots = <KnownWord *> calloc(KNOWN_SLOTS, sizeof(KnownWord)) if items >= KNOWN_FROM else NULL


cdef inline bint known_copy(const Known *k, uint64_t hash, uint64_t start, uint64_t size, Ids *out,
                            int *status) noexcept nogil:
    """True if the word (`size` bytes from `start`) is known: its tokens are appended, or status is NO_MEMORY."""
    cdef const KnownWord *word
    if k.slots is NULL:
        return False
    word = &k.slots[mixed(hash) >> 50]
    if word.hash != hash or word.size != size or memcmp(k.text + word.start, k.text + start, size):
        return False
    status[0] = grow(<void **> &out.data, &out.room, out.count + word.count, sizeof(int32_t))
    if not status[0]:
        memcpy(out.data + out.count, out.data + word.first, word.count * sizeof(int32_t))
        out.count += word.count
    return True


cdef inline void known_add(Known *k, uint64_t hash, uint64_t start, uint64_t size, size_t first,
                           size_t end) noexcept nogil:
    """Keep a word whose tokens are `first` up to, not including, `end`."""
    cdef KnownWord *word
    if k.slots is NULL or size > KNOWN_LONGEST or end > 0x7FFFFFFF:
        return
    word = &k.slots[mixed(hash) >> 50]
    word.hash = hash
    word.start = <uint32_t> start
    word.size = <uint32_t> size
    word.first = <uint32_t> first
    word.count = <uint32_t> (end - first)
