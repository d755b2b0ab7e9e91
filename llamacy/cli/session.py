"""The file of --prompt-cache: tokens that were evaluated once, and the engine's state after them.

    magic 'nsgg' (u32 0x6767736E) | version (u32 6) | hparams (120 bytes) | n_tokens (u32) | tokens (i32 each) | state

All little-endian. The state is the engine's own affair (Context.state_bytes, load_state).
"""

import os

from ..errors import LlamacyError

MAGIC, VERSION = b"nsgg", (6).to_bytes(4, "little")
HPARAMS = 120
HEAD = 8 + HPARAMS + 4
# Of the hparams block only what a KV cache depends on must agree, so that a cache fits every quantization of a model.
EXACT = ((0, 2), (4, 52), (72, 92))       # byte ranges: two flags, sizes, yarn and ssm
FLOATS = (56, 72)                         # norm epsilons and rope frequencies
TOLERANCE = 1e-9


class SessionError(LlamacyError):
    """A session file cannot be used; the message is what the log says before the command gives up."""


def read(path, context, n_vocab, log):
    """Load `path` into `context`; return its tokens, or None if the file is empty.

    Errors  FileNotFoundError: there is none (or none that may be read). SessionError: it cannot be used.
    """
    try:
        file = open(path, "rb")
    except IsADirectoryError as error:
        raise SessionError(f"error loading session file: read error: {error.strerror}") from None
    except OSError as error:
        raise FileNotFoundError(path) from error
    with file:
        try:
            data = memoryview(file.read())
        except OSError as error:
            raise SessionError(f"error loading session file: read error: {error.strerror}") from None
    if not data:
        return None
    tokens, state = parse(data, bytes(context.session_header()), context.n_ctx, n_vocab)
    try:
        context.load_state(state, log)
    except (LlamacyError, ValueError) as error:
        raise SessionError(f"error loading session file: {error}") from None
    return tokens


def parse(data, hparams, n_ctx, n_vocab):
    """Split the bytes of a file into tokens (list) and state (memoryview). All is checked here but the state."""
    data = memoryview(data)
    if len(data) >= 8 and (data[:4] != MAGIC or data[4:8] != VERSION):
        magic, version = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:8], "little")
        raise SessionError(f"llama_state_load_file_internal : unknown (magic, version) for session file: "
                           f"{magic:08x}, {version:08x}")
    if len(data) < HEAD:
        raise SessionError("error loading session file: unexpectedly reached end of file")
    if not same_model(bytes(data[8:8 + HPARAMS]), hparams):
        raise SessionError("llama_state_load_file_internal : model hparams didn't match from session file!")
    count = int.from_bytes(data[HEAD - 4:HEAD], "little")
    if count > n_ctx:
        raise SessionError(f"llama_state_load_file_internal : token count in session file exceeded capacity! "
                           f"{count} > {n_ctx}")
    end = HEAD + 4 * count
    if len(data) < end:
        raise SessionError("error loading session file: unexpectedly reached end of file")
    tokens = _numbers("i", bytes(data[HEAD:end])).tolist()
    for i, token in enumerate(tokens):
        if not 0 <= token < n_vocab:
            raise SessionError(f"error loading session file: token {i} is {token}, "
                               f"the vocabulary ends at {n_vocab - 1}")
    return tokens, data[end:]


def same_model(a, b):
    """True if two hparams blocks (120 bytes) describe models that can share a cache."""
    if any(a[start:end] != b[start:end] for start, end in EXACT):
        return False
    first, second = (_numbers("f", block[FLOATS[0]:FLOATS[1]]) for block in (a, b))
    return all(x == y or abs(x - y) <= TOLERANCE for x, y in zip(first, second))


def write(path, context, tokens):
    """Write the tokens and the state of `context`; an older file stays as it was until the new one is complete.

    Errors  OSError.
    """
    head = MAGIC + VERSION + bytes(context.session_header()) + len(tokens).to_bytes(4, "little")
    parts = (head, _numbers("i", tokens).tobytes(), context.state_bytes())
    target = os.path.realpath(path)                       # a link stays a link
    if os.path.exists(target) and not os.path.isfile(target):
        return _write_file(target, os.O_WRONLY, parts)    # a pipe or a device: nothing to replace
    new = b"%s.%d.new" % (os.fsencode(target), os.getpid())
    try:
        _write_file(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, parts)
        os.replace(new, target)
    except BaseException:
        try:
            os.unlink(new)
        except OSError:
            pass                                          # it was not there yet
        raise


