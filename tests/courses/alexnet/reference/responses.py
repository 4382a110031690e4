"""A module beside the reference, which it imports."""

BIAS = 2.0
