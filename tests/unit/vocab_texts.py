"""Texts that tokenizers trip over: all scripts, emoji, marks, odd spaces, controls, digits, code, bytes without sense.

The same in every run. No code point is younger than Unicode 14.0, so that libraries that know later versions agree.
"""

import random
import unicodedata

SCRIPTS = {  # first and last code point of blocks of letters, marks and what is written with them
    "Latin": (0x20, 0x17F), "Latin, rare": (0x180, 0x24F), "phonetic": (0x250, 0x2FF), "Greek": (0x370, 0x3FF),
    "Cyrillic": (0x400, 0x52F), "Armenian": (0x530, 0x58F), "Hebrew": (0x590, 0x5FF), "Arabic": (0x600, 0x6FF),
    "Syriac": (0x700, 0x74F), "Devanagari": (0x900, 0x97F), "Bengali": (0x980, 0x9FF), "Tamil": (0xB80, 0xBFF),
    "Telugu": (0xC00, 0xC7F), "Sinhala": (0xD80, 0xDFF), "Thai": (0xE00, 0xE7F), "Lao": (0xE80, 0xEFF),
    "Tibetan": (0xF00, 0xFFF), "Burmese": (0x1000, 0x109F), "Georgian": (0x10A0, 0x10FF), "Ethiopic": (0x1200, 0x137F),
    "Cherokee": (0x13A0, 0x13FF), "Khmer": (0x1780, 0x17FF), "Mongolian": (0x1800, 0x18AF), "Latin 2": (0x1E00, 0x1EFF),
    "Greek 2": (0x1F00, 0x1FFF), "punctuation": (0x2000, 0x206F), "letter-like": (0x2070, 0x218F),
    "symbols": (0x2190, 0x27BF), "Glagolitic": (0x2C00, 0x2C5F), "Hiragana": (0x3000, 0x309F),
    "Katakana": (0x30A0, 0x30FF), "ideographs": (0x4E00, 0x9FA5), "ideographs, rare": (0x3400, 0x34FF),
    "Yi": (0xA000, 0xA0FF), "Latin 3": (0xA720, 0xA7FF), "Hangul": (0xAC00, 0xD7A3), "Hangul parts": (0x1100, 0x11FF),
    "private": (0xE000, 0xE0FF), "compatibility": (0xF900, 0xFAFF), "Arabic 2": (0xFB50, 0xFDFF),
    "full width": (0xFF00, 0xFFEF), "Gothic": (0x10330, 0x1034F), "Deseret": (0x10400, 0x1044F),
    "cuneiform": (0x12000, 0x1207F), "mathematics": (0x1D400, 0x1D7FF), "Adlam": (0x1E900, 0x1E95F),
    "emoji": (0x1F300, 0x1F64F), "ideographs 2": (0x20000, 0x200FF), "tags": (0xE0020, 0xE007F),
}
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\v", "\f", "\x85", "\xa0", "\u1680", "\u180e", "\u2003",
          "\u200a", "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff", "\x1c", "\x1f", " \n ",
          "\n \n", "\t\t "]
EMOJI = ["🦙", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇯🇵", "👍🏽", "1️⃣", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "☃", "🧑🏿‍🚀", "😶‍🌫️", "©", "™️"]
MARKS = ["\u0301", "\u0308", "\u20dd", "\u0e48", "\u093f", "\u05b4", "\ufe0f", "\u200d", "\u0488", "\u1ab0"]
NUMBERS = ["1", "12", "123", "1234", "3.14", "1,000,000", "0x1F", "½", "²", "Ⅷ", "٣٤٥٦", "१२३", "๔๕", "𝟘𝟙𝟚", "①",
           "１２３４"]
WORDS = ["the", "The", "THE", "it's", "I'LL", "we've", "o'clock", "'tis", "DON'T", "'ſ", "ſ", "naïve", "HTTPServer",
         "camelCase", "snake_case", "e-mail", "www.example.com/a?b=c", "<s>", "</s>", "<|endoftext|>", "<unk>", "▁",
         "a▁b", "<0x41>", "##ing", "Straße", "ŒUVRE", "ﬁ", "ǅ", "İstanbul", "K", "Ω", "한국어", "日本語", "中文字符", "עברית",
         "العربية", "हिन्दी", "ไทย", "Ελληνικά", "русский", "tiếng Việt", "e\u0301te\u0301", "가", "ｶﾞ", "…", "—",
         "“”", "\0", "\x07", "\x9f"]
CODE = ["def f(x):\n    return x ** 2  # square\n", "for (int i = 0; i < n; ++i) {\n\ta[i] += b[i];\n}\n",
        "{\"a\": [1, null]}",
        "<div class=\"x\">&amp;</div>", "SELECT * FROM t WHERE a != 'b';", "#!/bin/sh\n\n\n\nexit $?",
        "a->b::c<d>&&e||!f",
        "\\frac{1}{2} \\\\ $x^2$", "print(f'{x!r:>10}')\r\n\r\n", "====|----|~~~~", "`` `x` ``",
        "\t\t\tif (x)\n\t\t\t\ty();"]
BAD = [b"\x80", b"\xbf", b"\xc3", b"\xe2\x96", b"\xf0\x9f\xa6", b"\xf5", b"\xff", b"\xfe\xfe", b"\xc0\x80",
       b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80"]


def letters(first, last):
    return [chr(c) for c in range(first, last + 1) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]


def piece(rng, blocks):
    """str: a word, a run or something odd."""
    kind = rng.random()
    if kind < 0.4:
        return "".join(rng.choices(rng.choice(blocks), k=rng.randrange(1, 9)))
    if kind < 0.5:
        return rng.choice(rng.choice(blocks)) + "".join(rng.choices(MARKS, k=rng.randrange(1, 4)))
    return rng.choice(rng.choice((SPACES, SPACES, EMOJI, NUMBERS, WORDS, WORDS, CODE, "!?.,;:'\"()[]{}$+<=>^`|~/\\-_")))


def valid(count, seed=1):
    """list of str: `count` different texts."""
    rng = random.Random(seed)
    blocks = [letters(*ends) for ends in SCRIPTS.values()]
    texts = dict.fromkeys([*SPACES, *EMOJI, *NUMBERS, *WORDS, *CODE, *("".join(block[:64]) for block in blocks)])
    while len(texts) < count:
        if rng.random() < 0.02:  # a long run of one character, or of one kind
            block = rng.choice(blocks)
            run = rng.choices(block, k=300) if rng.random() < 0.5 else [rng.choice(block)] * 300
            texts["".join(run)] = None
        separator = rng.choice(("", "", " ", " ", rng.choice(SPACES)))
        texts[separator.join([piece(rng, blocks) for _ in range(rng.randrange(1, 10))])] = None
    return list(texts)


def invalid(count, seed=2):
    """list of bytes that are no UTF-8: `count` different ones."""
    rng = random.Random(seed)
    blocks = [letters(*ends) for ends in SCRIPTS.values()]
    texts = {}
    while len(texts) < count:
        parts = [rng.choice(BAD) if rng.random() < 0.4 else piece(rng, blocks).encode()
                 for _ in range(rng.randrange(1, 8))]
        texts[rng.choice(BAD) + b"".join(parts) if rng.random() < 0.5 else b"".join(parts) + rng.choice(BAD)] = None
    return list(texts)
