"""Which rule cuts text into words: tokenizer.ggml.pre, recognised from what a tokenizer.json does.

Its pre_tokenizer is a list of steps. Each is a pattern of the rows in vocab/pretypes.py, or does what one of them does,
so a rule is known by what it does, whatever the words of the model are. The reference knows ten models by the hash of
one encoded text instead; that table is asked where the steps are no known row, and only then is the tokenizers library
needed.
"""

import hashlib
import json
import os

from llamacy.convert.errors import ConvertError, shorten
from llamacy.vocab import pretypes

REST = r"|\s+"  # at the end of a pattern: what it adds stays between the matches anyway
# Spelled differently here and there.
SAME = {"[一-龥ࠀ-一가-퟿]+": pretypes.CJK, r"\s?[!-/:-~！-／：-～‘-‟　-。]+": pretypes.DEEPSEEK_MARKS}
# Hundreds of ranges; the beginning tells them from all others.
DEEPSEEK_LETTERS = r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓ"
OTHERS = {("BertPreTokenizer",): "bert-bge",
          (pretypes.MARKS, pretypes.GPT2, r"\p{N}+", "[0-9][0-9][0-9]"): "falcon"}
PREFERRED = ("llama-bpe", "gpt-2", "starcoder", "deepseek-llm", "deepseek-coder", "falcon", "mpt")
# (rule, general.architecture): the name that this architecture has for it
ALIASES = {("starcoder", "refact"): "refact", ("starcoder", "command-r"): "command-r", ("gpt-2", "mpt"): "mpt",
           ("llama-bpe", "dbrx"): "dbrx", ("gpt-2", "phi2"): "phi-2", ("gpt-2", "olmo"): "olmo",
           ("starcoder", "codeshell"): "codeshell", ("qwen2", "stablelm"): "stablelm2"}
# Text is brought to one form before anything else; readers of GGUF files do not, and most text is in that form already.
FORMS = (None, "NFC")

