"""Ledger: grades and runs on disk, whole, once, and with every later change visible.

Ledger(results_dir).write_grade(grade)   store, seal, chain
verify(results_dir)                      which line was changed, dropped or added
load_or_create_key                       the course key: seals records, draws hidden probes
"""

from grader.ledger.audit import Problem, ProblemKind, verify
from grader.ledger.book import Head, Ledger, write_grade
from grader.ledger.key import CourseKey, load_or_create_key
from grader.ledger.record import Entry

__all__ = [
    "CourseKey",
    "Entry",
    "Head",
    "Ledger",
    "Problem",
    "ProblemKind",
    "load_or_create_key",
    "verify",
    "write_grade",
]
