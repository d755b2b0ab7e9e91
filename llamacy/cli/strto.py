"""Numbers as C reads them out of a word: blanks, then the longest beginning that is a number; what follows is ignored.

Python's own int() and float() refuse `5x` and accept `1_000`; scripts rely on the former and not on the latter.
"""

from ..errors import UsageError, one_line

BLANKS = b" \t\n\v\f\r"
DIGITS = frozenset(b"0123456789")
INT32 = (-2**31, 2**31 - 1)
INT64 = (-2**63, 2**63 - 1)
FLOAT_RANGE = "0, or 1.17549e-38 to 3.40282e+38 with either sign, or inf, or nan"


class NotANumber(UsageError):
    """No digit where a number should start. The text is the bare name of the C++ function, as scripts know it."""


class OutOfRange(UsageError):
    """A number that its type cannot hold. The text says which numbers it can."""


def stoi(word):
    """The int32 that the bytes `word` start with."""
    return _within(_integer(word, "stoi"), *INT32, word)


def stoul(word):
    """The uint32 that is left of a uint64: -1 is 4294967295, and 4294967296 is 0."""
    value = _integer(word, "stoul")
    _within(abs(value), 0, 2**64 - 1, word)
    return value & 0xFFFFFFFF


def stof(word):
    """The float32 nearest to the number that `word` starts with, as a Python float."""
    text = _float_text(word)
    if text is None:
        raise NotANumber("stof")
    value = float32(text)
    if value is None:
        raise OutOfRange(f"{_shown(word)} is out of range (accepted: {FLOAT_RANGE})")
    return value


def atol(word):
    """int64, saturating; 0 if there is no number."""
    low, high = INT64
    digits = _integer_text(word)
    return min(max(_to_int(digits), low), high) if digits else 0


def atof(word):
    """float64; 0.0 if there is no number."""
    text = _float_text(word)
    return 0.0 if text is None else _to_float(text)


def nearest(value):
    """The float32 nearest to a float. OverflowError if there is none."""
    import struct
    return struct.unpack("<f", struct.pack("<f", value))[0]


def float32(text):
    """The float32 nearest to `text` (bytes from _float_text), or None where strtof reports overflow or underflow."""
    import struct
    value = _to_float(text)
    if struct.unpack("<Q", struct.pack("<d", value))[0] & 0x1FFFFFFF == 0x10000000 and b"x" not in text.lower():
        value = _off_the_midpoint(text, value)
    try:
        rounded = nearest(value)
    except OverflowError:
        return None
    if value in (float("inf"), float("-inf")) and b"i" not in text.lower():
        return None
    if abs(rounded) < 2.0**-126 and (value != 0.0 or _has_value(text)):
        return None
    return rounded


def _off_the_midpoint(text, value):
    """`value` lies halfway between two float32; move it to the side on which the decimal `text` lies.

    Without this the two roundings (text to double, double to float) can differ from the one of strtof.
    """
    from fractions import Fraction
    from math import inf, nextafter
    exact = Fraction(text.decode())
    return value if exact == value else nextafter(value, inf if exact > value else -inf)


def _has_value(text):
    """True if a digit other than 0 stands before the exponent."""
    text = text.lower()
    mantissa = text.partition(b"p")[0].partition(b"x")[2] if b"x" in text else text.partition(b"e")[0]
    return bool(mantissa.strip(b"+-0."))


def _integer(word, name):
    digits = _integer_text(word)
    if not digits:
        raise NotANumber(name)
    return _to_int(digits)


def _integer_text(word):
    """Sign and digits at the start of `word`, b"" if there is no digit."""
    word = word.lstrip(BLANKS)
    start = 1 if word[:1] in (b"+", b"-") else 0
    end = _digits(word, start)
    return word[:end] if end > start else b""


def _to_int(text):
    """int(), except that from 30 digits on the result is merely too large: int() would refuse or take long."""
    sign, digits = (-1 if text[:1] == b"-" else 1), text.lstrip(b"+-").lstrip(b"0")
    return sign * (int(digits or b"0") if len(digits) < 30 else 10**30)


def _within(value, low, high, word):
    if not low <= value <= high:
        raise OutOfRange(f"{_shown(word)} is out of range (accepted: {low} to {high})")
    return value


def _shown(word):
    text = word.decode("utf-8", "surrogateescape")
    return f"'{one_line(text if len(text) <= 60 else text[:57] + '...')}'"


def _to_float(text):
    """float64 of what _float_text found; too large is inf."""
    if b"x" not in text.lower():
        return float(text)
    try:
        return float.fromhex(text.decode())
    except OverflowError:
        return float("-inf") if text[:1] == b"-" else float("inf")


def _float_text(word):
    """The longest beginning of `word` that strtod would use, without blanks; None if there is none."""
    word = word.lstrip(BLANKS)
    start = 1 if word[:1] in (b"+", b"-") else 0
    lower = word[start:start + 8].lower()
    if lower == b"infinity":
        return word[:start + 8]
    if lower[:3] in (b"inf", b"nan"):
        return word[:start + 3]
    if lower[:2] == b"0x":
        end = _mantissa(word, start + 2, frozenset(b"0123456789abcdefABCDEF"))
        return word[:_exponent(word, end, b"pP")] if end else word[:start + 1]
    end = _mantissa(word, start, DIGITS)
    return word[:_exponent(word, end, b"eE")] if end else None


def _mantissa(word, start, digits):
    """End of digits with at most one point among them; 0 if there is no digit."""
    point = _digits(word, start, digits)
    end = _digits(word, point + 1, digits) if word[point:point + 1] == b"." else point
    return end if end - start > (end > point) else 0


def _exponent(word, end, letters):
    """End of an exponent that starts at `end`, or `end` itself."""
    if word[end:end + 1] not in (letters[:1], letters[1:]):
        return end
    start = end + 2 if word[end + 1:end + 2] in (b"+", b"-") else end + 1
    stop = _digits(word, start)
    return stop if stop > start else end


def _digits(word, start, digits=DIGITS):
    while start < len(word) and word[start] in digits:
        start += 1
    return start
