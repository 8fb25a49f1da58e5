"""Placing market and limit orders at every venue: the model of Cont and Kukanov (arXiv 1210.1625)."""
