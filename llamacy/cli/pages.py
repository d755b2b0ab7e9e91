"""What the pages in docs/ have from the tables: flags, types, tools. The rest of a page is written by hand, in the page.

    python -m llamacy.cli.pages        bring all pages up to date

A generated part stands between the lines `<!-- generated: flags of main -->` and `<!-- end -->`.
"""

import re
import sys
from pathlib import Path

from .help import code, plain
from .tools import BY_NAME, TOOLS

PART = re.compile(r"<!-- generated: ([^\n]+) -->\n(?:.*?\n)??<!-- end -->\n", re.S)
PAGES = {"convert-hf-to-gguf": "convert", "completions": "shell", "man": "shell"}     # the others have the name of their tool


def main(argv):
    """Rewrite the pages that are out of date; return the exit status."""
    for path in sorted(Path(__file__).parents[2].glob("docs/*.md")):
        old = path.read_text()
        new = rendered(old)
        if new != old:
            path.write_text(new)
            sys.stdout.write(f"{path}\n")
    return 0


def rendered(page):
    """A page with its generated parts as they should be. Errors  KeyError: a part with an unknown name."""
    return PART.sub(lambda found: f"<!-- generated: {found[1]} -->\n{part(found[1])}<!-- end -->\n", page)


def part(name):
    """The Markdown of a part."""
    kind, _, tool = name.partition(" of ")
    return {"flags": flags, "examples": examples, "types": types, "tools": tools, "formats": formats}[kind](tool)


def flags(name):
    """A table for each section of a tool's flags."""
    sections = BY_NAME[name].sections()
    parts = []
    for title, rows in sections:
        parts.append(f"### {title[:1].upper()}{title[1:]}\n\n" if len(sections) > 1 else "")
        parts.append("| Flag | Default | Meaning |\n|---|---|---|\n")
        parts += [f"| {cell(flag)} | {code(flag.default)} | {plain(flag.help)} |\n" for flag in rows]
        parts.append("\n")
    return "\n" + "".join(parts)


def cell(flag):
    """The spellings of a flag, each as code, and the name of its value."""
    return ", ".join(map(code, flag.names)) + (f" {plain(flag.value)}" if flag.value else "")


def examples(name):
    width = max(len(command) for command, _ in BY_NAME[name].examples)
    lines = [f"{command.ljust(width)}   # {what}" for command, what in BY_NAME[name].examples]
    return "\n```\n" + "\n".join(lines) + "\n```\n\n"


def types(name):
    """The types that quantize knows."""
    from ..quantize.filetypes import COPY, FILE_TYPES
    rows = [f"| {code(row.name)} | {'' if row.name == COPY else row.id} | {code(row.base)} | {plain(row.note)} |\n"
            for row in FILE_TYPES]
    return ("\n| Name | Number | Most tensors | Size of a 7B model, or bits per weight |\n|---|---|---|---|\n" + "".join(rows) + "\n")


NEED_IMATRIX = {16: "iq2_xxs", 17: "iq2_xs", 19: "iq1_s", 22: "iq2_s", 29: "iq1_m"}
NOISE = 64 * 256       # weights


def formats(name):
    """Every weight format: size, what it is multiplied with, and what is lost of normally distributed weights."""
    from array import array
    from random import Random
    from ..engine._run import dot_with
    from ..gguf.types import TYPES
    from ..quantize._rows import convert, is_writable
    random = Random(1)
    weights = array("f", (random.gauss(0, 1) for _ in range(NOISE)))
    rows = []
    for number, info in sorted(TYPES.items(), key=lambda item: -item[1].bytes / item[1].block):
        if not is_writable(number) or dot_with(number) is None:
            continue
        packed = convert(0, number, 256, weights, array("f", [1.0] * 256) if number in NEED_IMATRIX else None)
        back = array("f", convert(number, 0, 256, packed))
        loss = (sum((a - b) ** 2 for a, b in zip(weights, back)) / sum(a * a for a in weights)) ** 0.5
        rows.append(f"| {code(info.name)} | {number} | {info.block} | {info.bytes} | {8 * info.bytes / info.block:.4g} | "
                    f"{code(TYPES[dot_with(number)].name)} | {100 * loss:.2g} |\n")
    return ("\n| Format | Id | Weights per block | Bytes per block | Bits per weight | Multiplied with | Error, % |\n"
            "|---|---|---|---|---|---|---|\n" + "".join(rows) + "\n")


def tools(name):
    rows = [f"| [{tool.name}]({PAGES.get(tool.name, tool.name)}.md) | {code(tool.program)} | {plain(tool.summary)} |\n" for tool in TOOLS]
    return "\n| Tool | Command | What |\n|---|---|---|\n" + "".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv))
