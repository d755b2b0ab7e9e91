"""JSON schemas as grammars: the text of every form, and the language of those that the reference gets wrong."""

import json
import random

import pytest

from grammar_model import Vocabulary
from llamacy.errors import GrammarError
from llamacy.sampling import json_schema_to_grammar, parse_grammar
from llamacy.sampling._grammar import Grammar
from llamacy.sampling.schema_pattern import repetition

BYTES = Vocabulary([bytes([b]) for b in range(256)])
HEX = "[0-9a-fA-F]"
UUID = f'"\\"" {HEX * 8} "-" {HEX * 4} "-" {HEX * 4} "-" {HEX * 4} "-" {HEX * 12} "\\"" space'
UP_TO_15 = "(" + " (".join(["[0-9]"] * 15) + ")?" * 15
SPACE = {"space": '" "?'}
CHAR = {"char": f'[^"\\\\] | "\\\\" (["\\\\/bfnrt] | "u" {HEX} {HEX} {HEX} {HEX})'}
STRING = {"string": '"\\"" char* "\\"" space', **CHAR}
INTEGRAL = {"integral-part": f"[0-9] | [1-9] {UP_TO_15}"}
INTEGER = {"integer": '("-"? integral-part) space', **INTEGRAL}
NUMBER_BODY = '("-"? integral-part) ("." decimal-part)? ([eE] [-+]? integral-part)? space'
PARTS = {**INTEGRAL, "decimal-part": f"[0-9] {UP_TO_15}"}
NUMBER = {"number": NUMBER_BODY, **PARTS}
NULL = {"null": '"null" space'}
BOOLEAN = {"boolean": '("true" | "false") space'}
ARRAY_BODY = '"[" space ( value ("," space value)* )? "]" space'
OBJECT_BODY = '"{" space ( string ":" space value ("," space string ":" space value)* )? "}" space'
VALUE = {"value": "object | array | string | number | boolean | null", "object": OBJECT_BODY, "array": ARRAY_BODY,
         **STRING, **NUMBER,
         **BOOLEAN, **NULL}
DATE = {"date": '[0-9] [0-9] [0-9] [0-9] "-" ( "0" [1-9] | "1" [0-2] ) "-" ( "0" [1-9] | [1-2] [0-9] | "3" [0-1] )'}
TIME = {"time": '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ( "." [0-9] [0-9] [0-9] )? '
                '( "Z" | ( "+" | "-" ) ( [01] [0-9] | "2" [0-3] ) ":" [0-5] [0-9] )'}


def convert(schema):
    """Rules of the grammar, by name."""
    text = json_schema_to_grammar(schema if isinstance(schema, (str, bytes)) else json.dumps(schema)).decode()
    lines = text.split("\n")
    assert lines.pop() == "" and lines == sorted(lines, key=lambda line: line.split(" ::= ")[0].encode())
    rules = dict(line.split(" ::= ", 1) for line in lines)
    assert rules.pop("space") == SPACE["space"]
    return rules


def refused(schema):
    with pytest.raises(GrammarError) as error:
        json_schema_to_grammar(schema if isinstance(schema, (str, bytes)) else json.dumps(schema))
    return str(error.value)


def accepts(schema, text):
    grammar = Grammar(json_schema_to_grammar(json.dumps(schema)), BYTES)
    for byte in text.encode():
        if not grammar.allows(byte):
            return False
        grammar.accept(byte)
    return grammar.is_complete()


def pair(name):
    return f'"\\"{name}\\"" space ":" space {name}'


# --------------------------------------------------------------------------------------------------- one form each

ABC = {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "null"}}
ABC_RULES = {"a-kv": '"\\"a\\"" space ":" space string', "b-kv": '"\\"b\\"" space ":" space integer',
             "c-kv": '"\\"c\\"" space ":" space null', **STRING, **INTEGER, **NULL}


