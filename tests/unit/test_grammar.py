"""Grammars: what is read, what is refused, which tokens may come; checked against a slow model and recorded sets."""

import gc
import hashlib
import json
import random
import re
import weakref
from array import array

import pytest

from grammar_model import (ALT, CHAR, CHAR_ALT, CHAR_NOT, CHAR_RNG_UPPER, END, RULE_REF, GrammarModel, TooMany,
                           Vocabulary)
from llamacy.errors import GrammarError
from llamacy.sampling import parse_grammar
from llamacy.sampling._grammar import Grammar

PREFIX = "parse: error parsing grammar: "
BYTES = Vocabulary([bytes([b]) for b in range(256)] + [b""], eog=[256])
EOG = 256
WORDS = Vocabulary([
    b"</s>", b"<end>", b"", b"\0x", *(bytes([b]) for b in range(256)),
    b"ab", b"abc", b"aa", b"aaaa", b"xy", b" the", b"  ", b"1", b"12", b"12+", b"b\0c", b"a\n", b"\n\n",
    b'{"', b'":', b'"}', b'"}}', b"},",
    b"\xc3\xa9", b"\xc3\xa9a", b"a\xc3", b"\xa9b", b"\xe6\x97", b"\xa5", b"\xa5\xe6", "日本".encode(), b"x\xe6",
    b"\x97\xa5",
    b"\x97\xa5\xe6\x9c", "😀".encode(), b"\xf0\x9f", b"\x98\x80", b"a\xf0\x9f\x98", b"\xc3A", b"a\x80",
], eog=[0, 1])
NEVER = float("-inf")


def chars(text):
    return [(CHAR, ord(c)) for c in text]


def refused(text):
    with pytest.raises(GrammarError) as error:
        parse_grammar(text if isinstance(text, bytes) else text.encode())
    return str(error.value)


def allowed(grammar, vocabulary):
    """Ids that filter leaves alone."""
    logits = array("f", [1.5]) * vocabulary.n_tokens
    count = grammar.filter(logits)
    assert set(logits) <= {1.5, NEVER}
    ids = [i for i, x in enumerate(logits) if x != NEVER]
    assert count == len(ids)
    return ids


def accepts(text, string):
    """Does the grammar accept all of the bytes, one at a time?"""
    grammar = Grammar(text.encode(), BYTES)
    for byte in string.encode() if isinstance(string, str) else string:
        if not grammar.allows(byte):
            return False
        grammar.accept(byte)
    assert grammar.allows(EOG) == grammar.is_complete() == (EOG in allowed(grammar, BYTES))
    return grammar.is_complete()


# --------------------------------------------------------------------------------------------------- what is read


def test_symbols_and_elements_of_the_reference():
    parser = parse_grammar(b'root ::= (expr "=" term "\\n")+\nexpr ::= term ([-+*/] term)*\nterm ::= [0-9]+')
    assert parser.symbols() == {"root": 0, "root_1": 1, "expr": 2, "term": 3, "root_4": 4, "expr_5": 5, "expr_6": 6,
                                "term_7": 7}
    assert parser.rules() == [
        [(RULE_REF, 4), (END, 0)],
        [(RULE_REF, 2), (CHAR, 61), (RULE_REF, 3), (CHAR, 10), (END, 0)],
        [(RULE_REF, 3), (RULE_REF, 6), (END, 0)],
        [(RULE_REF, 7), (END, 0)],
        [(RULE_REF, 1), (RULE_REF, 4), (ALT, 0), (RULE_REF, 1), (END, 0)],
        [(CHAR, 45), (CHAR_ALT, 43), (CHAR_ALT, 42), (CHAR_ALT, 47), (RULE_REF, 3), (END, 0)],
        [(RULE_REF, 5), (RULE_REF, 6), (ALT, 0), (END, 0)],
        [(CHAR, 48), (CHAR_RNG_UPPER, 57), (RULE_REF, 7), (ALT, 0), (CHAR, 48), (CHAR_RNG_UPPER, 57), (END, 0)],
    ]


