"""Files of saved slots: the tokens of one sequence, and its rows of the cache.

Little-endian: u32 magic, u32 version, u32 tokens, i32 each; u32 8, u32 cells, u32 layers, u32 width of V, i32 position of each
cell; per layer i32 type of K, u64 bytes of a K row, the rows; then per layer, V transposed (no -fa): i32 type, u64 bytes of
an element, width x cells elements; or with -fa: i32 type, u64 bytes of a row, the rows.
Source  llama_state_seq_save_file of llama.cpp b2794.
"""

from array import array
from struct import Struct, error as StructError

from ..engine.context import CACHE_TYPES
from ..errors import LlamacyError

MAGIC, VERSION = 0x67677371, 1
ELEMENT = {"f32": (4, "I"), "f16": (2, "H")}
HEAD, SEQUENCE, PART = Struct("<III"), Struct("<IIII"), Struct("<iQ")


class Shape:
    """What of a context decides about the form of a file."""

    def __init__(self, context):
        hp = context.model.hparams
        self.n_layer, self.width = hp.n_layer, hp.n_embd_v_gqa
        self.type_k, self.type_v = CACHE_TYPES[context.type_k], CACHE_TYPES[context.type_v]
        self.transposed = not context.flash_attn and context.type_v in ELEMENT
        self.element, self.code = ELEMENT.get(context.type_v, (0, ""))
        total = context._run.kv_bytes(1)
        self.row_v = row_bytes(self.type_v, self.width)
        self.row_k = total // self.n_layer - self.row_v


def row_bytes(type, n):
    from ..engine._run import row_bytes as of
    return of(type, n)


def layers(data, shape, n):
    """(K, V) of each layer, memoryviews of n rows, of what Runner.kv_read gave."""
    at = 0
    for _ in range(shape.n_layer):
        yield data[at:at + n * shape.row_k], data[at + n * shape.row_k:at + n * (shape.row_k + shape.row_v)]
        at += n * (shape.row_k + shape.row_v)


def rows(data, size, cells):
    """The rows of these cells, one after another."""
    return b"".join(data[c * size:(c + 1) * size] for c in cells)


def dump(context, seq, tokens):
    """The file of a sequence (bytes). No tokens: a file with nothing in it."""
    shape, run = Shape(context), context._run
    top = run.kv_top()
    data = memoryview(run.kv_read(top, False))
    table = run.kv_cells(top)
    cells = sorted((c for c in range(top) if tokens and table[c][1] >> seq & 1), key=lambda c: table[c][0])
    n = len(cells)
    parts = [HEAD.pack(MAGIC, VERSION, len(tokens)), array("i", tokens).tobytes(),
             SEQUENCE.pack(8, n, shape.n_layer, shape.width), array("i", [table[c][0] for c in cells]).tobytes()]
    values = []
    for k, v in layers(data, shape, top):
        parts += [PART.pack(shape.type_k, shape.row_k), rows(k, shape.row_k, cells)]
        values.append(rows(v, shape.row_v, cells))
    for v in values:
        if shape.transposed:
            parts += [PART.pack(shape.type_v, shape.element), turned(v, shape)]
        else:
            parts += [PART.pack(shape.type_v, shape.row_v), v]
    return b"".join(parts)


def turned(v, shape):
    """Rows of cells -> rows of channels."""
    values = array(shape.code, bytes(v))
    return b"".join(values[j::shape.width].tobytes() for j in range(shape.width))


def turned_back(v, shape, n):
    values, out = array(shape.code, bytes(v)), array(shape.code, bytes(len(v)))
    for j in range(shape.width):
        out[j::shape.width] = values[j * n:(j + 1) * n]
    return out.tobytes()


class Saved:
    """What a file holds: tokens, positions, and rows of K and V per layer. Errors  LlamacyError: it does not fit."""

    def __init__(self, data, context, most):
        self.view, self.at = memoryview(data), 0
        shape = Shape(context)
        magic, version, n = self.numbers(HEAD, "header")
        if (magic, version) != (MAGIC, VERSION) or n > most:
            raise LlamacyError(f"slot file: magic {magic:#x}, version {version}, {n} tokens; expected {MAGIC:#x}, {VERSION}, "
                               f"at most {most}")
        self.tokens = array("i", bytes(self.take(4 * n, "tokens"))).tolist()
        eight, cells, n_layer, width = self.numbers(SEQUENCE, "sequence")
        if (eight, n_layer, width) != (8, shape.n_layer, shape.width) or cells > most:
            raise LlamacyError("slot file: written by another model, or too long for a slot")
        self.positions = array("i", bytes(self.take(4 * cells, "positions"))).tolist()
        self.keys = [self.part(shape.type_k, shape.row_k, cells) for _ in range(n_layer)]
        if shape.transposed:
            values = [self.part(shape.type_v, shape.element, cells * width) for _ in range(n_layer)]
            self.values = [turned_back(v, shape, cells) for v in values]
        else:
            self.values = [self.part(shape.type_v, shape.row_v, cells) for _ in range(n_layer)]
        n_vocab = context.model.hparams.n_vocab
        if any(not 0 <= id < n_vocab for id in self.tokens) or sorted(self.positions) != list(range(len(self.tokens))):
            raise LlamacyError("slot file: tokens or positions that cannot be")

    def take(self, n, what):
        if n > len(self.view) - self.at:
            raise LlamacyError(f"slot file: {what} at byte {self.at}: found {len(self.view) - self.at} bytes, expected {n}")
        self.at += n
        return self.view[self.at - n:self.at]

    def numbers(self, fields, what):
        try:
            return fields.unpack(self.take(fields.size, what))
        except StructError:
            raise LlamacyError(f"slot file: {what}: not numbers") from None

    def part(self, type, size, count):
        found = self.numbers(PART, "layer")
        if found != (type, size):
            raise LlamacyError(f"slot file: type and size {found}, expected {(type, size)}: other -ctk, -ctv or -fa")
        return self.take(size * count, "rows")


def load(context, seq, saved):
    """Put a saved sequence in the place of what `seq` holds. Errors  LlamacyError: no room; the sequence is empty then."""
    shape, run = Shape(context), context._run
    context.kv_remove(seq, -1, -1)
    top = run.kv_top()
    data = memoryview(run.kv_read(top, False))
    table = run.kv_cells(top)
    kept = [c for c in range(top) if table[c][1]]
    n = len(kept) + len(saved.positions)
    if n > context.n_ctx:
        raise LlamacyError(f"{n} cells, the context has {context.n_ctx}")
    parts = []
    for (k, v), more_k, more_v in zip(layers(data, shape, top), saved.keys, saved.values):
        parts += [rows(k, shape.row_k, kept), more_k, rows(v, shape.row_v, kept), more_v]
    where = [table[c] for c in kept] + [(pos, 1 << seq) for pos in saved.positions]
    run.kv_write(n, False, b"".join(parts), where)
