"""Words of the command line -> Params. No model, no output but messages; tested without either.

The rules are those of the reference, down to the message that blames the last flag instead of the guilty one: scripts
compare stderr. Where the reference crashes there is one line, `error: ...`, and status 1.
"""

from ..errors import LlamacyError, UsageError, one_line
from ..sampling.params import SamplingParams
from . import options
from .words import Invalid, Usage, apply, by_name, check_range, flags, parsed, refused, spelled, unknown

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
            if kind not in ("help", "version", "do", "note") and not field.startswith("sampling."):
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

    def read():
        scan(params, argv[1:])
        finish(params)
        return params

    return parsed(read, params.program, usage)


def usage(program):
    from . import help
    return help.text(program)


def scan(params, words):
    """Do what the words say. A flag that cannot be used as given is no end: the message blames the last one there is."""
    table, flag, invalid = by_name(options.rows()), "", False

    def spell(word):
        flag = spelled(word)
        if flag.startswith("--log-") and word != flag:      # the log flags take no `_`
            raise unknown(flag, table)
        return flag

    for flag, row, take in flags(words, table, spell):
        try:
            apply(params, row, take, flag, action)
        except Invalid:
            invalid = True
    if invalid:
        raise refused(flag)


def action(name):
    """The function of a row of kind `do`."""
    from . import actions
    return getattr(actions, name)


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
    check_range("-b", params.n_batch, 0, 2**31 - 1)
    check_groups(params.grp_attn_n, params.grp_attn_w)
    if params.sampling.grammar:
        from ..sampling import parse_grammar
        try:
            parse_grammar(params.sampling.grammar)
        except LlamacyError as error:
            from .actions import flat
            raise UsageError(f"the grammar cannot be used: {flat(error)}") from None


def check_groups(n, width):
    """Refuse groups of positions (-gan, -gaw) that do not fit together."""
    check_range("-gan", n, 1, 2**31 - 1)
    if n > 1 and (width < 1 or width % n):
        raise UsageError(f"-gaw: {width} is out of range (accepted: multiples of {n}, which is -gan)")


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
