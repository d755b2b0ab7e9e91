# The scalar keys of a vocabulary: special ids, their defaults, flags.

NAMES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask", "prefix", "suffix", "middle", "eot")

# tokenizer.ggml.model: kind, defaults
KINDS = {
    b"llama": (SPM, {"bos": 1, "eos": 2, "unk": 0}),
    b"gpt2": (BPE, {"bos": 11, "eos": 11}),
    b"bert": (WPM, {"unk": 100, "sep": 102, "pad": 0, "cls": 101, "mask": 103}),
    b"no_vocab": (NO_VOCAB, {}),
    b"t5": (UGM, {"eos": 1, "unk": 2, "pad": 0}),
    b"rwkv": (RWKV, {}),
}
# general.architecture of an SPM model whose name contains "code": CodeLlama and CodeGemma files do not say these
INFILL = {
    b"llama": {"prefix": 32007, "suffix": 32008, "middle": 32009, "eot": 32010},
    b"gemma": {"prefix": 67, "suffix": 69, "middle": 68, "eot": 107},
}
KEYS = {"unk": "unknown", "sep": "seperator", "pad": "padding"}  # where the key has another name (sic)
END_OF_TURN = (b"<|eot_id|>", b"<|im_end|>", b"<|end|>", b"<end_of_turn>")
# Tokens that end a generation besides EOS and the end of turn; the reference stops only at those two.
ENDS = (*END_OF_TURN, b"<|endoftext|>", b"<|eom_id|>", b"<EOT>")
END_KEYS = ("eom", "fim_pad", "fim_rep", "fim_sep")
LATER_KEYS = {"prefix": "fim_pre", "suffix": "fim_suf", "middle": "fim_mid"}  # names of these ids in later files
LATER_TEXTS = {
    "prefix": (b"<|fim_prefix|>", b"<fim-prefix>", b"<fim_prefix>", b"<PRE>", "<｜fim▁begin｜>".encode()),
    "suffix": (b"<|fim_suffix|>", b"<fim-suffix>", b"<fim_suffix>", b"<SUF>", "<｜fim▁hole｜>".encode()),
    "middle": (b"<|fim_middle|>", b"<fim-middle>", b"<fim_middle>", b"<MID>", "<｜fim▁end｜>".encode()),
}
MISSING_PRE = b"".join(b"llm_load_vocab: %s\n" % line for line in (
    b"missing pre-tokenizer type, using: 'default'", b"", b"*" * 36, b"GENERATION QUALITY WILL BE DEGRADED!",
    b"CONSIDER REGENERATING THE MODEL", b"*" * 36, b""))


def ids_of_keys(gguf, names, n_tokens):
    """The valid ids of those of the keys that the file has."""
    lookup = file_lookup(gguf)
    found = [lookup(f"tokenizer.ggml.{name}_token_id", "int", -1) for name in names]
    return [id for id in found if 0 <= id < n_tokens]


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
