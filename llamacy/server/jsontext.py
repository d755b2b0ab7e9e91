"""JSON in and out, to the letter of the reference: strict, compact, raw UTF-8, no NaN."""

import json
import math
import re
import struct
from array import array
from itertools import accumulate

from .errors import mistake

MOST_DEPTH = 200       # arrays and objects within each other
STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
PART = re.compile(STRING.pattern + rb"|[\[\]{}]", re.DOTALL)
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
STEP = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")
EMPTY = ("[json.exception.parse_error.101] parse error at line 1, column 1: attempting to parse an empty input; check that "
         "your input string or stream contains the expected JSON")


def float32(value):
    """A float as single precision keeps it; what is too large is infinite."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def dumps(value):
    """JSON text (bytes). What is no Unicode becomes U+FFFD, what is no number null."""
    return encode(value).encode("utf-8", "replace")


def encode(value):
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(without_nan(value), ensure_ascii=False, separators=(",", ":"))
    return text


def without_nan(value):
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return value


def loads(data):
    """The value of a body (bytes). Errors  ApiError: it is not JSON, or too deep."""
    if not data.strip(b" \t\n\r"):
        raise mistake(EMPTY)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise mistake(parse_error(data[:error.start].decode("utf-8", "replace"), "invalid UTF-8 byte")) from None
    check_depth(data)
    try:
        value = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise mistake(parse_error(text[:error.pos], f"syntax error: {error.msg}")) from None
    except ValueError as error:
        raise mistake(parse_error("", str(error))) from None
    if "\\u" in text:
        check_surrogates(value)
    return value


def refuse(name):
    raise ValueError(f"syntax error: invalid literal {name}")


def parse_error(before, what):
    """before: the text up to the place."""
    line = before.count("\n") + 1
    column = len(before.rpartition("\n")[2].encode("utf-8", "replace")) + 1
    return f"[json.exception.parse_error.101] parse error at line {line}, column {column}: {what}"


def check_depth(data):
    """The parser calls itself for each level: bound them first."""
    if data.count(b"[") + data.count(b"{") <= MOST_DEPTH:
        return
    steps = array("b", STRING.sub(b"", data).translate(STEP, NO_BRACKETS))
    if max(accumulate(steps)) > MOST_DEPTH:
        raise mistake(parse_error(data[:too_deep(data)].decode("utf-8", "replace"), f"more than {MOST_DEPTH} levels"))


def too_deep(data):
    """Index of the first bracket that opens a level too many."""
    depth = 0
    for found in PART.finditer(data):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found[0], 0)
        if depth > MOST_DEPTH:
            return found.start()


def check_surrogates(value):
    """A half of a surrogate pair is no character."""
    try:
        encode(value).encode("utf-8")
    except UnicodeEncodeError:
        raise mistake(parse_error("", "syntax error: lone surrogate")) from None


def type_error(wanted, value):
    """The message for a value of the wrong type."""
    return mistake(f"[json.exception.type_error.302] type must be {wanted}, but is {type_name(value)}")


def type_name(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "string", list: "array", dict: "object"}[type(value)]
