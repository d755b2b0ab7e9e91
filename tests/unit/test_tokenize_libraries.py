"""Token ids against the libraries that models are made with: tokenizers, tiktoken, sentencepiece.

The libraries' patterns are written here once more, as their tokenizer files have them.
"""

import io
import json
import re

import pytest
from vocab_files import byte_characters, golden, golden_keys, load
from vocab_texts import invalid, valid

from llamacy.gguf import GGUFFile
from llamacy.vocab.pretypes import PRE_TYPES

N_VALID, N_INVALID = 9500, 1000
ASCII_SPACE = r" \t\n\x0b\f\r"
ODD = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000ſ]")

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK_V3 = [
    r"\p{N}{1,3}", r"[一-龥\u3040-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"]
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
BAILING = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+")
SEED = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
CHAMELEON = [r"<sentinel:[0-9]+>", r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", r"([\t\n]|    |  )", r"\p{N}",
             r"[\p{P}!-/:-@\[-`{-~]", GPT2]

# pre-type: the library's patterns; "digits": its own step that makes each digit a word
LATER = {
    "olmo": [GPT2], "jais": [GPT2], "trillion": [GPT2], "phi-2": [GPT2], "smollm": ["digits", GPT2],
    "codeshell": ["digits", GPT2], "exaone": ["digits", GPT2], "minerva-7b": ["digits", GPT2], "dbrx": [CL100K],
    "smaug-bpe": [CL100K], "chatglm-bpe": [CL100K], "falcon3": [CL100K], "qwen2": [QWEN], "stablelm2": [QWEN],
    "qwen35": [QWEN35], "deepseek-v3": DEEPSEEK_V3, "tekken": [TEKKEN], "gpt-4o": [O200K], "llama4": [O200K],
    "poro-chat": [BLOOM], "bloom": [BLOOM], "gpt3-finnish": [BLOOM], "viking": [BLOOM, r"\p{N}"],
    "chameleon": CHAMELEON, "superbpe": [r"\p{N}+", r"(?=(\d{3})+(?!\d))"], "bailingmoe": [BAILING],
    "seed-coder": [SEED],
}
DIFFERENT = {repr(patterns): name for name, patterns in LATER.items()}  # one name of each list
LARGE = ("olmo", "smollm", "qwen2", "deepseek-v3", "tekken", "gpt-4o", "viking")  # with a large vocabulary, too
OLD = {"gpt-2": [GPT2], "llama-bpe": [CL100K], "starcoder": ["digits", GPT2]}


@pytest.fixture(scope="module")
def texts():
    found = valid(N_VALID)
    assert len(found) >= N_VALID and any(len(text) >= 300 for text in found)
    return found


@pytest.fixture(scope="module")
def raw_texts():
    return invalid(N_INVALID)


def keys_of_gpt2(shared):
    """The arrays of a vocabulary of 50257 tokens: its merges follow the ids."""
    file = GGUFFile(shared / "data/vocab/ggml-vocab-gpt-2.gguf")
    names = {"tokens": "arr:str", "merges": "arr:str", "token_type": "arr:i32"}
    return {"model": ("str", "gpt2"), **{name: (kind, file["tokenizer.ggml." + name]) for name, kind in names.items()}}


def arrays_of(request, size):
    """Keys of a BPE vocabulary: one of this repository, or that of GPT-2."""
    if size == "GPT-2":
        return keys_of_gpt2(request.getfixturevalue("shared"))
    keys = golden_keys(golden(request.getfixturevalue("repo")), "bpe", "default")
    types = [3 if type == 4 else type for type in keys["token_type"][1]]  # user-defined ones are found in any text
    return {**keys, "token_type": ("arr:i32", types)}


def strings(values):
    return [value.decode() if isinstance(value, bytes) else value for value in values]


