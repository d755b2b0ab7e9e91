"""From the command line's prompt to the token lists that a run starts with."""

from ..errors import LlamacyError

OPENINGS = (b"So", b"Once upon a time", b"When", b"The", b"After", b"If", b"import", b"He", b"She", b"They")

INSTRUCT = (b"\n\n### Instruction:\n\n", b"\n\n### Response:\n\n")
CHATML = (b"\n<|im_start|>user\n", b"<|im_end|>\n<|im_start|>assistant\n")
CHATML_TURN = b"<|im_start|>user\n"
CHATML_SYSTEM = (b"<|im_start|>system\n", b"<|im_end|>")

RESERVE = 4          # positions that a prompt leaves free
CONTEXT_STEP = 256   # a context is a multiple of this long


class Prompt:
    """What is fed before the user or the sampler has a word.

    tokens         the prompt, then everything typed later
    n_keep         how many of them survive a context shift
    guidance       tokens of the negative prompt, None without guidance
    original_size  tokens that the negative prompt stands for
    instruct, chatml    (before, after) token lists around a user's text
    """

    def __init__(self, params, vocab, session_tokens):
        self.vocab = vocab
        self.guidance, self.original_size = None, 0
        ask_first = params.interactive_first or params.instruct or params.chatml
        if ask_first or params.prompt or not session_tokens:
            self.tokens = self.encode(params.prompt)
        else:
            self.tokens = list(session_tokens)
        if not self.tokens:
            if vocab.bos < 0:
                raise LlamacyError("the prompt is empty and the model has no BOS token to start from: give one with -p")
            self.tokens = [vocab.bos]
        if params.sampling.cfg_scale > 1:
            self.guidance = self.encode(params.cfg_negative_prompt)
            self.original_size = len(self.encode(params.prompt))
        self.n_keep = self._keep(params)
        self.instruct = self._turn(INSTRUCT)
        self.chatml = self._turn(CHATML)

    def encode(self, text):
        """Tokens of a text that starts a sequence; without the EOS that some models want behind: the text goes on."""
        tokens = self.vocab.tokenize(text, True, True)
        if self.vocab.add_eos == 1 and tokens and tokens[-1] == self.vocab.eos:
            tokens.pop()
        return tokens

    def _turn(self, texts):
        return self.encode(texts[0]), self.vocab.tokenize(texts[1], False, True)

    def _keep(self, params):
        keep, size = params.n_keep, len(self.tokens)
        if keep < 0 or keep > size or params.instruct or params.chatml:
            return size
        return keep + self.vocab.main_add_bos()


def random_opening(rng):
    """The prompt of --random-prompt: `rng`'s first number decides."""
    return OPENINGS[rng.next32() % len(OPENINGS)]


def frame(params):
    """What the modes add to the texts of the command line: a system turn, a reverse prompt."""
    if params.chatml:
        params.prompt = params.prompt.join(CHATML_SYSTEM)
    if params.instruct:
        params.antiprompts.append(INSTRUCT[0].lstrip(b"\n"))
    elif params.chatml:
        params.antiprompts.append(CHATML_TURN)


def check_length(n_tokens, n_ctx):
    """Refuse a prompt that does not fit. The second sentence is what to do about it."""
    limit = n_ctx - RESERVE
    if n_tokens > limit:
        fits = -(-(n_tokens + RESERVE) // CONTEXT_STEP) * CONTEXT_STEP
        raise PromptTooLong(f"prompt is too long ({n_tokens} tokens, max {limit})\n"
                            f"main: it fits with -c {fits}")


class PromptTooLong(LlamacyError):
    """More tokens than the context takes."""


def token_list(tokens, vocab):
    """Tokens as the log shows them: `[ 'piece':id, ... ]`, without the bytes that would break a line."""
    shown = [b"'%s':%d" % (vocab.piece(token).translate(None, CONTROLS), token) for token in tokens]
    return b"[ %s ]" % b", ".join(shown)


CONTROLS = bytes(range(32)) + bytes(range(127, 256))
