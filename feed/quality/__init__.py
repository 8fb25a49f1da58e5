"""What a tape is like: quotes that are locked, crossed, stale, far off, and venues that show one market twice.

check : count what is unusual, suspicious or wrong in a tape.
over_time : the same of some checks in even stretches of a tape.
render : write what was counted as a table.
CHECKS : every check, its level and its definition.
"""

from feed.quality.checks import CHECKS, check, render
from feed.quality.timeline import over_time

__all__ = ["CHECKS", "check", "over_time", "render"]
