"""What a tape is like: quotes that are locked, crossed, stale, far off, and venues that show one market twice."""