@pytest.mark.parametrize("schema, rules", [
    # built-in rules
    ({"type": "boolean"}, {"root": BOOLEAN["boolean"]}),
    ({"type": "null"}, {"root": NULL["null"]}),
    ({"type": "string"}, {"root": STRING["string"], **CHAR}),
    ({"type": "integer"}, {"root": INTEGER["integer"], **INTEGRAL}),
    ({"type": "number"}, {"root": NUMBER_BODY, **PARTS}),
    ({"type": "array"}, {"root": ARRAY_BODY, **VALUE}),
    ({"type": "object"}, {"root": "object", **VALUE}),
    ({"type": "value"}, {"root": VALUE["value"], **{name: body for name, body in VALUE.items()}}),
    ({"type": "uuid"}, {"root": UUID}),
    ({"type": "char"}, {"root": CHAR["char"]}),
    ({}, {"root": "object", **VALUE}),
    (None, {"root": "object", **VALUE}),
    # unions
    ({"oneOf": [{"type": "null"}, {"type": "boolean"}]}, {"root": "null | boolean", **NULL, **BOOLEAN}),
    ({"anyOf": [{"const": 1}, {"const": 2}]},
     {"root": "alternative-0 | alternative-1", "alternative-0": '"1"', "alternative-1": '"2"'}),
    ({"anyOf": [{"const": 1}], "oneOf": [{"const": 2}]}, {"root": "alternative-0", "alternative-0": '"2"'}),
    ({"type": ["null", "boolean"], "minLength": 3}, {"root": "null | boolean", **NULL, **BOOLEAN}),
    # constants
    ({"const": "foo"}, {"root": '"\\"foo\\""'}),
    ({"const": {"a": [1, 2.5, None, True]}}, {"root": '"{\\"a\\":[1,2.5,null,true]}"'}),
    ({"enum": ["a", 1, None, [], {"b": "é"}]}, {"root": '"\\"a\\"" | "1" | "null" | "[]" | "{\\"b\\":\\"é\\"}"'}),
    ({"const": None}, {"root": '"null"'}),
    # objects
    ({"properties": ABC, "required": ["a", "b", "c"]},
     {"root": '"{" space a-kv "," space b-kv "," space c-kv "}" space', **ABC_RULES}),
    ({"properties": ABC, "required": ["c", "a"]},
     {"root": '"{" space a-kv "," space c-kv ( "," space ( b-kv ) )? "}" space', **ABC_RULES}),
    ({"properties": ABC, "required": ["a"]},
     {"root": '"{" space a-kv ( "," space ( b-kv b-rest | c-kv ) )? "}" space', "b-rest": '( "," space c-kv )?',
      **ABC_RULES}),
    ({"type": "object", "properties": ABC},
     {"root": '"{" space  (a-kv a-rest | b-kv b-rest | c-kv )? "}" space', "a-rest": '( "," space b-kv )? b-rest',
      "b-rest": '( "," space c-kv )?', **ABC_RULES}),
    ({"properties": {}}, {"root": '"{" space  "}" space'}),
    ({"additionalProperties": False}, {"root": '"{" space  "}" space'}),
    ({"additionalProperties": True, "type": "object"}, {"root": "object", **VALUE}),
    ({"additionalProperties": {"type": "null"}},
     {"root": '"{" space  (additional-kvs )? "}" space', "additional-kvs": 'additional-kv ( "," space additional-kv )*',
      "additional-kv": 'string ":" space null', **STRING, **NULL}),
    ({"properties": {"c": {"type": "null"}}, "required": ["c"], "additionalProperties": True},
     {"root": '"{" space c-kv ( "," space ( additional-kvs ) )? "}" space',
      "additional-kvs": 'additional-kv ( "," space additional-kv )*',
      "additional-kv": 'string ":" space additional-value', "additional-value": "object",
      "c-kv": '"\\"c\\"" space ":" space null', **VALUE}),
    ({"properties": {"c": {"type": "null"}}, "additionalProperties": {"type": "null"}},
     {"root": '"{" space  (c-kv c-rest | additional-kvs )? "}" space', "c-rest": '( "," space additional-kvs )?',
      "additional-kvs": 'additional-kv ( "," space additional-kv )*', "additional-kv": 'string ":" space null',
      "c-kv": '"\\"c\\"" space ":" space null', **STRING, **NULL}),
    ({"properties": {"x": {"properties": {"y": {"items": {"type": "null"}}}}}, "required": ["x"]},
     {"root": '"{" space x-kv "}" space', "x-kv": pair("x"), "x": '"{" space  (x-y-kv )? "}" space',
      "x-y-kv": '"\\"y\\"" space ":" space x-y', "x-y": '"[" space (null ("," space null)*)? "]" space', **NULL}),
    # allOf
    ({"allOf": [{"properties": {"a": {"const": 1}}},
                {"anyOf": [{"properties": {"b": {"const": 2}}}, {"properties": {"c": {"const": 3}}}]}]},
     {"root": '"{" space a-kv ( "," space ( b-kv b-rest | c-kv ) )? "}" space', "b-rest": '( "," space c-kv )?',
      "a": '"1"', "b": '"2"', "c": '"3"', "a-kv": pair("a"), "b-kv": pair("b"), "c-kv": pair("c")}),
    ({"allOf": [{"$ref": "#/d/one"}, {"title": "no properties"}],
      "d": {"one": {"properties": {"a": {"const": 1}}, "required": []}}},
     {"root": '"{" space a-kv "}" space', "a": '"1"', "a-kv": pair("a")}),
    # arrays
    ({"items": {"type": "null"}}, {"root": '"[" space (null ("," space null)*)? "]" space', **NULL}),
    ({"items": {"type": "null"}, "minItems": 1}, {"root": '"[" space null ("," space null)* "]" space', **NULL}),
    ({"items": {"type": "null"}, "minItems": 2},
     {"root": '"[" space null "," space null ("," space null)* "]" space', **NULL}),
    ({"items": {"type": "null"}, "maxItems": 0}, {"root": '"[" space  "]" space', **NULL}),
    ({"items": {"type": "null"}, "maxItems": 1}, {"root": '"[" space (null)? "]" space', **NULL}),
    ({"items": {"type": "null"}, "maxItems": 3},
     {"root": '"[" space (null ("," space null ("," space null)?)?)? "]" space', **NULL}),
    ({"items": {"type": "null"}, "minItems": 1, "maxItems": 3},
     {"root": '"[" space null ("," space null ("," space null)?)? "]" space', **NULL}),
    ({"items": {"type": "null"}, "minItems": 2, "maxItems": 2},
     {"root": '"[" space null "," space null "]" space', **NULL}),
    ({"items": {"type": "null"}, "maxItems": 1.5}, {"root": '"[" space (null ("," space null)*)? "]" space', **NULL}),
    ({"items": {"const": 1}}, {"root": '"[" space (item ("," space item)*)? "]" space', "item": '"1"'}),
    ({"prefixItems": [{"const": 1}, {"type": "null"}]},
     {"root": '"[" space tuple-0 "," space null "]" space', "tuple-0": '"1"', **NULL}),
    ({"items": [{"type": "null"}], "prefixItems": [{"const": 1}]}, {"root": '"[" space null "]" space', **NULL}),
    ({"properties": {"p": {"items": [{"const": 1}]}}, "required": ["p"]},
     {"root": '"{" space p-kv "}" space', "p-kv": pair("p"), "p": '"[" space p-tuple-0 "]" space', "p-tuple-0": '"1"'}),
    # strings
    ({"type": "string", "minLength": 1}, {"root": '"\\"" char+ "\\"" space', **CHAR}),
    ({"type": "string", "minLength": 3}, {"root": '"\\"" char char char (char)* "\\"" space', **CHAR}),
    ({"type": "string", "maxLength": 1}, {"root": '"\\"" char? "\\"" space', **CHAR}),
    ({"type": "string", "maxLength": 2}, {"root": '"\\"" (char (char)?)? "\\"" space', **CHAR}),
    ({"type": "string", "minLength": 1, "maxLength": 3}, {"root": '"\\"" char (char (char)?)? "\\"" space', **CHAR}),
    ({"type": "string", "minLength": 2, "maxLength": 2}, {"root": '"\\"" char char "\\"" space', **CHAR}),
    ({"type": "string", "format": "uuid"}, {"root": UUID}),
    ({"format": "uuid5"}, {"root": UUID}),
    ({"properties": {"id": {"type": "string", "format": "uuid4"}}, "required": ["id"]},
     {"root": '"{" space id-kv "}" space', "id-kv": '"\\"id\\"" space ":" space uuid4', "uuid4": UUID}),
    ({"format": "date"}, {"root": "date-string", "date-string": '"\\"" date "\\"" space', **DATE}),
    ({"type": "string", "format": "time"}, {"root": "time-string", "time-string": '"\\"" time "\\"" space', **TIME}),
    ({"format": "date-time"}, {"root": "date-time-string", "date-time-string": '"\\"" date-time "\\"" space',
                               "date-time": 'date "T" time', **DATE, **TIME}),
    ({"type": "string", "format": "email", "title": "ignored", "default": 1}, {"root": STRING["string"], **CHAR}),
    # references
    ({"$ref": "#/definitions/a", "definitions": {"a": {"const": 1}}}, {"root": "a", "a": '"1"'}),
    ({"$ref": "#/definitions/a", "definitions": {"a": {"type": "null"}}}, {"root": "null", **NULL}),
    ({"$ref": "#/definitions/null", "definitions": {"null": {"const": 1}}}, {"root": "null-", "null-": '"1"'}),
    ({"$ref": "https://example.com/x/node.json"}, {"root": "node-json", "node-json": "object", **VALUE}),
    ({"properties": {"n": {"$ref": "#/d/n"}, "m": {"$ref": "#/d/n"}}, "required": ["n", "m"], "d": {"n": {"const": 1}}},
     {"root": '"{" space n-kv "," space m-kv "}" space', "n": '"1"', "n0": "n", "m": "n",
      "n-kv": '"\\"n\\"" space ":" space n0',
      "m-kv": pair("m")}),
    ({"$ref": "#/d/node", "d": {"node": {"properties": {"next": {"$ref": "#/d/node"}}}}},
     {"root": "node", "node": '"{" space  (node-next-kv )? "}" space', "node-next": "node",
      "node-next-kv": '"\\"next\\"" space ":" space node-next'}),
    ({"$ref": "#/d/a", "d": {"a": {"items": {"$ref": "#/d/b"}}, "b": {"const": 1}}},
     {"root": "a", "a": '"[" space (a-item ("," space a-item)*)? "]" space', "a-item": "b", "b": '"1"'}),
    # names
    ({"properties": {"root": {"const": 1}, "number": {"const": 2}}, "required": ["root", "number"]},
     {"root": '"{" space root-kv "," space number-kv "}" space', "root-": '"1"', "number-": '"2"',
      "root-kv": '"\\"root\\"" space ":" space root-', "number-kv": '"\\"number\\"" space ":" space number-'}),
    ({"properties": {"a b": {"const": 1}, "a-b": {"const": 2}, "a_é_b": {"const": 1}},
      "required": ["a b", "a-b", "a_é_b"]},
     {"root": '"{" space a-b-kv "," space a-b-kv0 "," space a-b-kv1 "}" space', "a-b": '"1"', "a-b0": '"2"',
      "a-b-kv": '"\\"a b\\"" space ":" space a-b', "a-b-kv0": '"\\"a-b\\"" space ":" space a-b0',
      "a-b-kv1": '"\\"a_é_b\\"" space ":" space a-b'}),
])
def test_rules(schema, rules):
    assert convert(schema) == rules
    parse_grammar(json_schema_to_grammar(json.dumps(schema)))


