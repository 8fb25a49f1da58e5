"""What this project is held against, each run by an interpreter that may have packages which do not go with ours.

These modules import nothing of the project: they are given arrays in a file, and are asked by a word in a line.
"""
