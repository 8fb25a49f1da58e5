"""The report of a stored run: one HTML file that needs no network.

write_report : write it.
"""

from sweep.page.writing import write_report

__all__ = ["write_report"]
