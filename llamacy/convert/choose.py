"""Which of the tokenizers in a folder is the model's.

Source  VocabFactory of convert.py, llama.cpp b2794. Differs: without --vocab-type every kind is tried, and a file of
        another kind than its name promises is not the end.
"""

import os

from llamacy.convert import bpe, pre, ranks, spm
from llamacy.convert.errors import ConvertError, NotHere, shorten
from llamacy.convert.jsonfile import load_if_there

KINDS = ("spm", "bpe", "hfft")
GPT2_CLASSES = ("GPT2Tokenizer", "GPT2TokenizerFast")


def parse_types(text):
    """List of kinds from the words of --vocab-type, checked; None stays None."""
    types = None if text is None else text.split(",")
    for type in types or ():
        if type not in KINDS:
            raise ConvertError(f"Unsupported vocabulary type {shorten(type)!r}: expected {', '.join(KINDS)}")
    return types


def load(folder, types, log, *, compat=False, n_vocab=None, arch="llama"):
    """Vocabulary of the folder. types: what to try, in this order, or None: what is there.

    n_vocab: of the model, if known. Errors  ConvertError: none found, or damaged; OSError.
    """
    reasons = []
    for type in types or _there(folder):
        try:
            found = _load(type, folder, n_vocab)
        except NotHere as error:
            reasons.append(str(error))
            continue
        if found.kind in ("bpe", "tiktoken") and not compat:
            _name_pre(found, folder, log, arch)
        if types is None and found.kind in ("bpe", "tiktoken"):
            log.info(f"vocabulary: found {found.kind} in {found.path} (as with --vocab-type bpe)")
        log.info(f"Loaded vocab file PosixPath({found.path!r}), type {found.kind!r}")
        return found
    raise ConvertError(f"Could not find a tokenizer matching any of {list(types or KINDS)} in {folder}"
                       + "".join(f"; {reason}" for reason in reasons[:3]))


def _there(folder):
    """What to try without being told: SentencePiece's own file says most, and vocab.json alone is the least certain."""
    if ranks.find(folder):
        return ["bpe"] if os.path.exists(os.path.join(folder, "tokenizer.json")) else ["tiktoken"]
    path = os.path.join(folder, "tokenizer.json")
    llama3 = os.path.exists(path) and bpe.Tokenizer(path).is_byte_level
    return ["spm", "bpe"] if llama3 else ["spm", "hfft", "bpe"]


def _load(type, folder, n_vocab):
    if type == "hfft":
        return bpe.load_hfft(folder)
    if type == "spm":
        path = spm.find(folder)[0]
        if ranks.is_ranks(path):
            raise ConvertError(f"{path}: not SentencePiece's file but one of Llama 3's ranks: use --vocab-type bpe")
        return spm.load(folder)
    if type == "bpe":
        try:
            return bpe.load_bpe(folder)
        except NotHere:
            if ranks.find(folder) is None:
                raise
    return ranks.load(folder, n_vocab)


def _name_pre(vocabulary, folder, log, arch):
    """Set vocabulary.pre and what follows from the tokenizer's own rules."""
    path = os.path.join(folder, "tokenizer.json")
    values = load_if_there(path)
    if vocabulary.kind == "bpe" and values is not None:
        vocabulary.pre = pre.recognise(path, values, arch)
        vocabulary.first = first_of(values)
    elif vocabulary.kind == "tiktoken":
        vocabulary.first = vocabulary.special["bos"]
    elif (load_if_there(os.path.join(folder, "tokenizer_config.json")) or {}).get("tokenizer_class") in GPT2_CLASSES:
        vocabulary.pre = "gpt-2"
    else:
        log.warning(f"{vocabulary.path} does not tell how text is cut into words: the file will not either "
                    "(tokenizer.ggml.pre), and readers cut in a way that may be wrong")
    if vocabulary.pre:
        log.info(f"tokenizer.ggml.pre = {vocabulary.pre}")


def first_of(values):
    """Id of the special token that the tokenizer puts before every text, or None."""
    post = values.get("post_processor")
    steps = post.get("processors") if isinstance(post, dict) and post.get("type") == "Sequence" else [post]
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and step.get("type") == "TemplateProcessing":
            try:
                return step["special_tokens"][step["single"][0]["SpecialToken"]["id"]]["ids"][0]
            except (TypeError, KeyError, IndexError):
                return None
    return None
