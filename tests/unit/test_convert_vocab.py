"""Vocabularies of checkpoints: every kind, what the small files beside it say, and the texts it cuts."""

import base64
import json

import pytest

pytest.importorskip("numpy", reason="llamacy.convert needs numpy")

from llamacy.convert import bpe, choose, llama, pre, ranks, special, spm
from llamacy.convert.errors import ConvertError, NotHere
from llamacy.convert.log import WARNING, Log
from llamacy.convert.metadata import Metadata
from llamacy.gguf import GGUFFile, GGUFWriter
from llamacy.vocab import Vocab, pretypes
from tests.conftest import REPO
from tests.unit import convert_files as files

QUIET = Log(WARNING)
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = range(1, 7)
TEXTS = [
    "Hello world",
    "The quick brown fox, 12345 times!",
    "it's 3.14\n\n  indented\ttext ",
    "naïve café über straße",
    "WE'RE",
    "日本語 и кириллица 🚀🦙",
    "def f(x):\n    return x ** 2\n",
    "a  b   c",
    " \n\n x",
    "'''```\"\"\"...!!!???",
    "x\u00a0y\u3000z",
]


def as_vocab(found, extra, tmp_path):
    """llamacy's Vocab of a file with this vocabulary."""
    made = Metadata()
    made.add("general.architecture", "str", "llama")
    llama.tokens(made, found)
    llama.add_special(made, found, extra, QUIET)
    with GGUFWriter(str(tmp_path / "vocab.gguf")) as writer:
        made.write(writer)
    with GGUFFile(str(tmp_path / "vocab.gguf")) as gguf:
        return Vocab(gguf)


# --- SentencePiece

PIECES = [
    ("<unk>", 0.0, 2),
    ("<s>", 0.0, 3),
    ("</s>", 0.0, 3),
    ("<0x0A>", 0.0, 6),
    ("▁a", -1.5, 1),
    ("x", -2.0, 4),
    ("y", 0.0, 5),
]


def spm_folder(tmp_path, added=None):
    (tmp_path / "tokenizer.model").write_bytes(files.sentencepiece(PIECES))
    if added is not None:
        (tmp_path / "added_tokens.json").write_text(json.dumps(added))
    return str(tmp_path)


def test_sentencepiece(tmp_path):
    found = spm.load(spm_folder(tmp_path, {"<b>": 8, "<a>": 7, "▁a": 4}))
    assert found.texts == [text.encode() for text, _, _ in PIECES] + [b"<a>", b"<b>"]
    assert found.scores == [score for _, score, _ in PIECES] + [-1000.0] * 2
    assert found.types == [UNKNOWN, CONTROL, CONTROL, BYTE, NORMAL, NORMAL, UNUSED, USER, USER]
    assert found.description == "<SentencePieceVocab with 7 base tokens and 2 added tokens>"


@pytest.mark.parametrize(
    "added", [{"<a>": 8}, {"<a>": 7, "<b>": 9}, {"<a>": 7, "<b>": 7}, {"<a>": "7"}, {"<a>": 1 << 40}, {"<a>": None}]
)
def test_added_tokens_that_do_not_follow(tmp_path, added):
    with pytest.raises(ConvertError, match="sequential|expected an integer"):
        spm.load(spm_folder(tmp_path, added))


def test_sentencepiece_of_the_folder_above(tmp_path):
    (tmp_path / "7B").mkdir()
    spm_folder(tmp_path, {"<a>": 7})
    found = spm.load(str(tmp_path / "7B"))
    assert len(found) == len(PIECES) and found.path == str(tmp_path / "tokenizer.model")


def test_sentencepiece_reads_what_the_library_reads():
    library = pytest.importorskip("sentencepiece", reason="the sentencepiece library is not installed")
    path = str(REPO / "tests/data/convert/hf-spm/tokenizer.model")
    theirs = library.SentencePieceProcessor(model_file=path)
    ours, normalizer = spm.read(path)
    assert len(ours) == theirs.vocab_size() > 400 and normalizer.adds_prefix
    for i, (text, score, kind) in enumerate(ours):
        assert (text.decode(), score) == (theirs.id_to_piece(i), theirs.get_score(i))
        assert (kind == 2, kind == 3, kind == 5, kind == 6) == (
            theirs.is_unknown(i),
            theirs.is_control(i),
            theirs.is_unused(i),
            theirs.is_byte(i),
        )


