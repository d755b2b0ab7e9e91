"""A vocabulary on its way from a tokenizer's files to the keys of a GGUF file."""

from llamacy.convert.errors import ConvertError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
ADDED_SCORE = -1000.0
MAX_TOKENS = 1 << 24
NEARLY = 20  # a model with up to this many tokens more than its tokenizer lacks added_tokens.json


class Vocabulary:
    """texts (bytes), scores (float), types (int): one of each per token.

    model   tokenizer.ggml.model: llama, gpt2, bert.       kind     spm, bpe, hfft, tiktoken: where it comes from.
    path    the file that says most of it.                 added    (type, score) of a token that is added to it
    merges  list of bytes, or None where they are in other files or are not needed.
    pre     tokenizer.ggml.pre, or None.                   special  {kind: id} that only the tokenizer itself knows
    first   id of the token that it puts before every text, None if none or not known
    has_scores, adds_space      whether scores are written, tokenizer.ggml.add_space_prefix or None
    """

    def __init__(self, model, kind, path, added=(USER_DEFINED, ADDED_SCORE), merges=None, pre=None):
        self.model = model
        self.kind = kind
        self.path = path
        self.added = added
        self.merges = merges
        self.pre = pre
        self.special = {}
        self.first = None
        self.has_scores = True
        self.adds_space = None
        self.texts, self.scores, self.types = [], [], []
        self.n_base = 0

    def __len__(self):
        return len(self.texts)

    def add(self, text, score, type):
        self.texts.append(as_bytes(text, self.path))
        self.scores.append(score)
        self.types.append(type)

    def end_of_base(self):
        """What comes now was added to the vocabulary later."""
        self.n_base = len(self.texts)

    @property
    def description(self):
        name = {"spm": "SentencePieceVocab", "bpe": "BpeVocab", "hfft": "LlamaHfVocab", "tiktoken": "TiktokenVocab"}[
            self.kind
        ]
        return f"<{name} with {self.n_base} base tokens and {len(self) - self.n_base} added tokens>"

    def fit(self, n_vocab, folder, pad, log):
        """Compare with the model's number of tokens; pad: fill up to it. Errors  ConvertError: they differ."""
        n = len(self)
        if n_vocab == n:
            log.warning("Ignoring added_tokens.json since model matches vocab size without it.")
        elif n_vocab == -1:
            raise ConvertError(
                f"{folder}: the model's vocab size is set to -1 in its config: set it by hand, perhaps to {n}"
            )
        elif pad and n_vocab > n:
            if n_vocab > MAX_TOKENS:
                raise ConvertError(f"{folder}: a vocabulary of {n_vocab}, expected at most {MAX_TOKENS}")
            for i in range(1, n_vocab - n + 1):
                self.add(f"<dummy{i:05}>", self.added[1], self.added[0])
        else:
            raise ConvertError(self._mismatch(n_vocab, n, folder))

    def _mismatch(self, n_vocab, n, folder):
        text = f"Vocab size mismatch (model has {n_vocab}, but {self.path} has {n})."
        if n < n_vocab < n + NEARLY:
            text += f" Most likely you are missing added_tokens.json (should be in {folder})."
        return text + (" Add the --pad-vocab option and try again." if n < n_vocab else "")


def as_bytes(text, path):
    """UTF-8 of a token. Errors  ConvertError: half a surrogate pair, which has none."""
    try:
        return text if isinstance(text, bytes) else text.encode()
    except UnicodeEncodeError:
        raise ConvertError(f"{path}: token {text!r}: half of a surrogate pair has no UTF-8") from None


def ids_in_order(found, first, path):
    """Texts of {text: id}, by id. Errors  ConvertError: the ids are not first, first + 1, ..."""
    texts = sorted(found, key=lambda text: _is_id(found[text], text, path))
    ids = [found[text] for text in texts]
    if ids != list(range(first, first + len(ids))):
        wrong = next(i for i, id in enumerate(ids, first) if id != i)
        raise ConvertError(f"{path}: Expected new token IDs to be sequential from {first}; got "
                           f"{ids[wrong - first]} in place of {wrong}")
    return texts


def _is_id(id, text, path):
    if type(id) is not int or not 0 <= id < MAX_TOKENS:
        raise ConvertError(
            f"{path}: token {text[:80]!r}: id: found {str(id)[:80]}, expected an integer below {MAX_TOKENS}"
        )
    return id
