"""The pickles of PyTorch's state dicts, read by a machine that can build nothing else.

A pickle is a program. Python's own machine runs whatever function it names; this one knows the operations that state
dicts use and a closed list of globals, which it never looks up: they are marks, and what each does is written here. So
no pickle can run code, import a module or touch an attribute.
"""

import struct
from collections import namedtuple

from llamacy.convert.errors import ConvertError, shorten

Global = namedtuple("Global", "module name")
Storage = namedtuple("Storage", "dtype key")
# offset, shape, stride in elements of the storage
StoredTensor = namedtuple("StoredTensor", "storage offset shape stride")

STORAGES = {"DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
            "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
            "BoolStorage": "BOOL"}
ALLOWED = frozenset([("collections", "OrderedDict"), ("torch", "Tensor"), ("torch._utils", "_rebuild_tensor_v2"),
                     ("torch._utils", "_rebuild_parameter"), ("torch._tensor", "_rebuild_from_type_v2"),
                     *(("torch", name) for name in STORAGES)])
MAX_BYTES = 64 << 20
MAX_NUMBER = 8  # bytes of a long integer


def load(raw, where):
    """What the pickle describes, of dict, list, tuple, str, bytes, numbers, None and the types above. raw: bytes.

    Errors  ConvertError: not a pickle, an operation or a global that state dicts do not need.
    """
    if len(raw) > MAX_BYTES:
        raise ConvertError(f"{where}: a pickle of {len(raw)} bytes, expected at most {MAX_BYTES}")
    try:
        return _Machine(raw, where).run()
    except (IndexError, struct.error, TypeError, KeyError, UnicodeDecodeError, RecursionError) as error:
        raise ConvertError(f"{where}: damaged pickle: {shorten(error)}") from None


class _Mark:
    pass


class _Machine:
    """A stack, a memo, and one rule per operation. A damaged program ends in one of the errors that `load` catches.

    Values are never printed or compared as a whole: a few bytes of pickle can make tuples of tuples whose text has no
    end.
    """

    def __init__(self, raw, where):
        self.raw = raw
        self.where = where
        self.at = 0
        self.stack = []
        self.memo = {}

    def run(self):
        while True:
            code = self.take(1)[0]
            if code == STOP:
                return self.stack.pop()
            rule = RULES.get(code)
            if rule is None:
                self.fail(f"operation {code:#04x} at byte {self.at - 1} is not one of a state dict")
            rule(self)

    def fail(self, text):
        raise ConvertError(f"{self.where}: {text}")

    def take(self, n):
        if n < 0 or self.at + n > len(self.raw):
            raise IndexError(f"{n} bytes at {self.at}, but it has {len(self.raw)}")
        self.at += n
        return self.raw[self.at - n:self.at]

    def number(self, code):
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def line(self):
        end = self.raw.find(b"\n", self.at)
        if end < 0:
            raise IndexError("a line without an end")
        return self.take(end + 1 - self.at)[:-1].decode()

    def push(self, value):
        self.stack.append(value)

    def since_mark(self):
        at = len(self.stack) - 1
        while self.stack[at] is not _Mark:
            if at <= 0:
                raise IndexError("no mark on the stack")
            at -= 1
        items = self.stack[at + 1:]
        del self.stack[at:]
        return items

    def last(self, n):
        if n > len(self.stack):
            raise IndexError("the stack is empty")
        items = self.stack[len(self.stack) - n:]
        del self.stack[len(self.stack) - n:]
        return items

    # --- globals, and what calling them means

    def find(self, module, name):
        if (module, name) not in ALLOWED:
            self.fail(f"the pickle names the global {shorten(module)}.{shorten(name)}, which a checkpoint of tensors "
                      "does not need: refused, nothing was run")
        self.push(Global(module, name))

    def reduce(self):
        rule, args = self.last(2)
        self.push(self.call(rule, args))

    def call(self, rule, args):
        if not isinstance(rule, Global) or not isinstance(args, tuple):
            raise TypeError("a call of something that is no function")
        if rule.name == "OrderedDict":
            return self.ordered(*args)
        if rule.name == "_rebuild_tensor_v2":
            return self.tensor(*args[:4])
        if rule.name == "_rebuild_parameter":
            return self.expect(args[0], StoredTensor)
        if rule.name == "_rebuild_from_type_v2":
            return self.call(args[0], args[2])
        raise TypeError(f"a call of {rule.module}.{rule.name}")

    def ordered(self, pairs=()):
        found = {}
        for key, value in pairs:
            found[self.expect(key, str)] = value
        return found

    def tensor(self, storage, offset, shape, stride):
        self.expect(storage, Storage)
        sizes = (offset, *self.expect(shape, tuple), *self.expect(stride, tuple))
        if len(shape) != len(stride) or not all(type(n) is int and 0 <= n < 1 << 60 for n in sizes):
            raise TypeError("a tensor whose offset, shape and stride are not natural numbers, one stride for each size")
        return StoredTensor(storage, offset, shape, stride)

    def expect(self, value, type):
        if not isinstance(value, type):
            raise TypeError(f"found {value.__class__.__name__} where something else is expected")
        return value

    def persistent(self):
        id = self.expect(self.stack.pop(), tuple)
        if len(id) < 3 or id[0] != "storage" or not isinstance(id[1], Global) or id[1].name not in STORAGES:
            raise TypeError("a reference to something that is no storage")
        self.push(Storage(STORAGES[id[1].name], self.expect(id[2], str)))

    # --- containers

    def set_items(self, items):
        target = self.expect(self.stack[-1], dict)
        if len(items) % 2:
            raise TypeError("a key without a value")
        for key, value in zip(items[::2], items[1::2]):
            if not isinstance(key, (str, int, float, bytes, bool)):
                raise TypeError(f"a key of type {type(key).__name__}")
            target[key] = value

    def append(self, items):
        self.expect(self.stack[-1], list).extend(items)

    def build(self):
        """Attributes of an object (a state dict's version numbers). They are not needed, so nothing is set."""
        self.stack.pop()
        self.expect(self.stack[-1], (dict, StoredTensor))

    def long(self, n):
        if n > MAX_NUMBER:
            raise TypeError(f"an integer of {n} bytes")
        self.push(int.from_bytes(self.take(n), "little", signed=True))

    def stack_global(self):
        module, name = self.last(2)
        self.find(self.expect(module, str), self.expect(name, str))

    def remember(self, key):
        self.memo[key] = self.stack[-1]