def test_sentencepiece_round_trip(tmp_path):
    library = pytest.importorskip("sentencepiece", reason="the sentencepiece library is not installed")
    folder = str(REPO / "tests/data/convert/hf-spm")
    theirs = library.SentencePieceProcessor(model_file=folder + "/tokenizer.model")
    ours = as_vocab(spm.load(folder), special.load(folder, QUIET), tmp_path)
    texts = ["One day, a little girl named Lily found a needle.", "Zoo 42!", "naïve 日本 🚀", "once upon a time"]
    for text in texts:
        assert ours.tokenize(text.encode(), False, False) == theirs.encode(text)
        assert ours.pieces(theirs.encode(text), True) == b" " + text.encode()


# --- byte-level BPE

def tokenizer(vocab, merges, added=(), pattern=pretypes.LLAMA3, **model):
    steps = [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
             {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": id,
                "content": text,
                "special": True,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
            }
            for text, id in added
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocab,
            "merges": merges,
        }
        | model,
    }


def byte_vocab(*more):
    return {text: i for i, text in enumerate([*ranks.byte_letters(), *more])}


def write(tmp_path, **documents):
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return str(tmp_path)


def test_tokenizer_json(tmp_path):
    folder = write(
        tmp_path, tokenizer=tokenizer(byte_vocab("ab", "<s>"), ["a b"], [("<s>", 257), ("<e>", 259), ("<b>", 258)])
    )
    found = choose.load(folder, ["bpe"], QUIET)
    assert found.texts[255:] == ["ÿ".encode(), b"ab", b"<s>", b"<b>", b"<e>"]
    assert found.types[256:] == [NORMAL, NORMAL, CONTROL, CONTROL] and found.scores[256:] == [0, 0, -1000, -1000]
    assert (found.model, found.pre, found.n_base) == ("gpt2", "llama-bpe", 258)


def test_vocab_json_holds_before_tokenizer_json(tmp_path):
    folder = write(tmp_path, vocab=byte_vocab(), added_tokens={"<a>": 256}, tokenizer=tokenizer({}, []))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n\nbad line here\nc d\n")
    found = bpe.load_bpe(folder)
    assert found.texts[-1] == b"<a>" and len(found) == 257
    extra = special.load(folder, QUIET, merges=bpe.merges_of)
    assert extra.merges == ["a b", "c d"]


@pytest.mark.parametrize(
    "values, reason",
    [
        ({"model": {"type": "Unigram"}}, NotHere),
        ({"model": {"type": "BPE", "vocab": {}, "byte_fallback": True}}, NotHere),
        (tokenizer({"a": 1}, []), ConvertError),
        (tokenizer({"a": 0}, [], [("<s>", 2)]), ConvertError),
        (tokenizer({"a": "0"}, []), ConvertError),
        (tokenizer([], []), ConvertError),
        (tokenizer({"\ud800": 0}, []), ConvertError),
    ],
)
def test_tokenizers_that_are_none(tmp_path, values, reason):
    with pytest.raises(reason):
        bpe.load_bpe(write(tmp_path, tokenizer=values))


def test_merges_given_as_pairs_are_the_same(tmp_path):
    strings = tokenizer(byte_vocab("ab", "Ġa"), ["a b", "Ġ a"])
    pairs = tokenizer(byte_vocab("ab", "Ġa"), [["a", "b"], ["Ġ", "a"]])
    for values in (strings, pairs):
        extra = special.load(write(tmp_path, tokenizer=values), QUIET, merges=bpe.merges_of)
        assert extra.merges == ["a b", "Ġ a"]
    assert bpe.merges_of(pairs, "x", pairs=False) is None
    with pytest.raises(ConvertError, match="merges"):
        bpe.merges_of({"model": {"merges": ["a b", 7]}}, "x")


