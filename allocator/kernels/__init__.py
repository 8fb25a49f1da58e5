"""Compiled specialisations of the plain code, each tested equal to it.

A kernel module is whole in itself: a jitted function calls jitted functions of its own module only, because numba's
cache does not notice a change in another one. Signatures are eager and take read-only arrays, as the object store
gives them.
"""
