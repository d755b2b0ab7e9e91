"""Loading a vocabulary: its keys, special ids, warnings, and the one line that a wrong file gets."""

import pytest
from vocab_files import BYTE_TOKENS, SPM, bpe_keys, load

from llamacy.errors import GGUFError, LlamacyError, ModelError

TOKENS = SPM["tokens"][1]
WPM = {"model": ("str", "bert"), "tokens": ("arr:str", [f"[t{i}]" for i in range(104)])}


@pytest.fixture
def spm(tmp_path):
    """A function: the SPM vocabulary with some keys replaced; and what it warned of."""

    def make(**keys):
        warnings = []
        return load(tmp_path / "v.gguf", {**SPM, **keys}, warn=warnings.append), b"".join(warnings)

    return make


# --- what a good file gives


def test_defaults_of_spm(spm):
    vocab, warnings = spm()
    assert (vocab.kind, len(vocab), vocab.n_merges) == ("SPM", 262, 0) and not warnings
    assert (vocab.bos, vocab.eos, vocab.unk, vocab.lf) == (1, 2, 0, 3 + 10)
    assert {vocab.sep, vocab.pad, vocab.cls, vocab.mask, vocab.prefix, vocab.suffix, vocab.middle, vocab.eot} == {-1}
    assert (vocab.add_bos, vocab.add_eos, vocab.add_space_prefix) == (-1, -1, True) and vocab.main_add_bos()
    assert (vocab.n_special, vocab.n_non_normal, vocab.special_mismatch) == (259, 259, False)


def test_defaults_of_bpe(tmp_path):
    vocab = load(tmp_path / "v.gguf", {**bpe_keys(["a b"]), "bos_token_id": None, "eos_token_id": None})
    assert (vocab.kind, vocab.n_merges, vocab.bos, vocab.eos, vocab.unk) == ("BPE", 1, 11, 11, -1)
    assert vocab.text(vocab.lf) == "Ä".encode()  # a quirk of the reference: the newline's character, tokenized as text
    assert vocab.add_bos == -1 and not vocab.main_add_bos() and vocab.tokenize(b"ab", True, False) == [11, 256]


def test_newline_of_bpe_where_a_merge_makes_it(tmp_path):
    vocab = load(tmp_path / "v.gguf", bpe_keys(["a b", "Ä Ĭ"]))
    assert vocab.text(vocab.lf) == "ÄĬ".encode()


def test_defaults_of_wpm(tmp_path):
    vocab = load(tmp_path / "v.gguf", {**WPM, "padding_token_id": ("u32", 7)})
    assert (vocab.kind, vocab.bos, vocab.eos, vocab.unk) == ("WPM", -1, -1, 100)
    assert (vocab.sep, vocab.cls, vocab.mask, vocab.pad, vocab.lf) == (102, 101, 103, 7, 0)
    assert not vocab.add_space_prefix and vocab.tokenize(b"", True, True) == [101, 102]


def test_no_vocab(tmp_path):
    vocab = load(tmp_path / "v.gguf", {"model": ("str", "no_vocab")})
    assert (vocab.kind, len(vocab), vocab.bos, vocab.lf) == ("no vocab", 0, -1, -1)
    assert (vocab.find(b"a"), vocab.piece(0), vocab.text(-1)) == (-1, b"", b"")
    assert (vocab.score(0), vocab.token_type(0)) == (0, 0)
    with pytest.raises(ModelError):
        vocab.tokenize(b"", True, True)


def test_ids_from_keys(spm):
    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "sep": "seperator", "pad": "padding", "cls": "cls",
             "mask": "mask", "prefix": "prefix", "suffix": "suffix", "middle": "middle", "eot": "eot"}
    vocab, warnings = spm(**{f"{key}_token_id": ("u32", 20 + i) for i, key in enumerate(names.values())})
    assert [getattr(vocab, name) for name in names] == list(range(20, 31)) and not warnings
    assert [id for id in range(-1, 262) if vocab.is_eog(id)] == [21, 30]


def test_bad_id_is_warned_of_and_the_default_kept(spm):
    vocab, warnings = spm(bos_token_id=("u32", 262), padding_token_id=("u32", 4294967295))
    assert (vocab.bos, vocab.pad) == (1, -1)
    assert b"llm_load_vocab: bad special token: 'tokenizer.ggml.bos_token_id' = 262d, using default id 1\n" in warnings
    assert warnings.count(b"\n") == 2


def test_default_ids_beyond_the_vocabulary_are_none(tmp_path):
    vocab = load(tmp_path / "v.gguf", {**WPM, "tokens": ("arr:str", ["[a]", "[b]"])})
    assert {vocab.unk, vocab.sep, vocab.cls, vocab.mask} == {-1} and vocab.tokenize(b"", True, True) == []


@pytest.mark.parametrize("architecture, n, expected", [
    ("llama", 32011, (32007, 32008, 32009, 32010)), ("llama", 262, (-1, -1, -1, -1)), ("gemma", 262, (67, 69, 68, 107)),
    ("qwen2", 32011, (-1, -1, -1, -1))])