@pytest.mark.parametrize("body, elements", [
    ('"abc"', chars("abc")),
    ('""', []),
    ('"" "a"', chars("a")),
    ('"é日😀"', chars("é日😀")),
    (r'"\t\r\n\\\"\[\]"', chars('\t\r\n\\"[]')),
    (r'"\x41\u00e9\U0001F600z"', chars("Aé😀z")),
    ("[abc]", [(CHAR, 97), (CHAR_ALT, 98), (CHAR_ALT, 99)]),
    ("[]", []),
    ("[^]", []),
    ("[^ab]", [(CHAR_NOT, 97), (CHAR_ALT, 98)]),
    ("[a-z0-9]", [(CHAR, 97), (CHAR_RNG_UPPER, 122), (CHAR_ALT, 48), (CHAR_RNG_UPPER, 57)]),
    ("[-a]", [(CHAR, 45), (CHAR_ALT, 97)]),
    ("[a-]", [(CHAR, 97), (CHAR_ALT, 45)]),
    ("[-]", [(CHAR, 45)]),
    (r"[\]\[]", [(CHAR, 93), (CHAR_ALT, 91)]),
    (r"[\x00-\U0010FFFF]", [(CHAR, 0), (CHAR_RNG_UPPER, 0x10FFFF)]),
    ("[a^]", [(CHAR, 97), (CHAR_ALT, 94)]),
    ('"a" | "b"', [(CHAR, 97), (ALT, 0), (CHAR, 98)]),
    ('"a" |\n  "b"', [(CHAR, 97), (ALT, 0), (CHAR, 98)]),
    ('\n\n "a"', chars("a")),
    ('"a" # says nothing', chars("a")),
    ('"a"\t[b]', [(CHAR, 97), (CHAR, 98)]),
    ('| "a"', [(ALT, 0), (CHAR, 97)]),
    ("root2\nroot2 ::= [x]", [(RULE_REF, 1)]),
])
def test_elements(body, elements):
    parser = parse_grammar(f"root ::= {body}".encode())
    assert parser.rules()[0] == [*elements, (END, 0)]


@pytest.mark.parametrize("body, rules", [
    ('"ab"*', {"root": [(RULE_REF, 1)], "root_1": [*chars("ab"), (RULE_REF, 1), (ALT, 0)]}),
    ('"ab"+', {"root": [(RULE_REF, 1)], "root_1": [*chars("ab"), (RULE_REF, 1), (ALT, 0), *chars("ab")]}),
    ('[ab]?', {"root": [(RULE_REF, 1)], "root_1": [(CHAR, 97), (CHAR_ALT, 98), (ALT, 0)]}),
    ('"x" "a"?', {"root": [(CHAR, 120), (RULE_REF, 1)], "root_1": [(CHAR, 97), (ALT, 0)]}),
    ('"a" *', {"root": [(RULE_REF, 1)], "root_1": [(CHAR, 97), (RULE_REF, 1), (ALT, 0)]}),
    ('"a"*?',
     {"root": [(RULE_REF, 2)], "root_1": [(CHAR, 97), (RULE_REF, 1), (ALT, 0)], "root_2": [(RULE_REF, 1), (ALT, 0)]}),
    ('("a"\n|\n"b"\n)', {"root": [(RULE_REF, 1)], "root_1": [(CHAR, 97), (ALT, 0), (CHAR, 98)]}),
    ('()', {"root": [(RULE_REF, 1)], "root_1": []}),
    ('(("a"))?',
     {"root": [(RULE_REF, 3)], "root_1": [(RULE_REF, 2)], "root_2": chars("a"), "root_3": [(RULE_REF, 1), (ALT, 0)]}),
])
def test_generated_rules(body, rules):
    parser = parse_grammar(f"root ::= {body}".encode())
    found = {name: parser.rules()[number] for name, number in parser.symbols().items()}
    assert found == {name: [*elements, (END, 0)] for name, elements in rules.items()}


@pytest.mark.parametrize("text", [
    "root::=\"a\"", "\n# first\n\n root ::= \"a\"", "root ::= \"a\"\r\n\r\n", "root ::= \"a\"\n  # last",
    "x-1 ::= \"b\"\nroot ::= \"a\"",
    "root ::= \"b\"\nroot ::= \"a\"", "root ::= \"a\"\r# x", "root ::= \"a\"\n\0 garbage (((", "root ::=\n\n# x\n\"a\"",
])
def test_layout(text):
    assert accepts(text, "a") and not accepts(text, "b")


