#!/usr/bin/env python3
"""python3 convert.py DIR [options]: make a GGUF file of a checkpoint. The tool itself is llamacy/cli/convert.py."""

from llamacy.cli.environment import enter, need

enter(__file__)
need(["numpy", "tqdm", "llamacy.convert._values"])

from llamacy.cli.convert import run  # noqa: E402: not before the right Python runs

run()
