"""Whose grade of which assignment goes into nbgrader's gradebook."""

from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.classroom.gradebook import assignment_of, into_gradebook, points_of_groups
from grader.errors import UsageError
from grader.export.nbgrader import Work, Written
from grader.intake import discover
from grader.resources import assignment_dir
from tests import examples
from tests.intake.test_discovery import tree

ASSIGNMENT = load_assignment(assignment_dir())


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    told: dict[str, object] = {}

    def write(place: str, work: Work, grades: list, *, after_due: bool) -> Written:
        told.update(place=place, work=work, grades=dict(grades))
        return Written(tuple(told["grades"]), (), ())

    monkeypatch.setattr("grader.classroom.gradebook.write_gradebook", write)
    return told


def test_students_are_called_as_nbgraders_folders_are(
    tmp_path: Path, written: dict[str, object]
) -> None:
    tree(tmp_path, "submitted/Jane Doe/ps2/densenet.py", "submitted/max/ps2/densenet.py")
    items = discover([tmp_path / "submitted"]).items
    grades = [
        examples.full_marks().model_copy(update={"student_id": item.identity.student_id})
        for item in items
    ]

    into_gradebook("g.db", ASSIGNMENT, items, grades)

    assert written["grades"].keys() == {"Jane Doe", "max"}
    assert written["work"].assignment == "ps2"
    assert written["work"].notebook == "densenet"


def test_of_several_submissions_the_one_that_counts_is_written_also_where_it_is_an_earlier_one(
    tmp_path: Path, written: dict[str, object]
) -> None:
    tree(tmp_path, "class/jane/a.zip", "class/jane/b.zip", "class/max.zip")
    items = discover([tmp_path / "class"]).items
    older = examples.full_marks().model_copy(update={"student_id": "jane"})
    made = [
        examples.deviating().model_copy(update={"student_id": name, "counts": name == "max"})
        for name in ("jane", "jane", "max")
    ]
    items = sorted(items, key=lambda item: item.source)

    into_gradebook("g.db", ASSIGNMENT, items, made, [older])

    assert written["grades"] == {"jane": older, "max": made[-1]}


def test_the_groups_have_the_rubrics_points() -> None:
    points = points_of_groups(ASSIGNMENT)

    assert sum(points.values()) == ASSIGNMENT.max_score
    assert points["accuracy"] == ASSIGNMENT.rubric["accuracy"].points


def test_submissions_of_two_assignments_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, "submitted/a/ps1/densenet.py", "submitted/a/ps2/densenet.py")
    root = tmp_path / "submitted" / "a"
    items = discover([root / "ps1", root / "ps2"], platform="nbgrader").items

    with pytest.raises(UsageError, match="ps1, ps2"):
        assignment_of(items)
