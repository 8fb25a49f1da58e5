"""Which combinations are tried."""
