"""Words of the command line -> Params. No model, no output but messages; tested without either.

The rules are those of the reference, down to the message that blames the last flag instead of the guilty one: scripts
compare stderr. Where the reference crashes there is one line, `error: ...`, and status 1.
"""

import os

from ..errors import LlamacyError, UsageError, one_line
from ..sampling.params import SamplingParams
from . import actions, options
from .actions import Done, Invalid, flat, one_of
from .console import write_all
from .log import write_stderr
from .strto import NotANumber, OutOfRange, stof, stoi

SEED_UNSET = 0xFFFFFFFF
ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"'": b"'", b'"': b'"'}
HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")


class Params:
    """All settings of a run. The fields of the rows in options.py with their defaults, and these:

    prompt_file           the last file of -f or -bf; "" if there was none
    seed                  uint32; 0xFFFFFFFF: not given
    n_threads             1 or more.  n_threads_batch: the same, or -1 if not given
    overrides             [(key (str), "int" | "float" | "bool" | "str", value (int, float, bool, bytes))]
    loras                 [(path, scale)].  control_vectors: [(path, strength)]
    control_vector_layer_start, control_vector_layer_end    0 or less: the default
    antiprompts           [bytes]
    refuse                "perplexity", "embedding" or None: what the user wanted from main in vain
    sampling              SamplingParams
    program               how the program was called, for the help text

    Texts for the model are bytes; paths and names are str as in sys.argv.
    """

    def __init__(self, program="main"):
        self.program = program
        self.sampling = SamplingParams()
        for _, _, kind, field, default, _ in options.rows():
            if kind not in ("do", "note") and not field.startswith("sampling."):
                setattr(self, field, default)
        self.seed = SEED_UNSET
        self.n_threads, self.n_threads_batch = None, -1
        self.numa = None
        self.prompt_file = self.logdir = ""
        self.overrides, self.loras, self.control_vectors, self.antiprompts, self.images = [], [], [], [], []
        self.control_vector_layer_start = self.control_vector_layer_end = -1
        self.n_gpu_layers = self.n_gpu_layers_draft = -1
        self.split_mode, self.main_gpu, self.tensor_split = "layer", 0, []
        self.log_file = "main"
        self.refuse = None

    @property
    def cfg_scale(self):
        return self.sampling.cfg_scale


def parse(argv):
    """argv (str, as sys.argv) -> Params, ready for use. SystemExit after messages, help or version."""
    params = Params(argv[0] if argv else "main")
    try:
        scan(params, argv[1:])
        finish(params)
        return params
    except Done as answer:
        status, stdout, stderr = 0, answer.stdout, answer.stderr
    except Usage as error:
        from . import help
        status, stdout, stderr = 1, help.text(params.program), os.fsencode(f"{error}\n")
    except UsageError as error:
        status, stdout, stderr = 1, b"", os.fsencode(f"error: {error}\n")
    write_stderr(stderr)
    write_all(1, stdout)
    raise SystemExit(status)


class Usage(UsageError):
    """An error after which the reference prints its help. The text is the line as it stands."""


def scan(params, words):
    """Walk through the words once, left to right, and do what each flag says."""
    table = options.by_name()
    words = iter(words)
    flag, invalid = "", False

    def take():
        for word in words:
            return word
        raise Invalid

    for word in words:
        flag = word.replace("_", "-") if word.startswith("--") else word
        row = table.get(flag)
        if row is None or (flag.startswith("--log-") and word != flag):      # the log flags take no `_`
            raise Usage(f"error: unknown argument: {flag}{suggestion(flag, table)}")
        try:
            apply(params, row, take, flag)
        except Invalid:
            invalid = True
        except NotANumber as error:
            raise Usage(str(error)) from None
        except OutOfRange as error:
            raise UsageError(f"{flag}: {error}") from None
    if invalid:
        raise Usage(f"error: invalid parameter for argument: {flag}")


