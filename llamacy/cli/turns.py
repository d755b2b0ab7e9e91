"""The user's side of an interactive run: how a turn is recognised, asked for and put into tokens."""

from .console import RESET
from .prompt import token_list

WINDOW = 32       # tokens of the history in which a reverse prompt is looked for


class ReversePrompts:
    """The texts that hand over to the user (or, in a plain run, end it)."""

    def __init__(self, texts, vocab, interactive):
        self.texts = texts
        self.vocab = vocab
        self.slack = 0 if interactive else 2      # bytes that may follow the text: the token may have brought more
        self.tokens = [vocab.tokenize(text, False, True) for text in texts]
        self.tail = b""

    def __bool__(self):
        return bool(self.texts)

    @property
    def first_tokens(self):
        return self.tokens[0]

    def reached(self, sampler):
        """True if the history ends with one of them."""
        self.tail = tail = self.vocab.pieces(sampler.prev[-WINDOW:])
        if any(tail.find(text, max(0, len(tail) - len(text) - self.slack)) >= 0 for text in self.texts):
            return True
        last = sampler.last
        return any(len(tokens) == 1 and tokens[0] == last for tokens in self.tokens)


class Taken:
    """What a turn added."""

    def __init__(self, n_tokens=0, start=None):
        self.n_tokens = n_tokens      # of the user's own text
        self.start = start            # where in the prompt's tokens to go on: what was still queued before is skipped


class UserTurn:
    """Asks for a line and appends its tokens, with all that belongs around it, to the prompt."""

    def __init__(self, job):
        self.params, self.prompt, self.console, self.log = job.params, job.prompt, job.console, job.log
        self.vocab = job.prompt.vocab
        self.count = 0                            # turns so far

    def take(self, at_reverse):
        """Returns Taken, or None at the end of input. `at_reverse`: the text ends with a reverse prompt already."""
        params, console = self.params, self.console
        self.log.log(b"waiting for user input\n")
        if params.instruct or params.chatml:
            console.write(b"\n> ")
        if params.input_prefix_bos:
            self.prompt.tokens.append(self.vocab.bos)
        if params.input_prefix:
            console.write(params.input_prefix)
        text = console.read(params.multiline_input)
        console.set_display(RESET)
        if text is None:
            return None
        self.count += 1
        if len(text) > 1:
            return self._append(text, at_reverse)
        self.log.log(b"empty line, passing control back\n")
        return Taken()

    def _append(self, text, at_reverse):
        params, prompt, tokens = self.params, self.prompt, self.prompt.tokens
        if params.input_suffix:
            self.console.write(params.input_suffix)
        self.log.log(b"buffer: '%s'\n" % text)
        modes = (params.instruct, prompt.instruct), (params.chatml, prompt.chatml)
        frames = [frame for wanted, frame in modes if wanted]
        start = None
        if not at_reverse:
            for before, _ in frames:
                start = len(tokens)
                tokens += before
        if params.escape:
            from .params import unescape
            text = unescape(text)
        line = self.vocab.tokenize(text, False, False)
        tokens += self.vocab.tokenize(params.input_prefix, False, True)
        tokens += line
        tokens += self.vocab.tokenize(params.input_suffix, False, True)
        for _, after in frames:
            tokens += after
        if self.log.on:
            self.log.log(b"input tokens: %s\n" % token_list(line, self.vocab))
        return Taken(len(line), start)
