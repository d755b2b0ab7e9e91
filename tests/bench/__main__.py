"""python -m tests.bench [NAME [options]]: run the comparison tests/bench/NAME.py, or list what there is.

A comparison is a module here with `main(argv)`; the first line of its docstring is what the list shows.
"""

import ast
import importlib
import sys
from pathlib import Path


def available():
    """{name: first line of the docstring} of the modules that have a `main`."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        tree = ast.parse(path.read_text())
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(argv):
    names = available()
    if argv[1:] and argv[1] in names:
        return importlib.import_module(f"{__package__}.{argv[1]}").main(argv[1:])
    print("usage: make bench BENCH='NAME [options]'")
    for name, line in names.items():
        print(f"  {name:<14} {line}")
    return 1 if argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
