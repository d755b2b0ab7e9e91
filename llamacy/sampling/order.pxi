# What a rule may begin with; and left recursion: a rule that comes back to itself before any character was read.

@cython.final
cdef class Order:
    """The order of rules in which each comes before those that it may begin with. Refuses a grammar that has none.

    A *left edge* leads from a rule to each rule that one of its alternatives may begin with: all that come before stand
    for nothing at will. An edge *grows* if the alternative goes on behind it, for then the stack does. Rules on a
    circle of left edges share a component; a circle with an edge that grows is left recursion. One without, as in
    (x*)*, is none: it only leads to stacks that were there before. All is linear in the size of the grammar, and
    nothing here recurses.

    Source  Tarjan's strongly connected components.
    """

    cdef Rules rules
    cdef size_t n_rules
    cdef uint8_t *nullable  # (n_rules,) can stand for nothing
    cdef uint8_t *starts  # (n_rules,) can begin with a character
    cdef Array edge_at  # (n_rules + 1,) left edges of each rule in `edges`
    cdef Array edges  # rule << 1 | grows
    cdef uint32_t *component  # (n_rules,) from 1 on; no left edge leads to a higher one. NOTHING: root does not use it
    cdef Array member_at  # (n_components + 2,) rules of each component in `members`
    cdef Array members

    def __cinit__(self, Rules rules not None):
        self.rules = rules
        self.n_rules = rules.first.count - 1
        self.nullable = <uint8_t *> calloc(self.n_rules + 1, 1)
        self.starts = <uint8_t *> calloc(self.n_rules + 1, 1)
        self.component = <uint32_t *> malloc((self.n_rules + 1) * sizeof(uint32_t))
        if self.nullable is NULL or self.starts is NULL or self.component is NULL:
            raise MemoryError()
        memset(self.component, 0xFF, (self.n_rules + 1) * sizeof(uint32_t))
        push(&self.member_at, 0)
        push(&self.member_at, 0)
        self.find_nullable()
        self.find_edges()
        self.find_starts()
        self.find_components()

    def __dealloc__(self):
        free(self.nullable)
        free(self.starts)
        free(self.edge_at.data)
        free(self.edges.data)
        free(self.component)
        free(self.member_at.data)
        free(self.members.data)

    cdef error(self, uint32_t rule):
        return GrammarError(f"{PREFIX}left recursion in rule '{self.rules.parser.name(rule)}'")

    cdef int find_nullable(self) except -1:
        """An alternative is nullable once none of its items is known not to be; each rule tells where it occurs."""
        cdef Rules r = self.rules
        cdef size_t n = r.first.data[self.n_rules], i
        cdef Array missing, owner, work
        cdef Lists uses
        memset(&missing, 0, sizeof(missing))
        memset(&owner, 0, sizeof(owner))
        memset(&work, 0, sizeof(work))
        memset(&uses, 0, sizeof(uses))
        try:
            self.count_items(&missing, &owner, &uses)
            for i in range(n):
                if missing.data[i] == 0:
                    self.found_nullable(owner.data[i], &work)
            while work.count:
                work.count -= 1
                i = uses.head.data[work.data[work.count]]
                while i != NOTHING:
                    missing.data[uses.item.data[i]] -= 1
                    if missing.data[uses.item.data[i]] == 0:
                        self.found_nullable(owner.data[uses.item.data[i]], &work)
                    i = uses.next.data[i]
        finally:
            free(missing.data)
            free(owner.data)
            free(work.data)
            lists_free(&uses)
        return 0

    cdef int found_nullable(self, uint32_t rule, Array *work) except -1:
        if not self.nullable[rule]:
            self.nullable[rule] = 1
            push(work, rule)
        return 0

    cdef int count_items(self, Array *missing, Array *owner, Lists *uses) except -1:
        """By alternative: how many of its items may not be nullable, and whose it is. uses: rule -> alternatives."""
        cdef const uint32_t *code = self.rules.code.data
        cdef uint32_t rule, i, p
        lists_new(uses, self.n_rules)
        for rule in range(self.n_rules):
            for i in range(self.rules.first.data[rule], self.rules.first.data[rule + 1]):
                p = self.rules.starts.data[i]
                while code[p] != AT_END:
                    if code[p] & AT_RULE:
                        lists_add(uses, code[p] & NUMBER, i)
                    p += 1
                push(missing, p - self.rules.starts.data[i])
                push(owner, rule)
        return 0

    cdef int find_edges(self) except -1:
        cdef const uint32_t *code = self.rules.code.data
        cdef uint32_t rule, i, p
        for rule in range(self.n_rules):
            push(&self.edge_at, <uint32_t> self.edges.count)
            for i in range(self.rules.first.data[rule], self.rules.first.data[rule + 1]):
                p = self.rules.starts.data[i]
                while code[p] & AT_RULE:
                    push(&self.edges, (code[p] & NUMBER) << 1 | (code[p + 1] != AT_END))
                    if not self.nullable[code[p] & NUMBER]:
                        break
                    p += 1
                if code[p] & AT_CLASS:
                    self.starts[rule] = 1
        push(&self.edge_at, <uint32_t> self.edges.count)
        return 0

    cdef int find_starts(self) except -1:
        """What leads to a rule that can begin with a character can do so too."""
        cdef uint32_t rule, i
        cdef Array work
        cdef Lists back
        memset(&work, 0, sizeof(work))
        memset(&back, 0, sizeof(back))
        try:
            lists_new(&back, self.n_rules)
            for rule in range(self.n_rules):
                for i in range(self.edge_at.data[rule], self.edge_at.data[rule + 1]):
                    lists_add(&back, self.edges.data[i] >> 1, rule)
                if self.starts[rule]:
                    push(&work, rule)
            while work.count:
                work.count -= 1
                i = back.head.data[work.data[work.count]]
                while i != NOTHING:
                    if not self.starts[back.item.data[i]]:
                        self.starts[back.item.data[i]] = 1
                        push(&work, back.item.data[i])
                    i = back.next.data[i]
        finally:
            free(work.data)
            lists_free(&back)
        return 0

    cdef int find_components(self) except -1:
        cdef Circles c = Circles(self)
        cdef uint32_t rule
        c.reach()
        for rule in range(self.n_rules):
            if not c.reached[rule]:
                continue  # what is never used may be anything
            if not self.nullable[rule] and not self.starts[rule]:
                raise self.error(rule)
            if c.order[rule] == 0:
                c.visit(rule)
        return 0