@pytest.mark.parametrize("pairs", [False, True])
def test_bpe_round_trip(tmp_path, pairs):
    library = pytest.importorskip("tokenizers", reason="the tokenizers library is not installed")
    values = json.loads((REPO / "tests/data/convert/hf-bpe/tokenizer.json").read_text())
    assert isinstance(values["model"]["merges"][0], list)
    if not pairs:
        values["model"]["merges"] = [" ".join(merge) for merge in values["model"]["merges"]]
    folder = write(tmp_path, tokenizer=values)
    theirs = library.Tokenizer.from_file(folder + "/tokenizer.json")
    found = choose.load(folder, None, QUIET)
    ours = as_vocab(found, special.load(folder, QUIET, merges=bpe.merges_of), tmp_path)
    for text in TEXTS:
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert ours.tokenize(text.encode(), False, False) == ids
        assert ours.pieces(ids, True) == text.encode()


# --- fast Llama tokenizers

def test_hfft(tmp_path):
    values = tokenizer({"<unk>": 0, "<s>": 1, "</s>": 2, "<0x0A>": 3, "<0xfF>": 4, "▁a": 5, "<mine>": 6}, [],
                       [("<s>", 1), ("<x>", 7), ("<y>", 8)], byte_fallback=True)
    values["decoder"] = {"type": "Sequence", "decoders": []}
    folder = write(
        tmp_path,
        tokenizer=values,
        tokenizer_config={"eos_token": {"content": "</s>"}, "additional_special_tokens": ["<y>"]},
    )
    found = bpe.load_hfft(folder)
    assert found.types == [CONTROL, CONTROL, CONTROL, BYTE, BYTE, NORMAL, NORMAL, USER, CONTROL]
    assert set(found.scores) == {-1000.0} and found.model == "llama" and found.kind == "hfft"
    values["model"] |= {"ignore_merges": True, "byte_fallback": False}
    with pytest.raises(ConvertError, match="--vocab-type bpe"):
        bpe.load_hfft(write(tmp_path, tokenizer=values))


# --- Llama 3's ranks

WORDS = [
    "he",
    "ll",
    "hell",
    "hello",
    " w",
    "or",
    " wor",
    "ld",
    " world",
    "12",
    "123",
    "\n\n",
    "  ",
    "日",
    "'re",
    " the",
    "th",
    " th",
]


def rank_folder(tmp_path, words=None):
    tokens = [bytes([byte]) for byte in range(256)] + [word.encode() for word in (WORDS if words is None else words)]
    (tmp_path / "tokenizer.model").write_bytes(
        b"".join(b"%s %d\n" % (base64.b64encode(token), i) for i, token in enumerate(tokens))
    )
    return str(tmp_path), tokens


def test_ranks(tmp_path):
    folder, tokens = rank_folder(tmp_path)
    found = choose.load(folder, None, QUIET)
    assert (found.kind, found.model, found.pre) == ("tiktoken", "gpt2", "llama-bpe")
    assert found.n_base == len(tokens) and len(found) == len(tokens) + 256
    assert found.texts[len(tokens):][:10] == [
        b"<|begin_of_text|>", b"<|end_of_text|>", *(b"<|reserved_special_token_%d|>" % i for i in range(4)),
        b"<|start_header_id|>", b"<|end_header_id|>", b"<|reserved_special_token_4|>", b"<|eot_id|>"]
    assert found.texts[-1] == b"<|reserved_special_token_250|>" and len(set(found.texts)) == len(found)
    assert (
        "h e" in found.merges and "Ġw or" in found.merges and found.merges.index("h e") < found.merges.index("hell o")
    )
    vocab = as_vocab(found, special.Special(), tmp_path)
    assert (vocab.bos, vocab.eos, vocab.add_bos) == (len(tokens), len(tokens) + 1, 1)


