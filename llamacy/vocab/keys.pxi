# The scalar keys of a vocabulary: special ids, their defaults, flags.

NAMES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask", "prefix", "suffix", "middle", "eot")

# tokenizer.ggml.model: kind, defaults
KINDS = {
    b"llama": (SPM, {"bos": 1, "eos": 2, "unk": 0}),
    b"gpt2": (BPE, {"bos": 11, "eos": 11}),
    b"bert": (WPM, {"unk": 100, "sep": 102, "pad": 0, "cls": 101, "mask": 103}),
    b"no_vocab": (NO_VOCAB, {}),
}
# general.architecture of an SPM model whose name contains "code": CodeLlama and CodeGemma files do not say these
INFILL = {
    b"llama": {"prefix": 32007, "suffix": 32008, "middle": 32009, "eot": 32010},
    b"gemma": {"prefix": 67, "suffix": 69, "middle": 68, "eot": 107},
}
KEYS = {"unk": "unknown", "sep": "seperator", "pad": "padding"}  # where the key has another name (sic)
END_OF_TURN = (b"<|eot_id|>", b"<|im_end|>", b"<|end|>", b"<end_of_turn>")
MISSING_PRE = b"".join(b"llm_load_vocab: %s\n" % line for line in (
    b"missing pre-tokenizer type, using: 'default'", b"", b"*" * 36, b"GENERATION QUALITY WILL BE DEGRADED!",
    b"CONSIDER REGENERATING THE MODEL", b"*" * 36, b""))


def read_ids(gguf, lookup, warn, kind, defaults, n_tokens):
    """dict of NAMES to ids, -1: none. A default that is no token of this vocabulary counts as none."""
    ids = dict.fromkeys(NAMES, -1)
    ids.update(defaults)
    if kind == SPM and b"code" in (lookup("general.name", "str") or b"").lower():
        ids.update(INFILL.get(gguf.get("general.architecture"), {}))
    for name in NAMES:
        if ids[name] >= n_tokens:
            ids[name] = -1
        key = f"tokenizer.ggml.{KEYS.get(name, name)}_token_id"
        value = lookup(key, "int")
        if value is None:
            continue
        if 0 <= value < n_tokens:
            ids[name] = value
        else:
            warn(f"llm_load_vocab: bad special token: '{key}' = {value}d, using default id {ids[name]}\n".encode())
    return ids


def file_lookup(gguf):
    """The lookup of a Vocab without overrides: the file's value, if it has the right type."""
    def lookup(key, kind, default=None):
        if key not in gguf:
            return default
        if gguf.kind(key) != kind:
            raise ModelError(f"{gguf.path}: key {key} has wrong type {gguf.type_name(key)} but expected {kind}")
        return gguf[key]
    return lookup


cdef int flag(value) except? -1:
    """-1 unknown, 0, 1"""
    return -1 if value is None else bool(value)
