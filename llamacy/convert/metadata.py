"""Keys and values on their way into a file."""

from llamacy.convert.errors import ConvertError, shorten
from llamacy.gguf import GGUFWriter


class Metadata:
    """Pairs in the order in which they come; of a key that comes twice the first holds, as it does for readers."""

    def __init__(self):
        self.pairs = {}

    def add(self, key, kind, value):
        self.pairs.setdefault(key, (kind, value))

    def add_text(self, key, value):
        """An empty text is not written."""
        if value:
            self.add(key, "str", value)

    def write(self, writer):
        """Errors  ConvertError: a value that cannot be in a GGUF file."""
        for key, (kind, value) in self.pairs.items():
            try:
                writer.add(key, kind, value)
            except ValueError as error:          # a UnicodeEncodeError is one
                raise ConvertError(f"{shorten(key)}: {shorten(error)}") from None

    def measure(self):
        """Bytes of the pairs and of what stands before them."""
        counter = _Counter()
        with GGUFWriter(counter, pad_header=False) as writer:
            self.write(writer)
        return counter.nbytes


class _Counter:
    nbytes = 0

    def write(self, data):
        self.nbytes += len(data)
