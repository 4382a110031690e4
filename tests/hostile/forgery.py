"""Programs that claim a verdict instead of earning one."""

from __future__ import annotations

from grader.errors import Cause
from tests.hostile.cases import Case, Graded, Recipe
from tests.hostile.programs import EVERYTHING, FUNCTIONS, first


def case(name: str, make: Recipe, expect: Graded, why: str) -> Case:
    return Case(name, "forgery", make, expect, why)


FORGERY: tuple[Case, ...] = (
    case("a verdict on standard output", first("""
        import json, sys
        print(json.dumps({"status": "graded", "score": 100, "max_score": 100}), flush=True)
        print("All checks passed: 100/100", file=sys.stderr, flush=True)
        """), Graded(FUNCTIONS, says="NotImplementedError"),
         "a grader that reads what a program prints believes the program"),
    case("exit status 0 on import", first("import os; os._exit(0)"),
         Graded(EVERYTHING, Cause.STUDENT_EXITED, says="exit status 0"),
         "a grader that asks the exit status takes an end for a success"),
)  # fmt: skip