CHECK_TEXT = (
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n\U0001f680 (normal) \U0001f636\u200d\U0001f32b\ufe0f (m"
    "ultiple emojis concatenated) \u2705 \U0001f999\U0001f999 3 33 333 3333 33333 333333 3333333 33333333 3.3"
    " 3..3 3...3 \u1780\u17b6\u1793\u17cb\u178f\u17c2\u1796\u17b7\u179f\u17c1\u179f\u17a2\u17b6\u1785"
    "\U0001f601 ?\u6211\u60f3\u5728apple\u5de5\u4f5c1314151\u5929\uff5e ------======= \u043d\u0435\u0449"
    "\u043e \u043d\u0430 \u0411\u044a\u043b\u0433\u0430\u0440\u0441\u043a\u0438 ''''''```````\"\"\"\"......!!"
    "!!!!?????? I've been 'told he's there, 'RE you sure? 'M not sure I'll make it, 'D you like some tea? We'"
    "Ve a'lL")

HASHES = {
    "0ef9807a4087ebef797fc749390439009c3b9eda9ad1a097abbe738f486c01e5": "llama-bpe",
    "049ecf7629871e3041641907f3de7c733e4dbfdc736f57d882ba0b0845599754": "deepseek-llm",
    "347715f544604f9118bb75ed199f68779f423cabb20db6de6f31b908d04d7821": "deepseek-coder",
    "8aeee3860c56296a157a1fe2fad249ec40aa59b1bb5709f4ade11c4e6fe652ed": "falcon",
    "0876d13b50744004aa9aeae05e7b0647eac9d801b5ba4668afc01e709c15e19f": "bert-bge",
    "b6dc8df998e1cfbdc4eac8243701a65afe638679230920b50d6f17d81c098166": "mpt",
    "35d91631860c815f952d711435f48d356ebac988362536bed955d43bfa436e34": "starcoder",
    "3ce83efda5659b07b1ad37ca97ca5797ea4285d9b9ab0dc679e4a720c9da7454": "gpt-2",
    "6221ad2852e85ce96f791f476e0b390cf9b474c9e3d1362f53a24a06dc8220ff": "refact",
    "9c2227e4dd922002fb81bde4fc02b0483ca4f12911410dee2255e4987644e3f8": "command-r",
}


def known():
    """{patterns: name}; of several names one that the reference writes, or else the first."""
    rows = dict(OTHERS)
    for name in sorted(pretypes.PRE_TYPES, key=lambda name: name not in PREFERRED):
        if name != pretypes.DEFAULT:
            rows.setdefault(tuple(pattern.removesuffix(REST) for pattern in pretypes.PRE_TYPES[name].patterns), name)
    return rows


def recognise(path, values, arch=None):
    """Name of the rule of a tokenizer.json. Errors  ConvertError: it is none that can be written; says what differs.

    arch: general.architecture; a few have a name of their own for a rule that others have as well.
    """
    name = by_structure(values)
    if name is not None:
        return ALIASES.get((name, arch), name)
    if (name := by_hash(path)) is None:
        raise ConvertError(
            f"{path}: pre_tokenizer: {difference(values)}; a file without the rule's name would be cut wrongly"
        )
    return name


def by_structure(values):
    name = known().get(tuple(patterns_of(values.get("pre_tokenizer"))))
    return name if _form(values) in FORMS or name == "bert-bge" else None


def _form(values):
    normalizer = values.get("normalizer")
    return normalizer.get("type") if isinstance(normalizer, dict) else normalizer


def by_hash(path):
    """By the ids of one text. None: no match, or no library to encode it."""
    try:
        from tokenizers import Tokenizer
        ids = Tokenizer.from_file(os.fspath(path)).encode(CHECK_TEXT).ids
    except Exception:                # the library raises bare ones; what it cannot read has no hash
        return None
    return HASHES.get(hash_of(ids))


def hash_of(ids):
    return hashlib.sha256(str(list(ids)).encode()).hexdigest()


def patterns_of(step):
    """The patterns of a pre_tokenizer, as in vocab/pretypes.py; a step that is none of them as its JSON."""
    if not isinstance(step, dict):
        return []
    type = step.get("type")
    if type == "Sequence":
        inner = step.get("pretokenizers")
        return [pattern for each in (inner if isinstance(inner, list) else []) for pattern in patterns_of(each)]
    if type == "ByteLevel" and not step.get("add_prefix_space", True):
        return [pretypes.GPT2] if step.get("use_regex", True) else []
    if type == "Digits":
        return [r"\p{N}" if step.get("individual_digits") else r"\p{N}+"]
    if type == "Punctuation" and step.get("behavior") == "Contiguous":
        return [pretypes.MARKS]
    if type == "Split" and (pattern := _isolated(step)) is not None:
        return [pattern]
    return ["BertPreTokenizer"] if type == "BertPreTokenizer" else [json.dumps(step, ensure_ascii=False)]


def _isolated(step):
    """The pattern of a Split whose matches are words of their own, else None."""
    pattern = step.get("pattern")
    pattern = pattern.get("Regex") if isinstance(pattern, dict) else None
    if (step.get("behavior"), bool(step.get("invert"))) not in (("Isolated", False), ("Removed", True)):
        return None
    if not isinstance(pattern, str):
        return None
    if pattern.startswith(DEEPSEEK_LETTERS):
        return pretypes.DEEPSEEK_LETTERS
    return SAME.get(pattern, pattern).removesuffix(REST)


def difference(values):
    """One line: the known rule that comes nearest, and the first step that is not its own."""
    found = patterns_of(values.get("pre_tokenizer"))
    rows = known()

    def likeness(row):
        leading = next((i for i, (a, b) in enumerate(zip(found, row)) if a != b), min(len(found), len(row)))
        return leading, sum(a == b for a, b in zip(found, row)), -abs(len(found) - len(row))
    row = max(rows, key=likeness)
    for i in range(max(len(found), len(row))):
        ours, theirs = (each[i] if i < len(each) else "nothing" for each in (found, row))
        if ours != theirs:
            ours, theirs = shorten(ours, 300), shorten(theirs, 300)
            return f"not a known rule; nearest is {rows[row]}, but step {i + 1} is {ours}, there {theirs}"
    return f"{rows[row]}, but for the normalizer {shorten(_form(values))}, which readers of GGUF files do not have"
