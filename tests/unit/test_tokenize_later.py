"""Vocabularies that came after the reference: their special tokens, ids and flags; UGM and RWKV; text as it streams."""

import random

import pytest
from vocab_files import SPM, bpe_keys, byte_characters, golden, golden_keys, load
from vocab_texts import invalid, valid

from llamacy.errors import ModelError
from llamacy.gguf import GGUFFile
from llamacy.vocab import Vocab
from llamacy.vocab.pretypes import PRE_TYPES
from llamacy.vocab.stream import StreamDecoder

LONG = 1 << 16
BYTE_OF = {c: bytes([b]) for b, c in enumerate(byte_characters())}


def bpe(path, extra, types, pre="qwen2", **more):
    """A later BPE vocabulary of bytes, `ab` and extra tokens. `more`: further keys."""
    return load(path, {**bpe_keys(["a b"], extra, types, pre), **more})


# --- rules that are no longer those of the reference


def test_types_decide_what_is_special(tmp_path):
    extra = ["<c>", "<u>", "<x>", "<n>", "<unused>"]
    vocab = bpe(tmp_path / "v", extra, [3, 4, 2, 1, 5])
    c, u, x, n, unused = [vocab.find(text.encode()) for text in extra]
    everything = b"<c>a<u><x><n><unused>"
    assert (vocab.n_special, vocab.n_non_normal, vocab.special_mismatch) == (3, 4, True)
    found = vocab.tokenize(everything, False, True)
    assert {c, u, x} <= set(found) and not {n, unused} & set(found)
    plain = vocab.tokenize(everything, False, False)
    assert u in plain and not {c, x, n, unused} & set(plain) and vocab.pieces(plain[:3]) == b"<c>"


def test_user_defined_token_of_one_byte(tmp_path):
    keys = bpe_keys(["~ ~"], pre="qwen2")
    tilde = keys["tokens"][1].index("~")
    keys["token_type"][1][tilde] = 4
    vocab = load(tmp_path / "v", keys)
    assert vocab.tokenize(b"~~", False, False) == [tilde, tilde]
    assert vocab.tokenize(b"~", False, False) == [tilde] and vocab.tokenize(b"a~", False, True)[-1] == tilde


def test_the_longest_special_token_is_taken_first(tmp_path):
    extra = ["  ", "   ", "    ", "<a>", "<a><b>", "b><c"]
    vocab = bpe(tmp_path / "v", extra, [4, 4, 4, 3, 3, 3])
    two, three, four, a, ab, b = [vocab.find(text.encode()) for text in extra]
    assert vocab.tokenize(b" " * 9, False, False) == [four, four, vocab.find("Ġ".encode())]
    assert vocab.tokenize(b" " * 7, False, True) == [four, three] and two not in vocab.tokenize(b" " * 7, False, True)
    assert vocab.pieces(vocab.tokenize(b"<a><b><c", False, True)) == b"<a><b><c"
    assert vocab.tokenize(b"<a><b><c", False, True)[0] == ab and b not in vocab.tokenize(b"<a><b><c", False, True)
    assert vocab.tokenize(b"<a><b", False, True)[0] == a


def test_beginning_and_end_are_added_only_if_asked_for(tmp_path):
    names = ("qwen2", "tekken", "chameleon", "gpt-2")
    made = {name: bpe(tmp_path / name, ["<|endoftext|>"], [3], name) for name in names}
    for name, expected in (("qwen2", 0), ("tekken", 1), ("chameleon", 1), ("gpt-2", 1)):
        assert len(made[name].tokenize(b"ab", True, False)) == 1 + expected, name
    assert [made[name].main_add_bos() for name in made] == [False, True, True, False]
    flags = {"add_bos_token": ("bool", True), "add_eos_token": ("bool", True)}
    vocab = bpe(tmp_path / "v", ["<|endoftext|>"], [3], **flags)
    assert vocab.tokenize(b"ab", True, False) == [vocab.bos, vocab.find(b"ab"), vocab.eos] and vocab.main_add_bos()
    flags["add_bos_token"] = ("bool", False)
    assert bpe(tmp_path / "w", ["<|endoftext|>"], [3], "tekken", **flags).tokenize(b"", True, False) == [257]