def common_prefix(a, b):
    """How many tokens two lists share from the start."""
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return i
    return min(len(a), len(b))


class Session:
    """The prompt cache of one run: what was loaded, how much of it the prompt can use, what is to be saved."""

    def __init__(self, params, context, log):
        self.path = params.path_prompt_cache or None     # None: none was asked for, or a context shift made it useless
        self.context = context
        self.log = log
        self.tokens = []                                 # of the cache, and then of everything evaluated in this run
        self.consumed = 0                                # of those, how many the prompt has passed
        self.read_only = params.prompt_cache_ro
        self.save_all = params.prompt_cache_all
        self.save_prompt = False

    def load(self, n_vocab):
        """Read the file, if there is one. Errors: SessionError after the log has it."""
        if self.path is None:
            return
        name = os.fsencode(self.path)
        self.log.tee(b"main: attempting to load saved session from '%s'\n" % name)
        try:
            tokens = read(self.path, self.context, n_vocab, self.log.tee)
        except FileNotFoundError:
            self.log.tee(b"main: session file does not exist, will create.\n")
        except SessionError as error:
            self.log.tee(b"%s\n" % os.fsencode(str(error)))
            raise SessionError(f"failed to load session file '{self.path}'") from None
        else:
            if tokens is None:
                self.log.tee(b"main: The session file is empty. A new session will be initialized.\n")
            else:
                self.tokens = tokens
                self.log.tee(b"main: loaded a session with prompt size of %d tokens\n" % len(tokens))

    def match(self, prompt, has_text):
        """Compare the cache with the prompt's tokens; keep of the KV cache what both share."""
        matched = common_prefix(self.tokens, prompt)
        self.save_prompt = self.path is not None and matched < len(prompt)
        if self.tokens:
            self.log.tee(_match_line(matched, len(prompt), has_text))
        if matched == len(prompt) and len(self.tokens) > len(prompt):
            # The cache goes on after the prompt, so its logits are of a later token: evaluate the last one again.
            matched -= 1
            del self.tokens[matched:]
        self.context.kv_remove(-1, matched, -1)

    def skip_known(self, tokens):
        """How many of the next tokens are in the cache. At the first other one the rest of the cache is forgotten."""
        if self.consumed >= len(self.tokens):
            return 0
        rest = self.tokens[self.consumed:self.consumed + len(tokens)]
        known = common_prefix(rest, tokens)
        self.consumed += known
        if known < len(rest):
            del self.tokens[self.consumed:]
        return known

    def evaluated(self, tokens):
        """These tokens are in the KV cache now."""
        if self.path is not None and tokens:
            self.tokens += tokens
            self.consumed = len(self.tokens)

    def forget(self):
        """The KV cache no longer matches the tokens: nothing will be saved."""
        if self.path is not None:
            self.log.log(b"clear session path\n")
        self.path = None

    def prompt_done(self):
        """Save once, at the first sampling, if the file did not know the whole prompt."""
        if self.path is not None and self.save_prompt and not self.read_only:
            self.save_prompt = False
            self._save()
            self.log.log(b"saved session to %s\n" % os.fsencode(self.path))

    def run_done(self):
        """Save everything, if asked to."""
        if self.path is not None and self.save_all and not self.read_only:
            self.log.tee(b"\nmain: saving final output to session file '%s'\n" % os.fsencode(self.path))
            self._save()

    def _save(self):
        try:
            write(self.path, self.context, self.tokens)
        except OSError as error:
            self.log.tee(b"error saving session file: failed to open %s: %s\n"
                         % (os.fsencode(self.path), os.fsencode(error.strerror or str(error))))


def _match_line(matched, wanted, has_text):
    if not has_text and matched == wanted:
        return b"main: using full prompt from session file\n"
    if matched >= wanted:
        return b"main: session file has exact match for prompt!\n"
    if matched < wanted // 2:
        return (b"main: warning: session file has low similarity to prompt (%d / %d tokens); "
                b"will mostly be reevaluated\n" % (matched, wanted))
    return b"main: session file matches %d / %d tokens of prompt\n" % (matched, wanted)


def _write_file(path, flags, parts):
    with open(path, "wb", opener=lambda name, _: os.open(name, flags | os.O_CLOEXEC, 0o666)) as file:
        for part in parts:
            file.write(part)


def _numbers(code, source):
    """array of the numbers in little-endian bytes; or of a list of numbers, with little-endian bytes."""
    import sys
    from array import array       # here: it brings in `collections`, which most runs can do without
    numbers = array(code, source)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