def test_infill_ids_of_code_models(tmp_path, architecture, n, expected):
    tokens = TOKENS + [f"<{i}>" for i in range(n - 262)]
    keys = {**SPM, "tokens": ("arr:str", tokens), "scores": None, "token_type": None}
    vocab = load(tmp_path / "v.gguf", {**keys, "general.name": ("str", "My CodeLlama")}, architecture=architecture)
    assert (vocab.prefix, vocab.suffix, vocab.middle, vocab.eot) == expected


@pytest.mark.parametrize("text", ["<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>"])
def test_end_of_turn_is_told_by_its_text(spm, text):
    vocab, _ = spm(tokens=("arr:str", TOKENS[:-1] + [text]))
    assert vocab.eot == 261 and vocab.is_eog(261)


@pytest.mark.parametrize("texts, chosen", [
    (["<|eot_id|>", "<|im_end|>"], "<|eot_id|>"), (["<|im_end|>", "<|end|>"], "<|end|>"),
    (["<|eot_id|>", "<end_of_turn>"], "<end_of_turn>"), (["<|im_end|>", "<|end|>", "<end_of_turn>"], "<end_of_turn>")])
def test_of_several_ends_of_turn_the_one_that_the_reference_takes(spm, texts, chosen):
    vocab, _ = spm(tokens=("arr:str", TOKENS[:-len(texts)] + texts))
    assert vocab.text(vocab.eot) == chosen.encode()


def test_flags(spm):
    vocab, _ = spm(add_bos_token=("bool", False), add_eos_token=("bool", True), add_space_prefix=("bool", False))
    assert (vocab.add_bos, vocab.add_eos, vocab.add_space_prefix) == (0, 1, False) and not vocab.main_add_bos()
    assert vocab.tokenize(b"ab", True, False) == [261, 2] and vocab.tokenize(b"ab", False, False) == [261]


def test_lookup_is_asked_for_all_keys_but_those_read_from_the_file(tmp_path):
    asked, answers = {}, {"tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.bos_token_id": 5}

    def lookup(key, kind, default=None):
        asked[key] = kind
        return answers.get(key, b"llama" if key == "tokenizer.ggml.model" else default)

    vocab = load(tmp_path / "v.gguf", {**SPM, "add_space_prefix": ("bool", False)}, lookup)
    assert (vocab.add_bos, vocab.bos, vocab.add_space_prefix) == (0, 5, False)
    assert asked.pop("tokenizer.ggml.model") == "str" and asked.pop("general.name") == "str"
    assert asked.pop("tokenizer.ggml.add_bos_token") == asked.pop("tokenizer.ggml.add_eos_token") == "bool"
    assert len(asked) == 11 and set(asked.values()) == {"int"} and all(key.endswith("_token_id") for key in asked)


def test_missing_pre_type_is_warned_of(tmp_path):
    warnings = []
    vocab = load(tmp_path / "v.gguf", {**bpe_keys(["a b"]), "pre": None}, warn=warnings.append)
    lines = b"".join(warnings).splitlines()
    assert vocab.pre == b"default" and len(lines) == 7 and all(line.startswith(b"llm_load_vocab: ") for line in lines)
    assert lines[0].endswith(b"missing pre-tokenizer type, using: 'default'")
    assert lines[3].endswith(b"GENERATION QUALITY WILL BE DEGRADED!")


def test_merges_that_cannot_be_used_are_passed_over(tmp_path):
    merges = ["", " ", "x", " x", "x ", b"\xff \xfe", "a  b", "a b c", "a b", "a b"]
    vocab = load(tmp_path / "v.gguf", {**bpe_keys(["a b"]), "merges": ("arr:str", merges)})
    assert vocab.n_merges == 10 and vocab.pieces(vocab.tokenize(b"ab xyz\xff", False, False)) == b"ab xyz\xff"
    assert vocab.tokenize(b"ab", False, False) == [vocab.find(b"ab")]


def test_big_endian_file(tmp_path):
    from llamacy.gguf import GGUFFile, GGUFWriter
    from llamacy.vocab import Vocab
    with GGUFWriter(tmp_path / "v.gguf", byteorder="big") as w:
        w.add("general.architecture", "str", "llama")
        scores = ("arr:f32", [0.0] * 259 + [1.0, 2.0, 3.0])
        for key, item in {**SPM, "scores": scores}.items():
            w.add("tokenizer.ggml." + key, *item)
    vocab = Vocab(GGUFFile(tmp_path / "v.gguf"))
    assert (vocab.score(261), vocab.token_type(3), vocab.find(b"ab")) == (3.0, 6, 261)


# --- what a wrong file gets

