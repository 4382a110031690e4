"""The grader tested with submissions whose verdict is known beforehand.

`catalogue()` holds them: networks that are not the paper's, each by one small documented
difference from one reference, and networks that are the paper's however they are written.
To add one, see `grader/selftest/parse.py`.
"""