def test_text_of_a_whole_grammar():
    for schema in ('{"type":"boolean"}', b'{"type":"boolean"}', b'\xef\xbb\xbf{"type":"boolean"}'):
        assert json_schema_to_grammar(schema) == b'root ::= ("true" | "false") space\nspace ::= " "?\n'


@pytest.mark.parametrize("arguments, text", [
    (("x", 0, 1), "x?"), (("x", 1, None), "x+"), (("x", 0, None), "(x)*"), (("x", 2, 2), "x x"), (("x", 0, 0), ""),
    (("x", 2, None), "x x (x)*"), (("x", 1, 3), "x (x (x)?)?"), (("x", 0, 2), "(x (x)?)?"),
    (("x", 0, 1, "s"), "(x)?"), (("x", 1, None, "s"), "x (s x)*"), (("x", 0, None, "s"), "(x (s x)*)?"),
    (("x", 2, 2, "s"), "x s x"),
    (("x", 2, 4, "s"), "x s x (s x (s x)?)?"), (("x", 0, 3, "s"), "(x (s x (s x)?)?)?"),
    (('"ab"', 2, 3, "", True), '"abab" ("ab")?'), (('"ab"', 0, 2, "", True), '("ab" ("ab")?)?'),
    (('"ab"', 0, 1, "", True), '"ab"?'),
])
def test_repetition(arguments, text):
    assert repetition(*arguments) == text


