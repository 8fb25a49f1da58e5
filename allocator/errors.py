"""The errors of the allocator."""

from __future__ import annotations


class AllocatorError(ValueError):
    """Root of the allocator's errors; the message says what was expected, what it had, and the remedy."""


class NoPriceError(AllocatorError):
    """Shares are left unfilled, and no quote was ever displayed to value them by."""


class IllegalOrderError(AllocatorError):
    """A policy sent what the engine cannot fill: more than there is, to nobody, or what is no whole number."""


class FractionLeftError(AllocatorError):
    """A schedule of fractional slices ends on a part of a share, which nobody can hold."""
