"""Which Python runs a script of the repository: what `make` installed is in .venv, and nothing outside it is changed.

Read by whatever Python the system has, so only what every version understands is used here.
"""

import os
import sys


def enter(script):
    """Go on in the Python of .venv beside `script`, if there is one and this is the system's own."""
    python = os.path.join(os.path.dirname(os.path.abspath(script)), ".venv", "bin", "python")
    if sys.prefix == sys.base_prefix and os.path.exists(python):
        os.execv(python, [python, *sys.argv])


def need(names):
    """Exit with one line if a library is missing."""
    for name in names:
        try:
            __import__(name)
        except ImportError:
            sys.exit(
                "%s: %s is not installed for %s: run make in %s, or pip install '.'"
                % (os.path.basename(sys.argv[0]), name, sys.executable, os.path.dirname(os.path.abspath(sys.argv[0])))
            )