STOP = ord(".")
RULES = {ord(code): rule for code, rule in {
    "\x80": lambda m: m.take(1),                                     # PROTO
    "\x95": lambda m: m.take(8),                                     # FRAME
    "(": lambda m: m.push(_Mark),
    "0": lambda m: m.stack.pop(),
    "1": lambda m: m.since_mark(),                                   # POP_MARK
    "2": lambda m: m.push(m.stack[-1]),                              # DUP
    "N": lambda m: m.push(None),
    "\x88": lambda m: m.push(True),
    "\x89": lambda m: m.push(False),
    "K": lambda m: m.push(m.number("B")),
    "M": lambda m: m.push(m.number("H")),
    "J": lambda m: m.push(m.number("i")),
    "\x8a": lambda m: m.long(m.number("B")),
    "G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    "X": lambda m: m.push(m.take(m.number("I")).decode()),           # BINUNICODE
    "\x8c": lambda m: m.push(m.take(m.number("B")).decode()),        # SHORT_BINUNICODE
    "U": lambda m: m.push(m.take(m.number("B")).decode("latin-1")),  # SHORT_BINSTRING
    "T": lambda m: m.push(m.take(m.number("i")).decode("latin-1")),  # BINSTRING
    "C": lambda m: m.push(m.take(m.number("B"))),                    # SHORT_BINBYTES
    "B": lambda m: m.push(m.take(m.number("I"))),                    # BINBYTES
    "}": lambda m: m.push({}),
    "]": lambda m: m.push([]),
    ")": lambda m: m.push(()),
    "t": lambda m: m.push(tuple(m.since_mark())),
    "\x85": lambda m: m.push(tuple(m.last(1))),
    "\x86": lambda m: m.push(tuple(m.last(2))),
    "\x87": lambda m: m.push(tuple(m.last(3))),
    "s": lambda m: m.set_items(m.last(2)),
    "u": lambda m: m.set_items(m.since_mark()),
    "a": lambda m: m.append(m.last(1)),
    "e": lambda m: m.append(m.since_mark()),
    "q": lambda m: m.remember(m.number("B")),
    "r": lambda m: m.remember(m.number("I")),
    "\x94": lambda m: m.remember(len(m.memo)),                       # MEMOIZE
    "h": lambda m: m.push(m.memo[m.number("B")]),
    "j": lambda m: m.push(m.memo[m.number("I")]),
    "c": lambda m: m.find(m.line(), m.line()),                       # GLOBAL
    "\x93": lambda m: m.stack_global(),
    "R": lambda m: m.reduce(),
    "Q": lambda m: m.persistent(),                                   # BINPERSID
    "b": lambda m: m.build(),
}.items()}
