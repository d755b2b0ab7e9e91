"""Cutting text into words: the patterns' compiler and matcher against Python's re, and the tables of Unicode."""

import random
import re
import unicodedata

import pytest

from llamacy.vocab.pattern import ASCII, THOUSANDS, compile
from llamacy.vocab.pretypes import PRE_TYPES
from llamacy.vocab.vocab import _test_code_point, _test_words

UNIQUE = {tuple(row.patterns): name for name, row in PRE_TYPES.items()}  # one name of each list of patterns
PIECES = ["a", "Bc", "'s", "'LL", "'", "1", "23", "4567", " ", "  ", "\n", "\r\n", "\t", "\v", ".", "!?", "$", "^",
          "`", "_", "\0"]


def words_of_re(patterns, text):
    """What the patterns do, in terms of Python's re; ASCII only."""
    words = [text] if text else []
    for pattern in patterns:
        for name in ("L", "N", "P", "S", "M", "Lu", "Lt", "Lm", "Lo", "Ll"):
            members = "".join(ASCII[category] for category in ASCII if category.startswith(name))
            pattern = in_class(pattern, name, re.escape(members) or "\\uffff")  # ASCII has no marks, for example
        words = [piece for word in words for piece in cut(pattern, word)]
    return words


def in_class(pattern, letter, members):
    """\\p{X} inside and outside brackets, in re's words."""
    out, depth, i, mark = "", 0, 0, f"\\p{{{letter}}}"
    while i < len(pattern):
        if pattern.startswith(mark, i):
            out += members if depth else f"[{members}]"
            i += len(mark)
            continue
        step = 2 if pattern[i] == "\\" else 1
        depth += (pattern[i] == "[") - (pattern[i] == "]")
        out += pattern[i:i + step]
        i += step
    return out


def cut(pattern, word):
    """Matches, and what lies between them. `$` at the end of a pattern is the very end of the word."""
    if pattern == THOUSANDS:
        yield from (piece for piece in re.split(pattern.replace("(", "(?:").replace("(?:?", "(?"), word) if piece)
        return
    pattern = re.sub(r"(?<=.)\(\?i:(.*?)\)", lambda found: "(?:" + insensitive(found[1]) + ")", pattern)
    at = 0
    for match in re.finditer(re.sub(r"\$$", r"\\Z", pattern), word, re.ASCII):
        if match[0]:
            yield from (piece for piece in (word[at:match.start()], match[0]) if piece)
            at = match.end()
    if at < len(word):
        yield word[at:]


def insensitive(pattern):
    """re has no groups of this kind in the middle of a pattern."""
    return re.sub(r"\[(\w+)\]|([a-z])", lambda c: "[" + (c[1] or c[2]) + (c[1] or c[2]).upper() + "]", pattern)


@pytest.mark.parametrize("name", UNIQUE.values())
def test_pre_type_cuts_as_re_does(name):
    rng = random.Random(name)
    for _ in range(400):
        text = "".join(rng.choices(PIECES, k=rng.randrange(16)))
        found = _test_words(PRE_TYPES[name].patterns, text.encode(), PRE_TYPES[name].later)
        assert found == [word.encode() for word in words_of_re(PRE_TYPES[name].patterns, text)], repr(text)


@pytest.mark.parametrize("pattern", [
    r"a(?:b|cd)?e", r"(?i:ab|C)(?=1)", r"[^\S\n]+x", r"\s+$", r"\s+(?!\S)|x", r"[a-c^\]-]{2}", r"a{1,3}b", r"a*ab",
    r"\S\s?$", r"(?:a|ab)(?:c|bcd)", r"[\r\n]|1{3}", r"[^a]*b?"])
def test_dialect(pattern):
    rng = random.Random(pattern)
    for _ in range(400):
        text = "".join(rng.choices("aabbccdexABC1 \n]^-", k=rng.randrange(14)))
        assert _test_words([pattern], text.encode()) == [w.encode() for w in cut(pattern, text)], text


