"""Ledger: grades and runs on disk, whole, once, and with every later change visible.

Ledger(results_dir).write_grade(grade)   store, seal, chain
verify(results_dir)                      which line was changed, dropped or added
run_directory, filling, sweep            content-addressed run directories
load_or_create_key                       the course key: seals records, draws hidden probes
"""

from grader.ledger.audit import Problem, ProblemKind, verify
from grader.ledger.book import Head, Ledger, write_grade
from grader.ledger.durable import write_atomically
from grader.ledger.key import CourseKey, load_or_create_key
from grader.ledger.record import Entry
from grader.ledger.runs import filling, results_of, run_directory, sweep

__all__ = [
    "CourseKey",
    "Entry",
    "Head",
    "Ledger",
    "Problem",
    "ProblemKind",
    "filling",
    "load_or_create_key",
    "results_of",
    "run_directory",
    "sweep",
    "verify",
    "write_atomically",
    "write_grade",
]
