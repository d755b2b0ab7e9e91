"""A JSON schema -> a grammar of the JSON texts that it describes, with at most a blank where white space may be.

Source: json-schema-to-grammar.cpp of llama.cpp b2794: same rules, names and order. Differs: a schema that refers to
itself keeps its own rule; the members that follow optional ones are optional and come after a comma; literals may
contain a backslash; a name that becomes a built-in one only when it is cleaned does not replace that; what made it hang
is an error.
"""

from llamacy.errors import GrammarError
from llamacy.sampling.schema_pattern import MOST_TEXT, Pattern, repetition

DIGIT, HEX = "[0-9]", "[0-9a-fA-F]"
UP_TO_15_DIGITS = repetition(DIGIT, 0, 15)
QUOTE = '"\\""'
MOST_LEVELS = 100                      # of schemas within each other
LONGEST_DUMP = 1000                    # characters of a schema that an error quotes

# name: body, the rules that it uses
BUILT_IN = {
    "boolean": ('("true" | "false") space', ()),
    "decimal-part": (f"{DIGIT} {UP_TO_15_DIGITS}", ()),
    "integral-part": (f"{DIGIT} | [1-9] {UP_TO_15_DIGITS}", ()),
    "number": ('("-"? integral-part) ("." decimal-part)? ([eE] [-+]? integral-part)? space',
               ("integral-part", "decimal-part")),
    "integer": ('("-"? integral-part) space', ("integral-part",)),
    "value": ("object | array | string | number | boolean | null",
              ("object", "array", "string", "number", "boolean", "null")),
    "object": ('"{" space ( string ":" space value ("," space string ":" space value)* )? "}" space',
               ("string", "value")),
    "array": ('"[" space ( value ("," space value)* )? "]" space', ("value",)),
    "uuid": (f"{QUOTE} " + ' "-" '.join(HEX * n for n in (8, 4, 4, 4, 12)) + f" {QUOTE} space", ()),
    "char": (f'[^"\\\\] | "\\\\" (["\\\\/bfnrt] | "u" {HEX} {HEX} {HEX} {HEX})', ()),
    "string": (f"{QUOTE} char* {QUOTE} space", ("char",)),
    "null": ('"null" space', ()),
}
FORMATS = {
    "date": ('[0-9] [0-9] [0-9] [0-9] "-" ( "0" [1-9] | "1" [0-2] ) "-" ( "0" [1-9] | [1-2] [0-9] | "3" [0-1] )', ()),
    "time": ('([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ( "." [0-9] [0-9] [0-9] )? '
             '( "Z" | ( "+" | "-" ) ( [01] [0-9] | "2" [0-3] ) ":" [0-5] [0-9] )', ()),
    "date-time": ('date "T" time', ("date", "time")),
    "date-string": (f"{QUOTE} date {QUOTE} space", ("date",)),
    "time-string": (f"{QUOTE} time {QUOTE} space", ("time",)),
    "date-time-string": (f"{QUOTE} date-time {QUOTE} space", ("date-time",)),
}
RESERVED = {"root", *BUILT_IN, *FORMATS}
UUIDS = {"uuid", "uuid1", "uuid2", "uuid3", "uuid4", "uuid5"}


def json_schema_to_grammar(text, warn=None):
    """The grammar (bytes) of a JSON schema.

    text  bytes or str: JSON.
    warn  called with a line (str) if something in the schema is not understood; without it the line goes to stderr.
    Errors  GrammarError: no JSON, or no schema that a grammar can be made of; names all that is wrong.
    """
    try:
        converter = Converter(parse(text))
        converter.find_refs()
        converter.visit(converter.document, None)
        grammar = converter.grammar().encode()
    except RecursionError:
        raise GrammarError("JSON schema conversion failed:\nToo many levels") from None
    except (OverflowError, ValueError) as error:
        raise GrammarError(f"JSON schema: not valid JSON: {error}") from None
    if converter.warnings:
        (warn or to_stderr)(f"WARNING: JSON schema conversion was incomplete: {'; '.join(converter.warnings)}")
    return grammar