@pytest.mark.parametrize("pattern, body, others", [
    ("^abc$", '"abc"', {}),
    ("^$", "", {}),
    ("^a*b+c?$", '"a"* "b"+ "c"?', {}),
    ("^abc+$", '"ab" "c"+', {}),
    ("^[a-z]+[^\\]]$", "[a-z]+ [^\\]]", {}),
    ("^(a|bc)d$", '("a" | "bc") "d"', {}),
    ("^a|b$", '("a" | "b")', {}),
    ("^.x.$", 'dot "x" dot', {"dot": "[^\\x0A\\x0D]"}),
    ("^a{3}$", '"aaa"', {}),
    ("^a{2,}$", '"aa" ("a")*', {}),
    ("^a{2,4}$", '"aa" ("a" ("a")?)?', {}),
    ("^a{,2}$", '("a" ("a")?)?', {}),
    ("^[0-9]{3}-[0-9]{4}x[a-f]{2}$", 'root-1 root-1 root-1 "-" root-1 root-1 root-1 root-1 "x" root-2 root-2',
     {"root-1": "[0-9]", "root-2": "[a-f]"}),
    ("^(ab){2}$", "root-1 root-1", {"root-1": '("ab")'}),
    ("^\\(a\\)\\*$", '"(a)*"', {}),
    ("^a\\+*$", '"a" "+"*', {}),
    ('^"$', '"\\""', {}),
    ("^é{2}$", '"éé"', {}),
    ("^((a)(b(c)?))$", '(("a") ("b" ("c")?))', {}),
])
def test_patterns(pattern, body, others):
    expected = {"root": f'"\\"" {body} "\\"" space', **others}
    assert convert({"type": "string", "pattern": pattern}) == expected == convert({"pattern": pattern})
    parse_grammar(json_schema_to_grammar(json.dumps({"pattern": pattern})))


