"""Numbers are read out of words as C reads them."""

import math
import struct

import pytest

from llamacy.cli.strto import NotANumber, OutOfRange, atof, atol, stof, stoi, stoul


@pytest.mark.parametrize("word, number", [
    (b"5", 5), (b"5x", 5), (b"3.9", 3), (b"0x10", 0), (b" \t\n\v\f\r7", 7), (b"+7", 7), (b"-7", -7), (b"007", 7),
    (b"1_000", 1), (b"-0", 0), (b"2147483647", 2147483647), (b"-2147483648", -2147483648), (b"0" * 40 + b"12", 12),
])
def test_stoi(word, number):
    assert stoi(word) == number


@pytest.mark.parametrize("word", [b"", b"x", b"-", b"+-1", b"- 1", b".5", b" ", "٣".encode(), b"\xff1"])
def test_no_digits(word):
    with pytest.raises(NotANumber, match="^stoi$"):
        stoi(word)
    with pytest.raises(NotANumber, match="^stoul$"):
        stoul(word)


@pytest.mark.parametrize("word", [b"2147483648", b"-2147483649", b"9" * 5000, b"-1" + b"0" * 40 + b"x"])
def test_stoi_out_of_range(word):
    with pytest.raises(OutOfRange, match=r"is out of range \(accepted: -2147483648 to 2147483647\)$"):
        stoi(word)


@pytest.mark.parametrize("word, number", [
    (b"-1", 4294967295), (b"-5", 4294967291), (b"4294967296", 0), (b"42 and more", 42),
    (b"18446744073709551615", 4294967295), (b"-18446744073709551615", 1),
])
def test_stoul(word, number):
    assert stoul(word) == number


@pytest.mark.parametrize("word", [b"18446744073709551616", b"-18446744073709551616"])
def test_stoul_out_of_range(word):
    with pytest.raises(OutOfRange, match="accepted: 0 to 18446744073709551615"):
        stoul(word)


# Halfway between two float32 is where rounding twice, first to double, goes wrong: 1 + 2^-24 and a little more.
@pytest.mark.parametrize("word, number", [
    (b"0.5", 0.5), (b".5", 0.5), (b"5.", 5.0), (b"1e2", 100.0), (b"1e", 1.0), (b"1e+", 1.0), (b"1ex", 1.0),
    (b"-2.5e-1abc", -0.25), (b"1.5.3", 1.5), (b"0x1.8p1", 3.0), (b"0X.8", 0.5), (b"0x", 0.0), (b"0xg", 0.0),
    (b"inf", math.inf), (b"-INFinity!", -math.inf), (b"infin", math.inf), (b"3.4028234e38", 2.0**128 - 2.0**104),
    (b"0", 0.0), (b"-0.0e99", 0.0), (b"0e-99999", 0.0), (b"0x0p-9", 0.0), (b"1.1754944e-38", 2.0**-126),
    (b"1.000000059604644775390625", 1.0), (b"1.00000005960464477539062500000000000001", 1.0 + 2.0**-23),
    (b"1.00000017881393432617187499999999999999", 1.0 + 2.0**-23), (b"1.000000178813934326171875", 1.0 + 2.0**-22),
])
def test_stof(word, number):
    assert stof(word) == number


def test_stof_is_a_float32():
    assert stof(b"0.7") == struct.unpack("f", struct.pack("f", 0.7))[0] != 0.7
    assert math.isnan(stof(b"nan(5)"))
    assert math.copysign(1, stof(b"-0")) == -1


@pytest.mark.parametrize("word", [b"", b".", b"-", b"e5", b".e5", b"+.x", b"in", b"--1"])
def test_stof_no_digits(word):
    with pytest.raises(NotANumber, match="^stof$"):
        stof(word)


@pytest.mark.parametrize("word", [b"1e50", b"-1e50", b"1e999", b"1e-50", b"1e-999", b"1e-40", b"0x1p999", b"0x1p99999",
                                  b"0x.1p-9999"])
def test_stof_out_of_range(word):
    with pytest.raises(OutOfRange, match="3.40282e[+]38"):
        stof(word)


def test_the_message_stays_one_short_line():
    with pytest.raises(OutOfRange) as error:
        stoi(b"9" * 1000 + b"\n\xff")
    assert "\n" not in str(error.value) and len(str(error.value)) < 150
    with pytest.raises(OutOfRange) as error:
        stoi(b"99999999999\n\xff")
    assert str(error.value).startswith(r"'99999999999\n\udcff' is out of range")


@pytest.mark.parametrize("word, number", [
    (b"12x", 12), (b"x", 0), (b"", 0), (b"-3", -3), (b"9" * 30, 2**63 - 1), (b"-" + b"9" * 5000, -2**63),
])
def test_atol(word, number):
    assert atol(word) == number


@pytest.mark.parametrize("word, number", [(b"1.5z", 1.5), (b"x", 0.0), (b"1e999", math.inf), (b"0.1", 0.1),
                                          (b"-0x1p99999", -math.inf)])
def test_atof(word, number):
    assert atof(word) == number
