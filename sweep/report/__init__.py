"""What came of a sweep, as it is printed."""
