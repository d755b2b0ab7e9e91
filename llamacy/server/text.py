"""From tokens to text for a client: whole characters, and nothing that may turn out to be a stop word.

Bytes come in token by token; what is certain goes out. A tail that ends in a piece of a character, or in what may be the
beginning of a stop word, is held back whole.
"""


def incomplete(text):
    """True if bytes end inside a UTF-8 character. Bytes that are no UTF-8 count as complete."""
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte & 0xC0 == 0x80:
            continue
        need = 2 if byte & 0xE0 == 0xC0 else 3 if byte & 0xF0 == 0xE0 else 4 if byte & 0xF8 == 0xF0 else 1
        return back < need
    return False


def decoded(text):
    """str; each byte that is no UTF-8 becomes U+FFFD."""
    return text.decode("utf-8", "replace")


class TextOut:
    """The text of one answer.

    text    all of it (bytearray), cut where a stop word begins once one was found
    sent    how many of its bytes have gone out
    word    the stop word that was found, b"" if none
    """

    def __init__(self, stop=()):
        self.stop = [word for word in stop]
        self.text = bytearray()
        self.sent = 0
        self.word = b""
        self.stopped = False

    def add(self, piece):
        """Take a token's bytes. Returns (complete, chunk): does the text end with a whole character, and what may go out."""
        self.text += piece
        if incomplete(self.text[-4:]):
            return False, b""
        tail = bytes(self.text[self.sent:])
        at = self.find(tail, len(piece))
        if self.stopped:
            del self.text[self.sent + at:]
            return True, self.flush()
        return True, b"" if any(begins(word, tail) for word in self.stop) else self.flush()

    def find(self, tail, new):
        """Where the earliest stop word begins in the tail, of which `new` bytes are new."""
        best = -1
        for word in self.stop:
            at = tail.find(word, max(0, len(tail) - len(word) - new))
            if at >= 0 and (best < 0 or at < best):
                best, self.word, self.stopped = at, word, True
        return best

    def flush(self):
        """All that has not gone out."""
        chunk = bytes(self.text[self.sent:])
        self.sent = len(self.text)
        return chunk


def begins(word, tail):
    """True if the tail ends with a beginning of the word."""
    at = tail.find(word[:1], max(0, len(tail) - len(word)))
    while at >= 0:
        if word.startswith(tail[at:]):
            return True
        at = tail.find(word[:1], at + 1)
    return False