def apply(params, row, take, flag):
    """Do what the row says; `take` gives its values."""
    _, value, kind, field, _, _ = row
    if kind == "do":
        getattr(actions, field)(params, take, flag)
        return
    if kind == "note":
        for _ in value.split():
            take()
        write_stderr(os.fsencode(f"note: {flag} is accepted and has no effect\n"))
        return
    target, _, name = field.rpartition(".")
    setattr(params.sampling if target else params, name, convert(kind, value, take))


def convert(kind, value, take):
    """The value of a flag of this kind (options.py)."""
    if kind in ("on", "off"):
        return kind == "on"
    word = take()
    if kind == "str":
        return word
    if kind == "choice":
        return one_of(word, value.split("|"))
    word = os.fsencode(word)
    return word if kind == "bytes" else stoi(word) if kind == "int" else stof(word)


def suggestion(flag, table):
    """A second line for the message, if the word looks like a flag."""
    if not flag.startswith("-"):
        return ""
    from difflib import get_close_matches
    near = get_close_matches(flag, table, 1, 0.7)
    return f"\ndid you mean {near[0]}?" if near else ""


def finish(params):
    """What can only be said when all flags are known."""
    if params.prompt_cache_all and (params.interactive or params.interactive_first or params.instruct):
        raise Usage("error: --prompt-cache-all not supported in interactive mode yet\n")
    params.model_named = bool(params.model or params.hf_repo or params.model_url)
    params.model = model_path(params)
    if params.escape:
        for field in ("prompt", "input_prefix", "input_suffix", "cfg_negative_prompt"):
            setattr(params, field, unescape(getattr(params, field)))
        params.antiprompts = [unescape(text) for text in params.antiprompts]
    check(params)
    if params.n_threads is None:
        from .buildinfo import default_threads
        params.n_threads = default_threads()


def model_path(params):
    """The model file: -m, or what the download flags imply, or the default."""
    if params.hf_repo:
        if not params.hf_file:
            if not params.model:
                raise Usage("error: --hf-repo requires either --hf-file or --model\n")
            params.hf_file = params.model
        return params.model or "models/" + params.hf_file.rpartition("/")[2]
    if params.model_url and not params.model:
        return "models/" + params.model_url.partition("#")[0].partition("?")[0].rpartition("/")[2]
    return params.model or options.MODEL


def check(params):
    """Refuse what would stop the run later, where the reference aborts."""
    for flag, kind in (("-ctk", params.cache_type_k), ("-ctv", params.cache_type_v)):
        if kind not in options.CACHE_TYPES:
            accepted = " ".join(options.CACHE_TYPES)
            raise UsageError(f"{flag}: unknown cache type '{one_line(kind)}' (accepted: {accepted})")
    n, width = params.grp_attn_n, params.grp_attn_w
    if params.n_batch < 0:
        raise UsageError(f"-b: {params.n_batch} is out of range (accepted: 0 to 2147483647)")
    if n < 1:
        raise UsageError(f"-gan: {n} is out of range (accepted: 1 to 2147483647)")
    if n > 1 and (width < 1 or width % n):
        raise UsageError(f"-gaw: {width} is out of range (accepted: multiples of {n}, which is -gan)")
    if params.sampling.grammar:
        from ..sampling import parse_grammar
        try:
            parse_grammar(params.sampling.grammar)
        except LlamacyError as error:
            raise UsageError(f"the grammar cannot be used: {flat(error)}") from None


def unescape(text):
    r"""Replace \n \r \t \' \" \\ and \xHH in bytes; any other backslash stays."""
    parts = text.split(b"\\")
    out = [parts[0]]
    parts = parts[:0:-1]
    while parts:
        part = parts.pop()
        if not part and parts:                     # two backslashes: what follows them is text
            out.append(b"\\" + parts.pop())
        else:
            out.append(escaped(part))
    return b"".join(out)


def escaped(part):
    """What a backslash before `part` makes of it."""
    if part[:1] in ESCAPES:
        return ESCAPES[part[:1]] + part[1:]
    if part[:1] == b"x" and len(part) > 2 and HEX_DIGITS.issuperset(part[1:3]):
        return bytes([int(part[1:3], 16)]) + part[3:]
    return b"\\" + part