def test_pattern_below_the_top_names_its_parts_after_it():
    rules = convert({"properties": {"p": {"pattern": "^[0-9]{2}$"}}, "required": ["p"]})
    assert rules["p"] == '"\\"" p-1 p-1 "\\"" space' and rules["p-1"] == "[0-9]"


def test_unknown_escapes_of_patterns_are_left_to_the_grammar():
    grammar = json_schema_to_grammar(json.dumps({"pattern": "^\\d$"}))
    assert grammar.startswith(b'root ::= "\\"" "\\d" "\\"" space\n')
    with pytest.raises(GrammarError, match=r"unknown escape at \\d"):
        parse_grammar(grammar)


def test_warnings(capfd):
    lines = []
    schema = json.dumps({"pattern": "^(?:ab)(?=c)$"})
    expected = b'root ::= "\\"" ("ab") ("=c") "\\"" space\nspace ::= " "?\n'
    assert json_schema_to_grammar(schema, lines.append) == json_schema_to_grammar(schema) == expected
    line = "WARNING: JSON schema conversion was incomplete: Unsupported pattern syntax; Unsupported pattern syntax"
    assert lines == [line] and capfd.readouterr().err == line + "\n"


# --------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("schema, messages", [
    (True, ["Unrecognized schema: true"]),
    (5, ["Unrecognized schema: 5"]),
    ("x", ["Unrecognized schema: \"x\""]),
    ({"type": "nope"}, ['Unrecognized schema: {"type":"nope"}']),
    ({"type": 3}, ['Unrecognized schema: {"type":3}']),
    ({"minLength": 2}, ['Unrecognized schema: {"minLength":2}']),
    ({"oneOf": []}, ['Unrecognized schema: {"oneOf":[]}']),
    ({"enum": []}, ['Unrecognized schema: {"enum":[]}']),
    ({"properties": []}, ['Unrecognized schema: {"properties":[]}']),
    ({"$ref": 5}, ['Unrecognized schema: {"$ref":5}']),
    ({"type": "string", "minLength": 3, "maxLength": 2},
     ['Unrecognized schema: {"type":"string","minLength":3,"maxLength":2}']),
    ({"items": False}, ["Unrecognized schema: false"]),
    ({"$ref": "foo.json"}, ["Unsupported ref: foo.json"]),
    ({"$ref": "#"}, ["Unsupported ref: #"]),
    ({"$ref": "#/a/b", "a": {"c": 1}}, ['Error resolving ref input#/a/b: b not in {"c":1}']),
    ({"$ref": "#/d/a", "d": {"a": {"$ref": "#/d/b"}, "c": {"$ref": "gone"}}},
     ['Error resolving ref input#/d/b: b not in {"a":{"$ref":"#/d/b"},"c":{"$ref":"gone"}}']),
    ({"$ref": "#/a/0", "a": [1]}, ["Error resolving ref input#/a/0: 0 not in [1]"]),
    ({"$ref": "https://x/y#/z"}, ["Error resolving ref https://x/y#/z: z not in {}"]),
    ({"pattern": "abc"}, ["Pattern must start with '^' and end with '$'"]),
    ({"pattern": "^"}, ["Pattern must start with '^' and end with '$'"]),
    ({"pattern": ""}, ["Pattern must start with '^' and end with '$'"]),
    ({"pattern": "^(a$"}, ["Unbalanced parentheses"]),
    ({"pattern": "^a)b$"}, ["Unbalanced parentheses"]),
    ({"pattern": "^[a$"}, ["Unbalanced square brackets"]),
    ({"pattern": "^[a\\]$"}, ["Unbalanced square brackets"]),
    ({"pattern": "^a]$"}, ["Unbalanced square brackets"]),
    ({"pattern": "^a{2$"}, ["Unbalanced curly brackets"]),
    ({"pattern": "^a}$"}, ["Unbalanced curly brackets"]),
    ({"pattern": "^a{1,2,3}$"}, ["Wrong number of values in curly brackets"]),
    ({"pattern": "^a{x}$"}, ["Invalid number in curly brackets"]),
    ({"pattern": "^a{}$"}, ["Invalid number in curly brackets"]),
    ({"pattern": "^a{3,1}$"}, ["Invalid number in curly brackets"]),
    ({"pattern": "^*$"}, ["Nothing to repeat in pattern"]),
    ({"pattern": "^(|+)$"}, ["Nothing to repeat in pattern"]),
    ({"properties": {"a": {"$ref": "x"}, "b": {"type": "what"}, "c": {"pattern": "a"}}},
     ["Unsupported ref: x", 'Unrecognized schema: {"type":"what"}', "Pattern must start with '^' and end with '$'"]),
])
def test_errors(schema, messages):
    assert refused(json.dumps(schema)) == "\n".join(["JSON schema conversion failed:", *messages])