@pytest.mark.parametrize("text, message", [
    ("root ::= \"a\"\n| \"b\"", "expecting name at | \"b\""),
    ("= x", "expecting name at = x"),
    ("root_x ::= \"a\"", "expecting ::= at _x ::= \"a\""),
    ("root = \"a\"", "expecting ::= at = \"a\""),
    ("root", "expecting ::= at "),
    ("root\n::= \"a\"", "expecting ::= at \\n::= \"a\""),
    ("root ::= \"a\" b ::= \"c\"", "expecting newline or end at ::= \"c\""),
    ("root ::= \"a\" )", "expecting newline or end at )"),
    ("root ::= \"a\"{2}", "expecting newline or end at {2}"),
    ("root ::= .", "expecting newline or end at ."),
    ("root ::= [^]a]", "expecting newline or end at ]"),
    ("root ::= (\"a\"", "expecting ')' at "),
    ("root ::= ((\"a\") \"b\" ::=", "expecting ')' at ::="),
    ("root ::= *", "expecting preceding item to */+/? at *"),
    ("root ::= \"a\" | ?", "expecting preceding item to */+/? at ?"),
    ("root ::= (+ \"a\")", "expecting preceding item to */+/? at + \"a\")"),
    ("root ::= \"a\" \"\" + \"b\"", "expecting preceding item to */+/? at + \"b\""),
    ("root ::= []* x", "expecting preceding item to */+/? at * x"),
    ("root ::= \"\\q\"", "unknown escape at \\q\""),
    ("root ::= [\\-]", "unknown escape at \\-]"),
    ("root ::= \"\\", "unknown escape at \\"),
    ("root ::= \"\\x4\"", "expecting 2 hex chars at 4\""),
    ("root ::= \"\\u12g4\"", "expecting 4 hex chars at 12g4\""),
    ("root ::= \"\\U0001F60\"", "expecting 8 hex chars at 0001F60\""),
    ("root ::= \"a", "unexpected end of input"),
    ("root ::= [a", "unexpected end of input"),
    ("root ::= [a-", "unexpected end of input"),
    ("root ::= a b\na ::= \"x\"", "Undefined rule identifier 'b'"),
    ("root ::= (x)*", "Undefined rule identifier 'x'"),
    ("", "no rules"),
    (" # nothing\n", "no rules"),
    ("root ::= \"\x1b[31m", "unexpected end of input"),
    ("root ::= \"a\" \x1b[31m", "expecting newline or end at \\x1b[31m"),
])
def test_errors(text, message):
    assert refused(text) == PREFIX + message


def test_errors_about_bytes_and_long_texts_stay_one_short_line():
    assert refused(b"root ::= \"a\" \xff\xfe") == PREFIX + "expecting newline or end at \\xff\\xfe"
    message = refused("root ::= !" + "x\n" * 100000)
    assert message.startswith(PREFIX + "expecting newline or end at !x\\nx\\n")
    assert len(message) < 300 and "\n" not in message


def test_a_grammar_has_a_root():
    assert refused("a ::= \"b\"") == "llama_sampling_init: grammar does not contain a 'root' symbol"
    with pytest.raises(GrammarError):
        Grammar(b"Root ::= [a]", BYTES)


@pytest.mark.parametrize("text, rule", [
    ("root ::= root \"a\" | \"b\"", "root"),
    ("root ::= \"x\" a\na ::= b \"1\"\nb ::= \"y\" | a", "[ab]"),
    ("root ::= e root \"a\" | \"b\"\ne ::= \"q\"?", "root"),
    ("root ::= ([a-z]* root \"!\")", "root"),
    ("root ::= root", "root"),
    ("root ::= \"x\" | a\na ::= b\nb ::= a", "[ab]"),
    ("root ::= (root root)?", "root"),
    ("root ::= (\"a\"* root)? \"b\"", "root"),
])
def test_left_recursion_is_refused(text, rule):
    assert re.fullmatch(f"{PREFIX}left recursion in rule '{rule}'", refused(text))


