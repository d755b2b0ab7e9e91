"""LoRA adapters in `ggla` files, added to a model's weights.

Layout (little-endian): u32 magic, u32 version 1, i32 r, i32 alpha; then until the end of the file: i32 n_dims (1 or 2), i32
length of the name, i32 type (0 f32, 1 f16), n_dims x i32 size, name, padding to a multiple of 32, data.
Source  llama_apply_lora_from_file_internal of llama.cpp b2794.
"""

import mmap
from array import array
from os import fsencode
from struct import unpack_from
from time import perf_counter

from llamacy.errors import LlamacyError, ModelError

MAGIC = 0x67676C61
WHO = b"llama_apply_lora_from_file_internal: "
FLOAT_TYPES = (0, 1, 30)
PAD = 32


class Adapter:
    """A parsed file: rank, alpha and parts {name of a model's tensor: {"A": (ne, type, bytes), "B": ...}}.

    Errors  OSError: it cannot be read. LlamacyError: it is not such a file.
    """

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            try:
                self.view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except ValueError:
                raise self.error("the file is empty") from None
        magic, version, self.r, self.alpha = self.numbers("<IIii", 0, "header")
        if magic != MAGIC:
            raise self.error(f"bad file magic: found {magic:08x}, expected {MAGIC:08x}")
        if version != 1:
            raise self.error(f"unsupported file version: found {version}, expected 1")
        if self.r <= 0:
            raise self.error(f"rank is {self.r}, expected above 0")
        self.parts = {}
        at = 16
        while at < len(self.view):
            at = self.read_tensor(at)

    def error(self, text):
        return LlamacyError(f"{self.path}: {text}")

    def numbers(self, form, at, what):
        try:
            return unpack_from(form, self.view, at)
        except Exception:
            raise self.error(f"{what} at byte {at}: the file ends there") from None

    def read_tensor(self, at):
        n_dims, length, type = self.numbers("<iii", at, "tensor")
        if n_dims not in (1, 2) or not 0 < length < 1024:
            raise self.error(f"tensor at byte {at}: {n_dims} dimensions and a name of {length} bytes")
        ne = self.numbers(f"<{n_dims}i", at + 12, "tensor sizes")
        start = at + 12 + 4 * n_dims
        if start + length > len(self.view):
            raise self.error(f"tensor at byte {at}: a name of {length} bytes, but the file ends at byte {len(self.view)}")
        name = bytes(self.view[start:start + length]).decode("utf-8", "replace")
        base, _, part = name.rpartition(".lora")
        if not base or part not in ("A", "B"):
            raise self.error(f"error: '{name}' is not a lora tensor")
        if type not in (0, 1):
            raise self.error(f"invalid tensor data type '{type}'")
        start = -(-(start + length) // PAD) * PAD
        size = (4, 2)[type] * ne[0] * (ne[1] if n_dims == 2 else 1)
        if min(ne) <= 0 or start + size > len(self.view):
            raise self.error(f"tensor '{name}': {size} bytes at byte {start}, the file has {len(self.view)}")
        self.parts.setdefault(base, {})[part] = (ne, type, self.view[start:start + size])
        return start + size


def floats(part):
    """(rows, rank, float32 values) of one part."""
    ne, type, data = part
    values = array("f", memoryview(bytes(data)).cast("f" if type == 0 else "e").tolist())
    return (ne[1] if len(ne) == 2 else 1), ne[0], values


def apply(model, path, scale, base_path, log):
    from llamacy.engine._run import add_low_rank
    if not model.private:
        raise ModelError("a LoRA adapter changes the weights: load the model without mmap")
    log(WHO + b"applying lora adapter from '%s' - please wait ...\n" % fsencode(path))
    adapter = Adapter(path)
    scaling = scale * adapter.alpha / adapter.r
    log(WHO + b"r = %d, alpha = %d, scaling = %.2f\n" % (adapter.r, adapter.alpha, scaling))
    base = base_weights(base_path, log)
    started, warned, done = perf_counter(), False, 0
    for weight in model.weights.all():
        parts = adapter.parts.get(weight.name, {})
        if len(parts) < 2:
            continue
        source = base_of(base, weight)
        if source.type not in FLOAT_TYPES and not warned:
            warned = True
            log(WHO + b"warning: using a lora adapter with a quantized model may result in poor quality, use a f16 or f32 "
                b"base model with --lora-base\n")
        (k, rank, a), (rows, rank_b, b) = floats(parts["A"]), floats(parts["B"])
        if rank != rank_b or (k, rows, 1) != (weight.k, weight.rows, weight.slices):
            raise adapter.error(f"incompatible tensor dimensions ({k} and {rows}) for '{weight.name}'; "
                                f"are you sure that this adapter is for this model?")
        add_low_rank(weight.type, weight.k, source.data, source.type, a, b, rank, scaling, weight.data)
        done += 1
        if done % 4 == 0:
            log(b".")
    log(b" done (%.2f ms)\n" % (1000 * (perf_counter() - started)))


def base_weights(path, log):
    """The tensors of the model named with --lora-base, by name; None if there is none."""
    if not path:
        return None
    from llamacy.engine.report import Report
    from llamacy.gguf import GGUFFile
    log(WHO + b"loading base model from '%s'\n" % fsencode(path))
    gguf = GGUFFile(path)
    Report(gguf, log).metadata()
    return gguf


def base_of(gguf, weight):
    """The tensor that the product is added to: the base model's, else the model's own."""
    if gguf is None:
        return weight
    if weight.name not in gguf.tensors:
        raise ModelError(f"error: tensor '{weight.name}' not found in base model")
    from llamacy.engine.weights import Weight, check_shape
    info = gguf.tensors[weight.name]
    check_shape(info, (weight.k, weight.rows))
    return Weight(weight.name, info.type, (weight.k, weight.rows), gguf.data(weight.name))
