"""Ledger: grades and runs on disk, whole, once, and with every later change visible.

Ledger(results_dir).write_grade(grade)   store, seal, chain
counting_grades(results_dir)             the grades that count; needs no key
verify(results_dir)                      which record was changed, dropped or added
load_or_create_key                       the course key: seals records, draws hidden probes
"""

from grader.ledger.audit import Problem, ProblemKind, verify
from grader.ledger.book import Ledger, write_grade
from grader.ledger.key import CourseKey, load_key, load_or_create_key
from grader.ledger.record import Entry, Head
from grader.ledger.standing import Standing, counting_grades, standing

__all__ = [
    "CourseKey",
    "Entry",
    "Head",
    "Ledger",
    "Problem",
    "ProblemKind",
    "Standing",
    "counting_grades",
    "load_key",
    "load_or_create_key",
    "standing",
    "verify",
    "write_grade",
]
