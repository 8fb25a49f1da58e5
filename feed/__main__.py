"""``python -m feed``."""

import sys

from feed.cli import main

if __name__ == "__main__":
    sys.exit(main())