def library_tokenizer(arrays, patterns, ignore_merges=False):
    """A tokenizer of the library `tokenizers`."""
    tokenizers = pytest.importorskip("tokenizers")
    pre, models = tokenizers.pre_tokenizers, tokenizers.models
    types = arrays["token_type"][1]
    vocab = {token: id for id, token in enumerate(strings(arrays["tokens"][1])) if types[id] == 1}
    merges = [tuple(merge.split(" ")) for merge in strings(arrays["merges"][1])]
    merges = [merge for merge in merges if set(merge) | {"".join(merge)} <= vocab.keys()]
    found = tokenizers.Tokenizer(models.BPE(vocab, merges, ignore_merges=ignore_merges))
    steps = [pre.Digits(individual_digits=True) if pattern == "digits"
             else pre.Split(tokenizers.Regex(pattern), "isolated") for pattern in patterns]
    found.pre_tokenizer = pre.Sequence([*steps, pre.ByteLevel(add_prefix_space=False, use_regex=False)])
    return found


def ascii_only(pattern):
    """A library's pattern with the reference's white space and case."""
    pattern = re.sub(r"\[[^\]]*\]", lambda found: found[0].replace(r"\s", ASCII_SPACE), pattern)
    pattern = pattern.replace(r"\s", f"[{ASCII_SPACE}]").replace(r"\S", f"[^{ASCII_SPACE}]")
    return pattern.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])")


def wrong(vocab, texts, expected):
    """The texts, in short, whose tokens are not the expected ones."""
    assert len(texts) == len(expected)
    return [(text[:40], ids[:8]) for text, ids in zip(texts, expected)
            if vocab.tokenize(text.encode(), False, False) != ids]


def encode(tokenizer, texts):
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


@pytest.mark.parametrize("size, pre", [
    *(("small", pre) for pre in DIFFERENT.values()), *(("GPT-2", pre) for pre in LARGE)])
def test_later_pre_types_are_those_of_tokenizers(request, tmp_path, texts, size, pre):
    arrays = arrays_of(request, size)
    merging = PRE_TYPES[pre].ignore_merges
    vocab = load(tmp_path / "v", {**arrays, "pre": ("str", pre)})
    found = wrong(vocab, texts, encode(library_tokenizer(arrays, LATER[pre], merging), texts))
    assert not found, f"{len(found)} of {len(texts)}: {found[:5]}"


def test_names_with_the_same_patterns():
    for name, patterns in LATER.items():
        assert PRE_TYPES[name].patterns == PRE_TYPES[DIFFERENT[repr(patterns)]].patterns, name
    assert {name for name in LATER if PRE_TYPES[name].ignore_merges} == {"falcon3", "tekken"}


@pytest.mark.parametrize("size, pre", [
    ("small", "gpt-2"), ("small", "llama-bpe"), ("small", "starcoder"), ("GPT-2", "gpt-2"), ("GPT-2", "llama-bpe")])
def test_old_pre_types_are_those_of_tokenizers_but_for_white_space(request, tmp_path, texts, size, pre):
    arrays = arrays_of(request, size)
    vocab = load(tmp_path / "v", {**arrays, "pre": ("str", pre)})
    merging = pre == "llama-bpe"
    patterns = [ascii_only(pattern) for pattern in OLD[pre]]
    found = wrong(vocab, texts, encode(library_tokenizer(arrays, patterns, merging), texts))
    assert not found, f"{len(found)} of {len(texts)}: {found[:5]}"
    plain = [text for text in texts if not ODD.search(text)]
    assert len(texts) / 2 < len(plain) < len(texts)
    found = wrong(vocab, plain, encode(library_tokenizer(arrays, OLD[pre], merging), plain))
    assert not found, f"{len(found)} of {len(plain)}: {found[:5]}"


@pytest.mark.parametrize("pre, pattern", [("olmo", GPT2), ("qwen2", QWEN), ("gpt-4o", O200K), ("tekken", TEKKEN),
                                          ("dbrx", CL100K)])
