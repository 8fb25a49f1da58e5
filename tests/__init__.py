"""Tests: by room as the packages, and tests/integration with real parts."""