def test_newline(tmp_path):
    assert bpe(tmp_path / "v", [], []).text(bpe(tmp_path / "v", [], []).lf) == "Ċ".encode()
    warnings = []
    keys = {**bpe_keys([], pre="qwen2"), "tokens": ("arr:str", ["a", "b"]), "token_type": None,
            "padding_token_id": ("u32", 1)}
    assert load(tmp_path / "w", keys, warn=warnings.append).lf == 1 and len(warnings) == 1


@pytest.mark.parametrize("pre", ["gpt-2", "qwen2"])
def test_all_tokens_that_end_a_generation(tmp_path, pre):
    extra = ["<|endoftext|>", "<|im_end|>", "<|eom_id|>", "<EOT>", "<go on>", "<eom>", "<pad>"]
    vocab = bpe(tmp_path / "v", extra, [3] * 7, pre, eom_token_id=("u32", 262), fim_pad_token_id=("u32", 263),
                fim_sep_token_id=("u32", 99999))
    ends = {vocab.find(text.encode()) for text in extra if text != "<go on>"}
    assert len(ends) == 6 and vocab.ends == ends and vocab.eot == vocab.find(b"<|im_end|>")
    assert [id for id in range(-1, len(vocab)) if vocab.is_eog(id)] == sorted(ends)


def test_infill_ids(tmp_path):
    extra = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<m>"]
    vocab = bpe(tmp_path / "v", extra, [3] * 4)
    assert [vocab.text(id) for id in (vocab.prefix, vocab.suffix, vocab.middle)] == [t.encode() for t in extra[:3]]
    vocab = bpe(tmp_path / "w", extra, [3] * 4, fim_mid_token_id=("u32", vocab.find(b"<m>")))
    assert vocab.text(vocab.middle) == b"<m>"
    assert bpe(tmp_path / "x", extra, [3] * 4, "gpt-2").prefix == -1


def test_empty_token_is_never_found(tmp_path):
    vocab = bpe(tmp_path / "v", ["", ""], [1, 3])
    assert vocab.text(258) == b"" and vocab.pieces(vocab.tokenize(b"ab<>", False, True)) == b"ab<>"


LONG_TEXTS = [text.encode() * LONG for text in (
    "a", "A", "Α", "漢", "1", " ", "\n", " \n", "'s", ".", "/", "\u0301", "-A", "Aa")]
LONG_TEXTS += [b"A" * LONG + b"1", b" " * LONG + b"1", "ǅ".encode() * LONG + b"-"]


@pytest.mark.parametrize("pre", {repr(row.patterns): name for name, row in PRE_TYPES.items() if row.later}.values())
def test_long_texts_take_linear_time(repo, tmp_path, pre):
    """Where a step per pair of characters would never end."""
    vocab = load(tmp_path / "v", golden_keys(golden(repo), "bpe", pre))
    for text in LONG_TEXTS:
        assert vocab.pieces(vocab.tokenize(text, False, False)) == text


# --- UGM

UGM = {"model": ("str", "t5"),
       "tokens": ("arr:str", ["<pad>", "</s>", "<unk>", "▁", "a", "b", "ab", "▁ab", "<x>", "aba"]),
       "scores": ("arr:f32", [0, 0, 0, -2, -3, -3, -4, -5, 0, -9]),
       "token_type": ("arr:i32", [3, 3, 2, 1, 1, 1, 1, 1, 4, 5])}


def test_ugm(tmp_path):
    vocab = load(tmp_path / "v", {**UGM, "add_space_prefix": ("bool", True)})
    assert (vocab.kind, vocab.bos, vocab.eos, vocab.unk, vocab.pad, vocab.lf) == ("UGM", -1, 1, 2, 0, -1)
    assert vocab.tokenize(b"ab", True, False) == [7, 1] and vocab.tokenize(b"", True, False) == [1]
    assert vocab.tokenize(b"aba", False, False) == [7, 4]  # not the unused token
    assert vocab.tokenize("a漢字b\n".encode(), False, False) == [3, 4, 2, 5, 2]  # neighbours: one UNK
    assert vocab.tokenize(b"ab<x>ab</s>", False, False)[:3] == [7, 8, 7]  # a space before each part
    assert vocab.tokenize(b"ab</s>", False, True) == [7, 1] and vocab.pieces([7, 8, 2]) == b" ab<x>\xe2\x96\x85"
    assert vocab.tokenize(b" " * 3 + b"ab" * LONG, False, False)[:5] == [3, 3, 3, 7, 6]