def test_tiktoken(shared, tmp_path, texts, pre, pattern):
    tiktoken = pytest.importorskip("tiktoken")
    arrays = keys_of_gpt2(shared)
    byte = {c: b for b, c in enumerate(byte_characters())}
    ranks = {bytes([byte[c] for c in token]): id for id, token in enumerate(strings(arrays["tokens"][1]))
             if arrays["token_type"][1][id] == 1}
    encoding = tiktoken.Encoding("stress", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    vocab = load(tmp_path / "v", {**arrays, "pre": ("str", pre)})
    found = wrong(vocab, texts, [encoding.encode_ordinary(text) for text in texts])
    assert not found, f"{len(found)} of {len(texts)}: {found[:5]}"


def test_ignore_merges(tmp_path):
    """A token that no merge makes, but that is a whole word."""
    from vocab_files import bpe_keys
    keys = bpe_keys(["a b"], ["abc", "Ġabc", "<abc>"], [1, 1, 3])
    names = ("llama-bpe", "tekken", "qwen2", "gpt-2")
    made = {pre: load(tmp_path / pre, {**keys, "pre": ("str", pre)}) for pre in names}
    for pre in ("llama-bpe", "tekken"):
        assert made[pre].tokenize(b"abc abc abcd", False, False) == [
            made[pre].find(text.encode()) for text in ("abc", "Ġabc", "Ġ", "ab", "c", "d")]
    for pre in ("qwen2", "gpt-2"):
        assert made[pre].find(b"abc") not in made[pre].tokenize(b"abc abc abcd", False, False)


def test_llama_3_shaped_model(shared, tmp_path, texts):
    """The vocabulary of a tokenizer.json as a converter writes it, against the library that reads that file."""
    tokenizers = pytest.importorskip("tokenizers")
    path = shared / "data/convert/hf-bpe/tokenizer.json"
    library, data = tokenizers.Tokenizer.from_file(str(path)), json.loads(path.read_text())
    ids = {**data["model"]["vocab"], **{token["content"]: token["id"] for token in data["added_tokens"]}}
    special = {token["content"] for token in data["added_tokens"]}
    tokens = sorted(ids, key=ids.get)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in data["model"]["merges"]]
    keys = {"model": ("str", "gpt2"), "pre": ("str", "llama-bpe"), "tokens": ("arr:str", tokens),
            "merges": ("arr:str", merges), "token_type": ("arr:i32", [3 if t in special else 1 for t in tokens])}
    vocab = load(tmp_path / "v", keys)
    plain = [text for text in texts if not ODD.search(text)]
    assert len(plain) > len(texts) / 2 and sorted(ids.values()) == list(range(len(tokens)))
    found = wrong(vocab, plain, encode(library, plain))
    assert not found, f"{len(found)} of {len(plain)}: {found[:5]}"
    text = "<|begin_of_text|>Once upon a time<|eot_id|>\n"
    assert vocab.tokenize(text.encode(), False, True) == library.encode(text, add_special_tokens=False).ids


# --- sentencepiece


def trained(kind, texts, **options):
    """A small model of the library, trained on some of the texts."""
    sentencepiece = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    lines = [line for text in texts[:3000] for line in text.replace("\0", "").split("\n") if len(line.encode()) < 500]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type=kind, vocab_size=10000, character_coverage=0.98,
        num_threads=2, minloglevel=2, hard_vocab_limit=False, **options)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def keys_of_model(model, kind):
    """The keys that a converter would write for a model of the library."""
    ids = range(model.get_piece_size())
    types = [2 if model.is_unknown(id) else 3 if model.is_control(id) else 6 if model.is_byte(id) else
             5 if model.is_unused(id) else 1 for id in ids]
    return {"model": ("str", kind), "tokens": ("arr:str", [model.id_to_piece(id) for id in ids]),
            "scores": ("arr:f32", [model.get_score(id) for id in ids]), "token_type": ("arr:i32", types),
            "unknown_token_id": ("u32", model.unk_id()), "add_space_prefix": ("bool", True)}


