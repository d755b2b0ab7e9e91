"""--help and docs/main.md, both made from the table of options.

    python -m llamacy.cli.help > docs/main.md
"""

import os

from . import options

COLUMN = 24            # where explanations start
WIDTH = 110            # of a line of --help


def text(program):
    """What --help prints (bytes). program: the first word of the command line."""
    lines = ["", f"usage: {program} [options]"]
    for title, shown, rows in options.SECTIONS:
        if shown:
            lines += ["", f"{title}:"]
            for row in rows:
                lines += entry(row)
    return os.fsencode("\n".join(lines) + "\n")


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
    """The default of a flag with a value as the user would write it; "" if there is none."""
    _, value, _, _, default, _ = row
    return "" if not value or default is None or default in ("", b"") else str(default)


def wrap(sentence, width):
    """Lines of whole words, none longer than width unless a word is."""
    lines = [""]
    for word in sentence.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines


def markdown():
    """The text of docs/main.md (str)."""
    parts = [INTRODUCTION]
    for title, _, rows in options.SECTIONS:
        parts.append(f"## {title[:1].upper()}{title[1:]}\n\n| Flag | Default | Meaning |\n|---|---|---|\n")
        parts += [f"| {cell(row)} | {code(shown_default(row))} | {plain(row[5])} |\n" for row in rows]
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def cell(row):
    """The spellings of a flag, each as code, and the name of its value."""
    return ", ".join(map(code, row[0].split())) + (f" {plain(row[1])}" if row[1] else "")


def code(word):
    return f"`{word}`" if word else ""


def plain(sentence):
    """A table cell: Markdown must not take anything in it for markup."""
    for char in "\\|*_<>":
        sentence = sentence.replace(char, "\\" + char)
    return sentence


INTRODUCTION = """\
# The flags of `main`

Made from `llamacy/cli/options.py` by `python -m llamacy.cli.help > docs/main.md`. `./main --help` prints the same, but for
the flags of a GPU and the old spellings.

A flag is one word and its value the next: no `--flag=value`, no `-n3`, no shortened names. In a word that starts with
`--` an `_` counts as `-`, except in the log flags. When a flag is repeated the last one holds, unless it says otherwise
here. Of a number the leading part counts (`5x` is 5); a number that does not fit is an error.

Errors go to stderr, with status 1. The text goes to stdout, and nothing else does. The log goes to stderr and to
`main.log` in the current folder.

"""


if __name__ == "__main__":
    print(markdown(), end="")
