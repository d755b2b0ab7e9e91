"""The errors a user can cause. Each is one clear line: what, where, what was found, what was expected."""


class LlamacyError(Exception):
    """Base of all of them: a command prints `error: <text>` and ends with status 1, never with a traceback."""


class GGUFError(LlamacyError):
    """A GGUF file is not what the format says.

    `offset` is the byte in the file where the offending field starts; None where no single byte is to blame.
    """

    def __init__(self, path, offset, field, message):
        where = "" if offset is None else f"at byte {offset}: "
        super().__init__(f"{one_line(path)}: {where}{one_line(field)}: {one_line(message)}")
        self.path = path
        self.offset = offset
        self.field = field
        self.message = message

    def __reduce__(self):
        return type(self), (self.path, self.offset, self.field, self.message)


class ModelError(LlamacyError):
    """The file is sound, but it does not describe a model that can be run."""


class ContextFull(LlamacyError):
    """No free cell in the KV cache. Nothing has changed."""


class GrammarError(LlamacyError):
    """A grammar or a JSON schema cannot be used."""


class UsageError(LlamacyError):
    """A flag, its value or a combination of flags is wrong."""


def one_line(text):
    """`text` (str or path) with control characters as escapes: bytes from a file must not break a line."""
    text = str(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