def test_ranks_round_trip(tmp_path):
    library = pytest.importorskip("tiktoken", reason="the tiktoken library is not installed")
    folder, tokens = rank_folder(tmp_path)
    theirs = library.Encoding(
        "x", pat_str=ranks.PATTERN, mergeable_ranks={token: i for i, token in enumerate(tokens)}, special_tokens={}
    )
    assert ranks.read(ranks.find(folder)) == {token: i for i, token in enumerate(tokens)}
    ours = as_vocab(ranks.load(folder), special.Special(), tmp_path)
    for text in [*TEXTS, "hello world, the hell 123456 they're"]:
        ids = theirs.encode_ordinary(text)
        assert ours.tokenize(text.encode(), False, False) == ids
        assert ours.pieces(ids, True) == text.encode()


def test_room_for_special_tokens_is_the_models(tmp_path):
    folder, tokens = rank_folder(tmp_path)
    assert len(ranks.load(folder, len(tokens) + 4)) == len(tokens) + 4


@pytest.mark.parametrize("line", [b"!!!! 256", b"YWI= 300", b"YWI= -1", b"YWI=", b"YQ== 256", b"YWI= 256 7", b" 256"])
def test_rank_files_that_are_broken(tmp_path, line):
    folder, _ = rank_folder(tmp_path, [])
    with open(tmp_path / "tokenizer.model", "ab") as file:
        file.write(line + b"\n")
    with pytest.raises(ConvertError, match="line 257"):
        ranks.load(folder)


def test_spm_says_that_ranks_are_none(tmp_path):
    folder, _ = rank_folder(tmp_path)
    with pytest.raises(ConvertError, match="--vocab-type bpe"):
        choose.load(folder, ["spm", "hfft"], QUIET)


# --- which of them

def test_no_tokenizer(tmp_path):
    with pytest.raises(ConvertError, match="Could not find a tokenizer"):
        choose.load(str(tmp_path), None, QUIET)


@pytest.mark.parametrize("text", ["spm,foo", "", "spm, bpe", "BPE"])
def test_unknown_types(text):
    with pytest.raises(ConvertError, match="Unsupported vocabulary type"):
        choose.parse_types(text)


# --- how text is cut

def pre_of(steps, normalizer=None, arch=None, **more):
    return pre.recognise(
        "no such file",
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}, "normalizer": normalizer} | more,
        arch,
    )


