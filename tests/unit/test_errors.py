"""Errors are one line each, whatever the file's bytes are."""

import pickle

import pytest

from llamacy import errors
from llamacy.errors import GGUFError, LlamacyError, one_line


def test_a_gguf_error_says_file_offset_and_field():
    exc = GGUFError("m.gguf", 24, "key 'k' type", "found 13, expected 0 to 12")
    assert str(exc) == "m.gguf: at byte 24: key 'k' type: found 13, expected 0 to 12"
    assert (exc.path, exc.offset, exc.field) == ("m.gguf", 24, "key 'k' type")
    assert exc.message == "found 13, expected 0 to 12"
    assert str(GGUFError("m.gguf", None, "file", "is a pipe")) == "m.gguf: file: is a pipe"
    assert str(pickle.loads(pickle.dumps(exc))) == str(exc)


@pytest.mark.parametrize("text, line", [
    ("plain \u00fc \u4e2d \\", "plain \u00fc \u4e2d \\"),
    ("a\nb\x1b[0m", "a\\nb\\x1b[0m"),
    ("\u202e\udc80\u00fc", "\\u202e\\udc80\u00fc"),
])
def test_one_line(text, line):
    assert one_line(text) == line and one_line(line) == line


@pytest.mark.parametrize("name", ["GGUFError", "ModelError", "ContextFull", "GrammarError", "UsageError"])
def test_all_have_one_base(name):
    assert issubclass(getattr(errors, name), LlamacyError)