@pytest.mark.parametrize("text, good, bad", [
    ("root ::= (\"a\"*)*", ["", "a", "aaa"], ["b"]),
    ("root ::= ((\"a\"? \"b\"?)+)* \"c\"", ["c", "abbac"], ["a", ""]),
    ("root ::= root | \"a\"", ["a"], ["", "aa"]),
    ("root ::= \"a\"\nx ::= x \"b\"", ["a"], ["b"]),
    ("root ::= e e\ne ::= \"a\" root | ", ["", "a", "aaa"], ["b"]),
])
def test_circles_that_end_are_no_left_recursion(text, good, bad):
    assert all(accepts(text, string) for string in good) and not any(accepts(text, string) for string in bad)


# --------------------------------------------------------------------------------------------------- what it accepts

SUMS = 'root ::= expr "=" num\nexpr ::= term ([-+*/] term)*\nterm ::= num | "(" expr ")"\nnum ::= [0-9]+'
JSON = r'''root ::= ws object
value ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F]) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]*)) ("." [0-9]+)? ([eE] [-+]? [0-9]+)? ws
ws ::= ([ \t\n] ws)?'''


@pytest.mark.parametrize("text, good, bad", [
    ('root ::= ""', [""], ["a"]),
    ('root ::= "a" | "ab" | ""', ["", "a", "ab"], ["b", "abb", "aa"]),
    ("root ::= [a-c]+", ["a", "cab"], ["", "d", "ad"]),
    ("root ::= [^a-c]", ["d", "\n", "é", "日", "\U0010FFFF"], ["a", "c", "", "dd"]),
    ("root ::= [^b-cé]*", ["", "ada", "ж日"], ["é", "ab"]),
    (r"root ::= [\u3042-\u3050ー]+", ["\u3042", "\u3050ー"], ["\u3041", "\u3051", "a"]),
    (r"root ::= [\U0001F600-\U0001F64F]", ["😀"], ["🙐", "a"]),
    (r"root ::= [\uFFFF-\UFFFFFFFF]", ["\U00010000", "\uffff"], ["\ufffe"]),
    ("root ::= [z-a]", [], ["a", "m", "z", "-"]),
    ("root ::= [a-mc-z0]", ["a", "n", "z", "0"], ["-", "1"]),
    ('root ::= "日本" "語"?', ["日本", "日本語"], ["日", "語", "日本語語"]),
    ('root ::= ("ab" | "a" "c")* "d"', ["d", "abacd"], ["ad", "abac"]),
    ('root ::= "x"? "y"+ "z"*', ["y", "xyyz"], ["x", "xz", "zy"]),
    (SUMS, ["1=1", "1+2=3", "((1))=1", "(1+2)*3/4=5"], ["", "=1", "1+=2", "(1=1", "1)=1", "1=1+1"]),
    ('root ::= "(" root ")" | "."', [".", "(((.)))"], ["(.", "(.))"]),
    ('root ::= "a" root "a" | "b" root "b" | [ab]?', ["", "abba", "abababa", "aaaa"], ["ab", "aab"]),
    ('root ::= "a" root root | "b"', ["b", "abb", "aabbb", "ababb"], ["a", "ab", "bb"]),
    (JSON, ['{}', '{"a":1}', '{"a": [1, -2.5e+3, "x\\n\\u12aB", {"": null}], "é": true}', ' { } '],
     ['', '[]', '{"a"}', '{"a":01}',
            '{"a":"\n"}', '{"a":"\\x"}', '{"a":1,}', '{"a":tru}']),
])
def test_texts(text, good, bad):
    assert all(accepts(text, string) for string in good), [s for s in good if not accepts(text, s)]
    assert not any(accepts(text, string) for string in bad), [s for s in bad if accepts(text, s)]


def test_tokens_of_several_characters():
    vocabulary = Vocabulary([b"a", b"ab", b"abc", b"b", b"bc", b"c", b"x", b"abcd", b""], eog=[8])
    grammar = Grammar(b'root ::= "a" "b" "c"', vocabulary)
    assert allowed(grammar, vocabulary) == [0, 1, 2]
    grammar.accept(0)
    assert allowed(grammar, vocabulary) == [3, 4]
    grammar.accept(4)
    assert allowed(grammar, vocabulary) == [8] and grammar.is_complete()


