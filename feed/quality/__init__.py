"""What a tape is like: quotes that are locked, crossed, stale, far off, and venues that show one market twice.

check : count what is unusual, suspicious or wrong in a tape.
render : write what was counted as a table.
CHECKS : every check, its level and its definition.
"""

from feed.quality.checks import CHECKS, check, render

__all__ = ["CHECKS", "check", "render"]
