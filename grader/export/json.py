"""The machine-readable grade: one object with schema_version and grades; names never change.

grade.schema.json beside this file is the schema; other tools depend on it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grader.domain import Grade
from grader.errors import UsageError
from grader.export.files import write_out
from grader.intake.roster import Roster, Student

SCHEMA_VERSION = 1
GRADE_FILE = "grade.json"
"""The grade's file in a run directory."""
MAX_TEXT = 20_000
"""Characters of one string; a student's message of 10 MB is cut."""

_GRADE_ALONE = {"student_id", "submission", "status", "score", "max_score", "provenance"}
"""What a grade has, and a file of several has not."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(grades: Iterable[Grade], roster: Roster | None = None) -> dict[str, Any]:
    """Grades as the plain object of grade.schema.json; with a roster, who the students are."""
    grades = list(grades)
    told: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "grades": [_clean(grade.model_dump(mode="json")) for grade in grades],
    }
    if roster is not None:
        missing = roster.missing({grade.student_id for grade in grades})
        told["students"] = [_clean(_student(student)) for student in roster.students]
        told["missing"] = [student.student_id for student in missing]
    return told


def _student(student: Student) -> dict[str, Any]:
    return {
        "student_id": student.student_id,
        "name": student.name,
        "email": student.email,
        "section": student.section,
    }


def write_json(grades: Iterable[Grade], file: Path, roster: Roster | None = None) -> None:
    """Write grades as JSON, all or nothing.

    Args:
        grades: In order.
        file: Where; replaced atomically.
        roster: The students of the class, where a list of them was given.

    Raises:
        UsageError: The place cannot be written to.
        InfrastructureError: The disk failed or is full.
    """
    text = json.dumps(to_json(grades, roster), ensure_ascii=False, indent=2, allow_nan=False)
    write_out(Path(file), text.encode("utf-8") + b"\n")


def read_json(file: Path) -> tuple[Grade, ...]:
    """Read what `write_json` wrote, or one grade as the results folder keeps it.

    Raises:
        UsageError: No such file, not JSON, another schema version, or not grades.
    """
    file = Path(file)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not a JSON file of grades.") from error
    if isinstance(content, dict) and content.keys() >= _GRADE_ALONE:
        content = {"schema_version": SCHEMA_VERSION, "grades": [content]}
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{file}: schema_version: expected {SCHEMA_VERSION}. Received: {version!r}. "
            "Grade again with this version of the grader."
        )
    records = content.get("grades")
    if not isinstance(records, list):
        raise UsageError(f"{file}: grades: expected a list.")
    try:
        return tuple(Grade.model_validate(record) for record in records)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{file}: {key}: {first['msg']}.") from error


def load_grades(path: Path) -> tuple[Grade, ...]:
    """Read the grades of a JSON file, a run directory or a folder of run directories.

    Raises:
        UsageError: There are none, or a file is wrong.
    """
    path = Path(path)
    if not path.is_dir():
        return read_json(path)
    if (path / GRADE_FILE).is_file():
        return read_json(path / GRADE_FILE)
    files = sorted(path.glob(f"*/{GRADE_FILE}"))
    if not files:
        raise UsageError(f"{path}: expected {GRADE_FILE} in it. Grade with --results {path} first.")
    return tuple(grade for file in files for grade in read_json(file))


def load_grade(path: Path) -> Grade:
    """Read the one grade of a JSON file or a run directory.

    Raises:
        UsageError: There is not exactly one, or the file is wrong.
    """
    grades = load_grades(path)
    if len(grades) != 1:
        raise UsageError(f"{path}: expected one grade. Received: {len(grades)}.")
    return grades[0]


def _clean(value: Any) -> Any:
    """JSON that every reader takes: no lone surrogates, no NaN, no endless strings."""
    match value:
        case str():
            text = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
            return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
        case float() if not math.isfinite(value):
            return None  # JSON has no NaN; a diverged training's curve may hold one
        case dict():
            return {_clean(key): _clean(inner) for key, inner in value.items()}
        case list():
            return [_clean(inner) for inner in value]
        case _:
            return value
