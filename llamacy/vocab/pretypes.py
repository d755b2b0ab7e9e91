"""How BPE vocabularies cut text into words: one row per value of the key tokenizer.ggml.pre.

A row lists patterns (dialect: pattern.py). The first cuts the whole text, each further one what its predecessors left;
all matches are pieces, and so is what lies between them. To add a pre-type, add its row.
"""


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
STARCODER = [r"\p{N}", GPT2]
LLAMA_BPE = [LLAMA3]

DEFAULT = "default"

PRE_TYPES = {
    DEFAULT: [MARKS, GPT2, r"\p{N}+", DIGITS],
    "llama3": LLAMA_BPE,
    "llama-v3": LLAMA_BPE,
    "llama-bpe": LLAMA_BPE,
    "deepseek-llm": [r"[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_MARKS, r"\s+$", CJK, r"\p{N}+"],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, r"\p{N}"],
    "falcon": [MARKS, GPT2, DIGITS],
    "mpt": [r"\s?\p{L}+", r"\s?\p{P}+", GPT2],
    "starcoder": STARCODER,
    "refact": STARCODER,
    "command-r": STARCODER,
    "gpt-2": [GPT2],
}
