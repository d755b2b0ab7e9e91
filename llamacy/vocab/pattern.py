"""Compiles the patterns that cut text into words (see pretypes.py) for the matcher in split.pxi.

The dialect is a small part of the usual one: an alternation of sequences of
    x  [...]  [^...]  \\s \\S \\p{L}     one character; behind it ?, *, +, {m} or {m,n}: greedy, then one less at a time
    (?:a|b)  (?i:a|b)  (?:a|b)?        a group; (?i: ignores the case of ASCII letters
    (?=x)  (?!x)  $                    one character ahead; the end of the piece
and, as a whole pattern, THOUSANDS. \\p{X} takes a general category or its first letter. White space and the case of
letters are those of ASCII, or with `unicode` those of Unicode.

A program is an array of 32-bit words in this machine's byte order; addresses count words from its beginning:
    number of alternatives, the address of each, operations of 4 words each, sets (see in_set in split.pxi).
That of THOUSANDS has no alternatives and one set.
"""

import sys

REPEAT, SPLIT, JUMP, AHEAD, END, MATCH = range(6)
UNBOUNDED = 0xFFFFFFFF
MAX_ALTERNATIVES = 16
MAX_CHOICES = 48

THOUSANDS = r"(?=(\d{3})+(?!\d))"  # before each three digits that come before a multiple of three, and no more

# bit numbers, as generate_unicode.py has them; "--": code points that have none
CATEGORIES = "Nd Nl No Ll Lm Lo Lt Lu Zl Zp Zs Mc Me Mn Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Cc Cf Cn Co --".split()
ALL_CATEGORIES = (1 << len(CATEGORIES)) - 1
NEGATED = 1 << 31
WHITE_SPACE = " \t\n\v\f\r"
ASCII = {"Lu": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "Ll": "abcdefghijklmnopqrstuvwxyz", "Nd": "0123456789", "Pc": "_",
         "Pd": "-", "Ps": "([{", "Pe": ")]}", "Po": "!\"#%&'*,./:;?@\\", "Sc": "$", "Sk": "^`", "Sm": "+<=>|~"}
FOLDED = {"s": "\u017f", "k": "\u212a"}  # whose other case is that ASCII letter
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "v": "\v", "f": "\f"}


class Set:
    """A set of code points: a bitmap of ASCII, and beyond it whole categories and ranges."""

    def __init__(self):
        self.ascii = 0
        self.categories = 0
        self.ranges = []
        self.negated = False

    def add(self, text):
        for c in text:
            self.add_range(ord(c), ord(c))

    def add_range(self, first, last):
        for c in range(first, min(last, 0x7F) + 1):
            self.ascii |= 1 << c
        if last > 0x7F:
            self.ranges.append((max(first, 0x80), last))

    def add_category(self, name):
        """Errors  KeyError: there is no such category, or no category begins so."""
        found = [i for i, category in enumerate(CATEGORIES) if category.startswith(name)]
        if not found or len(name) not in (1, 2):
            raise KeyError(name)
        for i in found:
            self.add(ASCII.get(CATEGORIES[i], ""))
            self.categories |= 1 << i

    def add_space(self, unicode):
        self.add(WHITE_SPACE)
        if unicode:
            self.add("\x85")
            self.categories |= sum(1 << i for i, category in enumerate(CATEGORIES) if category[0] == "Z")

    def add_not_space(self, unicode):
        self.ascii |= ~sum(1 << ord(c) for c in WHITE_SPACE) & (1 << 128) - 1
        self.categories = ALL_CATEGORIES
        if unicode:
            self.categories ^= sum(1 << i for i, category in enumerate(CATEGORIES) if category[0] in "ZC")
            self.categories |= sum(1 << CATEGORIES.index(name) for name in ("Cf", "Cn", "Co"))
            self.ranges += [(0x80, 0x84), (0x86, 0x9F)]  # the controls without U+0085

    def negate(self):
        self.ascii ^= (1 << 128) - 1
        self.negated = True

    def words(self):
        merged = []
        for first, last in sorted(self.ranges):
            if merged and first <= merged[-1][1] + 1:
                merged[-1][1] = max(last, merged[-1][1])
            else:
                merged.append([first, last])
        bitmap = [self.ascii >> 32 * i & 0xFFFFFFFF for i in range(4)]
        return [*bitmap, self.categories | NEGATED * self.negated, len(merged), *(c for pair in merged for c in pair)]


