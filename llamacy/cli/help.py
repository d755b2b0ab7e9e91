"""--help, made from the table of options."""

import os

from . import options

COLUMN = 24            # where explanations start
WIDTH = 110            # of a line of --help


def text(program):
    """What --help prints (bytes). program: the first word of the command line."""
    return os.fsencode("\n".join(["", f"usage: {program} [options]", *sections(), *examples("main", program)]) + "\n")


def sections():
    """The lines of all flags that are shown."""
    lines = []
    for title, shown, rows in options.SECTIONS:
        if shown:
            lines += ["", f"{title}:"]
            for row in rows:
                lines += entry(row)
    return lines


def examples(name, program):
    """The lines of a tool's examples, with the tool as it was called."""
    from .tools import BY_NAME
    tool = BY_NAME[name]
    lines = ["", "examples:"]
    for command, what in tool.examples:
        lines += [f"  # {what}", f"  {command.replace(tool.program, program, 1)}"]
    return lines


def entry(row):
    """The lines of one flag."""
    head = "  " + usage(row)
    body = wrap(explanation(row), WIDTH - COLUMN)
    if len(head) < COLUMN - 1:
        head = head.ljust(COLUMN) + body.pop(0)
    return [head] + [" " * COLUMN + line for line in body]


def usage(row):
    """`-n, --n-predict N`."""
    return f"{', '.join(row[0].split())} {row[1]}".rstrip()


def explanation(row):
    """The help of a row with its default."""
    default = shown_default(row)
    return row[5] + (f" (default: {default})" if default else "")


def shown_default(row):
    """The default of a flag with a value as the user would write it; "" if there is none, or if the help tells it."""
    _, value, _, _, default, help = row
    return "" if not value or "(default:" in help or default is None or default in ("", b"") else str(default)


def wrap(sentence, width):
    """Lines of whole words, none longer than width unless a word is."""
    lines = [""]
    for word in sentence.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines


def code(word):
    return f"`{word}`" if word else ""


def plain(sentence):
    """A table cell: Markdown must not take anything in it for markup."""
    for char in "\\|*_<>":
        sentence = sentence.replace(char, "\\" + char)
    return sentence
