"""How BPE vocabularies cut text into words: one row per value of the key tokenizer.ggml.pre.

A row lists patterns (dialect: pattern.py). The first cuts the whole text, each further one what its predecessors left;
all matches are pieces, and so is what lies between them. To add a pre-type, add its row.

Names that llama.cpp b2794 knows are read as it reads them. The others are read as the tokenizer libraries do that the
models were made with, and the rest of such a vocabulary by the rules of later versions (see docs/tokenize.md).
"""

from llamacy.vocab.pattern import THOUSANDS


def ranges(text):
    """Members of a character class from hexadecimal code points and ranges of them."""
    ends = [[chr(int(end, 16)) for end in item.split("-")] for item in text.split()]
    return "".join("-".join("\\" + end if end in "\\]^-" else end for end in item) for item in ends)


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
MARKS = r"[\p{P}\$\+<=>\^~\|]+"
DIGITS = r"[0-9][0-9][0-9]"
CJK = "[" + ranges("0800-9FA5 AC00-D7FF") + "]+"
DEEPSEEK_MARKS = r"\s?[" + ranges("0021-002F 003A-007E FF01-FF0F FF1A-FF5E 2018-201F 3000-3002") + "]+"
DEEPSEEK_LETTERS = r"\s?[" + ranges("""
    0041-005A 0061-007A 00B5 00C0-00D6 00D8-00F6 00F8-01BA 01BC-01BF 01C4-0293 0295-02AF 0370-0373 0376 0377
    037B-037D 037F 0386 0388-038A 038C 038E-03A1 03A3-03F5 03F7-0481 048A-052F 0531-0556 10A0-10C5 13A0-13F5
    13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77 1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57
    1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4
    1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128 212A-212D 212F-2134 2139 213C-213F 2145-2149 214E
    2183 2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3 A640-A66D A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF
    FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3 104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF
    1E900-1E943""") + "]+"


class PreType:
    """One row.

    patterns        list of str
    ignore_merges   a word that is a token becomes this token, whatever the merges would make of it
    later           the name is younger than the reference: white space of Unicode, and special tokens, BOS, newline and
                    end of generation as later versions have them
    bos             later names only: a text begins with BOS if the file does not say
    """

    def __init__(self, patterns, ignore_merges=False, later=False, bos=False):
        self.patterns = patterns
        self.ignore_merges = ignore_merges
        self.later = later
        self.bos = bos


def one_digit(pattern):
    """LLAMA3 with digits one by one."""
    return pattern.replace(r"\p{N}{1,3}", r"\p{N}")


CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
NO_WORD = r"[^\r\n\p{L}\p{N}]?"
TEKKEN = (rf"{NO_WORD}{UPPER}*{LOWER}+|{NO_WORD}{UPPER}+{LOWER}*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT4O = (rf"{NO_WORD}{UPPER}*{LOWER}+{CONTRACTIONS}?|{NO_WORD}{UPPER}+{LOWER}*{CONTRACTIONS}?|\p{{N}}{{1,3}}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN35 = one_digit(LLAMA3).replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(r"[^\s\p{L}", r"[^\s\p{L}\p{M}")
BAILING = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
SEED = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
DEEPSEEK_V3 = [
    r"\p{N}{1,3}", "[" + ranges("4E00-9FA5 3040-309F 30A0-30FF") + "]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"]
BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"
CHAMELEON = [r"<sentinel:[0-9]+>", r"IMGIMG[A-I]{1,4}Z", r"[\t\n]|    |  ", r"\p{N}", r"[\p{P}!-/:-@\[-`{-~]", GPT2]
STARCODER = [r"\p{N}", GPT2]

DEFAULT = "default"
LLAMA_BPE = PreType([LLAMA3], ignore_merges=True)
OLD_STARCODER = PreType(STARCODER)

PRE_TYPES = {
    DEFAULT: PreType([MARKS, GPT2, r"\p{N}+", DIGITS]),
    "llama3": LLAMA_BPE,
    "llama-v3": LLAMA_BPE,
    "llama-bpe": LLAMA_BPE,
    "deepseek-llm": PreType([r"[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_MARKS, r"\s+$", CJK, r"\p{N}+"]),
    "deepseek-coder": PreType([r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, r"\p{N}"]),
    "falcon": PreType([MARKS, GPT2, DIGITS]),
    "mpt": PreType([r"\s?\p{L}+", r"\s?\p{P}+", GPT2]),
    "starcoder": OLD_STARCODER,
    "refact": OLD_STARCODER,
    "command-r": OLD_STARCODER,
    "gpt-2": PreType([GPT2]),
}

# patterns, names, flags other than `later`
LATER = [
    ([GPT2], "phi-2 jina-es jina-de jina-v1-en jina-v2-en jina-v2-es jina-v2-de jina-v2-code roberta-bpe gigachat "
             "a.x-4.0 mellum olmo jais trillion granite-docling exaone4", {}),
    (STARCODER, "smollm codeshell exaone minerva-7b", {}),
    ([LLAMA3], "dbrx smaug-bpe chatglm-bpe glm4", {}),
    ([LLAMA3], "falcon3 falcon-h1 pixtral midm-2.0 lfm2", {"ignore_merges": True, "bos": True}),
    ([one_digit(LLAMA3)], "qwen2 deepseek-r1-qwen kormo megrez stablelm2 hunyuan grok-2", {}),
    ([QWEN35], "qwen35", {}),
    (DEEPSEEK_V3, "deepseek-v3 hunyuan-dense", {}),
    ([TEKKEN], "tekken", {"ignore_merges": True, "bos": True}),
    ([GPT4O], "gpt-4o llama4 kanana2 minimax-m2", {}),
    ([BLOOM], "poro-chat bloom gpt3-finnish", {}),
    ([BLOOM, r"\p{N}"], "viking", {}),
    (CHAMELEON, "chameleon", {"bos": True}),
    ([r"\p{N}+", THOUSANDS], "superbpe", {}),
    ([BAILING], "bailingmoe bailingmoe2 llada-moe", {}),
    ([SEED], "seed-coder", {}),
]
PRE_TYPES.update((name, PreType(patterns, later=True, **flags)) for patterns, names, flags in LATER
                 for name in names.split())
