"""Tokens as they come, text as it can be shown."""

from codecs import getincrementaldecoder


class StreamDecoder:
    """Turns tokens into UTF-8 that ends between two characters; a character that is not complete yet is held back.

    Bytes that can no longer become a character are U+FFFD, so all that comes out is valid UTF-8.
    vocab    whose tokens they are.
    special  control tokens add their text.
    """

    def __init__(self, vocab, special=False):
        self._vocab = vocab
        self._special = special
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def add(self, token):
        """bytes: what can be shown now that this token has come; often nothing."""
        return self.add_bytes(self._vocab.piece(token, self._special))

    def add_bytes(self, piece):
        """The same for the bytes of a token."""
        return self._decoder.decode(piece).encode()

    @property
    def pending(self):
        """bytes: the beginning of a character that is held back."""
        return self._decoder.getstate()[0]

    def finish(self):
        """bytes: U+FFFD if the beginning of a character is left over. Then all begins anew."""
        rest = self._decoder.decode(b"", True).encode()
        self._decoder.reset()
        return rest
