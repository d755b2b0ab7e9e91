"""--verify: the written file, read back.

Every tensor's bytes are summed again and compared with the sums of what was meant to be written; a sample of each is
computed once more from the source in plain numpy. The vocabulary cuts some texts, and the library that the tokenizer's
files are for has to cut them the same way.
"""

import zlib

import numpy as np

from llamacy.convert import spm
from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.output import F16, F32, Q8_0
from llamacy.gguf import GGUFFile
from llamacy.gguf.byteorder import swap_data

CHUNK = 1 << 24  # bytes
SAMPLE = 1 << 12  # elements
TEXTS = ("Hello world", " The quick brown fox, 12345 times!", "it's 3.14\n\n  indented\ttext", "naïve café über",
         "日本語 и кириллица 🚀", "def f(x):\n    return x ** 2\n", "a  b   c", "I'LL SEE YOU'RE",
         "One day, a little girl named Lily found a needle in her room. (42)")


def run(output, vocabulary, log):
    """Compare the file with its source. Errors  ConvertError: they differ, and how."""
    with GGUFFile(output.path) as gguf:
        if list(gguf.tensors) != [item.name for item in output.items]:
            raise ConvertError(f"{output.path}: verification failed: the tensors are not those that were written")
        for item in output.items:
            _check_tensor(gguf, item, output)
        log.info(f"verify: {len(output.items)} tensors are what was written")
        if vocabulary is not None:
            _check_vocabulary(gguf, vocabulary, output.path, log)


def _check_tensor(gguf, item, output):
    info, crc = gguf.tensors[item.name], 0
    data = gguf.mapping(info.shard)[info.offset:info.offset + info.nbytes]
    for at in range(0, len(data), CHUNK):
        crc = zlib.crc32(data[at:at + CHUNK], crc)
    if crc != item.crc or len(data) != item.nbytes:
        raise ConvertError(
            f"{output.path}: verification failed: {item.name}: checksum {crc:#010x}, written was {item.crc:#010x}"
        )
    _, read = next(item.tensor.pieces())
    n = min(SAMPLE, item.tensor.n_elements)
    expected = _sample(item, read()[:n])
    found = data[:len(expected)]
    if gguf.byteorder != "little":
        found = swap_data(found, item.type)
    if found != expected:
        raise ConvertError(
            f"{output.path}: verification failed: {item.name}: its values are not those of the checkpoint"
        )


def _sample(item, array):
    """The bytes of some elements, little-endian, by formulas."""
    from llamacy.convert.tensor import floats
    values = floats(item.tensor.dtype, array)
    if item.tensor.change is not None:
        values = item.tensor.change(values)
    if item.type == F32:
        return values.astype("<f4").tobytes()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if item.type == F16:
            return values.astype("<f2").tobytes()
        assert item.type == Q8_0
        blocks = values[:len(values) // 32 * 32].reshape(-1, 32)
        d = np.abs(blocks).max(axis=1) / np.float32(127)
        q = np.where(d[:, None] == 0, 0, np.rint(blocks / d[:, None]))
        made = np.empty(len(blocks), [("d", "<f2"), ("q", "i1", 32)])
        made["d"], made["q"] = d, q
    return made.tobytes()


# --- the vocabulary

def _check_vocabulary(gguf, vocabulary, path, log):
    from llamacy.vocab import Vocab
    if bytes(gguf["tokenizer.ggml.model"]) not in (b"llama", b"gpt2"):
        return log.info(f"verify: no library to compare a vocabulary of {vocabulary.model} with")
    try:
        encode, name = _library(vocabulary)
    except ImportError as error:
        return log.warning(f"verify: the vocabulary was not compared: {error.name} is not installed")
    except Exception as error:       # these libraries raise bare ones
        return log.warning(f"verify: the vocabulary was not compared: its own library refuses it: {shorten(error)}")
    ours = Vocab(gguf)
    texts = [text for text in TEXTS if _is_comparable(vocabulary, text)]
    if vocabulary.kind == "spm" and spm.read(vocabulary.path)[1].changes_text:
        texts = [text for text in texts if text.isascii() and text == " ".join(text.split())]
        log.warning(
            "this tokenizer changes text before it cuts it (extra spaces, forms of characters); GGUF files do not say "
            "so: verify leaves out texts that this concerns"
        )
    for text in texts:
        expected, found = list(encode(text)), ours.tokenize(text.encode(), False, False)
        if found != expected:
            raise ConvertError(
                f"{path}: verification failed: the text {text!r} becomes the tokens {found}, {name} makes {expected}"
            )
    return log.info(f"verify: {len(texts)} texts become the same tokens as in {name}")


def _library(vocabulary):
    """(function from text to ids without special tokens, name of the library)"""
    if vocabulary.kind == "spm":
        import sentencepiece
        return sentencepiece.SentencePieceProcessor(model_file=vocabulary.path).encode, "sentencepiece"
    if vocabulary.kind == "tiktoken":
        import tiktoken

        from llamacy.convert import ranks
        encoding = tiktoken.Encoding(
            "llama3", pat_str=ranks.PATTERN, mergeable_ranks=ranks.read(vocabulary.path), special_tokens={}
        )
        return encoding.encode_ordinary, "tiktoken"
    import tokenizers
    if vocabulary.path.endswith("vocab.json"):
        merges = vocabulary.path[:-len("vocab.json")] + "merges.txt"
        library = tokenizers.ByteLevelBPETokenizer(vocabulary.path, merges)
    else:
        library = tokenizers.Tokenizer.from_file(vocabulary.path)
    return lambda text: library.encode(text, add_special_tokens=False).ids, "tokenizers"


def _is_comparable(vocabulary, text):
    """A vocabulary of bytes has them all; one that has not all letters and no bytes gives <unk> in its own way."""
    return vocabulary.model == "gpt2" or text.isascii() or any(type == 6 for type in vocabulary.types)