@pytest.mark.parametrize("text", ["", "{", "{}x", "{'a':1}", "NaN", '{"const":Infinity}', '{"const":1e999}',
                                  '{"items":{},"minItems":1e999}',
                                  b'{"const":"\xff"}', '{"const":"\\ud800"}', b"\xff\xfe{\0}\0"])
def test_what_is_no_json(text):
    message = refused(text)
    assert message.startswith("JSON schema: not valid JSON: ") and "\n" not in message


# --------------------------------------------------------------------------------------------------- languages

NODE = {"$ref": "#/d/node",
        "d": {"node": {"properties": {"v": {"type": "integer"}, "next": {"$ref": "#/d/node"}}, "required": ["v"]}}}
TREE = {"$ref": "#/d/t", "d": {"t": {"anyOf": [{"type": "null"}, {"items": {"$ref": "#/d/t"}}]}}}
OPEN = {"properties": {"a": {"type": "null"}, "b": {"const": 1}}, "additionalProperties": {"type": "boolean"}}
HARD = {"properties": {'q"\\': {"const": "\\n\n\r\t\u0001\""}}, "required": ['q"\\']}


@pytest.mark.parametrize("schema, good, bad", [
    (OPEN, ['{}', '{"a":null}', '{"b":1}', '{"a":null, "b":1}', '{"x": true}', '{"a":null,"x":true, "y": false}',
            '{"b":1,"x":true}',
            '{"a":null,"b":1,"x":true}'],
     ['{"a":null"x":true}', '{"a":null,}', '{,"b":1}', '{"a":null "b":1}', '{"x":1}']),
    (NODE, ['{"v":1}', '{"v":1,"next":{"v":2,"next":{"v":-3}}}'],
     ['{}', '{"v":1,"next":{}}', '{"v":1,"next":{"x":1}}', '{"next":{"v":1}}']),
    (TREE, ["null", "[]", "[null, [[], null]]"], ["", "[1]", "[[]"]),
    (HARD, [json.dumps({'q"\\': "\\n\n\r\t\u0001\""}, separators=(",", ":"))], ['{}', '{"q":1}']),
    ({"const": 'a"b\\c\nd'}, ['"a\\"b\\\\c\\nd"'], ['"a"b\\c"', '"a\\"b\\c\\nd"']),
    ({"pattern": "^a|bc$"}, ['"a"', '"bc"'], ['"a', 'bc"', '"ac"']),
    ({"type": "string", "minLength": 2, "maxLength": 3}, ['"ab"', '"日本語"', '"\\n\\u12aB"'], ['"a"', '"abcd"', '"\\x"']),
    ({"properties": {"decimal part": {"const": 1}, "x": {"type": "number"}}, "required": ["decimal part", "x"]},
     ['{"decimal part":1,"x":1.25}'], ['{"decimal part":1,"x":1.1}x', '{"decimal part":1,"x":1."1"}']),
    ({"properties": {"": {"const": 1}, "*": {"const": 2}}, "additionalProperties": {"const": 3}},
     ['{"":1,"*":2,"x":3}', '{"*":2}', '{}'],
     ['{"":2}']),
    ({"allOf": [{"$ref": "#/d/a"}, {"properties": {"x": {"const": 2}}}], "d": {"a": {"$ref": "#/d/a"}}}, ['{"x":2}'],
     ["{}"]),
    ({"allOf": [{"properties": {"x": {"const": 1}}}, {"properties": {"x": {"const": 2}}}]}, ['{"x":2}'],
     ['{"x":1,"x":2}', "{}"]),
])
def test_languages(schema, good, bad):
    assert [text for text in good if not accepts(schema, text)] == []
    assert [text for text in bad if accepts(schema, text)] == []