def test_an_optional_end_allows_to_end_and_to_go_on():
    vocabulary = Vocabulary([b"a", b"b", b"</s>", b"<eot>"], eog=[2, 3])
    grammar = Grammar(b'root ::= "a" "a"*', vocabulary)
    assert allowed(grammar, vocabulary) == [0]
    grammar.accept(0)
    assert allowed(grammar, vocabulary) == [0, 2, 3]
    grammar.accept(3)
    assert allowed(grammar, vocabulary) == [0, 2, 3]


def test_tokens_without_text_and_those_that_begin_with_nul_never_come():
    vocabulary = Vocabulary([b"", b"\0", b"\0a", b"a", b"a\0b", b"ab"])
    grammar = Grammar(b'root ::= [^x]* ', vocabulary)
    assert allowed(grammar, vocabulary) == [3, 4, 5]
    assert [grammar.allows(id) for id in range(6)] == [False, False, False, True, True, True]
    grammar = Grammar(b'root ::= "ac"', vocabulary)
    grammar.accept(4)  # reads "a" and no further
    assert [grammar.allows(id) for id in range(6)] == [False] * 6


# ------------------------------------------------------------------------------------------- unfinished characters


@pytest.mark.parametrize("char_class, tail, fits", [
    ("[é]", b"\xc3", True), ("[é]", b"\xc2", False), ("[é]", b"\xe0", False),
    ("[a]", b"\xc3", False), ("[a]", b"\xc1", False), (r"[\x40-\x7f]", b"\xc1", False),
    (r"[\u0100]", b"\xc4", True), (r"[\u0100-\u0110x]", b"\xc4", True), (r"[a\u0140]", b"\xc4", False),
    ("[日]", b"\xe6", True), ("[日]", b"\xe6\x97", True), ("[日]", b"\xe6\x98", False), ("[日]", b"\xe7", False),
    (r"[\u0800]", b"\xe0", True), (r"[\u07ff]", b"\xe0", False), (r"[\u0010]", b"\xe0", False),
    (r"[\U00010000]", b"\xf0", True), (r"[\uffff]", b"\xf0", False), ("[😀]", b"\xf0\x9f", True),
    ("[😀]", b"\xf0\x9f\x98", True),
    ("[😀]", b"\xf0\x9e", False),
    ("[^a]", b"\xc3", True), ("[^é]", b"\xc3", False), ("[^é]", b"\xc4", True), ("[^日]", b"\xe6", False),
    ("[^日]", b"\xe6\x97", False),
    ("[^日]", b"\xe6\x98", True), ("[^a]", b"\xc1", False), ("[^a]", b"\x80", False), ("[^a]", b"\xbf", False),
    ("[^a]", b"\xff", True),
    (r"[^\u0800-\uffff]", b"\xe0", False), (r"[^\u0100]", b"\xe0", True),
])
def test_token_that_ends_within_a_character(char_class, tail, fits):
    vocabulary = Vocabulary([tail, b"x" + tail])
    alone, behind = Grammar(f"root ::= {char_class}".encode(),
                            vocabulary), Grammar(f"root ::= [x] {char_class}".encode(), vocabulary)
    assert (allowed(alone, vocabulary) == [0]) == (allowed(behind, vocabulary) == [1]) == fits
    assert alone.allows(0) == behind.allows(1) == fits and not alone.allows(1) and not behind.allows(0)


def test_character_over_several_tokens():
    vocabulary = Vocabulary([b"\xe6", b"\x97", b"\xa5", b"\x97\xa5", b"\x98", b"a", b"\xa5a", b"\x97\xa5\xe6",
                             b"\xe6\x97\xa5", b"\xc3"])
    grammar = Grammar("root ::= [日]+ [a]".encode(), vocabulary)
    assert allowed(grammar, vocabulary) == [0, 8]
    grammar.accept(0)
    assert allowed(grammar, vocabulary) == [1, 3, 7]  # what follows must be continuation bytes
    clone = grammar.clone()
    grammar.accept(1)
    assert allowed(grammar, vocabulary) == [2, 6]
    grammar.accept(6)
    assert grammar.is_complete()
    assert allowed(clone, vocabulary) == [1, 3, 7]
    clone.accept(7)
    assert allowed(clone, vocabulary) == [1, 3, 7]
    clone.reset()
    assert allowed(clone, vocabulary) == [0, 8]


