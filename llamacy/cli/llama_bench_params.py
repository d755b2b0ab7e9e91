"""The words of a `llama-bench` command line -> Request, and the cases that follow from one.

A row of OPTIONS is (names, value, kind, field, default, help). Kinds of one value: count, format, on, png. All others are
lists, separated by commas or by naming the flag again, and each combination of their values is a case.
"""

import os
from itertools import product

from . import help
from .buildinfo import default_threads
from .strto import NotANumber, OutOfRange, stoi
from .words import Done, Invalid, by_name, flags, one_of, parsed, refused, spelled

MODEL = "models/7B/ggml-model-q4_0.gguf"
CACHE_TYPES = ("f32", "f16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
FORMATS = ("csv", "json", "md", "sql")

OPTIONS = (
    ("-h --help", "", "help", None, None, "print this text and exit"),
    ("-m --model", "FILE", "str", "model", (MODEL,), "GGUF file"),
    ("-p --n-prompt", "N", "int", "n_prompt", (512,), "prompt of N tokens; 0: no such test"),
    ("-n --n-gen", "N", "int", "n_gen", (128,), "generation of N tokens; 0: no such test"),
    ("-pg", "PP,TG", "pair", "pairs", (), "a prompt of PP tokens, then generation of TG; may be repeated"),
    ("-b --batch-size", "N", "int", "n_batch", (2048,), "tokens of a prompt that are handed over at once"),
    ("-ub --ubatch-size", "N", "int", "n_ubatch", (512,), "tokens of a prompt that are computed at once"),
    ("-ctk --cache-type-k", "TYPE", "type", "type_k", ("f16",), "type of the cached keys"),
    ("-ctv --cache-type-v", "TYPE", "type", "type_v", ("f16",), "type of the cached values"),
    ("-t --threads", "N", "int", "n_threads", None, "threads (default: one per physical core)"),
    ("-ngl --n-gpu-layers", "N", "int", "n_gpu_layers", (99,), "noted in the records; this build computes on the CPU"),
    ("-sm --split-mode", "none|layer|row", "split", "split_mode", ("layer",), "noted in the records"),
    ("-mg --main-gpu", "N", "int", "main_gpu", (0,), "noted in the records"),
    ("-nkvo --no-kv-offload", "0|1", "bool", "no_kv_offload", (0,), "noted in the records"),
    ("-fa --flash-attn", "0|1", "bool", "flash_attn", (0,), "flash attention"),
    ("-mmp --mmap", "0|1", "bool", "use_mmap", (1,), "map the file; 0: read it into memory"),
    ("--numa", "distribute|isolate|numactl", "note", None, None, "accepted without effect"),
    ("-embd --embeddings", "0|1", "bool", "embeddings", (0,), "compute embeddings, not logits"),
    ("-ts --tensor-split", "A/B/...", "str", "tensor_split", ("0.00",), "noted in the records"),
    ("-r --repetitions", "N", "count", "repetitions", 5, "how often each test is run"),
    ("-o --output", "csv|json|md|sql", "format", "output", "md", "form of the results"),
    ("-v --verbose", "", "on", "verbose", False, "show the log of loading"),
    ("--plot", "FILE.png", "png", "plot", "", "also draw the results against this machine's limits"),
)
CASE_FIELDS = ("model", "n_gpu_layers", "split_mode", "main_gpu", "tensor_split", "use_mmap", "embeddings", "n_batch",
               "n_ubatch", "type_k", "type_v", "no_kv_offload", "flash_attn", "n_threads")       # the last varies fastest


class Case:
    """One test: the fields of CASE_FIELDS with one value each, and n_prompt, n_gen."""

    def __init__(self, values, n_prompt, n_gen):
        for field, value in zip(CASE_FIELDS, values):
            setattr(self, field, value)
        self.n_prompt, self.n_gen = n_prompt, n_gen

    @property
    def name(self):
        """As the table prints it: `pp 512`, `tg 128`, `pp 512+tg 128`."""
        parts = [f"{kind} {n}" for kind, n in (("pp", self.n_prompt), ("tg", self.n_gen)) if n]
        return "+".join(parts)


class Request:
    """A command line, understood: an attribute per field of OPTIONS; lists are tuples of values.

    given   the fields that the user set: the table shows them even where all values are alike
    """

    def __init__(self, program):
        self.program, self.given = program, set()
        for _, _, _, field, default, _ in OPTIONS:
            if field:
                setattr(self, field, default)
        self.n_threads = (default_threads(),)

    def cases(self):
        """[Case], in the order of the reference: of each combination the prompts, then the generations."""
        return [Case(values, pp, tg) for values in product(*(getattr(self, field) for field in CASE_FIELDS))
                for pp, tg in self._tests()]

    def _tests(self):
        yield from ((n, 0) for n in self.n_prompt if n)
        yield from ((0, n) for n in self.n_gen if n)
        yield from (pair for pair in self.pairs if any(pair))

    def shown(self, field):
        """True if the table should have a column for this field."""
        return field in self.given


def parse(argv):
    """argv (str, as sys.argv) -> Request. SystemExit after help or messages."""
    request = Request(argv[0] if argv else "llama-bench")
    return parsed(lambda: _scan(request, argv[1:]), request.program, usage)


def usage(program):
    """What --help prints (bytes)."""
    lines = [f"usage: {program} [options]", "", "options:"]
    for row in shown_rows():
        lines += help.entry(row)
    lines += ["", "A flag with a list may have several values, separated by commas, or may be repeated. Every combination is",
              "measured."]
    return os.fsencode("\n".join(lines) + "\n")


def shown_rows():
    """OPTIONS with defaults as the user would write them."""
    return [(names, value, kind, field, ",".join(map(str, default)) if isinstance(default, tuple) else default, text)
            for names, value, kind, field, default, text in OPTIONS]


def _scan(request, words):
    """Do what the words say; returns the request."""
    for flag, (_, value, kind, field, _, _), take in flags(words, by_name(OPTIONS), spelled):
        if kind == "help":
            raise Done
        word = None
        try:
            word = take() if value else True
            _set(request, kind, field, word)
        except (Invalid, NotANumber, OutOfRange):
            raise refused(flag, "" if word is None else f": '{word}', expected {value}") from None
    return request


def _set(request, kind, field, word):
    if kind == "note":
        return
    if kind in ("on", "count", "format", "png"):
        setattr(request, field, _one(kind, word))
        return
    values = (_pair(word),) if kind == "pair" else tuple(_value(kind, part) for part in word.split(","))
    setattr(request, field, getattr(request, field) + values if field in request.given else values)
    request.given.add(field)


def _one(kind, word):
    if kind == "count":
        return _at_least(1, word)
    if kind == "format" and word not in FORMATS or kind == "png" and not word.lower().endswith(".png"):
        raise Invalid
    return word


def _value(kind, word):
    if kind == "int":
        return _at_least(0, word)
    if kind == "bool":
        return int(one_of(word, ("0", "1")))
    if kind == "type":
        return one_of(word, CACHE_TYPES)
    if kind == "split":
        return one_of(word, ("none", "layer", "row"))
    return word


def _pair(word):
    numbers = tuple(_at_least(0, part) for part in word.split(","))
    if len(numbers) != 2:
        raise Invalid
    return numbers


def _at_least(least, word):
    number = stoi(os.fsencode(word))
    if number < least:
        raise Invalid
    return number