def split(pattern, **more):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False} | more


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
GPT2 = BYTES | {"use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}
STRUCTURES = {
    "llama-bpe": [split(pretypes.LLAMA3), BYTES],
    "gpt-2": [GPT2],
    "starcoder": [DIGITS, GPT2],
    "qwen2": [split(pretypes.LLAMA3.replace("{1,3}", "")), BYTES],
    "falcon": [
        {"type": "Punctuation", "behavior": "Contiguous"},
        GPT2,
        {"type": "Digits", "individual_digits": False},
        split("[0-9][0-9][0-9]"),
    ],
    "deepseek-coder": [
        split("[\r\n]".replace("\r", r"\r").replace("\n", r"\n")),
        split(r"\s?\p{L}+"),
        split(r"\s?\p{P}+"),
        split("[一-龥ࠀ-一가-퟿]+"),
        DIGITS,
        BYTES,
    ],
    "deepseek-llm": [
        split(r"[\r\n]"),
        split("\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳ]+"),
        split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
        split(r"\s+$"),
        split("[一-龥ࠀ-一가-퟿]+"),
        {"type": "Digits", "individual_digits": False},
        BYTES,
    ],
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_rules_are_known_by_what_they_do(name):
    assert pre_of(STRUCTURES[name]) == name
    assert pre_of(STRUCTURES[name], {"type": "NFC"}) == name


def test_one_step_without_a_sequence():
    assert pre.recognise("x", {"pre_tokenizer": GPT2}) == "gpt-2"
    assert (
        pre.recognise("x", {"pre_tokenizer": {"type": "BertPreTokenizer"}, "normalizer": {"type": "BertNormalizer"}})
        == "bert-bge"
    )


def test_architectures_have_names_of_their_own():
    assert pre_of(STRUCTURES["starcoder"], arch="refact") == "refact"
    assert pre_of(STRUCTURES["starcoder"], arch="command-r") == "command-r"
    assert pre_of(STRUCTURES["llama-bpe"], arch="command-r") == "llama-bpe"


@pytest.mark.parametrize("steps, normalizer, shown", [
    ([split(r"\w+"), BYTES], None, r"step 1 is \w+"), ([], None, "step 1 is nothing"),
    ([split(pretypes.LLAMA3), GPT2], None, "nearest is llama-bpe, but step 2 is"),
    ([split(pretypes.LLAMA3, behavior="MergedWithNext"), BYTES], None, "MergedWithNext"),
    ([split(pretypes.LLAMA3), BYTES | {"add_prefix_space": True}], None, "add_prefix_space"),
    ([split(pretypes.LLAMA3), BYTES], {"type": "Lowercase"}, "normalizer Lowercase"),
    ([{"type": "Metaspace"}], None, "Metaspace")])
def test_unknown_rules_are_errors_that_show_what_differs(steps, normalizer, shown):
    with pytest.raises(ConvertError) as caught:
        pre_of(steps, normalizer)
    assert shown in str(caught.value) and "\n" not in str(caught.value)


def test_the_check_text_is_the_references():
    import hashlib
    assert len(pre.CHECK_TEXT) == 350
    assert (
        hashlib.sha256(pre.CHECK_TEXT.encode()).hexdigest()
        == "a36179c1e2b1cfcfbfad1dc779addad2ffc778201e4cf0d538bddeafa2c526da"
    )
    assert pre.hash_of([1, 2, 3]) == hashlib.sha256(b"[1, 2, 3]").hexdigest()
    assert set(pre.HASHES.values()) <= set(pretypes.PRE_TYPES) | {"bert-bge"}


def test_an_unknown_rule_stops_the_conversion_but_not_with_compat(tmp_path):
    values = tokenizer(byte_vocab(), [], pattern=r"\w+")
    folder = write(tmp_path, tokenizer=values)
    with pytest.raises(ConvertError, match="pre_tokenizer"):
        choose.load(folder, ["bpe"], QUIET)
    assert choose.load(folder, ["bpe"], QUIET, compat=True).pre is None


@pytest.mark.parametrize("config, name", [({"tokenizer_class": "GPT2Tokenizer"}, "gpt-2"), ({}, None)])
def test_vocab_json_alone_does_not_tell(tmp_path, capsys, config, name):
    folder = write(tmp_path, vocab=byte_vocab(), tokenizer_config=config)
    assert choose.load(folder, ["bpe"], QUIET).pre == name
    assert ("does not tell how text is cut" in capsys.readouterr().err) == (name is None)


def test_bos_is_added_where_the_tokenizer_adds_it(tmp_path):
    values = tokenizer(byte_vocab("ab"), ["a b"], [("<s>", 257), ("<e>", 258)])
    values["post_processor"] = {
        "type": "Sequence",
        "processors": [
            BYTES,
            {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [257], "tokens": ["<s>"]}},
            },
        ],
    }
    folder = write(tmp_path, tokenizer=values, tokenizer_config={"bos_token": "<s>", "eos_token": "<e>"})
    found = choose.load(folder, None, QUIET)
    extra = special.load(folder, QUIET, merges=bpe.merges_of)
    assert found.first == 257 and as_vocab(found, extra, tmp_path).add_bos == 1
    assert choose.load(folder, ["bpe"], QUIET, compat=True).first is None


# --- special tokens

def pairs_of(tmp_path, limit=None, merges=None, compat=False, **documents):
    found = special.load(write(tmp_path, **documents), QUIET, merges=merges, limit=limit, compat=compat)
    made = Metadata()
    special.write(found, made, QUIET, want_merges=bool(merges))
    return {key: value for key, (_, value) in made.pairs.items()}


