"""From a checkpoint of a Hugging Face class to what is written: metadata, items, vocabulary."""

from llamacy.convert import llama, special
from llamacy.convert.bpe import merges_of
from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.hf import ROWS, model_class, vocab
from llamacy.convert.metadata import Metadata


def architecture_of(config):
    """The name of the class in a config.json, or None."""
    names = config.get("architectures")
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None


def open_model(checkpoint, config, type, log):
    """Model of a checkpoint. Errors  ConvertError: its class is not known."""
    name = architecture_of(config)
    found = model_class(name)
    if found is None:
        raise ConvertError(f"Architecture {shorten(name)!r} not supported: expected one of {', '.join(sorted(ROWS))}")
    return found(checkpoint, config, type, log)


def metadata(model, log):
    """(Metadata, Vocabulary)"""
    out = Metadata()
    model.metadata(out)
    log.info("Set model tokenizer")
    vocabulary = vocab.find(model)
    llama.tokens(out, vocabulary)
    limited = vocabulary.model != "gpt2"
    wanted = merges_of if vocabulary.model == "gpt2" and vocabulary.merges is None else None
    found = special.load(model.folder, log, merges=wanted, limit=len(vocabulary) if limited else None)
    model.special(found, vocabulary)
    llama.add_special(out, vocabulary, found, log)
    model.vocabulary_keys(out)
    return out, vocabulary
