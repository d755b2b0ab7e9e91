#!/usr/bin/env python3
"""python3 convert-hf-to-gguf.py DIR [options]: as convert.py, with the flags and keys of the other converter."""

from llamacy.cli.environment import enter, need

enter(__file__)
need(["numpy", "tqdm", "llamacy.convert._values"])

from llamacy.cli.convert_hf import run  # noqa: E402: not before the right Python runs

run()
