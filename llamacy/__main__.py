"""`python -m llamacy TOOL ...`"""

import sys

from .cli.llamacy import main

sys.exit(main(["llamacy", *sys.argv[1:]]))
