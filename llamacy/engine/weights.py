"""The weights of a model: views of the mapped file, or private memory when that was asked for."""

import mmap

from llamacy.errors import ModelError
from llamacy.gguf.types import row_bytes


class Weight:
    """One tensor as the plan sees it: `slices` matrices of `rows` rows of `k` elements; data: bytes, readable."""

    __slots__ = ("name", "type", "k", "rows", "slices", "data")

    def __init__(self, name, type, ne, data):
        self.name = name
        self.type = type
        self.k = ne[0]
        self.rows = ne[1] if len(ne) > 1 else 1
        self.slices = ne[2] if len(ne) > 2 else 1
        self.data = data


class Weights:
    """The tensors an architecture asks for, by name without `.weight`; looked up with the hyper-parameters beside them.

    Errors  ModelError: a tensor is missing, has another shape, or the file has one that the architecture does not know.
    """

    def __init__(self, gguf, hparams, wanted, *, use_mmap=True):
        self.hp = hparams
        self._rows = {}
        self._private = not use_mmap
        known = set()
        rows = list(wanted)
        merged = self.merge_experts(gguf, rows)
        for name, ne, required in rows:
            if name in merged:
                known.update(merged[name])
                self._rows[name] = self.gathered(gguf, name, ne, merged[name])
            elif name in gguf.tensors:
                known.add(name)
                check_shape(gguf.tensors[name], ne)
                self._rows[name] = Weight(name, gguf.tensors[name].type, ne, self.load(gguf, name))
            elif required:
                raise ModelError(f"check_tensor_dims: tensor '{name}' not found")
        self.refuse_others(gguf, known)
        self.check_vectors()

    def __getitem__(self, name):
        return self._rows[name + ".weight"]

    def get(self, name):
        return self._rows.get(name + ".weight")

    def bias(self, name):
        return self._rows.get(name + ".bias")

    def all(self):
        return self._rows.values()

    # --- loading

    def load(self, gguf, name):
        if not self._private:
            return gguf.data(name)
        return private_copy(gguf.data(name))

    def merge_experts(self, gguf, rows):
        """Old files hold each expert apart: {merged name: names of its parts} for those that are."""
        merged = {}
        for name, ne, _ in rows:
            if "_exps." in name and name not in gguf.tensors:
                base = name.replace("_exps.weight", "")
                parts = [f"{base}.{x}.weight" for x in range(ne[2])]
                if parts[0] in gguf.tensors:
                    merged[name] = parts
        return merged

    def gathered(self, gguf, name, ne, parts):
        type = None
        chunks = []
        for part in parts:
            if part not in gguf.tensors:
                raise ModelError(f"check_tensor_dims: tensor '{part}' not found")
            info = gguf.tensors[part]
            check_shape(info, ne[:2])
            type = info.type if type is None else type
            if info.type != type:
                raise ModelError(f"create_tensor_as_view: tensor '{part}' has wrong type; expected {type}, got {info.type}")
            chunks.append(gguf.data(part))
        return Weight(name, type, ne, private_copy(*chunks))

    def refuse_others(self, gguf, known):
        if len(known) != gguf.n_tensors:
            other = next(name for name in gguf.tensors if name not in known)
            raise ModelError(f"done_getting_tensors: wrong number of tensors; expected {gguf.n_tensors}, got {len(known)}: "
                             f"architecture '{self.hp.arch}' does not know '{other}'")

    def check_vectors(self):
        """Norms, biases and factors are read as f32 vectors."""
        for w in self._rows.values():
            if w.rows == 1 and w.slices == 1 and w.type != 0 and not w.name.startswith(("token_embd", "output.")):
                raise ModelError(f"tensor '{w.name}' has type {w.type}, expected f32")


def check_shape(info, ne):
    found = tuple(info.ne) + (1,) * (4 - len(info.ne))
    expected = tuple(ne) + (1,) * (4 - len(ne))
    if found != expected:
        raise ModelError(f"check_tensor_dims: tensor '{info.name}' has wrong shape; expected {shape(ne)}, got {shape(found)}")


def shape(ne):
    return ", ".join("%5d" % n for n in ne)


def private_copy(*parts):
    """The parts one after another in memory of our own, page aligned and writable."""
    total = sum(len(p) for p in parts)
    copy, at = mmap.mmap(-1, max(total, 1)), 0
    if hasattr(mmap, "MADV_HUGEPAGE"):
        try:
            copy.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            pass  # a kernel without them
    for part in parts:
        copy[at:at + len(part)] = part
        at += len(part)
    return memoryview(copy)


def bytes_of(weight):
    return row_bytes(weight.type, weight.k) * weight.rows * weight.slices
