"""The error of this package."""

from llamacy.errors import LlamacyError, one_line


class ConvertError(LlamacyError):
    """A checkpoint cannot be converted. One line: file, field, found, expected."""

    def __init__(self, text):
        super().__init__(one_line(text))


class NotHere(ConvertError):
    """This kind of vocabulary is not in the folder; another kind may be."""


def shorten(text, most=200):
    """`text` for an error line: a name from a file may be as long as the file."""
    text = str(text)
    return text if len(text) <= most else text[:most] + "..."
