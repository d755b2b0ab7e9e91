"""What flags do that do more than set a field (kind "do" in options.py): one function per name.

Each is called with the Params, a function that takes the next word of the command line (str), and the flag as written.
"""

import os

from ..errors import LlamacyError, UsageError, one_line
from ..sampling.params import samplers_from_letters, samplers_from_names
from .log import write_stderr
from .strto import NotANumber, OutOfRange, atof, atol, nearest, stof, stoi, stoul
from .words import Invalid, one_of

GPU_WARNING = (b"warning: not compiled with GPU offload support, %b option will be ignored\n"
               b"warning: see main README.md for information on enabling GPU BLAS support\n")
NO_EFFECT = b"warning: llama.cpp was compiled without CUDA/SYCL%b. Setting %b has no effect.\n"


# ------------------------------------------------------------------------------------------------------- general


def seed(params, take, flag):
    params.seed = params.sampling.seed = stoul(os.fsencode(take()))


def threads(params, take, flag):
    params.n_threads = _threads(take)


def threads_batch(params, take, flag):
    params.n_threads_batch = _threads(take)


def _threads(take):
    from . import buildinfo
    number = stoi(os.fsencode(take()))
    return number if number > 0 else buildinfo.logical_cpus()


def numa(params, take, flag):
    params.numa = one_of(take() or "distribute", ("distribute", "isolate", "numactl"))


# --------------------------------------------------------------------------------------------------------- model


def override_kv(params, take, flag):
    word = os.fsencode(take())
    try:
        params.overrides.append(parse_override(word))
    except ValueError as error:
        write_stderr(b"parse_kv_override: %b\nerror: Invalid type for KV override: %b\n" % (error.args[0], word))
        raise Invalid from None


def parse_override(word):
    """b"KEY=TYPE:VALUE" -> (key (str), type, value: int, float, bool or bytes).

    Errors  ValueError: args[0] is the message (bytes).
    """
    key, equals, rest = word.partition(b"=")
    if not equals or len(key) >= 128:
        raise ValueError(b"malformed KV override '%b'" % word)
    kind, colon, value = rest.partition(b":")
    if not colon or kind not in (b"int", b"float", b"bool", b"str"):
        raise ValueError(b"invalid type for KV override '%b'" % word)
    if kind == b"bool" and value not in (b"true", b"false"):
        raise ValueError(b"invalid boolean value for KV override '%b'" % word)
    if kind == b"str" and len(value) > 127:
        raise ValueError(b"malformed KV override '%b', value cannot exceed 127 chars" % word)
    read = {b"int": atol, b"float": atof, b"bool": b"true".__eq__, b"str": bytes}[kind]
    return os.fsdecode(key), kind.decode(), read(value)


def lora(params, take, flag):
    params.loras.append((take(), 1.0))
    params.use_mmap = False


def lora_scaled(params, take, flag):
    params.loras.append((take(), stof(os.fsencode(take()))))
    params.use_mmap = False


def control_vector(params, take, flag):
    params.control_vectors.append((take(), 1.0))


def control_vector_scaled(params, take, flag):
    params.control_vectors.append((take(), stof(os.fsencode(take()))))


def control_vector_layer_range(params, take, flag):
    params.control_vector_layer_start = stoi(os.fsencode(take()))
    params.control_vector_layer_end = stoi(os.fsencode(take()))


# -------------------------------------------------------------------------------------------------------- prompt


def file(params, take, flag):
    path = take()
    params.prompt = without_last_newline(params.prompt + read_file(path, flag))
    params.prompt_file = path


def binary_file(params, take, flag):
    path = take()
    params.prompt = read_file(path, flag)
    params.prompt_file = path
    write_stderr(b"Read %d bytes from binary file %b\n" % (len(params.prompt), os.fsencode(path)))


def cfg_negative_prompt_file(params, take, flag):
    params.cfg_negative_prompt = without_last_newline(params.cfg_negative_prompt + read_file(take(), flag))


def reverse_prompt(params, take, flag):
    params.antiprompts.append(os.fsencode(take()))