def test_schema_that_is_only_a_circle_of_references_is_left_recursion():
    grammar = json_schema_to_grammar('{"$ref":"#/d/a","d":{"a":{"$ref":"#/d/b"},"b":{"$ref":"#/d/a"}}}')
    with pytest.raises(GrammarError, match="left recursion"):
        parse_grammar(grammar)


def random_schema(rng, depth=0):
    simple = [{"type": kind} for kind in ("string", "number", "integer", "boolean", "null")]
    simple += [{"const": rng.choice(["x\\y", 1.5, None, [], {"k": 'q"'}])}, {"enum": [1, "two", None]},
               {"type": ["null", "integer"]},
               {"type": "string", "minLength": rng.randrange(3), "maxLength": rng.randrange(3, 6)}, {"format": "uuid"},
               {"pattern": rng.choice(["^[a-f]{2,4}$", "^(ab|c)+x?$", "^a{3}b*$"])}, {"$ref": "#/definitions/item"}]
    if depth > 2 or rng.random() < 0.4:
        return rng.choice(simple)
    kind = rng.randrange(4)
    if kind == 0:
        low = rng.randrange(3)
        return {"items": random_schema(rng, depth + 1), "minItems": low,
                **({"maxItems": low + rng.randrange(3)} if rng.random() < 0.5 else {})}
    if kind == 1:
        return {"prefixItems": [random_schema(rng, depth + 1) for _ in range(rng.randrange(1, 4))]}
    if kind == 2:
        return {"anyOf": [random_schema(rng, depth + 1) for _ in range(rng.randrange(1, 4))]}
    names = rng.sample(["a", "b b", "é", 'q"', "root", "string", "a-kv", "item", "*"], rng.randrange(1, 5))
    return {"type": "object", "properties": {name: random_schema(rng, depth + 1) for name in names},
            "required": [name for name in names if rng.random() < 0.5],
            **rng.choice([{}, {"additionalProperties": False}, {"additionalProperties": {"type": "null"}}])}