def test_continuation_bytes_within_a_token_are_not_checked():
    vocabulary = Vocabulary([b"\xc3A", b"\xc3", b"A"])
    grammar = Grammar("root ::= [Á]".encode(), vocabulary)  # 0xC1 = 3 << 6 | 0x41 & 0x3F
    assert allowed(grammar, vocabulary) == [0, 1]
    grammar.accept(1)
    assert allowed(grammar, vocabulary) == []


# --------------------------------------------------------------------------------------------------- the object


def test_accept_of_what_does_not_fit_changes_nothing():
    grammar = Grammar(b'root ::= "ab"', WORDS)
    before = allowed(grammar, WORDS)
    for token in (WORDS.pieces.index(b"b"), WORDS.pieces.index(b"aa"), 0, 1, 2, 3):
        assert not grammar.allows(token)
        with pytest.raises(GrammarError, match=f"token {token} "):
            grammar.accept(token)
        assert allowed(grammar, WORDS) == before


def test_clone_and_reset_are_independent():
    grammar = Grammar(SUMS.encode(), BYTES)
    start = allowed(grammar, BYTES)
    for byte in b"((1+2":
        grammar.accept(byte)
    clone = grammar.clone()
    here = allowed(grammar, BYTES)
    assert allowed(clone, BYTES) == here != start
    grammar.reset()
    assert allowed(grammar, BYTES) == start and allowed(clone, BYTES) == here
    for byte in b")*3)=":
        clone.accept(byte)
    assert bytes(allowed(clone, BYTES)) == b"0123456789"


def test_filter_wants_one_float_for_each_token():
    grammar = Grammar(b'root ::= "a"', BYTES)
    for wrong in (array("f", [0.0]) * 256, array("d", [0.0]) * 257, array("i", [0]) * 257,
                  memoryview(array("f", [0.0]) * 514)[::2]):
        with pytest.raises((ValueError, BufferError)):
            grammar.filter(wrong)
    with pytest.raises(BufferError):
        grammar.filter(bytes(257 * 4))
    logits = array("f", [float("nan"), float("inf"), -1.0, 0.0]) * 65
    logits = logits[:257]
    assert grammar.filter(memoryview(logits)) == 1
    assert [i for i, x in enumerate(logits) if x != NEVER] == [97] and logits[97] == float("inf")


def test_pieces_are_read_once_for_all_grammars_and_let_go_with_the_vocabulary():
    vocabulary = Vocabulary([b"a", b"b"])
    one, two = Grammar(b'root ::= "a"', vocabulary), Grammar(b'root ::= "b"', vocabulary)
    one.reset(), two.clone()
    assert vocabulary.asked == 2
    assert allowed(one, vocabulary) == [0] and allowed(two, vocabulary) == [1]
    gone = weakref.ref(vocabulary)
    del one, two, vocabulary
    gc.collect()
    assert gone() is None


def test_a_real_vocabulary_can_be_used(random_256):
    from llamacy.gguf import GGUFFile
    from llamacy.vocab import Vocab

    vocabulary = Vocab(GGUFFile(random_256))
    grammar = Grammar(b"root ::= [a-z ]+", vocabulary)
    found = allowed(grammar, vocabulary)
    expected = [i for i in range(vocabulary.n_tokens) if not vocabulary.is_eog(i) and vocabulary.piece(i, False)
                and set(vocabulary.piece(i, False)) <= set(b"abcdefghijklmnopqrstuvwxyz ")]
    assert found == expected and found
    grammar.accept(found[-1])
    assert allowed(grammar, vocabulary) == sorted({*found, vocabulary.eos})


# --------------------------------------------------------------------------------------------------- against others


