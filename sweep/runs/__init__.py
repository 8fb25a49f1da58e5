"""Stored runs: the files in their folders, written so that a kill loses nothing that was stored."""
