"""Words of `server`'s command line -> ServerParams. No model and no socket.

Flags are matched as they are written (no `_` for `-`). Where the reference crashes there is one line and status 1.
"""

import json
import os

from ..errors import UsageError, one_line
from . import server_options as options
from .actions import parse_override
from .log import write_stderr
from .params import check_groups, model_path
from .strto import NotANumber, stof
from .words import Invalid, apply, by_name, check_range, flags, one_of, parsed, refused

MOST_SLOTS = 64
PASSED_ON = {"gpu_layers": "Not compiled with GPU offload support, --n-gpu-layers option will be ignored. See main README.md "
                           "for information on enabling GPU BLAS support",
             "split_mode": "llama.cpp was compiled without CUDA. It is not possible to set the split mode.",
             "tensor_split": "llama.cpp was compiled without CUDA. It is not possible to set a tensor split.",
             "main_gpu": "llama.cpp was compiled without CUDA. It is not possible to set a main GPU."}


class ServerParams:
    """All settings of a server: the fields of the rows in server_options.py with their defaults, and these:

    overrides   [(key, "int" | "float" | "bool" | "str", value)].  loras: [(path, scale)]
    system_prompt   {"prompt", "anti_prompt", "assistant_name"} or None
    warnings    lines for the log, once there is one
    """

    def __init__(self, program="server"):
        self.program = program
        for _, _, kind, field, default, _ in options.rows():
            if kind == "list":
                setattr(self, field, [])
            elif kind not in ("help", "do"):
                setattr(self, field, default)
        self.overrides, self.loras, self.control_vectors, self.warnings = [], [], [], []
        self.check_tensors, self.yarn_orig_ctx, self.seed, self.numa = False, 0, 0, None
        self.system_prompt, self.chat_template = None, None


def parse(argv):
    """argv (str, as sys.argv) -> ServerParams. SystemExit after messages or help."""
    params = ServerParams(argv[0] if argv else "server")

    def read():
        scan(params, argv[1:])
        finish(params)
        return params

    return parsed(read, params.program, help_text)


def scan(params, words):
    """Do what the words say, up to the first that cannot be used."""
    for flag, row, take in flags(words, by_name(options.rows())):
        try:
            apply(params, row, take, flag, ACTIONS.get)
        except Invalid:
            raise refused(flag) from None
        except NotANumber:
            raise UsageError(f"{flag}: expected a number") from None


# ---- flags that do more than set a field


def numa(params, take, flag):
    params.numa = one_of(take() or "distribute", ("distribute", "isolate", "numactl"))


def override_kv(params, take, flag):
    word = os.fsencode(take())
    try:
        params.overrides.append(parse_override(word))
    except ValueError:
        write_stderr(b"error: Invalid type for KV override: %b\n" % word)
        raise Invalid from None


def lora(params, take, flag):
    params.loras.append((take(), 1.0))
    params.use_mmap = False


def lora_scaled(params, take, flag):
    params.loras.append((take(), stof(os.fsencode(take()))))
    params.use_mmap = False


def api_key_file(params, take, flag):
    params.api_keys += [os.fsdecode(key) for key in read(take()).split(b"\n") if key]


def system_prompt_file(params, take, flag):
    text = read(take())
    if not text:
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{flag}: not JSON: {one_line(error)}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{flag}: expected a JSON object")
    names = ("prompt", "anti_prompt", "assistant_name")
    if not all(isinstance(found.get(name, ""), str) for name in names):
        raise UsageError(f"{flag}: expected strings in {', '.join(names)}")
    params.system_prompt = {name: found.get(name, "") for name in names}


def read(path):
    """All bytes of a file. Invalid, after a line on stderr, if that fails."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        write_stderr(b"error: failed to open file '%b'\n" % os.fsencode(path))
        raise Invalid from None


def chat_template(params, take, flag):
    from ..server.templates import usable
    text = take()
    if not usable(text):
        write_stderr(b"error: the supplied chat template is not supported: %b\n"
                     b"note: expected a known name or Jinja text\n" % os.fsencode(text))
        raise Invalid
    params.chat_template = text


def without_effect(name, takes=str):
    def note(params, take, flag):
        takes(take())
        params.warnings.append(PASSED_ON[name])
    return note


def split_mode(word):
    return one_of(word, ("none", "layer", "row"))


ACTIONS = {
    "numa": numa, "override_kv": override_kv, "lora": lora, "lora_scaled": lora_scaled,
    "api_key_file": api_key_file, "system_prompt_file": system_prompt_file, "chat_template": chat_template,
    "no_gpu_layers": without_effect("gpu_layers"), "no_split_mode": without_effect("split_mode", split_mode),
    "no_tensor_split": without_effect("tensor_split"), "no_main_gpu": without_effect("main_gpu"),
}


# ---- when all flags are known


def finish(params):
    params.model_named = bool(params.model or params.hf_repo or params.model_url)
    params.model = model_path(params)
    if params.alias == "unknown":
        params.alias = params.model
    check(params)
    from . import buildinfo
    if params.n_threads is None:
        params.n_threads = buildinfo.default_threads()
    params.n_outputs = params.n_parallel           # rows of logits: one for each slot
    params.n_threads = params.n_threads if params.n_threads > 0 else buildinfo.logical_cpus()
    if params.n_threads_http < 1:
        params.n_threads_http = max(params.n_parallel + 2, buildinfo.logical_cpus() - 1)
    if params.slot_save_path and not params.slot_save_path.endswith("/"):
        params.slot_save_path += "/"


def check(params):
    """Refuse what would stop the server later."""
    for flag, kind in (("-ctk", params.cache_type_k), ("-ctv", params.cache_type_v)):
        if kind not in options.CACHE_TYPES:
            raise UsageError(f"{flag}: Invalid cache type: {one_line(kind)} (accepted: {' '.join(options.CACHE_TYPES)})")
    for flag, value, least, most in (
            ("-np", params.n_parallel, 1, MOST_SLOTS), ("--port", params.port, 0, 65535),
            ("-b", params.n_batch, 1, 2**31 - 1), ("-ub", params.n_ubatch, 0, 2**31 - 1), ("-c", params.n_ctx, 0, 2**31 - 256),
            ("-to", params.timeout, 1, 2**31 - 1), ("--body-limit", params.body_limit, 1, 65536)):
        check_range(flag, value, least, most)
    check_groups(params.grp_attn_n, params.grp_attn_w)
    if params.pooling in ("mean", "cls"):
        raise UsageError(f"--pooling: {params.pooling} is not possible with a causal model (accepted: none)")
    if bool(params.ssl_key_file) != bool(params.ssl_cert_file):
        raise UsageError("--ssl-key-file and --ssl-cert-file: expected both or none")


# ---- help


def help_text(program):
    from .help import entry, examples
    lines = [f"usage: {program} [options]"]
    for title, rows in options.SECTIONS:
        lines += ["", f"{title}:"]
        for row in rows:
            lines += entry(row)
    return os.fsencode("\n".join(lines + examples("server", program)) + "\n")