def random_item(rng, names, depth):
    kind = rng.random()
    if kind < 0.3:
        item = '"%s"' % rng.choice(["a", "b", "ab", "abc", "aa", "1", " ", "é", "日", "日本", "x", "xy", '{\\"', "\\n",
                                    "b"])
    elif kind < 0.6:
        item = rng.choice(["[a-z]", "[^a-z]", "[a-c0-9]", "[^\\u0080-\\u00ff]", "[é日]", "[^日]", "[À-ÿ]", "[^\\n]",
                           "[^a]", "[ \\n]",
                           "[\\U00010000-\\U0001FFFF]"])
    elif kind < 0.85 and names or depth > 2:
        item = rng.choice(names) if names else "[ab]"
    else:
        item = f"({random_alternatives(rng, names, depth + 1)})"
    return item + (rng.choice("*+?") if rng.random() < 0.35 else "")


def random_alternatives(rng, names, depth=0):
    return " | ".join(" ".join(random_item(rng, names, depth) for _ in range(rng.choice([0, 1, 1, 2, 3]))) or "()"
                      for _ in range(rng.choice([1, 1, 2, 3])))


def random_grammar(rng):
    """Rules that mostly use those behind them, and now and then any."""
    names = ["root", "a", "b", "c"]
    return "\n".join(f"{name} ::= {random_alternatives(rng, names[1:] if rng.random() < 0.1 else names[i + 1:])}"
                     for i, name in enumerate(names))


@pytest.mark.parametrize("seed", range(12))
def test_random_grammars_allow_what_the_model_allows(seed):
    rng = random.Random(seed)
    walked = 0
    while walked < 60:
        text = random_grammar(rng)
        try:
            parser = parse_grammar(text.encode())
        except GrammarError as error:
            assert "left recursion" in str(error), text
            continue
        try:
            walked += walk_beside_model(rng, text, parser)
        except TooMany:
            continue


def walk_beside_model(rng, text, parser):
    """Up to 12 tokens; return how many."""
    model = GrammarModel(parser.rules(), parser.symbols()["root"])
    grammar = Grammar(text.encode(), WORDS)
    for step in range(12):
        expected = model.allowed(WORDS)
        assert allowed(grammar, WORDS) == expected, (text, step)
        assert grammar.is_complete() == (() in model.stacks)
        assert all(grammar.allows(id) == (id in expected) for id in rng.sample(range(WORDS.n_tokens), 10))
        texts = [id for id in expected if not WORDS.is_eog(id)]
        if not texts:
            break
        long = [id for id in texts if len(WORDS.pieces[id]) > 1]
        id = rng.choice(long if long and rng.random() < 0.6 else texts)
        model.accept(WORDS.pieces[id])
        grammar.accept(id)
        if rng.random() < 0.2:
            grammar = grammar.clone()
    return step + 1


def test_the_references_recorded_sets(repo, shared):
    from llamacy.gguf import GGUFFile
    from llamacy.vocab import Vocab

    vocabulary = Vocab(GGUFFile(shared / "data" / "vocab" / "ggml-vocab-llama-spm.gguf"))
    recorded = json.loads((repo / "tests" / "golden" / "grammar_walks.json").read_text())["grammars"]
    assert sum(len(one["steps"]) for one in recorded) == 500
    for one in recorded:
        grammar = Grammar(one["text"].encode(), vocabulary)
        for step, (count, digest, token) in enumerate(one["steps"]):
            ids = array("i", allowed(grammar, vocabulary))
            assert (len(ids), hashlib.sha1(ids.tobytes()).hexdigest()[:16]) == (count, digest), (one["name"], step)
            grammar.accept(token)


# --------------------------------------------------------------------------------------------------- hostile


def numbered(count, rule):
    return "".join(rule % {"i": i, "next": i + 1} for i in range(count))


