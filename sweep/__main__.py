"""``python -m sweep``."""

import os
import sys
from contextlib import suppress

from feed.signals import TERMINATED
from sweep.cli import DIFFERS, INTERRUPTED, UNUSABLE, main

if __name__ == "__main__":
    code = main()
    if code in {INTERRUPTED, TERMINATED, DIFFERS, UNUSABLE}:
        # all that was started has ended; a Ray whose start was cut short, or whose servers ended, may abort, or
        # wait for ever, in the teardown of its libraries
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)
    sys.exit(code)
