"""For the tests of the command line: parse words without a process around it."""

import pytest

from llamacy.cli.params import parse


def params(*words):
    """The Params of a command line that is accepted."""
    return parse(["./main", *words])


def accepted(capfdbinary, *words):
    """(Params, what stood on stderr); stdout must stay empty."""
    capfdbinary.readouterr()
    found = params(*words)
    out, err = capfdbinary.readouterr()
    assert out == b""
    return found, err


def ended(capfdbinary, *words):
    """(status, stderr, stdout) of a command line that ends the program."""
    capfdbinary.readouterr()
    with pytest.raises(SystemExit) as end:
        params(*words)
    out, err = capfdbinary.readouterr()
    return end.value.code, err, out


def field_of(found, field):
    """The attribute that a row of the table names."""
    target, _, name = field.rpartition(".")
    return getattr(found.sampling if target else found, name)