WRONG = {
    "no model": ({"model": None}, "key not found in model: tokenizer.ggml.model"),
    "model is a number": ({"model": ("u32", 1)}, "tokenizer.ggml.model has wrong type u32"),
    "unknown model": ({"model": ("str", "t5\nx")}, "unknown tokenizer 't5\\nx'"),
    "no tokens": ({"tokens": None}, "cannot find tokenizer vocab in model file"),
    "no token": ({"tokens": ("arr:str", [])}, "tokenizer.ggml.tokens: 0 tokens"),
    "tokens are numbers": ({"tokens": ("arr:i32", [1])}, "wrong type arr[i32,1]"),
    "tokens are a string": ({"tokens": ("str", "a")}, "wrong type str"),
    "empty token": ({"tokens": ("arr:str", TOKENS[:-1] + [""])}, "token 261 is empty"),
    "same token twice": ({"tokens": ("arr:str", TOKENS[:-1] + ["a"])}, "tokens 259 and 261 have the same text"),
    "token is no UTF-8": ({"tokens": ("arr:str", TOKENS[:-1] + [b"a\x80"])}, "token 261 is not valid UTF-8"),
    "token is cut UTF-8": ({"tokens": ("arr:str", TOKENS[:-1] + [b"\xe2\x96"])}, "token 261 is not valid UTF-8"),
    "too few scores": ({"scores": ("arr:f32", [0.0] * 261)}, "tokenizer.ggml.scores: 261 values, expected 262"),
    "too many scores": ({"scores": ("arr:f32", [0.0] * 263)}, "tokenizer.ggml.scores: 263 values, expected 262"),
    "scores of f64": ({"scores": ("arr:f64", [0.0] * 262)}, "wrong type arr[f64,262] but expected type arr[f32]"),
    "scores are a number": ({"scores": ("f32", 0.0)}, "wrong type f32"),
    "too few types": ({"token_type": ("arr:i32", [1])}, "tokenizer.ggml.token_type: 1 values, expected 262"),
    "types of u8": ({"token_type": ("arr:u8", [1] * 262)}, "wrong type arr[u8,262] but expected type arr[i32]"),
    "id is a string": ({"bos_token_id": ("str", "1")}, "tokenizer.ggml.bos_token_id has wrong type str"),
    "flag is a number": ({"add_bos_token": ("u32", 1)}, "tokenizer.ggml.add_bos_token has wrong type u32"),
    "prefix flag is a number": ({"add_space_prefix": ("u32", 1)}, "tokenizer.ggml.add_space_prefix has wrong type u32"),
    "name is a number": ({"general.name": ("u32", 1)}, "general.name has wrong type u32"),
    "no merges": ({"model": ("str", "gpt2")}, "cannot find tokenizer merges in model file"),
    "merges are numbers": ({"model": ("str", "gpt2"), "merges": ("arr:u8", [1])}, "wrong type arr[u8,1]"),
    "unknown pre-type": ({"model": ("str", "gpt2"), "merges": ("arr:str", []), "pre": ("str", b"qwen\n\xff")},
                         "unknown pre-tokenizer type: 'qwen\\n"),
}


@pytest.mark.parametrize("keys, message", WRONG.values(), ids=WRONG)
def test_wrong_file_gets_one_line(spm, keys, message):
    with pytest.raises((ModelError, GGUFError)) as caught:
        spm(**keys)
    assert isinstance(caught.value, LlamacyError)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -0.0])
def test_any_score_will_do(spm, value):
    vocab, _ = spm(scores=("arr:f32", [value] * 262))
    assert vocab.pieces(vocab.tokenize(b"abba", False, False)) == b"\xe2\x96\x81abba"


def test_types_that_do_not_exist_have_no_piece(spm):
    vocab, _ = spm(token_type=("arr:i32", [-1, 0, 5, 7] + [2**31 - 1] * 258))
    assert vocab.pieces(range(262)) == b"" and vocab.n_non_normal == 262


def test_without_byte_tokens_unknown_characters_become_unk(spm):
    vocab, warnings = spm(tokens=("arr:str", ["<unk>", "<s>", "</s>", "a", "▁", "é"]), scores=None, token_type=None)
    assert vocab.tokenize("aé漢b\n".encode(), True, False) == [1, 4, 3, 5, 0, 0, 0]
    assert vocab.lf == -1 and warnings.startswith(b"llm_load_vocab: ") and warnings.count(b"\n") == 1


def test_without_byte_tokens_and_unk_the_byte_is_named(spm, tmp_path):
    keys = bpe_keys(["a b"])
    keys["tokens"] = ("arr:str", ["a", "b", "ab"])
    vocab = load(tmp_path / "v.gguf", {**keys, "token_type": None})
    assert vocab.tokenize(b"ab", False, False) == [2]
    for text, byte in ((b"abq", "0x71"), (b"a\xff", "0xFF"), ("a漢".encode(), "0xE6")):
        with pytest.raises(ModelError, match=f"no token for byte {byte}"):
            vocab.tokenize(text, False, False)


def test_one_byte_tokens_stand_in_for_byte_tokens(spm):
    vocab, _ = spm(tokens=("arr:str", ["<unk>", "<s>", "</s>", "\n", "▁", "x"]), scores=None, token_type=None)
    assert vocab.lf == 3 and vocab.tokenize(b"\nx", False, False) == [4, 3, 5]


def test_byte_tokens_are_all_256():
    assert len(set(BYTE_TOKENS)) == 256 and set(BYTE_TOKENS) < set(TOKENS)
