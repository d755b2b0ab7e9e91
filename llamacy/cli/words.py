"""How the tools whose flags are tables read their command lines; options.py says what a row of a table is.

The words are walked through once, from the left. A flag does what its row says, and what is wrong is one message that names
it. Each tool adds what only it knows: its table, its actions, and what has to hold when all flags are known.
"""

import os

from ..errors import UsageError
from .console import write_all
from .log import write_stderr
from .strto import NotANumber, OutOfRange, stof, stoi


class Invalid(Exception):
    """The flag cannot be used as given."""


class Usage(UsageError):
    """An error after which the help is printed. The text is the line as it stands."""


class Done(Exception):
    """Nothing more to do, the exit status is 0. text (bytes): what to say on stderr; None: the help, on stdout."""

    def __init__(self, text=None):
        self.text = text


def parsed(read, program, usage):
    """What read() returns. SystemExit if there is nothing to run, after help or messages.

    program   how the tool was called; usage(program) is its help (bytes)
    """
    try:
        return read()
    except Done as end:
        status, stdout, stderr = 0, usage(program) if end.text is None else b"", end.text or b""
    except (Usage, NotANumber) as error:
        status, stdout, stderr = 1, usage(program), os.fsencode(f"{error}\n")
    except UsageError as error:
        status, stdout, stderr = 1, b"", os.fsencode(f"error: {error}\n")
    write_stderr(stderr)
    write_all(1, stdout)
    raise SystemExit(status)


def by_name(rows):
    """{spelling: its row}"""
    return {name: row for row in rows for name in row[0].split()}


def spelled(word):
    """The flag that a word stands for: `_` counts as `-` where it starts with `--`."""
    return word.replace("_", "-") if word.startswith("--") else word


def flags(words, table, spell=str):
    """(flag, row, take) of each flag among the words; take() is the next word, as a value of it (Invalid: there is none).

    table   by_name() of the rows.  spell: what a word is called in it.  Errors  Usage: no such flag.
    """
    words = iter(words)

    def take():
        return next_value(words)

    for word in words:
        flag = spell(word)
        if flag not in table:
            raise unknown(flag, table)
        yield flag, table[flag], take


def next_value(words):
    """The next of an iterator of words. Errors  Invalid: there is none."""
    for word in words:
        return word
    raise Invalid


def apply(target, row, take, flag, action=None):
    """Do what a row says: set a field of `target`, or call action(field), the function of a `do` row.

    Errors  Invalid, Done, NotANumber, UsageError, and those of the action.
    """
    _, value, kind, field, _, _ = row
    try:
        if kind == "help":
            raise Done
        if kind == "version":
            raise Done(version())
        if kind == "do":
            action(field)(target, take, flag)
        elif kind == "note":
            for _ in value.split():
                take()
            write_stderr(os.fsencode(f"note: {flag} is accepted and has no effect\n"))
        elif kind == "list":
            getattr(target, field).append(take())
        else:
            owner, _, name = field.rpartition(".")
            setattr(getattr(target, owner) if owner else target, name, convert(kind, value, take))
    except OutOfRange as error:
        raise UsageError(f"{flag}: {error}") from None


def convert(kind, value, take):
    """The value of a flag of this kind."""
    if kind in ("on", "off"):
        return kind == "on"
    word = take()
    if kind == "str":
        return word
    if kind == "choice":
        return one_of(word, value.split("|"))
    word = os.fsencode(word)
    return word if kind == "bytes" else stoi(word) if kind == "int" else stof(word)


def version():
    """What --version says (bytes)."""
    from . import buildinfo
    return (f"version: {buildinfo.version()}\n"
            f"built with {buildinfo.compiler()} for {buildinfo.target()}\n").encode()


def one_of(word, words):
    """`word`, if it is one of them. Errors  Invalid."""
    if word not in words:
        raise Invalid
    return word


def check_range(flag, value, least, most):
    """Errors  UsageError: the number is not in the range, both ends included."""
    if not least <= value <= most:
        raise UsageError(f"{flag}: {value} is out of range (accepted: {least} to {most})")


def refused(flag, found=""):
    """The error for a flag whose value is missing or unusable."""
    return Usage(f"error: invalid parameter for argument: {flag}{found}")


def unknown(flag, table):
    """The error for a flag that does not exist, with the one that was meant, if it is like one."""
    near = similar(flag, table)
    return Usage(f"error: unknown argument: {flag}" + (f"\ndid you mean {near}?" if near else ""))


def similar(flag, names):
    """The name that looks most like the flag; "" if none does."""
    if not flag.startswith("-"):
        return ""
    from difflib import get_close_matches
    return next(iter(get_close_matches(flag, names, 1, 0.7)), "")