def test_the_first_that_names_a_token_has_named_it(tmp_path):
    added = [{"content": "<p>", "id": 4}, {"content": "<s>", "id": 3}, {"content": "<s>", "id": 9}]
    pairs = pairs_of(
        tmp_path,
        tokenizer={"added_tokens": added},
        tokenizer_config={
            "pad_token": "<p>",
            "bos_token": {"content": "<s>"},
            "eos_token": "<none>",
            "add_bos_token": True,
            "add_eos_token": False,
            "chat_template": "{{ x }}",
        },
        config={"bos_token_id": 1, "eos_token_id": 2, "unk_token_id": [7], "sep_token_id": None},
    )
    assert list(pairs.items()) == [
        ("tokenizer.ggml.bos_token_id", 3),
        ("tokenizer.ggml.padding_token_id", 4),
        ("tokenizer.ggml.eos_token_id", 2),
        ("tokenizer.ggml.add_bos_token", True),
        ("tokenizer.ggml.add_eos_token", False),
        ("tokenizer.chat_template", "{{ x }}"),
    ]


def test_ids_out_of_range(tmp_path, capsys):
    assert pairs_of(tmp_path, limit=5, config={"bos_token_id": 5, "eos_token_id": 4}) == {
        "tokenizer.ggml.eos_token_id": 4
    }
    assert "Special token type bos, id 5 out of range, must be under 5 - skipping" in capsys.readouterr().err
    with pytest.raises(ConvertError, match="invalid value for special token type eos: -1"):
        pairs_of(tmp_path, config={"eos_token_id": -1})


def test_several_templates(tmp_path):
    templates = [
        {"name": "default", "template": "D"},
        {"name": "tool use", "template": "T"},
        {"name": "rag", "template": "R"},
    ]
    assert list(pairs_of(tmp_path, tokenizer_config={"chat_template": templates}).items()) == [
        ("tokenizer.chat_template.tool_use", "T"), ("tokenizer.chat_template.rag", "R"),
        ("tokenizer.chat_templates", ["tool_use", "rag"]), ("tokenizer.chat_template", "D")]


def test_a_template_in_a_file_of_its_own(tmp_path):
    (tmp_path / "chat_template.jinja").write_text("{{ ü }}")
    assert pairs_of(tmp_path) == {"tokenizer.chat_template": "{{ ü }}"}
    assert pairs_of(tmp_path, tokenizer_config={"chat_template": "first"}) == {"tokenizer.chat_template": "first"}
    assert pairs_of(tmp_path, compat=True, tokenizer_config={}) == {}


# --- size

def vocabulary(n):
    from llamacy.convert.vocabulary import Vocabulary
    found = Vocabulary("llama", "spm", "x/tokenizer.model")
    for i in range(n):
        found.add(f"t{i}", 0.0, NORMAL)
    found.end_of_base()
    return found


def test_padding():
    found = vocabulary(10)
    found.fit(12, "x", True, QUIET)
    assert (
        found.texts[10:] == [b"<dummy00001>", b"<dummy00002>"]
        and found.types[10:] == [USER] * 2
        and found.scores[10:] == [-1000.0] * 2
    )


@pytest.mark.parametrize(
    "n, pad, text",
    [
        (
            12,
            False,
            "(model has 12, but x/tokenizer.model has 10). Most likely you are missing added_tokens.json "
            "(should be in x). Add the --pad-vocab option and try again.",
        ),
        (40, False, "(model has 40, but x/tokenizer.model has 10). Add the --pad-vocab option and try again."),
        (9, True, "(model has 9, but x/tokenizer.model has 10)."),
        (-1, True, "perhaps to 10"),
        (1 << 30, True, "expected at most"),
    ],
)
def test_sizes_that_do_not_fit(n, pad, text):
    with pytest.raises(ConvertError) as caught:
        vocabulary(10).fit(n, "x", pad, QUIET)
    assert (
        str(caught.value).endswith(text) or text in ("perhaps to 10", "expected at most") and text in str(caught.value)
    )