@pytest.mark.parametrize("text, string", [
    ("root ::= " + "(" * 200000 + '"a"' + ")" * 200000, "a"),
    ("root ::= " + '("a" ' * 20000 + ")?" * 20000, "aaa"),
    ("root ::= " + "(" * 2000 + '"a"' + ")*" * 2000, "aaa"),
    ('root ::= "a"' + "*" * 20000, "aaa"),
    ("root ::= a0\n" + numbered(50000, "a%(i)d ::= a%(next)d\n") + 'a50000 ::= "x"', "x"),
    ("root ::= a0\n" + numbered(500, 'a%(i)d ::= a%(next)d "x" | a%(next)d "y"\n') + 'a500 ::= "z"', "z" + "xy" * 250),
    ('root ::= "a" root "x" | "a" root "y" | ""', "a" * 500 + "xyy" * 100 + "x" * 200),
    ('root ::= ("a" root root)?', "a" * 300),
    ("root ::= " + "[a-z]* " * 500, "xyzzy" * 20),
    ("root ::= [" + "".join(f"\\U{2 * i + 1000:08x}" for i in range(50000)) + "]+", chr(1000) + chr(100998)),
    ('root ::= "' + "ab" * 200000 + '"', None),
    ("\n".join(f'root ::= x{i}\nx{i} ::= "a"' for i in range(20000)), "a"),
    ("root ::= " + " | ".join(f'[^\\U{7 * i + 32:08x}] "q" root?' for i in range(2000)), "aqbqcq"),
], ids=["groups", "optional", "stars", "operators", "chain", "two ways", "brackets", "trees", "nullable", "wide class",
        "long literal",
        "redefined", "classes"])
def test_large_and_ambiguous_grammars_are_read_and_followed(text, string):
    grammar = Grammar(text.encode(), BYTES)
    assert allowed(grammar, BYTES)
    if string is not None:
        for byte in string.encode():
            grammar.accept(byte)
        assert grammar.is_complete() and allowed(grammar, BYTES)


@pytest.mark.parametrize("text", [
    "root ::= " + "(" * 1000000, "root ::= \"" + "a" * 1000000, "a" * 1000000, "root ::= " + "a" * 1000000,
    "root ::= " + "\\" * 1000,
    "root ::= " + "(\"a\")*" * 10 + "(" * 1000 + ")" * 999,
])
def test_large_texts_that_are_no_grammar(text):
    message = refused(text)
    assert message.startswith("parse: error parsing grammar: ") and "\n" not in message


def test_text_longer_than_any_grammar():
    assert refused(b"#" * (1 << 22) + b"#") == PREFIX + "4194305 bytes, expected at most 4194304"


@pytest.mark.parametrize("text", [
    "root ::= " + " | ".join(f'"{i}" root' for i in range(70000)),
    "root ::= a0 \"z\"\n" + numbered(20000, "a%(i)d ::= a%(next)d a%(next)d\n") + 'a20000 ::= "x"?',
], ids=["alternatives", "twice"])
def test_grammars_with_too_many_ways_to_go_on_are_told(text):
    with pytest.raises(GrammarError, match="too ambiguous"):
        grammar = Grammar(text.encode(), BYTES)
        allowed(grammar, BYTES)


def test_random_bytes_are_a_grammar_or_an_error():
    rng = random.Random(5)
    parts = [b'"a"', b"[a-z]", b"root ::= ", b"x ::= ", b"x", b"(", b")", b"*", b"+", b"?", b"|", b"\n", b" ", b'"',
             b"[", b"]", b"\\",
             b"\\x4", b"\xff", b"\xc3", b"#", b"\0", b"^", b"-", b"root"]
    grammars = 0
    for _ in range(4000):
        text = b"root ::= " + b"".join(rng.choices(parts, k=rng.randrange(1, 12))) + rng.choice([b"", b'\nx ::= "1"'])
        try:
            grammar = Grammar(text, BYTES)
        except GrammarError as error:
            assert "\n" not in str(error)
        else:
            grammars += 1
            assert all(map(grammar.allows, allowed(grammar, BYTES)))
    assert 200 < grammars < 3800


def test_a_long_and_deep_text_does_not_pile_up():
    grammar = Grammar(b'root ::= "(" root ")" | "[" root "]" | "."', BYTES)
    rng = random.Random(7)
    opened = [rng.choice(b"([") for _ in range(150000)]
    for byte in opened:
        grammar.accept(byte)
    clone = grammar.clone()
    for one in (grammar, clone):
        one.accept(ord("."))
        for byte in reversed(opened):
            assert not one.is_complete()
            one.accept(ord(")") if byte == ord("(") else ord("]"))
        assert one.is_complete()
    grammar.reset()
    assert bytes(allowed(grammar, BYTES)) == b"(.["
