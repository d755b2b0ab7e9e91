"""`server`: the command is reserved; it says so and fails."""

import sys


def main(argv):
    """Say that there is nothing here; return the exit code."""
    sys.stderr.write("server: not built yet\n")
    return 1


def run():
    sys.exit(main(sys.argv))