def valid(schema, value, definitions):
    """A validator of what random_schema makes."""
    if "$ref" in schema:
        return valid(definitions[schema["$ref"].split("/")[-1]], value, definitions)
    if "anyOf" in schema:
        return any(valid(one, value, definitions) for one in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = schema.get("type")
    if "properties" in schema:
        more = schema.get("additionalProperties")
        return (isinstance(value, dict) and set(schema["required"]) <= value.keys() and
                all(valid(schema["properties"][k], v,
                          definitions) if k in schema["properties"] else bool(more) and v is None
                    for k, v in value.items() if not (more and k in schema["properties"] and v is None)))
    if "items" in schema:
        return (isinstance(value, list) and schema["minItems"] <= len(value) <= schema.get("maxItems", len(value)) and
                all(valid(schema["items"], one, definitions) for one in value))
    if "prefixItems" in schema:
        return (isinstance(value, list) and len(value) == len(schema["prefixItems"]) and
                all(map(valid, schema["prefixItems"], value, [definitions] * len(value))))
    if kinds is None or kinds == "string":
        return isinstance(value, str) and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength",
                                                                                                 len(value))
    types = {"number": (int, float), "integer": int, "boolean": bool, "null": type(None)}
    return any(isinstance(value, types[kind]) for kind in (kinds if isinstance(kinds, list) else [kinds]))


def random_text(rng, grammar):
    """A text of the grammar: bytes that may come, those that close something more often."""
    text = bytearray()
    while not grammar.is_complete() or rng.random() < 0.3:
        may = [b for b in (rng.randrange(256) for _ in range(40)) if 32 <= b < 128 and grammar.allows(b)]
        ends = [b for b in b'"}],:' if grammar.allows(b)]
        pool = ends if ends and (not may or len(text) > 30 or rng.random() < 0.2) else may or \
            [b for b in range(256) if grammar.allows(b)]
        if not pool:
            break
        byte = rng.choice(pool)
        grammar.accept(byte)
        text.append(byte)
        assert len(text) < 100000
    return bytes(text)


@pytest.mark.parametrize("seed", range(8))
def test_texts_of_random_schemas_are_json_that_they_describe(seed):
    rng = random.Random(seed)
    for _ in range(12):
        definitions = {"item": {"type": "object",
                                "properties": {"k": {"const": 1}, "n": {"$ref": "#/definitions/item"}},
                                "required": ["k"]}}
        schema = {"anyOf": [random_schema(rng)], "definitions": definitions}
        grammar = Grammar(json_schema_to_grammar(json.dumps(schema)), BYTES)
        for _ in range(4):
            grammar.reset()
            text = random_text(rng, grammar)
            assert grammar.is_complete(), (schema, text)
            assert valid(schema, json.loads(text), definitions), (schema, text)


# --------------------------------------------------------------------------------------------------- hostile


def nested(count, begin, end, middle="{}"):
    return begin * count + middle + end * count


@pytest.mark.parametrize("text", [
    nested(100000, "[", "]"), nested(100000, '{"items":', "}"), nested(150, '{"items":', "}"),
    nested(150, '{"anyOf":[', "]}"),
    nested(150, '{"properties":{"a":', "}}"), '{"type":"string","maxLength":1000000000}',
    '{"items":{},"minItems":1000000000}',
    '{"items":{},"minItems":2,"maxItems":1}', '{"pattern":"^a{999999999}$"}', '{"pattern":"^(a{999999}){999999}$"}',
    json.dumps({"pattern": "^" + nested(5000, "(", ")", "a") + "$"}),
    json.dumps({"pattern": "^" + "[a]{9999}" * 200 + "$"}),
    json.dumps({"$ref": "#/d/0", "d": {str(i): {"items": {"$ref": f"#/d/{i + 1}"}} for i in range(5000)}}),
    json.dumps({"properties": {"x" * 5000 + str(i): {"const": "y" * 5000} for i in range(500)}}),
])
def test_schemas_beyond_all_bounds_are_told(text):
    assert refused(text).startswith("JSON schema")


def test_many_properties_with_one_rule_name():
    names = ["!" * i for i in range(1, 800)]
    schema = {"properties": {name: {"const": i} for i, name in enumerate(names)}}
    rules = convert(schema)
    assert len(rules) == 1 + 3 * len(names) - 1
    assert accepts(schema, '{"!":0,"!!!":2}') and not accepts(schema, '{"!":2}')
