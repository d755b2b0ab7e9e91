"""Grammars the slow way, straight from the definition: lists of stacks, and every token tried on its own."""

END, ALT, RULE_REF, CHAR, CHAR_NOT, CHAR_RNG_UPPER, CHAR_ALT = range(7)


class Vocabulary:
    """Tokens given as bytes. eog: ids of those that end a text."""

    def __init__(self, pieces, eog=()):
        self.pieces = list(pieces)
        self.n_tokens = len(self.pieces)
        self.eog = set(eog)
        self.asked = 0

    def piece(self, id, special=True):
        assert not special
        self.asked += 1
        return self.pieces[id]

    def is_eog(self, id):
        return id in self.eog


def decode(piece, value=0, missing=0):
    """Code points of a token after an unfinished sequence, and (value, missing) of that which it leaves unfinished."""
    points, at, carried = [], 0, missing
    piece = piece.split(b"\0")[0]
    while at < len(piece) and missing > 0:
        if piece[at] >> 6 != 2:
            return [], (0, -1)
        value, missing, at = (value << 6) + (piece[at] & 0x3F), missing - 1, at + 1
    if carried > 0 and missing == 0:
        points.append(value)
    while at < len(piece):
        missing = (0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, 1, 1, 2, 3)[piece[at] >> 4]
        if missing < 0:
            return [], (0, -1)
        value, at = piece[at] & ((1 << (7 - missing)) - 1), at + 1
        while at < len(piece) and missing > 0:
            value, missing, at = (value << 6) + (piece[at] & 0x3F), missing - 1, at + 1
        if missing == 0:
            points.append(value)
    return points, (value, missing)


class TooMany(Exception):
    """The grammar is too ambiguous for the slow way."""


class GrammarModel:
    """rules: lists of elements (kind, value), as parse_grammar gives them; root: the number of that rule."""

    MOST = 3000

    def __init__(self, rules, root):
        self.rules = rules
        self.starts = [self.alternatives(rule) for rule in rules]
        self.stacks = set().union(*(self.expand((start,) if start else ()) for start in self.of(root)))
        self.partial = (0, 0)

    @staticmethod
    def alternatives(rule):
        return [0, *(i + 1 for i, (kind, _) in enumerate(rule) if kind == ALT)]

    def of(self, rule):
        """Places (rule, index) at which its alternatives begin; None for an empty one."""
        return [None if self.ends(rule, i) else (rule, i) for i in self.starts[rule]]

    def ends(self, rule, i):
        return self.rules[rule][i][0] in (END, ALT)

    def expand(self, *stacks):
        """Stacks with a class on top, or empty."""
        done, todo, result = set(), list(stacks), set()
        while todo:
            stack = todo.pop()
            if stack in done:
                continue
            done.add(stack)
            if len(done) > self.MOST:
                raise TooMany
            if not stack or self.rules[stack[-1][0]][stack[-1][1]][0] != RULE_REF:
                result.add(stack)
                continue
            rule, i = stack[-1]
            rest = stack[:-1] + (() if self.ends(rule, i + 1) else ((rule, i + 1),))
            todo += [rest + ((start,) if start else ()) for start in self.of(self.rules[rule][i][1])]
        return result

    def char_class(self, place):
        """Is it without ^, its ranges, the place behind it (None: the alternative ends)."""
        rule, i = place
        elements = self.rules[rule]
        positive, ranges = elements[i][0] == CHAR, []
        while not ranges or elements[i][0] == CHAR_ALT:
            ranges.append((elements[i][1],) * 2)
            i += 1
            if elements[i][0] == CHAR_RNG_UPPER:
                ranges[-1] = ranges[-1][0], elements[i][1]
                i += 1
        return positive, ranges, None if self.ends(rule, i) else (rule, i)

    def advance(self, stacks, point):
        result = set()
        for stack in stacks:
            if stack:
                positive, ranges, behind = self.char_class(stack[-1])
                if any(low <= point <= high for low, high in ranges) == positive:
                    result |= self.expand(stack[:-1] + ((behind,) if behind else ()))
        return result

    def may_finish(self, stack, value, missing):
        if missing < 0 or missing == 1 and value < 2 or not stack:
            return False
        low = value << 6 * missing
        high = low | (1 << 6 * missing) - 1
        low = low or {2: 0x800, 3: 0x10000}.get(missing, 0)
        positive, ranges, _ = self.char_class(stack[-1])
        return any(a <= high and low <= b for a, b in ranges) == positive

    def after(self, piece):
        """(stacks, partial) after a token; None: it may not come."""
        points, partial = decode(piece, *self.partial)
        if not piece.split(b"\0")[0] or partial[1] < 0:
            return None
        stacks = self.stacks
        for point in points:
            stacks = self.advance(stacks, point)
        if not stacks or partial[1] and not any(self.may_finish(stack, *partial) for stack in stacks):
            return None
        return stacks, partial

    def allowed(self, vocabulary):
        return [id for id, piece in enumerate(vocabulary.pieces)
                if (() in self.stacks if vocabulary.is_eog(id) else self.after(piece) is not None)]

    def accept(self, piece):
        self.stacks, self.partial = self.after(piece)