def to_stderr(line):
    import os
    os.write(2, line.encode() + b"\n")


def parse(text):
    """The value of a JSON text. Errors  ValueError"""
    import json

    def refuse(name):
        raise ValueError(f"{name} is no number")
    return json.loads(text if isinstance(text, str) else text.decode("utf-8-sig"), parse_constant=refuse)


def dump(value):
    import json
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def quote(value):
    """A schema in an error message."""
    text = dump(value)
    return text if len(text) <= LONGEST_DUMP else text[:LONGEST_DUMP] + "..."


def literal(value):
    """GBNF for the JSON text of a value. (Its control characters are escapes already.)"""
    text = dump(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def clean(name):
    """`name` with each run of characters that no rule name may have as one dash."""
    parts = "".join(c if c.isascii() and c.isalnum() or c == "-" else "\0" for c in name)
    while "\0\0" in parts:
        parts = parts.replace("\0\0", "\0")
    return parts.replace("\0", "-") or "-"


def join(name, part):
    """The path of a part of the schema at `name` (None: the top)."""
    return part if name is None else f"{name}-{part}"


def count_of(schema, key):
    """A keyword that counts something: int, None if it is absent. Not a number: it is ignored, as any unknown word."""
    value = schema.get(key)
    return max(0, int(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


class Converter:
    """One schema on its way to a grammar. Errors are collected, so that all are told at once."""

    def __init__(self, document):
        self.document = document
        self.rules = {"space": '" "?'}     # name -> body; None: promised to a reference that is being followed
        self.suffixes = {}                 # name -> the next number to try behind it
        self.length = 0
        self.errors = []
        self.warnings = []
        self.targets = {}                  # reference -> schema
        self.ref_rules = {}                # reference -> rule
        self.levels = 0

    def grammar(self):
        if self.errors:
            raise GrammarError("JSON schema conversion failed:\n" + "\n".join(self.errors))
        return "".join(f"{name} ::= {self.rules[name]}\n" for name in sorted(self.rules))

    # --- references

    def find_refs(self):
        """Look up every $ref of the document, so that those that lead nowhere are told even if nothing needs them."""
        todo = [self.document]
        while todo:
            value = todo.pop()
            if isinstance(value, dict) and isinstance(value.get("$ref"), str):
                self.target(value["$ref"])     # what stands beside it counts for nothing
            elif isinstance(value, (dict, list)):
                todo.extend(reversed(list(value.values()) if isinstance(value, dict) else value))

    def target(self, ref):
        """The schema that `ref` refers to; an empty one if there is none, which is noted as an error."""
        if ref not in self.targets:
            self.targets[ref] = self.find_target(ref)
        return self.targets[ref]

    def find_target(self, ref):
        url, _, pointer = ref.partition("#")
        if ref.startswith("#/"):
            url, target = "input", self.document
        elif ref.startswith("https://"):
            target = {}                    # nothing is fetched
        else:
            self.errors.append(f"Unsupported ref: {ref}")
            return {}
        for part in pointer.split("/")[1:]:
            if not isinstance(target, dict) or part not in target:
                self.errors.append(f"Error resolving ref {url}#{pointer}: {part} not in {quote(target)}")
                return {}
            target = target[part]
        return target

    def follow(self, ref):
        """The name of the rule of what `ref` refers to. It is promised first, for that may refer to itself."""
        if ref not in self.ref_rules:
            path = ref.rsplit("/", 1)[-1]
            name = self.free_name(self.rule_name(path))
            self.rules[name] = None
            self.ref_rules[ref] = name
            self.ref_rules[ref] = self.visit(self.target(ref), path, name)
            if self.rules[name] is None:   # a built-in rule does as well
                del self.rules[name]
        return self.ref_rules[ref]

    # --- rules

    def rule_name(self, path):
        if path is None:
            return "root"
        name = clean(path)
        return name + "-" if name in RESERVED else name

    def add(self, name, body, promised=None):
        """Make a rule; return its name, which is another one if `name` is taken by another body."""
        name = clean(name)
        if promised is None and self.rules.get(name, body) != body:
            name = self.free_name(name, body)
        self.rules[promised or name] = body
        self.length += len(body)
        if self.length > MOST_TEXT:
            raise GrammarError(f"JSON schema conversion failed:\nThe grammar is longer than {MOST_TEXT} characters")
        return promised or name

    def free_name(self, name, body=None):
        """`name`, or with the first number behind it that is free (or has this body already)."""
        if body is None and name not in self.rules:
            return name
        number = self.suffixes.get(name, 0)
        while f"{name}{number}" in self.rules and (body is None or self.rules[f"{name}{number}"] != body):
            number += 1
        self.suffixes[name] = number
        return f"{name}{number}"

    def add_built_in(self, name, rule):
        """Make the built-in `rule`, and those that it uses, under `name`."""
        body, uses = (BUILT_IN.get(rule) or FORMATS[rule])
        name = self.add(name, body)
        for other in uses:
            if other not in self.rules:
                self.add_built_in(other, other)
        return name

    # --- schemas

    def visit(self, schema, path, promised=None):
        """Make the rules of a schema; return the name of the first: `promised`, if any is made for it alone."""
        if schema is None or schema == []:
            schema = {}
        self.levels += 1
        if self.levels > MOST_LEVELS:
            raise GrammarError(f"JSON schema conversion failed:\nMore than {MOST_LEVELS} schemas within each other")
        body = self.body(schema, path) if isinstance(schema, dict) else self.unrecognized(schema)
        name = self.built_in(schema, path) if body is None else self.add(self.rule_name(path), body, promised)
        self.levels -= 1
        return name

    def unrecognized(self, schema):
        self.errors.append(f"Unrecognized schema: {quote(schema)}")
        return ""

    def body(self, schema, path):
        """The body of the schema's rule; None: at most a built-in rule is needed."""
        kind = schema.get("type")
        if "$ref" in schema:
            return self.follow(schema["$ref"]) if isinstance(schema["$ref"], str) else self.unrecognized(schema)
        if "oneOf" in schema or "anyOf" in schema:
            return self.union(schema, schema.get("oneOf", schema.get("anyOf")), path)
        if isinstance(kind, list):
            return self.union(schema, [{"type": one} for one in kind], path)
        if "const" in schema:
            return literal(schema["const"])
        if "enum" in schema:
            values = schema["enum"] if isinstance(schema["enum"], list) else []
            return " | ".join(map(literal, values)) or self.unrecognized(schema)
        for name, make in (("object", self.object), ("array", self.array), ("string", self.string)):
            body = make(schema, path) if kind is None or kind == name else None
            if body is not None:
                return body
        return self.add_built_in("object", "object") if not schema or kind == "object" else None

    def built_in(self, schema, path):
        kind, shape = schema.get("type"), schema.get("format")
        if isinstance(shape, str) and shape in UUIDS and kind in (None, "string"):
            return self.add_built_in("root" if path is None else shape, "uuid")
        if isinstance(kind, str) and kind in BUILT_IN:
            return self.add_built_in("root" if path is None else kind, kind)
        return self.unrecognized(schema)

    def union(self, schema, members, path):
        if not members or not isinstance(members, list):
            return self.unrecognized(schema)
        start = "alternative" if path is None else path
        return " | ".join([self.visit(member, f"{start}-{i}") for i, member in enumerate(members)])

    def string(self, schema, path):
        shape = schema.get("format")
        if isinstance(schema.get("pattern"), str):
            return Pattern(schema["pattern"], self.rule_name(path), self.add, self.errors, self.warnings).body() or ""
        if isinstance(shape, str) and shape in UUIDS:
            return None
        if isinstance(shape, str) and f"{shape}-string" in FORMATS:
            return self.add_built_in(f"{shape}-string", f"{shape}-string")
        least, most = count_of(schema, "minLength"), count_of(schema, "maxLength")
        if schema.get("type") != "string" or least is None and most is None:
            return None
        return f"{QUOTE} {self.repetition(self.add_built_in('char', 'char'), least or 0, most, schema)} {QUOTE} space"

    def repetition(self, item, least, most, schema, separator=""):
        if most is not None and most < least:
            return self.unrecognized(schema)
        return repetition(item, least, most, separator)

    def array(self, schema, path):
        if "items" not in schema and "prefixItems" not in schema:
            return None
        items = schema.get("items", schema.get("prefixItems"))
        if isinstance(items, list):
            names = [self.visit(item, join(path, f"tuple-{i}")) for i, item in enumerate(items)]
            return '"[" space ' + ' "," space '.join(names) + ' "]" space'
        name = self.visit(items, join(path, "item"))
        most = count_of(schema, "maxItems") if isinstance(schema.get("maxItems"), int) else None
        text = self.repetition(name, count_of(schema, "minItems") or 0, most, schema, '"," space')
        return f'"[" space {text} "]" space'

    # --- objects

    def object(self, schema, path):
        more = schema.get("additionalProperties")
        if "properties" in schema or "additionalProperties" in schema and more is not True:
            properties, required = schema.get("properties", {}), schema.get("required", [])
            if not isinstance(properties, dict):
                return self.unrecognized(schema)
            required = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
            return self.members(properties, set(required), path, {} if more is True else more)
        if isinstance(schema.get("allOf"), list):
            return self.merged(schema["allOf"], path)
        return None

    def merged(self, schemas, path):
        """allOf: the properties of all of its members; those that only stand in an anyOf of a member are optional."""
        properties, required = {}, set()
        for schema in schemas:
            either = schema.get("anyOf") if isinstance(schema, dict) else None
            for part in either if isinstance(either, list) else [schema]:
                found = self.properties(part)
                properties.update(found)
                required.update(found if either is None else ())
        return self.members(properties, required, path, None)

    def properties(self, schema):
        """Of a schema, or of what it refers to."""
        seen = set()
        while isinstance(schema, dict) and isinstance(schema.get("$ref"), str) and schema["$ref"] not in seen:
            seen.add(schema["$ref"])
            schema = self.target(schema["$ref"])
        found = schema.get("properties") if isinstance(schema, dict) else None
        return found if isinstance(found, dict) else {}

    def members(self, properties, required, path, more):
        """The body of an object's rule. more: the schema of members with other names, if they are allowed."""
        pairs = {}
        for name, schema in properties.items():
            value = self.visit(schema, join(path, name))
            pairs[name] = self.add(join(path, name) + "-kv", f'{literal(name)} space ":" space {value}')
        needed = [pair for name, pair in pairs.items() if name in required]
        optional = [(name, pair) for name, pair in pairs.items() if name not in required]
        if isinstance(more, dict):
            optional.append((None, self.more_members(more, join(path, "additional"))))
        body = '"{" space ' + ' "," space '.join(needed)
        if optional:
            choices = " | ".join(self.choices(optional, path))
            body += f' ( "," space ( {choices} ) )?' if needed else f" ({choices} )?"
        return body + ' "}" space'

    def more_members(self, schema, path):
        value = self.visit(schema, path + "-value")
        pair = self.add(path + "-kv", f'{self.add_built_in("string", "string")} ":" space {value}')
        return self.add(path + "-kvs", f'{pair} ( "," space {pair} )*')

    def choices(self, optional, path):
        """For each optional member the text that begins with it: any of those behind it may follow, in their order."""
        choices, rest = [], ""
        for i in range(len(optional) - 1, -1, -1):
            pair = optional[i][1]
            choices.append(pair + rest)
            if i:
                rest = " " + self.add(join(path, optional[i - 1][0]) + "-rest", f'( "," space {pair} )?{rest}')
        return choices[::-1]
