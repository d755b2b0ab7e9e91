"""JSON in and out, to the letter of the reference: strict, compact, raw UTF-8, no NaN."""

import json
import math
import struct

from .errors import mistake

MOST_DEPTH = 200       # arrays and objects within each other
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
    check_depth(text)
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


def check_depth(text):
    """The parser calls itself for each level: bound them first. Strings are skipped."""
    depth, at = 0, 0
    if text.count("[") + text.count("{") <= MOST_DEPTH:
        return
    while at < len(text):
        c = text[at]
        if c == '"':
            at = end_of_string(text, at + 1)
        elif c in "[{":
            depth += 1
            if depth > MOST_DEPTH:
                raise mistake(parse_error(text[:at], f"more than {MOST_DEPTH} levels"))
        elif c in "]}":
            depth -= 1
        at += 1


def end_of_string(text, at):
    """Index of the quote that ends the string in which `at` lies."""
    while True:
        quote = text.find('"', at)
        if quote < 0:
            return len(text)
        backslashes = quote - at - len(text[at:quote].rstrip("\\"))
        if backslashes % 2 == 0:
            return quote
        at = quote + 1


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
