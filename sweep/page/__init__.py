"""The report of a stored run: one HTML file that needs no network.

write_report : write it.
has_scripts : whether it is interactive: a checkout may lack the scripts.
"""

from sweep.page.embedding import has_scripts
from sweep.page.writing import write_report

__all__ = ["has_scripts", "write_report"]