def read_file(path, flag):
    """All bytes of a file. Invalid (after a line on stderr) if it cannot be opened, UsageError if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.readall()
    except IsADirectoryError:
        raise UsageError(f"{flag}: '{one_line(path)}' is a folder, not a file") from None
    except OSError as error:
        if error.filename is None:                 # it was open: reading failed
            raise UsageError(f"{flag}: failed to read file '{one_line(path)}': {error.strerror}") from None
        write_stderr(b"error: failed to open file '%b'\n" % os.fsencode(path))
        raise Invalid from None


def without_last_newline(text):
    return text[:-1] if text.endswith(b"\n") else text


# ---------------------------------------------------------------------------------------------------- generation


def rope_scale(params, take, flag):
    factor = stof(os.fsencode(take()))
    inverse = 1.0 / factor if factor else float("inf")
    params.rope_freq_scale = nearest(inverse)


def memory_f32(params, take, flag):
    params.cache_type_k = params.cache_type_v = "f32"
    write_stderr(b"note: --memory-f32 is an old spelling of -ctk f32 -ctv f32\n")


# ------------------------------------------------------------------------------------------------------ sampling


def samplers(params, take, flag):
    params.sampling.samplers = samplers_from_names(take())


def sampling_seq(params, take, flag):
    params.sampling.samplers = samplers_from_letters(take())


def temp(params, take, flag):
    params.sampling.temp = max(stof(os.fsencode(take())), 0.0)


def repeat_last_n(params, take, flag):
    params.sampling.penalty_last_n = stoi(os.fsencode(take()))
    params.sampling.n_prev = max(params.sampling.n_prev, params.sampling.penalty_last_n)


def logit_bias(params, take, flag):
    token, bias = parse_bias(os.fsencode(take()))
    params.sampling.logit_bias[token] = bias


def parse_bias(word):
    """b"ID+BIAS" or b"ID-BIAS", blanks allowed -> (id, bias). Invalid for anything else."""
    start = len(word) - len(word.lstrip())
    end = start + (word[start:start + 1] in (b"+", b"-"))
    while word[end:end + 1].isdigit():
        end += 1
    rest = word[end:].lstrip()
    if rest[:1] not in (b"+", b"-"):
        raise Invalid
    try:
        return stoi(word[:end]), stof(rest[1:]) * (-1.0 if rest[:1] == b"-" else 1.0)
    except (NotANumber, OutOfRange):
        raise Invalid from None


def grammar(params, take, flag):
    params.sampling.grammar = os.fsencode(take())


def grammar_file(params, take, flag):
    params.sampling.grammar += read_file(take(), flag)


def json_schema(params, take, flag):
    schema = os.fsencode(take())
    from ..sampling.json_schema import json_schema_to_grammar
    try:
        params.sampling.grammar = json_schema_to_grammar(schema)
    except LlamacyError as error:
        raise UsageError(f"{flag}: {flat(error)}") from None


def flat(error):
    """The text of an error on one line."""
    return one_line(str(error).replace("\n", " "))


# --------------------------------------------------------------------------------------------------- the machine


def logdir(params, take, flag):
    folder = take()
    params.logdir = folder if folder.endswith("/") else folder + "/"


def n_gpu_layers(params, take, flag):
    params.n_gpu_layers = stoi(os.fsencode(take()))
    write_stderr(GPU_WARNING % b"--n-gpu-layers")


def n_gpu_layers_draft(params, take, flag):
    params.n_gpu_layers_draft = stoi(os.fsencode(take()))
    write_stderr(GPU_WARNING % b"--n-gpu-layers-draft")


def split_mode(params, take, flag):
    params.split_mode = one_of(take(), ("none", "layer", "row"))
    write_stderr(NO_EFFECT % (b"", b"the split mode"))


def main_gpu(params, take, flag):
    params.main_gpu = stoi(os.fsencode(take()))
    write_stderr(NO_EFFECT % (b"", b"the main GPU"))


def tensor_split(params, take, flag):
    shares = os.fsencode(take()).replace(b"/", b",").split(b",")
    params.tensor_split = [stof(share) for share in shares if share]
    write_stderr(NO_EFFECT % (b"/Vulkan", b"a tensor split"))


# --------------------------------------------------------------------------------------------------------- others


def image(params, take, flag):
    params.images.append(take())


def refuse_perplexity(params, take, flag):
    params.refuse = "perplexity"


def refuse_embedding(params, take, flag):
    params.refuse = params.refuse or "embedding"


def log_file(params, take, flag):
    params.log_file = take() or "unnamed"