def test_ugm_without_needless_spaces(tmp_path):
    flags = {"add_space_prefix": ("bool", True), "remove_extra_whitespaces": ("bool", True)}
    vocab = load(tmp_path / "v", {**UGM, **flags})
    assert vocab.tokenize(b"  ab   ab  ", False, False) == [7, 7] and vocab.tokenize(b"   ", False, False) == []


def charsmap(units, texts=b""):
    return list((4 * len(units)).to_bytes(4, "little") + b"".join(u.to_bytes(4, "little") for u in units) + texts)


@pytest.mark.parametrize("table", [
    [], charsmap([]), charsmap([0]), charsmap([0xFFFFFFFF] * 600, b"ab"), charsmap([1 << 10 | 0x61] * 300, b"\0"),
    charsmap([0x161] * 256, b"ab\0"), charsmap(list(range(0, 1 << 20, 1 << 10)))])
def test_wrong_charsmap_does_no_harm(tmp_path, table):
    vocab = load(tmp_path / "v", {**UGM, "precompiled_charsmap": ("arr:u8", table)})
    assert 0 < len(vocab.tokenize(b"abz \xff ab", True, False)) < 30


@pytest.mark.parametrize("table, message", [
    ([1, 2, 3], "3 bytes"), ([8, 0, 0, 0, 1], "5 bytes"), ([2, 0, 0, 0, 1, 1], "6 bytes")])
def test_charsmap_that_is_cut_off(tmp_path, table, message):
    with pytest.raises(ModelError, match=f"precompiled_charsmap: {message}"):
        load(tmp_path / "v", {**UGM, "precompiled_charsmap": ("arr:u8", table)})


def test_charsmap_of_another_type(tmp_path):
    with pytest.raises(ModelError, match="precompiled_charsmap: has wrong type"):
        load(tmp_path / "v", {**UGM, "precompiled_charsmap": ("arr:i32", [1])})


def test_charsmap_that_makes_a_text_endless(tmp_path):
    """Root and the way by `a` to a leaf whose text is long."""
    units = [0] * 256
    units[0] = 1 << 10  # children at 1 ^ byte
    units[1 ^ 0x61] = 0x61 | 1 << 8 | 1 << 10  # the leaf is at (1 ^ 0x61) ^ 1
    units[0x61] = 0x80000000
    vocab = load(tmp_path / "v", {**UGM, "precompiled_charsmap": ("arr:u8", charsmap(units, b"b" * 5000))})
    assert vocab.tokenize(b"bb", False, False) == [5, 5]
    with pytest.raises(ModelError, match="too long"):
        vocab.tokenize(b"aa", False, False)


@pytest.mark.parametrize("model", ["t5", "rwkv"])
def test_vocabulary_of_one_empty_token(tmp_path, model):
    vocab = load(tmp_path / "v", {"model": ("str", model), "tokens": ("arr:str", [""]), "unknown_token_id": ("u32", 0)})
    assert set(vocab.tokenize(b"ab", False, True)) == {0}


# --- RWKV


def rwkv(path, tokens, **more):
    return load(path, {"model": ("str", "rwkv"), "tokens": ("arr:str", tokens), **more})


def test_rwkv_texts_are_unescaped(tmp_path):
    tokens = ["<s>", r"\x00", r"\n", r"\t\r", r"a\\b", r"\'", r"\xe6\xbc", "漢", "\\", r"\xZ", "ab", "abc", "cd"]
    vocab = rwkv(tmp_path / "v", tokens, token_type=("arr:i32", [3] + [1] * 12))
    assert [vocab.piece(id) for id in range(13)] == [
        b"<s>", b"\0", b"\n", b"\t\r", b"a\\b", b"'", b"\xe6\xbc", "漢".encode(), b"\\", b"xZ", b"ab", b"abc", b"cd"]
    assert vocab.lf == 2 and vocab.kind == "RWKV" and vocab.tokenize(b"", True, True) == []
    assert vocab.tokenize("a\\b\0漢\n".encode(), False, False) == [4, 1, 7, 2]
    assert vocab.tokenize(b"ababcab", False, False) == [10, 11, 10]


