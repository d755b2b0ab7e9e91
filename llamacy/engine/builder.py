"""The plan builder: architectures call it line by line, as a paper would be read; out comes what C runs.

It records steps, checks shapes, quantizes an input once for all weights that want it, folds a residual addition into the
product before it, puts steps together that a token can go through alone, and lets buffers whose lives do not meet share
memory.
"""

from llamacy.engine._run import OPS, Plan, dot_with, row_bytes
from llamacy.errors import ModelError

F32 = 0
ALIGN = 64  # bytes; a cache line, and one AVX-512 register
NOT_BY_TOKEN = {"matmul", "experts", "attention"}  # these look at all tokens at once


class Value:
    """One row of floats per token: the result of a step."""

    __slots__ = ("slot", "width")

    def __init__(self, slot, width):
        self.slot = slot
        self.width = width


class PlanBuilder:
    """Records a forward pass. Weights are llamacy.engine.weights.Weight; values are rows of floats, one per token."""

    def __init__(self, hparams, embeddings=False):
        self.hp = hparams
        self.embeddings = embeddings  # the plan ends with what the last product would get
        self.steps = []
        self.slots = []         # bytes of one token's row
        self.tensors = []
        self.tensor_index = {}  # name -> index in tensors
        self.packed = {}        # (slot, format) -> slot with that value in the format
        self.selected = 0
        self.logits_slot = -1

    # --- what architectures say

    def embed(self, table):
        """Rows of the embedding table by token id."""
        return self.value("embed", table.k, w=(table,))

    def rms_norm(self, x, weight, eps):
        self.expect(weight, x.width, 1)
        return self.value("rms_norm", x.width, ins=(x.slot,), w=(weight,), f=(eps,))

    def matmul(self, x, *weights, bias=()):
        """W x (+ b) for each weight; one Value, or a tuple of them if there are several weights."""
        bias = bias or (None,) * len(weights)
        outs = [self.new(w.rows) for w in weights]
        for fmt in {self.format_for(w) for w in weights}:  # weights of one format share a step and the input in that format
            group = [i for i, w in enumerate(weights) if self.format_for(w) == fmt]
            for w in (weights[i] for i in group):
                self.expect(w, x.width, w.rows)
            self.step("matmul", ins=(self.in_format(x, fmt), -1, x.slot), outs=[outs[i].slot for i in group],
                      w=[weights[i] for i in group], b=[bias[i] for i in group], n=len(group))
        return outs[0] if len(outs) == 1 else tuple(outs)

    def rope(self, q, k, layer, number=0):
        """Rotate queries and keys by their positions, in place."""
        hp = self.hp
        self.step("rope", layer=layer, ins=(q.slot, k.slot), outs=(q.slot, k.slot),
                  p=(q.width // hp.n_embd_head_k, k.width // hp.n_embd_head_k, number))
        return q, k

    def attention(self, q, k, v, layer, scale=None):
        """Store k and v in the cache, then let q look at what its token may see. Default scale: 1 / sqrt(head size)."""
        hp = self.hp
        self.step("kv_store", layer=layer, ins=(k.slot, v.slot))
        return self.value("attention", hp.n_head * hp.n_embd_head_v, layer=layer, ins=(q.slot,),
                          p=(hp.n_head, hp.n_head_kv), f=(scale or hp.n_embd_head_k ** -0.5,))

    def silu_mul(self, gate, up):
        return self.value("silu_mul", gate.width, ins=(gate.slot, up.slot))

    def add(self, a, b):
        """a + b; when b is the matrix product just made, the addition becomes part of it."""
        last = self.steps[-1]
        if last["op"] == "matmul" and last["n"] == 1 and last["outs"][0] == b.slot and last["ins"][1] < 0:
            last["ins"] = (last["ins"][0], a.slot, last["ins"][2])
            return b
        return self.value("add", a.width, ins=(a.slot, b.slot))

    def control(self, x, layer):
        """Add the layer's control vector, if the context has one; in place."""
        self.step("control", layer=layer, ins=(x.slot,), outs=(x.slot,))
        return x

    def select(self, *values):
        """From here on only the tokens whose logits are wanted."""
        self.selected = 1
        self.packed.clear()
        chosen = [self.value("select", x.width, ins=(x.slot,)) for x in values]
        return chosen[0] if len(chosen) == 1 else tuple(chosen)

    def experts(self, x, gate_inp, gate, up, down, normalise=True):
        """A mixture of experts with SwiGLU: the best n_expert_used of n_expert, weighted by their probabilities."""
        used = self.hp.n_expert_used
        scores = self.matmul(x, gate_inp)
        ids, weights = self.new(used), self.new(used)
        self.step("route", ins=(scores.slot,), outs=(ids.slot, weights.slot), p=(self.hp.n_expert, used, int(normalise)))
        g, u = (self.each_expert(x, w, ids, used, shared=True) for w in (gate, up))
        y = self.each_expert(self.silu_mul(g, u), down, ids, used, shared=False)
        return self.value("combine", down.rows, ins=(y.slot, weights.slot), p=(used,))

    def logits(self, x):
        self.logits_slot = self.before_logits(x) if self.embeddings else x.slot

    def before_logits(self, x):
        """Take the last product back; the slot of its input, whose rows fit where rows of logits do."""
        last = self.steps.pop()
        if last["op"] != "matmul" or last["outs"][0] != x.slot or self.hp.n_embd > self.hp.n_vocab:
            raise ModelError("this model cannot give embeddings")
        if last["ins"][0] != last["ins"][2]:  # the input in the format of the weights
            self.steps.pop()
        return last["ins"][2]

    # --- recording

    def each_expert(self, x, weight, ids, used, shared):
        self.expect(weight, x.width if shared else x.width // used, weight.rows)
        return self.value("experts", weight.rows * used, ins=(self.in_format(x, self.format_for(weight)), ids.slot, x.slot),
                          w=(weight,), n=1, p=(used, 0 if shared else 1))

    def expect(self, weight, k, rows):
        if (weight.k, weight.rows) != (k, rows):
            raise ModelError(f"tensor '{weight.name}' is {weight.k} x {weight.rows}, expected {k} x {rows}")

    def format_for(self, weight):
        fmt = dot_with(weight.type)
        if fmt is None:
            raise ModelError(f"tensor '{weight.name}' has type {weight.type}, which cannot be multiplied")
        return fmt

    def in_format(self, x, fmt):
        """The slot that holds x in an activation format; made once."""
        if fmt == F32:
            return x.slot
        if (x.slot, fmt) not in self.packed:
            size = row_bytes(fmt, x.width)
            if not size:
                raise ModelError(f"rows of {x.width} do not divide into the blocks of format {fmt}")
            self.slots.append(size)
            self.step("quantize", ins=(x.slot,), outs=(len(self.slots) - 1,), p=(fmt,))
            self.packed[x.slot, fmt] = len(self.slots) - 1
        return self.packed[x.slot, fmt]

    def new(self, width):
        self.slots.append(4 * width)
        return Value(len(self.slots) - 1, width)

    def value(self, op, width, **operands):
        out = self.new(width)
        self.step(op, outs=(out.slot,), **operands)
        return out

    def step(self, op, layer=0, ins=(), outs=(), w=(), b=(), n=0, p=(), f=()):
        self.steps.append({"op": op, "layer": layer, "n": n, "selected": self.selected, "ins": tuple(ins), "outs": tuple(outs),
                           "w": [self.index(t) for t in w], "b": [self.index(t) for t in b], "p": p, "f": f})

    def index(self, tensor):
        if tensor is None:
            return -1
        if tensor.name not in self.tensor_index:
            self.tensor_index[tensor.name] = len(self.tensors)
            self.tensors.append(tensor)
        return self.tensor_index[tensor.name]

    # --- finishing

    def build(self):
        """The finished Plan."""
        groups = self.groups()
        offsets, arena = self.place(groups)
        for group in groups:
            self.steps[group[0]]["n"] = self.steps[group[0]]["n"] or len(group)
        rows = [(OPS[s["op"]], s["layer"], s["n"], s["selected"], pad(s["ins"], 3), pad(s["outs"], 3), pad(s["w"], 3),
                 pad(s["b"], 3), pad(s["p"], 4, 0), pad(s["f"], 2, 0.0)) for s in self.steps]
        hp = self.hp
        sizes = {"n_layers": hp.n_layer, "n_embd": hp.n_embd, "n_vocab": hp.n_vocab, "n_heads": hp.n_head,
                 "n_heads_kv": hp.n_head_kv, "head_k": hp.n_embd_head_k, "head_v": hp.n_embd_head_v}
        tensors = [(t.type, t.slices, t.k, t.rows, t.data, t.name) for t in self.tensors]
        return Plan(rows, list(zip(self.slots, offsets)), tensors, arena, self.logits_slot, sizes)

    def groups(self):
        """Indices of the steps that are done together, group by group."""
        groups, kinds = [], []
        for i, s in enumerate(self.steps):
            kind = (s["op"] not in NOT_BY_TOKEN, s["selected"])
            if kinds and kind[0] and kind == kinds[-1]:
                groups[-1].append(i)
            else:
                groups.append([i])
                kinds.append(kind)
        return groups

    def place(self, groups):
        """Offsets of the slots and the size of it all, per token: each slot goes to the lowest gap free during its life."""
        first, last = {}, {}
        for number, group in enumerate(groups):
            for s in (self.steps[i] for i in group):
                for slot in (*filter(is_slot, s["ins"]), *s["outs"]):
                    first.setdefault(slot, number)
                    last[slot] = number
        offsets, living, arena = [0] * len(self.slots), [], 0
        for slot in sorted(first, key=first.get):
            if slot == self.logits_slot:
                continue
            size = -(-self.slots[slot] // ALIGN) * ALIGN
            living = sorted((o, n, other) for o, n, other in living if last[other] >= first[slot])
            offset = 0
            for o, n, _ in living:
                if offset + size <= o:
                    break
                offset = max(offset, o + n)
            offsets[slot] = offset
            living.append((offset, size, slot))
            arena = max(arena, offset + size)
        return offsets, arena


def is_slot(number):
    return number >= 0


def pad(items, n, filler=-1):
    return tuple(items) + (filler,) * (n - len(items))