def charsmap(model):
    """The normalizer's table: field 2 of field 3 of the model, length-delimited both."""
    def fields(data):
        at = 0
        while at < len(data):
            tag, at = number(data, at)
            size, at = number(data, at) if tag & 7 == 2 else ({0: 0, 5: 4, 1: 8}[tag & 7], at)
            if tag & 7 == 0:
                _, at = number(data, at)
            yield tag >> 3, data[at:at + size]
            at += size

    def number(data, at):
        value = shift = 0
        while data[at] & 0x80:
            value, shift, at = value | (data[at] & 0x7F) << shift, shift + 7, at + 1
        return value | data[at] << shift, at + 1

    normalizer = dict(fields(model.serialized_model_proto()))[3]
    return dict(fields(normalizer)).get(2, b"")


def test_sentencepiece_bpe(tmp_path, texts):
    model = trained("bpe", texts, byte_fallback=True, normalization_rule_name="identity",
                    remove_extra_whitespaces=False)
    vocab = load(tmp_path / "v", keys_of_model(model, "llama"))
    found = wrong(vocab, texts, model.encode(texts))
    assert not found, f"{len(found)} of {len(texts)}: {found[:5]}"


def test_sentencepiece_model_of_a_llama(shared, tmp_path, texts):
    sentencepiece = pytest.importorskip("sentencepiece")
    data = (shared / "data/convert/hf-spm/tokenizer.model").read_bytes()
    keep_spaces = b"\x1a\x02\x20\x00"  # one more part of the normalizer's settings: remove_extra_whitespaces is false
    model = sentencepiece.SentencePieceProcessor(model_proto=data + keep_spaces)
    vocab = load(tmp_path / "v", keys_of_model(model, "llama"))
    found = wrong(vocab, texts, model.encode(texts))
    assert not found, f"{len(found)} of {len(texts)}: {found[:5]}"


@pytest.mark.parametrize("bytes_known", [False, True], ids=["UNK", "bytes"])
@pytest.mark.parametrize("rule, squeeze", [("nmt_nfkc", True), ("nfkc_cf", False), ("identity", True)])
def test_sentencepiece_unigram(tmp_path, texts, raw_texts, rule, squeeze, bytes_known):
    model = trained("unigram", texts, normalization_rule_name=rule, remove_extra_whitespaces=squeeze,
                    byte_fallback=bytes_known)
    table = list(charsmap(model))
    assert (len(table) > 1000) == (rule != "identity")
    keys = {**keys_of_model(model, "t5"), "remove_extra_whitespaces": ("bool", squeeze), "eos_token_id": ("u32", 2),
            "precompiled_charsmap": ("arr:u8", table) if table else None}
    vocab = load(tmp_path / "v", keys)
    assert vocab.kind == "UGM" and vocab.tokenize(b"a", True, False)[-1] == 2
    everything = [*(text.encode() for text in texts), *raw_texts]
    differing = [text[:50] for text in everything if vocab.tokenize(text, False, False) != model.encode(text)]
    assert not differing, f"{len(differing)} of {len(everything)}: {differing[:5]}"


# --- what needs no library


@pytest.mark.parametrize("pre", ["gpt-2", "llama-bpe", "deepseek-llm", "qwen2", "gpt-4o", "bloom", "superbpe"])
def test_every_byte_comes_back(repo, tmp_path, texts, raw_texts, pre):
    vocab = load(tmp_path / "v", golden_keys(golden(repo), "bpe", pre))
    short_forms = re.compile(rb"\xc0\x80|\xe0\x80\x80")  # overlong: written in the short form
    everything = [*(text.encode() for text in texts), *raw_texts]
    differing = [text for text in everything if not short_forms.search(text)
                 and vocab.pieces(vocab.tokenize(text, False, False)) != text]
    assert not differing and len(everything) > 10000, differing[:5]
