"""Stored runs: what lies in their folders, written so that a kill loses nothing."""
