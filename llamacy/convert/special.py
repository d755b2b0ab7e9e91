"""Special tokens, their flags, merges and chat templates: what the small files beside a model say of its vocabulary.

Source  SpecialVocab of gguf-py, llama.cpp b2794. Differs: merges may be pairs, chat_template.jinja is read (both not
        with --compat-b2794), and several templates keep their order.
"""

import os
import re

from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.files import read_bytes
from llamacy.convert.jsonfile import load_if_there

KINDS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
KEYS = {"unk": "unknown", "sep": "seperator", "pad": "padding"}  # the misspelling is the key's
FLAGS = ("bos", "eos")  # kinds that have a key for "is added by itself"
# what transformers assumes of a Llama tokenizer whose files do not say
LLAMA_DEFAULTS = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}


class Special:
    """ids {kind: id} and flags {kind: bool}, in the order of finding; merges; template, a str, list or None."""

    def __init__(self):
        self.ids = {}
        self.flags = {}
        self.merges = []
        self.template = None

    @property
    def description(self):
        ids = f"special tokens {self.ids if self.ids else 'unset'}"
        flags = f"add special tokens {self.flags if self.flags else 'unset'}"
        return f"<SpecialVocab with {len(self.merges)} merges, {ids}, {flags}>"


def load(folder, log, *, merges=None, limit=None, compat=False):
    """Special of a folder. merges: None for none, else a function(values, path) that finds them in a tokenizer.json.

    limit: number of tokens, None if it is not known. Errors  ConvertError: a negative id.
    """
    found = Special()
    tokenizer_path, config_path = os.path.join(folder, "tokenizer.json"), os.path.join(folder, "tokenizer_config.json")
    tokenizer, added = load_if_there(tokenizer_path), []
    if tokenizer:
        if merges:
            found.merges = merges(tokenizer, tokenizer_path) or []
        added = tokenizer.get("added_tokens")
    if config := load_if_there(config_path):
        _read_template(found, config, config_path, log)
        _read_tokens(found, config, added if isinstance(added, list) else [], limit, log)
    if not compat:
        _read_template_file(found, folder, log)
    model_path = os.path.join(folder, "config.json")
    if config := load_if_there(model_path):
        for kind in KINDS:
            _set(found, kind, config.get(f"{kind}_token_id"), limit, log)
    if merges and not found.merges:
        found.merges = _read_merges(os.path.join(folder, "merges.txt"), log)
    return found


def _read_template(found, config, path, log):
    template = config.get("chat_template")
    if template is None or isinstance(template, (str, list)):
        found.template = template
    else:
        log.warning(f"Bad type for chat_template field in {path!r} - ignoring")


def _read_template_file(found, folder, log):
    """chat_template.jinja, the newer place of the template: it holds where tokenizer_config.json has none."""
    path = os.path.join(folder, "chat_template.jinja")
    if found.template is None and os.path.exists(path):
        try:
            found.template = read_bytes(path).decode()
        except UnicodeDecodeError:
            raise ConvertError(f"{path}: not UTF-8") from None
        log.info(f"chat template from {path}")


def _read_tokens(found, config, added, limit, log):
    for kind in KINDS:
        flag = config.get(f"add_{kind}_token")
        if isinstance(flag, bool):
            found.flags[kind] = flag
        text = content(config.get(f"{kind}_token"))
        for token in added:
            if text is not None and isinstance(token, dict) and token.get("content") == text:
                _set(found, kind, token.get("id"), limit, log)
                break


def content(token):
    """The text of a token in a tokenizer_config.json, which is a string or an object; None for anything else."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _set(found, kind, id, limit, log):
    """The first that says an id has said it."""
    if not isinstance(id, int):
        return
    id = int(id)
    if id < 0:
        raise ConvertError(f"invalid value for special token type {kind}: {shorten(id)}")
    if limit is not None and id >= limit:
        log.warning(f"Special token type {kind}, id {id} out of range, must be under {limit} - skipping", "gguf.vocab")
    elif kind not in found.ids:
        found.ids[kind] = id


def _read_merges(path, log):
    if not os.path.exists(path):
        return []
    try:
        lines = read_bytes(path).decode().split("\n")
    except UnicodeDecodeError:
        raise ConvertError(f"{path}: not UTF-8") from None
    found = []
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not line.strip() or (number == 1 and line.startswith("#")):
            continue
        if len(parts) == 2:
            found.append(" ".join(parts))
        else:
            log.warning(f"merges.txt: Line {number}: Entry malformed, ignoring", "gguf.vocab")
    return found


def special_texts(folder):
    """Texts of the special tokens of a folder's tokenizer, as transformers collects them."""
    found = load_if_there(os.path.join(folder, "special_tokens_map.json")) or {}
    config = load_if_there(os.path.join(folder, "tokenizer_config.json")) or {}
    if str(config.get("tokenizer_class", "Llama")).startswith(("Llama", "CodeLlama")):
        found = LLAMA_DEFAULTS | found
    found = found | {name: value for name, value in config.items() if value is not None}
    others = found.get("additional_special_tokens")
    values = [found.get(f"{kind}_token") for kind in KINDS] + (others if isinstance(others, list) else [])
    return {text for value in values if (text := content(value)) is not None}


# --- what is written

def write(found, metadata, log, *, want_merges):
    """Add the keys of all that was found to `metadata`, in the reference's order."""
    if found.merges:
        log.info(f"Adding {len(found.merges)} merge(s).", "gguf.vocab")
        metadata.add("tokenizer.ggml.merges", "arr:str", found.merges)
    elif want_merges:
        log.warning("Adding merges requested but no merges found, output may be non-functional.", "gguf.vocab")
    for kind, id in found.ids.items():
        log.info(f"Setting special token type {kind} to {id}", "gguf.vocab")
        metadata.add(f"tokenizer.ggml.{KEYS.get(kind, kind)}_token_id", "u32", id)
    for kind, flag in found.flags.items():
        if kind in FLAGS:
            log.info(f"Setting add_{kind}_token to {flag}", "gguf.vocab")
            metadata.add(f"tokenizer.ggml.add_{kind}_token", "bool", flag)
        else:
            log.warning(f"No handler for add_{kind}_token with value {flag} - skipping", "gguf.vocab")
    if found.template is not None:
        log.info(f"Setting chat_template to {found.template}", "gguf.vocab")
        _write_templates(found.template, metadata)


def _write_templates(template, metadata):
    if isinstance(template, str):
        metadata.add_text("tokenizer.chat_template", template)
        return
    named, default = {}, None
    for choice in template:
        if (
            not isinstance(choice, dict)
            or not isinstance(choice.get("name"), str)
            or not isinstance(choice.get("template"), str)
        ):
            raise ConvertError(f"chat_template: found {shorten(choice)}, expected an object with name and template")
        if choice["name"] == "default":
            default = choice["template"]
        elif choice["template"]:
            named[re.sub("[^A-Za-z0-9]", "_", choice["name"])] = choice["template"]
    for name, text in named.items():
        metadata.add_text(f"tokenizer.chat_template.{name}", text)
    if named:
        metadata.add("tokenizer.chat_templates", "arr:str", list(named))
    if default is not None:
        metadata.add_text("tokenizer.chat_template", default)
