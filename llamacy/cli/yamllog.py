"""--logdir: a record of the run in YAML. Its keys are long flags, so that a script can repeat a run from it.

Differs from the reference: the file is YAML whatever the texts contain. What a reader would take for something else is
quoted, no line of a text is lost, and each entry has a line of its own.
"""

import os
import time

from . import options
from .log import write_stderr
from .words import by_name

CPU_KEYS = """arm_fma avx avx_vnni avx2 avx512 avx512_vbmi avx512_vnni cuda vulkan clblast kompute fma gpublas neon f16c
fp16_va wasm_simd blas sse3 vsx matmul_int8""".split()

# In the order of the file. Each is a long flag, whose row says the rest, or stands in SPECIAL.
KEYS = """alias batch_size cfg_negative_prompt cfg_scale chunks color ctx_size escape file frequency_penalty grammar
grammar-file hellaswag hellaswag_tasks ignore_eos in_prefix in_prefix_bos in_suffix instruct interactive
interactive_first keep logdir logit_bias lora lora_scaled lora_base main_gpu min_keep mirostat mirostat_ent
mirostat_lr mlock model model_draft multiline_input n_gpu_layers n_predict n_probs no_mmap penalize_nl ppl_output_type
ppl_stride presence_penalty prompt prompt_cache prompt_cache_all prompt_cache_ro prompt_tokens random_prompt
repeat_penalty reverse_prompt rope_freq_base rope_freq_scale seed simple_io cont_batching flash_attn temp tensor_split
tfs threads top_k top_p min_p typical_p verbose_prompt display_prompt""".split()

# How a value is written, by the kind of its flag; and (how, field of Params) where the row does not say it.
WRITTEN_AS = {"on": "bool", "off": "not", "int": "int", "float": "float", "str": "word", "bytes": "text"}
SPECIAL = {
    "file": ("see", "prompt"), "grammar": ("text", "sampling.grammar"), "grammar-file": ("see", "grammar"),
    "keep": ("result", "n_keep"), "logdir": ("word", "logdir"), "logit_bias": ("biases", "sampling.logit_bias"),
    "lora": ("lora", "loras"), "lora_scaled": ("lora_scaled", "loras"), "main_gpu": ("int", "main_gpu"),
    "min_keep": ("int", "sampling.min_keep"), "n_gpu_layers": ("int", "n_gpu_layers"),
    "n_probs": ("int", "sampling.n_probs"),
    "prompt_tokens": ("result", "prompt_tokens"), "reverse_prompt": ("words", "antiprompts"), "seed": ("int", "seed"),
    "temp": ("float", "sampling.temp"), "tensor_split": ("split", "tensor_split"), "threads": ("int", "n_threads"),
    "typical_p": ("float", "sampling.typical_p"), "display_prompt": ("bool", "display_prompt"),
}


def write(params, **results):
    """Write the record into params.logdir. Returns its path, or None after a warning: the run is over and went well.

    results     model_desc (str), n_vocab, n_keep, prompt_tokens ([int]), output (bytes), output_tokens ([int]),
                timings: {n_eval, n_p_eval, n_sample, t_eval_us, t_load_us, t_p_eval_us, t_sample_us}
    """
    stamp = timestamp(time.time_ns())
    try:
        os.makedirs(params.logdir, 0o755, exist_ok=True)
    except OSError:
        write_stderr(b"write_logfile: warning: failed to create logdir %b, cannot write logfile\n"
                     % os.fsencode(params.logdir))
        return None
    path = f"{params.logdir}{stamp}.yml"
    try:
        with open(path, "wb") as stream:
            stream.write(document(params, stamp, **results).encode())
    except OSError:
        write_stderr(b"write_logfile: failed to open logfile %b\n" % os.fsencode(path))
        return None
    return path


def timestamp(nanoseconds):
    """Local time as it stands in the file and in its name."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    return time.strftime("%Y_%m_%d-%H_%M_%S", time.localtime(seconds)) + f".{fraction:09d}"


def document(params, stamp, *, model_desc, n_vocab, n_keep, prompt_tokens, output, output_tokens, timings):
    """The whole record (str)."""
    results = {"n_keep": n_keep, "prompt_tokens": prompt_tokens}
    lines = build_lines() + [
        "debug: false",
        f"model_desc: {word(model_desc)}",
        f"n_vocab: {n_vocab}  # output size of the final layer, 32001 for some models",
        "optimize: true",
        f"time: {stamp}",
    ] + banner("User Inputs")
    table = by_name(options.rows())
    for key in KEYS:
        lines += entry(key, table.get("--" + key.replace("_", "-")), params, results)
    lines += banner("Generation Results") + text_lines("output", output)
    lines.append(f"output_tokens: {output_tokens}")
    lines += banner("Timings") + timing_lines(**timings)
    return "\n".join(lines) + "\n"


def build_lines():
    """What program this was and on which CPU."""
    from . import buildinfo
    features = {name.lower(): value for name, value in buildinfo.features().items()}
    return ["binary: main", f"build_commit: {buildinfo.COMMIT}", f"build_number: {buildinfo.BUILD}"] + [
        f"cpu_has_{key}: {yes(features.get(key))}" for key in CPU_KEYS]


def banner(title):
    line = "#" * (len(title) + 4)
    return ["", line, f"# {title} #", line, ""]


def entry(key, row, params, results):
    """The lines of one key. row: that of the flag of this name, or None; a comment tells the flag's default."""
    how, field = SPECIAL.get(key) or (WRITTEN_AS[row[2]], row[3])
    if how == "see":
        return [f"{key}: # not recorded: its text is under {field}"]
    target, _, name = field.rpartition(".")
    value = results[name] if how == "result" else getattr(params.sampling if target else params, name)
    if how == "text":
        return text_lines(key, value)
    if how in LISTS:
        return [f"{key}:"] + LISTS[how](value)
    default = row[4] if row else None
    comment = f" # default: {SCALARS[how](default)}" if default not in (None, "") else ""
    return [f"{key}: {SCALARS[how](value)}".rstrip() + comment]