def test_rwkv_takes_the_longest_token(tmp_path):
    rng = random.Random(3)
    words = [*map(chr, b"abcd"), *("".join(rng.choices("abcd", k=rng.randrange(2, 9))) for _ in range(300))]
    tokens = [text.encode() for text in dict.fromkeys(words)]
    vocab = rwkv(tmp_path / "v", tokens)
    text, at, expected = bytes(rng.choices(b"abcd", k=5000)), 0, []
    while at < len(text):
        found = max((token for token in tokens if text.startswith(token, at)), key=len)
        expected.append(tokens.index(found))
        at += len(found)
    assert vocab.tokenize(text, True, True) == expected and max(map(len, tokens)) == 8


def test_rwkv_without_a_token_for_a_byte(tmp_path):
    with pytest.raises(ModelError, match="no token for byte 0x62"):
        rwkv(tmp_path / "v", ["a"]).tokenize(b"ab", False, False)
    assert rwkv(tmp_path / "w", ["?", "a"], unknown_token_id=("u32", 0)).tokenize(b"ab", False, False) == [1, 0]


# --- text as it streams


@pytest.mark.parametrize("pre", ["gpt-2", "qwen2"])
def test_stream_is_the_text_in_whole_characters(repo, tmp_path, pre):
    vocab = load(tmp_path / "v", golden_keys(golden(repo), "bpe", pre))
    held = 0
    for text in valid(1500)[500:]:
        decoder, out = StreamDecoder(vocab), []
        for token in vocab.tokenize(text.encode(), False, False):
            out.append(decoder.add(token).decode())  # raises where a character is cut
            held += bool(decoder.pending)
        assert "".join(out) == text and decoder.finish() == b"" == decoder.pending
    assert held > 1000


def test_stream_of_bytes_that_are_no_text(tmp_path):
    vocab = load(tmp_path / "v", {**SPM, "add_space_prefix": ("bool", False)})
    for text in invalid(300):
        decoder = StreamDecoder(vocab)
        shown = [decoder.add(token) for token in vocab.tokenize(text, False, False)] + [decoder.finish()]
        assert "".join([part.decode() for part in shown]) == text.decode("utf-8", "replace").replace(" ", "▁")


def test_stream_leaves_out_control_tokens_unless_asked(tmp_path):
    vocab = load(tmp_path / "v", SPM)
    ids = [vocab.find(b"<s>"), vocab.find(b"<0xE6>"), vocab.find(b"a")]
    decoder = StreamDecoder(vocab)
    assert [decoder.add(id) for id in ids] == [b"", b"", "\ufffda".encode()]
    decoder = StreamDecoder(vocab, special=True)
    assert [decoder.add(id) for id in ids[:2]] == [b"<s>", b""] and decoder.pending == b"\xe6"
    assert (decoder.finish(), decoder.finish(), decoder.add(ids[2])) == ("\ufffd".encode(), b"", b"a")


# --- every token of every vocabulary, byte for byte


def piece_by_definition(vocab, id):
    """What the rules of token types say, in Python."""
    text, type = vocab.text(id), vocab.token_type(id)
    if type in (3, 4):
        return text
    if type == 6 and vocab.kind == "SPM":
        return bytes([int(text[3:5], 16)])
    if type == 2 and vocab.kind != "BPE":
        return "▅".encode()
    if type != 1:
        return b""
    if vocab.kind != "BPE":
        return text.decode().replace("▁", " ").encode()
    return b"".join([BYTE_OF.get(c) or c.encode() for c in text.decode()])


PUBLIC = ["baichuan", "bert-bge", "deepseek-coder", "deepseek-llm", "falcon", "gpt-2", "gpt-neox", "gpt2", "llama-spm",
          "mpt", "phi-3", "refact", "stablelm", "starcoder"]


@pytest.mark.parametrize("name", ["random-256", *PUBLIC])
def test_every_piece(request, random_256, name):
    path = random_256 if name == "random-256" else (
        request.getfixturevalue("shared") / f"data/vocab/ggml-vocab-{name}.gguf")
    vocab = Vocab(GGUFFile(path))
    assert len(vocab) > 200
    wrong = [id for id in range(len(vocab)) if vocab.piece(id) != piece_by_definition(vocab, id)]
    assert not wrong, [(id, vocab.text(id), vocab.piece(id)) for id in wrong[:5]]
