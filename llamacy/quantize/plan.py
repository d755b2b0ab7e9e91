"""Before a byte is written: what becomes of each tensor, how large the output gets, whether it can be made at all."""

from llamacy.errors import ModelError, one_line
from llamacy.gguf.types import TYPES, align_up, row_bytes
from llamacy.quantize import _rows
from llamacy.quantize.filetypes import TENSOR_TYPES
from llamacy.quantize.rules import EMBEDDING, OUTPUT, Mix, dimensions, is_convertible, needs_imatrix

MOST_DIMENSIONS = 3      # a fourth would be stacks of stacks: no model has one, and the reference loses data


class Settings:
    """What the user wants. ftype: filetypes.FileType; output_type, embedding_type: names ("Q6_K") or None;
    overrides: [(key, "int" | "float" | "bool" | "str", value)]; n_threads: 1 or more."""

    def __init__(self, ftype):
        self.ftype = ftype
        self.allow_requantize = False
        self.leave_output_tensor = False
        self.pure = False
        self.output_type = None
        self.embedding_type = None
        self.keep_split = False
        self.overrides = []
        self.n_threads = 1


class Step:
    """What becomes of one tensor.

    tensor    gguf.TensorInfo
    ne        sizes in the output
    target    type in the output (number); equal to tensor.type: the bytes are copied
    nbytes    in the output
    weights   imatrix values (columns * slices) or None
    notices   [str]: what the user should know of it
    """

    __slots__ = ("tensor", "ne", "target", "nbytes", "weights", "notices")

    def __init__(self, tensor, target, weights, notices):
        self.tensor = tensor
        self.ne = dimensions(tensor.ne)
        self.target = target
        self.weights = weights
        self.notices = notices
        self.nbytes = row_bytes(target, self.ne[0])
        for n in self.ne[1:]:
            self.nbytes *= n

    @property
    def converts(self):
        return self.target != self.tensor.type

    @property
    def n_elements(self):
        n = 1
        for d in self.ne:
            n *= d
        return n


class Plan:
    """steps: one for each tensor, in order. n_fallback: tensors that got another type because of the length of their
    rows. n_blocks256: those and the others that got a type with blocks of 256."""

    def __init__(self):
        self.steps = []
        self.n_fallback = 0
        self.n_blocks256 = 0

    @property
    def n_elements(self):
        return sum(step.n_elements for step in self.steps)

    def data_bytes(self, alignment, shard=None):
        """Bytes of all tensors (or of those of one part) with the zeros between them."""
        return sum(align_up(step.nbytes, alignment) for step in self.steps if shard in (None, step.tensor.shard))


def make(gguf, facts, settings, imatrix=None):
    """Plan for a model. Errors  ModelError: it cannot be quantized as asked; nothing has been written."""
    plan = Plan()
    mix = Mix(facts, settings.ftype, imatrix is not None, settings.output_type, settings.embedding_type)
    for tensor in gguf.tensors.values():
        plan.steps.append(_step(plan, tensor, mix, facts, settings, imatrix))
    return plan


def _step(plan, tensor, mix, facts, settings, imatrix):
    if not _wanted(tensor, facts, settings):
        return Step(tensor, tensor.type, None, [])
    notices = []
    type = _type(plan, tensor, mix, settings, notices)
    target = TENSOR_TYPES[type]
    if target == tensor.type:
        return Step(tensor, target, None, notices)
    if len(dimensions(tensor.ne)) > MOST_DIMENSIONS:
        raise ModelError(f"tensor '{tensor.name}' has 4 dimensions, at most {MOST_DIMENSIONS} can be quantized")
    _check_source(tensor, settings)
    _check_rows(tensor, target)
    weights = _weights(tensor, imatrix, notices)
    if weights is None and needs_imatrix(settings.ftype, type, tensor.name):
        raise ModelError(f"Missing importance matrix for tensor {tensor.name} in a very low-bit quantization")
    return Step(tensor, target, weights, notices)


def _wanted(tensor, facts, settings):
    """True if the tensor is to have another type, if that differs."""
    return (settings.ftype.base is not None
            and is_convertible(tensor.name, tensor.ne, facts.arch)
            and not (settings.leave_output_tensor and tensor.name == OUTPUT))


def _type(plan, tensor, mix, settings, notices):
    """Name of the tensor's new type. What the user says about a tensor comes last and is not second-guessed."""
    type, columns = settings.ftype.base, tensor.ne[0]
    if settings.ftype.is_block_type and not settings.pure:
        type, wished = mix.type_of(tensor.name, columns)
        plan.n_fallback += wished is not None
        plan.n_blocks256 += wished is not None or TYPES[TENSOR_TYPES[type]].block == 256
        if wished is not None:
            notices.append(f"\nllama_tensor_get_type : tensor cols {columns} x {tensor.ne[1]} are not divisible by "
                           f"256, required for {printed(wished)} - using fallback quantization {printed(type)}")
    if tensor.name == EMBEDDING and settings.embedding_type:
        type = settings.embedding_type
    if tensor.name == OUTPUT and settings.output_type:
        type = settings.output_type
    return type


def printed(type):
    """Q4_K -> q4_K: as logs have it."""
    return TYPES[TENSOR_TYPES[type]].name


def _check_source(tensor, settings):
    name = TYPES[tensor.type].name
    if not _rows.is_readable(tensor.type):
        raise ModelError(f"cannot dequantize/convert tensor type {name}: tensor '{tensor.name}'")
    if TYPES[tensor.type].block > 1 and not settings.allow_requantize:
        raise ModelError(f"requantizing from type {name} is disabled: tensor '{tensor.name}' has lost precision "
                         "already (--allow-requantize converts it all the same)")


def _check_rows(tensor, target):
    """The reference writes a broken file here, or crashes, or says that validation failed."""
    info, columns = TYPES[target], tensor.ne[0]
    if columns % info.block:
        advice = ("this model can only be F16, F32 or COPY" if columns % 32 else
                  "choose a type with blocks of 32 or leave out --pure")
        raise ModelError(f"tensor '{tensor.name}' of type {info.name} has {columns} elements per row, not a multiple "
                         f"of block size ({info.block}): {advice}")


def _weights(tensor, imatrix, notices):
    """The tensor's part of the importance matrix, or None with a notice."""
    if imatrix is None:
        return None
    values = imatrix.entries.get(tensor.name)
    if values is None:
        notices.append(f"====== llama_model_quantize_internal: did not find weights for {tensor.name}")
        return None
    expected = tensor.ne[0] * (tensor.ne[2] if len(tensor.ne) > 2 else 1)
    if len(values) == expected:
        return values
    text = f"imatrix size {len(values)} is different from tensor size {expected} for {one_line(tensor.name)}"
    if tensor.name != EMBEDDING:
        raise ModelError(text)
    notices.append(f"====== llama_model_quantize_internal: {text}")
    return None
