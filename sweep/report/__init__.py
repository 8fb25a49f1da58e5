"""The result of a sweep as it is printed."""
