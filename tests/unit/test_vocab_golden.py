"""Token ids, equal to the reference's: on small vocabularies in this repository, and on those of 14 public models."""

import json

import pytest
from vocab_files import differences, golden, golden_keys, load

from llamacy.gguf import GGUFFile
from llamacy.vocab import Vocab

PRE_TYPES = {  # names with the same rules share recorded ids
    "default": "default", "llama3": "llama3", "llama-v3": "llama3", "llama-bpe": "llama3",
    "deepseek-llm": "deepseek-llm", "deepseek-coder": "deepseek-coder", "falcon": "falcon", "mpt": "mpt",
    "starcoder": "starcoder", "refact": "starcoder", "command-r": "starcoder", "gpt-2": "gpt-2",
}

# special tokens, tokens of a type other than normal, newline id: as the reference logs them
PUBLIC = {
    "baichuan": (609, 259, 403), "bert-bge": (7104, 5, 0), "deepseek-coder": (243, 256, 126),
    "deepseek-llm": (2387, 2400, 126), "falcon": (12, 12, 138), "gpt-2": (1, 1, 128), "gpt-neox": (159, 180, 128),
    "gpt2": (1, 1, 128), "llama-spm": (259, 259, 13), "mpt": (159, 180, 128), "phi-3": (323, 323, 13),
    "refact": (83, 83, 145), "stablelm": (31, 52, 128), "starcoder": (38, 38, 164),
}


@pytest.fixture(scope="module")
def facts(repo):
    return golden(repo)


def texts(facts, raw=False):
    return [text.encode() for text in facts["texts"]] + [bytes.fromhex(text) for text in facts["raw"] if raw]


@pytest.mark.parametrize("flags", [0, 3], ids=["plain", "special"])
def test_stories(facts, random_256, flags):
    vocab = Vocab(GGUFFile(random_256))
    wrong = differences(vocab, texts(facts, raw=True), facts["stories"]["ids"][str(flags)], bool(flags), bool(flags))
    assert not wrong, "\n".join(wrong)


def test_spm_with_user_defined_tokens_and_no_space_prefix(facts, tmp_path):
    vocab = load(tmp_path / "v.gguf", golden_keys(facts, "spm"))
    wrong = differences(vocab, texts(facts, raw=True), facts["spm"]["ids"]["3"])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("pre, recorded", PRE_TYPES.items(), ids=PRE_TYPES)
def test_bpe(facts, tmp_path, pre, recorded):
    vocab = load(tmp_path / "v.gguf", golden_keys(facts, "bpe", pre))
    wrong = differences(vocab, texts(facts), facts["bpe"]["ids"][recorded], add_special=False)
    assert not wrong, "\n".join(wrong)


def test_every_pre_type_of_the_reference_is_tested():
    from llamacy.vocab.pretypes import PRE_TYPES as known
    assert {name for name, row in known.items() if not row.later} == set(PRE_TYPES)


@pytest.mark.parametrize("parse_special", [False, True], ids=["plain", "special"])
def test_wpm(facts, tmp_path, parse_special):
    vocab = load(tmp_path / "v.gguf", golden_keys(facts, "wpm"))
    wrong = differences(vocab, texts(facts), facts["wpm"]["ids"]["3" if parse_special else "1"], True, parse_special)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", PUBLIC)
def test_public(shared, name):
    recorded = json.loads((shared / "golden/tokens.json").read_text())
    vocab = Vocab(GGUFFile(shared / f"data/vocab/ggml-vocab-{name}.gguf"))
    all_texts = [text.encode() for text in recorded["texts"]]
    assert len(all_texts) > 90
    wrong = differences(vocab, all_texts, recorded["ids"][f"ggml-vocab-{name}.gguf"])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_special_tokens(shared, name):
    vocab = Vocab(GGUFFile(shared / f"data/vocab/ggml-vocab-{name}.gguf"))
    assert (vocab.n_special, vocab.n_non_normal, vocab.lf) == PUBLIC[name]
    assert vocab.special_mismatch == (vocab.n_special != vocab.n_non_normal)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_texts_are_found_again(shared, name):
    vocab = Vocab(GGUFFile(shared / f"data/vocab/ggml-vocab-{name}.gguf"))
    ids = range(0, len(vocab), 97)
    assert len(ids) > 300 and [vocab.find(vocab.text(id)) for id in ids] == list(ids)
