"""`llamacy`: all tools under one name. `llamacy TOOL ...` is the same as the tool by itself."""

import sys
from importlib import import_module

from .. import __version__
from .tools import BY_NAME, TOOLS

HELP = """usage: llamacy TOOL [arguments]

{}

`llamacy TOOL --help` tells more; docs/ has a page for each. --version prints the version.
"""


def main(argv):
    """Run a tool; return the exit status."""
    word = argv[1] if len(argv) > 1 else ""
    if word in ("--version", "version"):
        sys.stdout.write(f"llamacy {__version__}\n")
        return 0
    if word in ("-h", "--help", "help", ""):
        sys.stdout.write(HELP.format("\n".join(f"  {tool.name:20} {tool.summary}" for tool in TOOLS)))
        return 0 if word else 1
    if word not in BY_NAME:
        sys.stderr.write(f"error: unknown tool: {word}{suggestion(word)}\n")
        return 1
    module = import_module(f".{BY_NAME[word].module}", __package__)
    return module.main([f"{argv[0]} {word}", *argv[2:]]) or 0


def run():
    """The console script."""
    sys.exit(main(sys.argv))


def suggestion(word):
    from difflib import get_close_matches
    near = get_close_matches(word, BY_NAME, 1)
    return f"\ndid you mean {near[0]}?" if near else f" (expected one of {', '.join(BY_NAME)})"
