"""Tokenizing and token pieces: special tokens, any bytes, long texts, many threads."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from vocab_files import SPM, bpe_keys, golden, golden_keys, load, spm_of

from llamacy.errors import ModelError
from llamacy.gguf import GGUFFile
from llamacy.vocab import Vocab

LONG = 1 << 18


@pytest.fixture(scope="module")
def vocabs(repo, tmp_path_factory):
    """A vocabulary of each kind, by name."""
    folder, facts = tmp_path_factory.mktemp("vocab"), golden(repo)
    made = {name: load(folder / name, golden_keys(facts, name)) for name in ("spm", "wpm")}
    for pre in ("default", "llama3", "deepseek-llm", "mpt"):
        made[pre] = load(folder / pre, golden_keys(facts, "bpe", pre))
    return made


KINDS = ["spm", "wpm", "default", "llama3", "deepseek-llm", "mpt"]
BPE = KINDS[2:]


# --- pieces


def test_pieces_of_spm(tmp_path):
    tokens = ["<unk>", "<s>", "▁a▁b", "▁a▁", "<0x41>", "<0xfF>", "<x>", "x", "gone", "never"]
    types = [2, 3, 1, 4, 6, 6, 6, 6, 5, 0]
    vocab = spm_of(tmp_path / "v", tokens, types)
    assert [vocab.piece(id) for id in range(10)] == [
        "▅".encode(), b"<s>", b" a b", "▁a▁".encode(), b"A", b"\xff", b"", b"", b"", b""]
    assert vocab.piece(1, special=False) == b"" and vocab.piece(0, special=False) == "▅".encode()
    assert vocab.pieces([2, 1, 4], special=False) == b" a bA"
    assert [vocab.piece(id) for id in (-1, 10, 2**31)] == [b"", b"", b""]


def test_pieces_of_bpe(tmp_path):
    keys = bpe_keys([], ["<|endoftext|>", "Ġuser", "Ġa漢Ċ", "<u>", "<b>"], [3, 4, 1, 2, 6])
    vocab = load(tmp_path / "v", keys)
    assert [vocab.piece(b) for b in range(256)] == [bytes([b]) for b in range(256)]
    assert [vocab.piece(id) for id in range(256, 261)] == [
        b"<|endoftext|>", "Ġuser".encode(), " a漢\n".encode(), b"", b""]
    assert vocab.piece(256, special=False) == b""


def test_pieces_of_wpm(tmp_path):
    keys = {"tokens": ("arr:str", ["[PAD]", "▁hello", "ing", "<0x41>"]), "token_type": ("arr:i32", [3, 1, 1, 6])}
    vocab = load(tmp_path / "v", {"model": ("str", "bert"), **keys})
    assert [vocab.piece(id) for id in range(4)] == [b"[PAD]", b" hello", b"ing", b""]


def test_text_type_and_score(vocabs, repo):
    vocab, keys = vocabs["spm"], golden_keys(golden(repo), "spm")
    for id, text in enumerate(keys["tokens"][1]):
        assert vocab.text(id) == text.encode() and vocab.find(text.encode()) == id
        assert vocab.token_type(id) == keys["token_type"][1][id] and vocab.score(id) == keys["scores"][1][id]
    assert vocab.find(b"") == vocab.find(b"no such token") == -1


# --- special tokens


def test_special_tokens_are_told_by_their_text_not_by_their_type(tmp_path):
    #        one character   in two tokens      no two tokens: special
    tokens = ["a", "b", "é", "ab", "aé", "éab", "ba", "c!", "a!", "bab!"]
    vocab = spm_of(tmp_path / "v", tokens, [3] * 10)
    assert vocab.n_special == 3 and vocab.special_mismatch
    assert vocab.tokenize(b"c!a!", False, True) == [7, 8] and vocab.tokenize(b"bab!", False, True) == [9]


def test_special_texts_are_left_alone_without_parse_special(vocabs):
    text = b"<|im_start|>x<|im_end|>"
    for kind in BPE:
        vocab = vocabs[kind]
        start, end = vocab.find(b"<|im_start|>"), vocab.find(b"<|im_end|>")
        assert vocab.tokenize(text, False, True) == [start, vocab.find(b"x"), end]
        found = vocab.tokenize(text, False, False)
        assert start not in found and end not in found and vocab.pieces(found) == text


def test_only_the_first_fragment_gets_a_space(tmp_path):
    vocab = load(tmp_path / "v", SPM)
    assert vocab.pieces(vocab.tokenize(b"a<s>b", True, True)) == "<s>▁a<s>b".encode()
    assert vocab.pieces(vocab.tokenize(b"<s>a", False, True)) == b"<s>a"
    assert vocab.pieces(vocab.tokenize(b"<s>a", False, False)) == "▁<s>a".encode()


def test_overlapping_special_tokens_are_taken_as_the_reference_takes_them(shared):
    """GPT-NeoX vocabularies: the token of two spaces comes before that of three, by the order of a hash map."""
    vocab = Vocab(GGUFFile(shared / "data/vocab/ggml-vocab-mpt.gguf"))
    two, three, newline = vocab.find(b"  "), vocab.find(b"   "), vocab.find("Ċ".encode())
    assert vocab.tokenize(b"    \n   \n  ", False, True) == [two, two, newline, two, vocab.find("ĠĊ".encode()), two]
    assert min(two, three) > 0


def test_special_tokens_without_number_end_in_an_error(tmp_path):
    """Lengths of which no two add up to a third: all are special, and at each place of the text each is found."""
    tokens = ["a" * n for n in range(301, 601, 2)]
    vocab = spm_of(tmp_path / "v", tokens)
    assert vocab.n_special == 150
    assert len(vocab.tokenize(b"a" * 602, False, True)) >= 1
    with pytest.raises(ModelError, match="too many special tokens"):
        vocab.tokenize(b"a" * 20000, False, True)


# --- any bytes


@pytest.mark.parametrize("kind", KINDS)
def test_empty_text(vocabs, kind):
    vocab = vocabs[kind]
    expected = {"spm": [2], "wpm": [vocab.cls, vocab.sep]}.get(kind, [vocab.bos])
    assert vocab.tokenize(b"", False, True) == [] and vocab.tokenize(b"", True, True) == expected


@pytest.mark.parametrize("kind", ["spm", *BPE])
def test_any_bytes_come_back(vocabs, kind):
    rng = random.Random(7)
    bad = [b"\xc3", b"\x80", b"\xf5", b"\xf4\x90\x80\x80", b"\xe2\x96", b"\xff\x00", b"\xed\xa0\x80"]
    for _ in range(300):
        text = b"".join(rng.choice([rng.choice(bad), b"ab ", "é漢\n".encode(), b"\0"]) for _ in range(rng.randrange(12)))
        back = vocabs[kind].pieces(vocabs[kind].tokenize(text, False, True))
        assert back.replace("▁".encode(), b" ") == text.replace("▁".encode(), b" ")


def test_overlong_forms_are_written_in_the_short_one(vocabs):
    assert vocabs["llama3"].pieces(vocabs["llama3"].tokenize(b"\xc0\x80x\xe0\x81\x81", False, False)) == b"\0xA"


def test_wpm_takes_bad_bytes_for_replacement_characters(vocabs):
    vocab = vocabs["wpm"]
    assert vocab.tokenize(b"once \xff time", True, False) == vocab.tokenize("once \ufffd time".encode(), True, False)


@pytest.mark.parametrize("wrong", ["text", None, 5, bytearray(b"a")])
def test_text_is_bytes(vocabs, wrong):
    with pytest.raises(TypeError):
        vocabs["spm"].tokenize(wrong, False, False)


# --- long texts. One that took n * n steps would never end

TEXTS = {
    "one letter": b"a" * 4 * LONG, "spaces": b" " * LONG, "spaces and a digit": b" " * LONG + b"1",
    "newlines": b"\n" * LONG,
    "spaces and newlines": b" \n" * LONG, "capitals": b"A" * LONG + b"1", "quotes": b"'" * LONG, "NUL": b"\0" * LONG,
    "ideographs": "漢".encode() * LONG, "starts of special tokens": b"<|im_start|" * (LONG // 11),
    "special tokens": b"<|im_start|>" * (LONG // 12),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("kind", ["spm", "wpm", "llama3", "deepseek-llm"])
def test_long_text(vocabs, kind, text):
    vocab = vocabs[kind]
    ids = vocab.tokenize(text, False, True)
    if kind != "wpm":
        assert vocab.pieces(ids).replace("▁".encode(), b" ") == text
    else:
        assert len(ids) <= len(text) and all(0 <= id < len(vocab) for id in ids)


@pytest.mark.parametrize("model", ["llama", "bert"])
def test_long_tokens(tmp_path, model):
    tokens = ["▁", *("a" * (1 << i) for i in range(19)), "<" * 300_000]
    vocab = load(tmp_path / "v", {"model": ("str", model), "tokens": ("arr:str", tokens)})
    assert vocab.tokenize(b"a" * (5 << 17), False, False) == [0, 19, 19, 18]
    assert vocab.tokenize(b"<" * 300_000, False, True) == [20]


@pytest.mark.parametrize("kind", ["spm", *BPE])
def test_words_of_a_long_text_have_the_tokens_they_have_alone(repo, tmp_path, kind):
    """Words that come again are not tokenized again."""
    name, keys = ("spm", {"add_space_prefix": ("bool", False)}) if kind == "spm" else ("bpe", {})
    vocab = load(tmp_path / "v", {**golden_keys(golden(repo), name, kind), **keys})
    rng = random.Random(kind)
    words = ["".join(rng.choices("aehnorst漢é", k=rng.randrange(1, 40))) for _ in range(3000)]
    words = [" " + word for word in rng.choices(words, k=6000)]
    alone = [id for word in words for id in vocab.tokenize(word.encode(), False, False)]
    assert vocab.tokenize("".join(words).encode(), False, False) == alone


def test_token_with_a_space_inside(tmp_path):
    """Then words cannot be taken one by one."""
    tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", "▁b", "▁a▁b", "a▁b"]
    vocab = spm_of(tmp_path / "v", tokens)
    assert vocab.tokenize(b"a b a b", False, False) == [8, 8]
    assert vocab.tokenize(b"a b" + b" a b" * 3000, False, False) == [8] * 3001


def test_text_beyond_any_use_is_refused(vocabs):
    with pytest.raises(ValueError, match="268435457 bytes"):
        vocabs["spm"].tokenize(bytes((1 << 28) + 1), False, False)


def test_many_threads_at_once(repo, tmp_path):
    """The tables of BPE and the order of special tokens are made at the first use, which may be everyone's."""
    keys = golden_keys(golden(repo), "bpe", "llama3")
    text = b"  Once   upon a    time<|im_end|>\n" * 2000
    expected = load(tmp_path / "v", keys).tokenize(text, True, True)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            vocab = Vocab(GGUFFile(tmp_path / "v"))
            assert list(pool.map(lambda _: vocab.tokenize(text, True, True) == expected, range(16))) == [True] * 16