def timing_lines(*, n_eval, n_p_eval, n_sample, t_eval_us, t_load_us, t_p_eval_us, t_sample_us):
    """Rates are from the raw counts: nan where nothing happened."""
    return [
        f"mst_eval: {ratio(t_eval_us, 1000 * n_eval):.2f}  # ms per generated token",
        f"mst_p_eval: {ratio(t_p_eval_us, 1000 * n_p_eval):.2f}  # ms per token of the prompt",
        f"mst_sample: {ratio(t_sample_us, 1000 * n_sample):.2f}  # ms per sampled token",
        f"n_eval: {n_eval}  # tokens generated, without the first",
        f"n_p_eval: {n_p_eval}  # tokens evaluated in batches",
        f"n_sample: {n_sample}  # tokens sampled",
        f"t_eval_us: {t_eval_us:.0f}  # microseconds of generation",
        f"t_load_us: {t_load_us:.0f}  # microseconds of loading the model",
        f"t_p_eval_us: {t_p_eval_us:.0f}  # microseconds of reading the prompt",
        f"t_sample_us: {t_sample_us:.0f}  # microseconds of sampling",
        f"ts_eval: {ratio(1e6 * n_eval, t_eval_us):.2f}  # tokens per second generated",
        f"ts_p_eval: {ratio(1e6 * n_p_eval, t_p_eval_us):.2f}  # tokens per second of the prompt",
        f"ts_sample: {ratio(1e6 * n_sample, t_sample_us):.2f}  # tokens per second sampled",
    ]


def ratio(a, b):
    return a / b if b else float("inf" if a else "nan")


# ----------------------------------------------------------------------------------------------------- YAML's ways

MISREAD = frozenset(("", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n"))


def text_lines(key, text):
    """A text for the model (bytes): nothing, one line, a block of lines, or in quotes on one line."""
    if not text:
        return [f"{key}:"]
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    if text[:1].isspace() or text[-1:].isspace() or not all(line.replace("\t", "").isprintable() for line in lines):
        return [f"{key}: {quoted(chr(10).join(lines))}"]
    if len(lines) == 1:
        return [f"{key}: {word(lines[0])}"]
    return [f"{key}: |-"] + [f"  {line}" for line in lines]


def word(text):
    """A string (str or bytes) on one line: in quotes if a reader would take it for something else, "" if empty."""
    text = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
    plain = (text.isprintable() and text.strip() == text and text.lower() not in MISREAD and not text.endswith(":")
             and text[0] not in "-?:,[]{}#&*!|>'\"%@`+.0123456789=<" and ": " not in text and " #" not in text)
    return text if plain or not text else quoted(text)


def quoted(text):
    """A double-quoted string. A byte that is not UTF-8 becomes the character of that number: YAML knows no bytes."""
    return '"%s"' % "".join(map(escaped, text))


def escaped(char):
    code = ord(char)
    if char in '"\\':
        return "\\" + char
    if char == "\n":
        return r"\n"
    if char == "\t":
        return r"\t"
    if char.isprintable():
        return char
    if code < 0x100 or 0xDC80 <= code <= 0xDCFF:
        return rf"\x{code & 0xFF:02x}"
    return rf"\u{code:04x}" if code < 0x10000 else rf"\U{code:08x}"


def yes(value):
    return "true" if value else "false"


def lora_scaled(loras):
    return [f"  - {word(path)}: {scale:f}" for path, scale in loras if scale != 1.0]


SCALARS = {
    "bool": yes,
    "not": lambda value: yes(not value),
    "int": str,
    "float": "{:f}".format,
    "word": word,
    "result": str,
    "split": lambda shares: "[" + ", ".join(f"{share:e}" for share in shares or [0.0]) + "]",
}
LISTS = {
    "biases": lambda biases: [f"  {token}: {bias:f}" for token, bias in biases.items()],
    "lora": lambda loras: [f"  - {word(path)}" for path, scale in loras if scale == 1.0],
    "lora_scaled": lora_scaled,
    "words": lambda words: [f"  - {word(text) or quoted('')}" for text in words],
}