@cython.final
cdef class Circles:
    """The search for components. Of each rule: when it was found, and the oldest on the path that it leads back to."""

    cdef Order of
    cdef uint8_t *reached  # (n_rules,) from root
    cdef uint32_t *order  # (n_rules,) 1, 2 … as they are found; 0: not yet
    cdef uint32_t *low  # (n_rules,)
    cdef uint32_t found
    cdef Array open  # rules without a component yet
    cdef Array path  # rule, next edge, rule, next edge …

    def __cinit__(self, Order of not None):
        self.of = of
        self.reached = <uint8_t *> calloc(of.n_rules + 1, 1)
        self.order = <uint32_t *> calloc(of.n_rules + 1, sizeof(uint32_t))
        self.low = <uint32_t *> calloc(of.n_rules + 1, sizeof(uint32_t))
        if self.reached is NULL or self.order is NULL or self.low is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.reached)
        free(self.order)
        free(self.low)
        free(self.open.data)
        free(self.path.data)

    cdef int reach(self) except -1:
        """Mark all rules that root uses."""
        cdef const uint32_t *code = self.of.rules.code.data
        cdef uint32_t rule = code[self.of.rules.root] & NUMBER, p, end
        self.reached[rule] = 1
        push(&self.open, rule)
        while self.open.count:
            self.open.count -= 1
            rule = self.open.data[self.open.count]
            p = self.of.rules.starts.data[self.of.rules.first.data[rule]]
            end = self.of.rules.starts.data[self.of.rules.first.data[rule + 1]]
            while p < end:
                if code[p] & AT_RULE and not self.reached[code[p] & NUMBER]:
                    self.reached[code[p] & NUMBER] = 1
                    push(&self.open, code[p] & NUMBER)
                p += 1
        return 0

    cdef int enter(self, uint32_t rule) except -1:
        self.found += 1
        self.order[rule] = self.low[rule] = self.found
        push(&self.open, rule)
        push(&self.path, rule)
        push(&self.path, self.of.edge_at.data[rule])
        return 0

    cdef int visit(self, uint32_t rule) except -1:
        cdef uint32_t edge, to
        self.enter(rule)
        while self.path.count:
            rule = self.path.data[self.path.count - 2]
            edge = self.path.data[self.path.count - 1]
            if edge == self.of.edge_at.data[rule + 1]:
                self.leave(rule)
                continue
            self.path.data[self.path.count - 1] += 1
            to = self.of.edges.data[edge] >> 1
            if self.order[to] == 0:
                self.enter(to)
            elif self.of.component[to] == NOTHING:
                self.low[rule] = min(self.low[rule], self.order[to])
        return 0

    cdef int leave(self, uint32_t rule) except -1:
        """All edges of `rule` are done. If it leads back to nothing older, the rules after it are one component."""
        cdef uint32_t above
        cdef size_t i, begin
        self.path.count -= 2
        if self.path.count:
            above = self.path.data[self.path.count - 2]
            self.low[above] = min(self.low[above], self.low[rule])
        if self.low[rule] != self.order[rule]:
            return 0
        begin = self.open.count
        while True:
            begin -= 1
            self.of.component[self.open.data[begin]] = <uint32_t> self.of.member_at.count - 1
            push(&self.of.members, self.open.data[begin])
            if self.open.data[begin] == rule:
                break
        push(&self.of.member_at, <uint32_t> self.of.members.count)
        for i in range(begin, self.open.count):
            self.check_member(self.open.data[i])
        self.open.count = begin
        return 0

    cdef int check_member(self, uint32_t rule) except -1:
        cdef uint32_t i, edge
        for i in range(self.of.edge_at.data[rule], self.of.edge_at.data[rule + 1]):
            edge = self.of.edges.data[i]
            if edge & 1 and self.of.component[edge >> 1] == self.of.component[rule]:
                raise self.of.error(rule)
        return 0
