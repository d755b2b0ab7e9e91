#!/usr/bin/env python3
"""python3 convert.py DIR [options]: make a GGUF file of a checkpoint. The tool itself is llamacy/cli/convert.py."""

from llamacy.cli.convert import run

run()
