# Where a text stands in a grammar: a set of stacks.
#
# A stack is a position and what comes after its rule; that again is a set of stacks, shared by all that wait for it.
# So a *node* is (position, rest: a set), a *set* is an ascending list of nodes, and equal ones are the same number. What
# would be 2 ** n stacks after n characters of an ambiguous grammar are n sets here. A step from a set over a piece of
# code points (Rules.cut) is a pair of numbers, and what it led to is remembered.

cdef enum:
    COMPLETE = 0  # the node of the empty stack
    UNKNOWN = 1  # a node below which anything may be: see verdicts.pxi
    NO_STACKS = 0  # the number of the empty set
    MOST_STACKS = 1 << 16  # in a set
    MOST_NODES = 1 << 23  # in memory at a time; so many numbers in sets too
    MOST_WORK = 1 << 28  # visits of nodes for one answer: a few seconds


cdef struct Decoder:  # an unfinished UTF-8 sequence
    uint32_t value
    int8_t missing  # bytes
    int8_t strict  # it began in an earlier token: then what follows must be continuation bytes


@cython.final
cdef class Stacks:
    """All stacks and sets of stacks met so far.

    Errors  GrammarError: more of them than the limits above. Everything that was complete before is still there.
    """

    cdef Rules rules
    cdef Array position, rest  # by node
    cdef Array mark  # by node: the last search that came by
    cdef uint32_t search
    cdef Map nodes  # rest << 32 | position -> node
    cdef Array members
    cdef Array at  # (n_sets + 1,) by set: its first member
    cdef Array expanded  # by set: what it comes to without reading anything; NOTHING: not known yet
    cdef Array table  # sets by their members: open addressing; NOTHING: free
    cdef Map steps  # set << 32 | piece -> set
    cdef Array found, work, heap  # of a search
    cdef Lists calls  # by component: sets that are to go on after one of its rules
    cdef uint64_t left  # of MOST_WORK

    def __cinit__(self, Rules rules not None):
        cdef int node
        self.rules = rules
        for node in range(2):
            push(&self.position, NOTHING)
            push(&self.rest, NO_STACKS)
            push(&self.mark, 0)
        push(&self.at, 0)
        self.left = MOST_WORK
        self.intern()
        lists_new(&self.calls, rules.order.member_at.count)

    def __dealloc__(self):
        free(self.position.data)
        free(self.rest.data)
        free(self.mark.data)
        free(self.members.data)
        free(self.at.data)
        free(self.expanded.data)
        free(self.table.data)
        free(self.found.data)
        free(self.work.data)
        free(self.heap.data)
        map_free(&self.nodes)
        map_free(&self.steps)
        lists_free(&self.calls)

    cdef inline size_t size(self, uint32_t set) noexcept nogil:
        return self.at.data[set + 1] - self.at.data[set]

    cdef inline const uint32_t *first(self, uint32_t set) noexcept nogil:
        return self.members.data + self.at.data[set]

    cdef inline bint has(self, uint32_t set, uint32_t node) noexcept nogil:
        """For COMPLETE and UNKNOWN, which come first in any set."""
        cdef size_t size = self.size(set)
        cdef const uint32_t *members = self.first(set)
        return size > 0 and members[0] == node or size > 1 and members[1] == node

    cdef error(self, limit, what):
        return GrammarError(f"the grammar is too ambiguous here: more than {limit} {what}")

    cdef inline int charge(self, size_t work) except -1:
        if work > self.left:
            raise self.error(MOST_WORK, "steps for one token")
        self.left -= work
        return 0

    # --- nodes and sets

    cdef uint32_t node(self, uint32_t position, uint32_t rest) except? 0xFFFFFFFF:
        cdef uint64_t key = <uint64_t> rest << 32 | position
        cdef uint32_t n = map_get(&self.nodes, key)
        if n != NOTHING:
            return n
        n = <uint32_t> self.position.count
        if n == MOST_NODES:
            raise self.error(MOST_NODES, "different stacks")
        push(&self.position, position)
        push(&self.rest, rest)
        push(&self.mark, 0)
        map_put(&self.nodes, key, n)
        return n

    cdef uint32_t intern(self) except? 0xFFFFFFFF:
        """The number of the set of the nodes in `found`, which may be there more than once."""
        cdef Array *f = &self.found
        cdef size_t slot
        cdef uint32_t set
        f.count = sort_unique(f.data, f.count)
        if f.count > MOST_STACKS:
            raise self.error(MOST_STACKS, "stacks at once")
        if 2 * self.at.count >= self.table.count:
            self.grow_table()
        slot = hash_of(f.data, f.count) & (self.table.count - 1)
        while self.table.data[slot] != NOTHING:
            set = self.table.data[slot]
            if self.size(set) == f.count and (f.count == 0 or not memcmp(self.first(set), f.data, 4 * f.count)):
                return set
            slot = (slot + 1) & (self.table.count - 1)
        if self.members.count + f.count > MOST_NODES:
            raise self.error(MOST_NODES, "stacks in sets")
        set = <uint32_t> self.at.count - 1
        push_all(&self.members, f.data, f.count)
        push(&self.at, <uint32_t> self.members.count)
        push(&self.expanded, NOTHING)
        self.table.data[slot] = set
        return set

    cdef int grow_table(self) except -1:
        cdef size_t slot, room = max(2 * self.table.count, <size_t> 64)
        cdef uint32_t set
        self.table.count = 0
        reserve(&self.table, room)
        self.table.count = room
        memset(self.table.data, 0xFF, room * sizeof(uint32_t))
        for set in range(self.at.count - 1):
            slot = hash_of(self.first(set), self.size(set)) & (room - 1)
            while self.table.data[slot] != NOTHING:
                slot = (slot + 1) & (room - 1)
            self.table.data[slot] = set
        return 0

    cdef uint32_t single(self, uint32_t node) except? 0xFFFFFFFF:
        self.found.count = 0
        push(&self.found, node)
        return self.intern()

    cdef uint32_t behind(self, uint32_t position, uint32_t rest) except? 0xFFFFFFFF:
        """The set that goes on when what `position` stands before has been read."""
        if self.rules.code.data[position + 1] == AT_END:
            return rest
        return self.single(self.node(position + 1, rest))

    cdef uint32_t begin(self) except? 0xFFFFFFFF:
        """The set before the first character of a text."""
        return self.expand(self.single(self.node(self.rules.root, self.single(COMPLETE))))

    # --- expanding: from stacks before rules to stacks before characters

    cdef uint32_t expand(self, uint32_t set) except? 0xFFFFFFFF:
        """The stacks with a class on top, or complete, that a set comes to without reading anything.

        First the stacks themselves, downwards where they may end. Then every rule met, once, in such an order that all
        that waits for it is known by then: this is what keeps an ambiguous grammar from having ever more stacks.
        """
        cdef Array result
        if self.expanded.data[set] != NOTHING:
            return self.expanded.data[set]
        memset(&result, 0, sizeof(result))
        self.search += 1
        try:
            self.expand_members(set, &result)
            while self.heap.count:
                self.expand_component(heap_pop(&self.heap), &result)
            self.found.count = 0
            push_all(&self.found, result.data, result.count)
        except BaseException:
            self.give_up()
            raise
        finally:
            free(result.data)
        self.expanded.data[set] = self.intern()
        return self.expanded.data[set]

    cdef void give_up(self) noexcept:
        """Forget the calls of a search that has failed."""
        cdef size_t i
        for i in range(self.calls.head.count):
            self.calls.head.data[i] = NOTHING
        self.calls.item.count = self.calls.next.count = 0
        self.heap.count = 0

    cdef int expand_members(self, uint32_t set, Array *result) except -1:
        cdef uint32_t node
        cdef size_t i
        self.work.count = 0
        push(&self.work, set)
        while self.work.count:
            self.work.count -= 1
            set = self.work.data[self.work.count]
            self.charge(self.size(set))
            for i in range(self.size(set)):
                node = self.first(set)[i]
                if self.mark.data[node] == self.search:
                    continue
                self.mark.data[node] = self.search
                if node <= UNKNOWN:
                    push(result, node)
                elif self.expand_from(self.position.data[node], self.rest.data[node], result):
                    push(&self.work, self.rest.data[node])
        return 0

    cdef bint expand_from(self, uint32_t position, uint32_t rest, Array *result) except -1:
        """Find what comes at `position`. True: perhaps nothing, so that `rest` comes next."""
        cdef const uint32_t *code = self.rules.code.data
        while code[position] & AT_RULE:
            self.charge(1)
            self.call(code[position] & NUMBER, position, rest)
            if not self.rules.order.nullable[code[position] & NUMBER]:
                return False
            position += 1
        if code[position] == AT_END:
            return True
        push(result, self.node(position, rest))
        return False

    cdef int call(self, uint32_t rule, uint32_t position, uint32_t rest) except -1:
        """Note that `position` stands before `rule`."""
        cdef uint32_t component = self.rules.order.component[rule]
        if self.calls.head.data[component] == NOTHING:
            heap_push(&self.heap, component)
        lists_add(&self.calls, component, self.behind(position, rest))
        return 0

    cdef int expand_component(self, uint32_t component, Array *result) except -1:
        """Enter the rules of a component. Where one is nullable its callers have gone on behind it already."""
        cdef Rules r = self.rules
        cdef uint32_t rest = self.all_calls(component), rule, i, k
        for k in range(r.order.member_at.data[component], r.order.member_at.data[component + 1]):
            rule = r.order.members.data[k]
            for i in range(r.first.data[rule], r.first.data[rule + 1]):
                self.charge(1)
                self.expand_from(r.starts.data[i], rest, result)
        # within a component a rule only calls where nothing comes behind, so with the rest that it has itself
        self.calls.head.data[component] = NOTHING
        if self.heap.count and self.heap.data[0] == component:
            heap_pop(&self.heap)
        if self.heap.count == 0:
            self.calls.item.count = self.calls.next.count = 0
        return 0

    cdef uint32_t all_calls(self, uint32_t component) except? 0xFFFFFFFF:
        """The union of the sets that go on behind a component."""
        cdef uint32_t call = self.calls.head.data[component], set = self.calls.item.data[call]
        self.calls.head.data[component] = NOTHING
        if self.calls.next.data[call] == NOTHING:
            return set
        self.found.count = 0
        while call != NOTHING:
            set = self.calls.item.data[call]
            self.charge(self.size(set))
            push_all(&self.found, self.first(set), self.size(set))
            call = self.calls.next.data[call]
        return self.intern()

    # --- reading

    cdef uint32_t step(self, uint32_t set, uint32_t code_point) except? 0xFFFFFFFF:
        """The set after one more code point; NO_STACKS: it does not fit."""
        cdef uint64_t key = <uint64_t> set << 32 | self.rules.piece(code_point)
        cdef uint32_t to = map_get(&self.steps, key)
        cdef uint32_t node, position, rest
        cdef size_t i
        if to != NOTHING:
            return to
        self.charge(self.size(set))
        self.found.count = 0
        for i in range(self.size(set)):
            node = self.first(set)[i]
            if node <= UNKNOWN or not self.rules.matches(self.position.data[node], code_point):
                continue
            position, rest = self.position.data[node] + 1, self.rest.data[node]
            if self.rules.code.data[position] == AT_END:
                self.charge(self.size(rest))
                push_all(&self.found, self.first(rest), self.size(rest))
            else:
                push(&self.found, self.node(position, rest))
        to = self.expand(self.intern())
        map_put(&self.steps, key, to)
        return to

    cdef uint32_t read(self, uint32_t set, Decoder *d, uint8_t byte) except? 0xFFFFFFFF:
        """The set after one more byte of a token, which changes only where a code point is complete."""
        cdef int more
        if d.missing == 0:
            if byte < 0x80:
                return self.step(set, byte)
            if byte < 0xC0:
                return NO_STACKS
            more = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
            d.missing = more
            d.value = byte & ((1 << (7 - more)) - 1)
            return set if self.may_finish(set, d, False) else NO_STACKS
        if d.strict and byte & 0xC0 != 0x80:
            return NO_STACKS
        d.value = (d.value << 6) + (byte & 0x3F)
        d.missing -= 1
        if d.missing:
            return set
        d.strict = False
        return self.step(set, d.value)

    cdef bint may_finish(self, uint32_t set, const Decoder *d, bint cautious) except -1:
        """Can the sequence that `d` has begun end in a code point that fits?

        `cautious` is the reference's rule for the end of a token: no to a class with ^ if the sequence could end in
        anything that it excludes, no to a sequence that is longer than it need be.
        """
        cdef uint32_t low = d.value << (6 * d.missing), high = low | ((1U << (6 * d.missing)) - 1)
        cdef const CharClass *k
        cdef size_t i
        if cautious and d.missing == 1 and d.value < 2:
            return False
        if cautious and low == 0:
            low = 0x800 if d.missing == 2 else 0x10000 if d.missing == 3 else 0
        self.charge(self.size(set))
        for i in range(self.size(set)):
            if self.first(set)[i] <= UNKNOWN:
                continue
            k = self.rules.char_class(self.position.data[self.first(set)[i]])
            if self.rules.meets(k, low, high) != k.negated or k.negated and not cautious:
                return True
        return False

    cdef bint fits(self, uint32_t set, const Decoder *d) except -1:
        """May a token end here? `set` is what its bytes led to."""
        return set != NO_STACKS and (d.missing == 0 or self.may_finish(set, d, True))

    # --- memory

    cdef size_t weight(self) noexcept:
        """How much there is in memory, as the limits count it."""
        return max(self.position.count + self.at.count, max(self.members.count, self.steps.count))

    cdef uint32_t copy(self, Stacks source, uint32_t set) except? 0xFFFFFFFF:
        """The number that a set of another Stacks of the same grammar has here."""
        cdef Map known
        cdef Array path  # set, how many of its members are done, set …
        cdef uint32_t rest
        memset(&known, 0, sizeof(known))
        memset(&path, 0, sizeof(path))
        try:
            map_put(&known, NO_STACKS, NO_STACKS)
            push(&path, set)
            push(&path, 0)
            while path.count:
                set = path.data[path.count - 2]
                if map_get(&known, set) != NOTHING:
                    path.count -= 2
                elif path.data[path.count - 1] == source.size(set):
                    map_put(&known, set, self.copy_set(source, set, &known))
                else:
                    rest = source.rest.data[source.first(set)[path.data[path.count - 1]]]
                    path.data[path.count - 1] += 1
                    push(&path, rest)
                    push(&path, 0)
            return map_get(&known, set)
        finally:
            map_free(&known)
            free(path.data)

    cdef uint32_t copy_set(self, Stacks source, uint32_t set, const Map *known) except? 0xFFFFFFFF:
        """known: what the rests of its members are here."""
        cdef uint32_t node
        cdef size_t i
        self.found.count = 0
        for i in range(source.size(set)):
            node = source.first(set)[i]
            if node > UNKNOWN:
                node = self.node(source.position.data[node], map_get(known, source.rest.data[node]))
            push(&self.found, node)
        return self.intern()


cdef uint64_t hash_of(const uint32_t *data, size_t count) noexcept nogil:
    cdef uint64_t hash = count
    cdef size_t i
    for i in range(count):
        hash = scramble(hash + data[i])
    return hash