class Compiler:
    """Reads the pattern once, from left to right. Errors: ValueError naming the pattern and the place."""

    def __init__(self, pattern, unicode):
        self.pattern = pattern
        self.unicode = unicode
        self.at = 0
        self.fold = False
        self.ops = []  # [operation, argument, argument, argument]; an address is the index of an operation
        self.sets = []

    def error(self, message):
        return ValueError(f"pattern {self.pattern!r}: {message} at character {self.at}")

    def eat(self, text):
        """True, and go on behind it, if `text` comes next."""
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def take(self):
        if self.at == len(self.pattern):
            raise self.error("unexpected end")
        self.at += 1
        return self.pattern[self.at - 1]

    def emit(self, op, a=0, b=0, c=0):
        self.ops.append([op, a, b, c])
        return self.ops[-1]

    def program(self):
        starts = []
        while not starts or self.eat("|"):
            starts.append(len(self.ops))
            self.sequence()
            self.emit(MATCH)
            if sum(op[0] in (REPEAT, SPLIT) for op in self.ops[starts[-1]:]) > MAX_CHOICES:
                raise self.error("too long an alternative")
        if self.at < len(self.pattern):
            raise self.error("unexpected ')'")
        if len(starts) > MAX_ALTERNATIVES:
            raise self.error("too many alternatives")
        return self.linked(starts)

    def linked(self, starts):
        """All parts in one array, with their final addresses."""
        first = 1 + len(starts)
        data, addresses = [], []
        for item in self.sets:
            addresses.append(first + 4 * len(self.ops) + len(data))
            data += item.words()
        for op in self.ops:
            if op[0] in (REPEAT, AHEAD):
                op[1] = addresses[op[1]]
            elif op[0] in (SPLIT, JUMP):
                op[1] = first + 4 * op[1]
        words = [len(starts), *(first + 4 * s for s in starts), *(word for op in self.ops for word in op), *data]
        return packed(words)

    def sequence(self):
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            if self.eat("$"):
                self.emit(END)
            elif self.eat("(?:"):
                self.group()
            elif self.eat("(?i:"):
                self.fold = True
                self.group()
                self.fold = False
            elif self.eat("(?="):
                self.ahead(1)
            elif self.eat("(?!"):
                self.ahead(0)
            else:
                self.repeat(self.one())

    def close(self):
        if not self.eat(")"):
            raise self.error("')' expected")

    def ahead(self, wanted):
        self.emit(AHEAD, self.one(), wanted)
        self.close()

    def group(self):
        """Alternatives, each with a way to the next one in case it fails."""
        jumps = []
        while not jumps or self.eat("|"):
            split = self.emit(SPLIT)
            self.sequence()
            jumps.append(self.emit(JUMP))
            split[1] = len(self.ops)
        self.close()
        if not self.eat("?"):
            self.sets.append(Set())
            self.emit(AHEAD, len(self.sets) - 1, 1)  # no alternative is left: nothing is in an empty set
        for jump in jumps:
            jump[1] = len(self.ops)

    def repeat(self, index):
        if self.eat("?"):
            least, most = 0, 1
        elif self.eat("*"):
            least, most = 0, UNBOUNDED
        elif self.eat("+"):
            least, most = 1, UNBOUNDED
        elif self.eat("{"):
            text = self.pattern[self.at:self.pattern.index("}", self.at)]
            self.at += len(text) + 1
            least, _, most = text.partition(",")
            least, most = int(least), int(most or least)
        else:
            least = most = 1
        self.emit(REPEAT, index, least, most)

    def one(self):
        """Index of the set that the next character of the pattern, or class, stands for."""
        found = Set()
        if self.eat("["):
            negated = self.eat("^")
            while not self.eat("]"):
                self.member(found)
            if negated:
                found.negate()
        else:
            self.single(found)
        self.sets.append(found)
        return len(self.sets) - 1

    def member(self, found):
        """One character, escape or range of a class."""
        first = self.single(found)
        if first and self.pattern[self.at:self.at + 1] == "-" and self.pattern[self.at + 1:self.at + 2] != "]":
            self.at += 1
            found.add_range(ord(first), ord(self.take()))

    def single(self, found):
        """Add a character or an escape. Returns the character, None for an escape that means several."""
        c = self.take()
        if c == "\\":
            c = self.take()
            if c == "s":
                return found.add_space(self.unicode)
            if c == "S":
                return found.add_not_space(self.unicode)
            if c == "p":
                return self.property(found)
            c = ESCAPES.get(c, c)
        found.add(c.lower() + c.upper() if self.fold and c.isascii() else c)
        if self.fold and self.unicode:
            found.add(FOLDED.get(c.lower(), ""))
        return c

    def property(self, found):
        name, end, _ = self.pattern[self.at:].partition("}")
        self.at += len(name) + len(end)
        try:
            found.add_category(name[1:] if end and name[:1] == "{" else "")
        except KeyError:
            raise self.error(f"unknown property {name + end!r}") from None


def compile(pattern, unicode=False):
    """bytes: the program of `pattern`."""
    if pattern == THOUSANDS:
        digits = Set()
        digits.add_category("Nd")
        return packed([0, *digits.words()])
    return Compiler(pattern, unicode).program()


def packed(words):
    return b"".join([word.to_bytes(4, sys.byteorder) for word in words])
