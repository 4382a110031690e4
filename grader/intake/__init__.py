"""Intake: what a student handed in becomes a clean tree and a record, or a clear refusal.

discover(paths)        which submissions stand behind the paths of a command line, and whose
collect(item, dest)    zip or folder or notebook → Submission, the tree rewritten by us
"""

from grader.intake.collecting import collect
from grader.intake.discovery import Discovery, discover
from grader.intake.items import Item, named
from grader.intake.policy import DEFAULT, IntakePolicy
from grader.intake.working import Scope, code_of

__all__ = [
    "DEFAULT",
    "Discovery",
    "IntakePolicy",
    "Item",
    "Scope",
    "code_of",
    "collect",
    "discover",
    "named",
]