@pytest.mark.parametrize("pattern", ["(?:a", "a)", "[a", r"\p{Q}", r"\p{Lx}", r"\p{}", r"\p{L", r"\pL", "a\\",
                                     "|".join("a" * 17), "a" * 49])
def test_pattern_that_cannot_be_compiled(pattern):
    with pytest.raises(ValueError, match="pattern"):
        compile(pattern)


def test_white_space_is_ascii_and_classes_are_unicode():
    text = "é\u00a0ǅ\u2003٣½\u3000漢、€\u0301"
    assert _test_words([r"\p{L}+|\p{N}+|\p{P}|\s"], text.encode()) == [
        w.encode() for w in ("é", "\u00a0", "ǅ", "\u2003", "٣½", "\u3000", "漢", "、", "€\u0301")]
    assert _test_words([r"[^\s\p{L}\p{N}]+"], text.encode()) == [
        w.encode() for w in ("é", "\u00a0", "ǅ", "\u2003", "٣½", "\u3000", "漢", "、€\u0301")]


def test_white_space_and_case_of_unicode():
    spaces = "\x85\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000 \t\v"
    text = spaces + "\u180e\u200b\ufeff\x84\x86\x1c'ſ'S"
    assert _test_words([r"\s+"], text.encode(), True)[0] == spaces.encode()
    assert _test_words([r"\S+"], text.encode(), True) == [spaces.encode(), text[len(spaces):].encode()]
    assert _test_words([r"[^\s]+"], text.encode(), True) == _test_words([r"\S+"], text.encode(), True)
    assert _test_words([r"(?i:'s)"], "a'ſ".encode(), True) == [b"a", "'ſ".encode()]
    assert _test_words([r"(?i:'s)"], "a'ſ".encode()) == ["a'ſ".encode()]


@pytest.mark.parametrize("text, words", [
    ("1", "1"), ("123", "123"), ("1234", "1 234"), ("12345678", "12 345 678"), ("a1234b", "a1 234b"),
    ("½123456", "½ 123 456"),
    ("123½4", "123½4"), ("١٢٣٤", "١ ٢٣٤"), ("abc", "abc"), ("", "")])
def test_digits_in_threes_from_the_right(text, words):
    assert _test_words([THOUSANDS], text.encode()) == [word.encode() for word in words.split()]


def test_bytes_that_are_no_text_are_words_of_other_characters():
    assert _test_words([r"\p{L}+", r"\p{P}+"], b"ab\xff\x80c") == [b"ab", b"\xff\x80", b"c"]


# --- Unicode. This Python may know another version: what both have assigned has not changed since


def test_categories():
    wrong = [hex(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and c != 0xFEFF
             and unicodedata.category(chr(c)) != "Cn" and _test_code_point(c)[0] != unicodedata.category(chr(c))]
    newer = 5000 if unicodedata.unidata_version > "15.0" else 0  # assigned since: no category but C here
    assert len(wrong) <= newer and all(_test_code_point(int(c, 16))[0] == "Cn" for c in wrong), wrong[:20]
    assert {_test_code_point(c)[0] for c in (0xD800, 0xDFFF, 0xFEFF, 0x110000, 0x1100FF)} == {"--"}
    assert _test_code_point(0x11F04)[0] == "Lo" and _test_code_point(0x2FFFF)[0] == "Cn"  # Kawi came with 15.0


def test_lower_case_and_decompositions():
    pairs = [(c, *_test_code_point(c)[1:]) for c in range(0x110000)]
    assert sum(c != low for c, low, _ in pairs) == 1433
    assert [(c, low) for c, low, _ in pairs if c < 0x10000 and low != ord(chr(c).lower()[0])] == []
    nfd = [(c, first) for c, _, first in pairs if not 0xD800 <= c < 0xE000 and not 0xAC00 <= c < 0xD7A4
           and first != ord(unicodedata.normalize("NFD", chr(c))[0])]
    assert nfd == [] and _test_code_point(0xAC00)[2] == 0xAC00 and _test_code_point(ord("ế"))[2] == ord("e")
