"""Quotes in: files, generator, Kafka replay and reader, all ending in one columnar type.

Tape : one symbol's published quotes and trades as columns.
Provenance : where a tape came from, and the digest that proves what it holds.
"""

from feed.provenance import Provenance
from feed.tape import Tape

__all__ = ["Provenance", "Tape"]
