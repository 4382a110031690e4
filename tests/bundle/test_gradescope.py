"""Gradescope gets what it asks for, and says of a submission what we need."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from grader.bundle import gradescope
from grader.bundle.__main__ import main
from grader.domain import Grade
from grader.errors import UsageError
from tests import examples
from tests.bundle.conftest import WHEEL

SUBMISSION = {
    "id": 123456,
    "created_at": "2027-09-30T22:59:59.365935+05:30",
    "assignment": {"due_date": "2027-09-30T23:00:00.000000+05:30", "total_points": "100.0"},
    "users": [
        {"email": "chen@example.edu", "id": 1234, "name": "Li Chen"},
        {"email": "roy@example.edu", "id": 1235, "name": "A. Roy"},
    ],
    "previous_submissions": [],
}


def laid_out(root: Path, metadata: Any = SUBMISSION) -> Path:
    """A submission as Gradescope lays it out."""
    (root / "submission").mkdir()
    (root / "submission/densenet.py").write_text("")
    (root / "submission_metadata.json").write_text(json.dumps(metadata))
    return root


def test_the_zip_has_what_gradescope_runs_with_its_modes(bundled: Callable[..., Path]) -> None:
    folder = bundled("gradescope")

    with zipfile.ZipFile(folder / "autograder.zip") as archive:
        modes = {i.filename: oct(i.external_attr >> 16 & 0o777) for i in archive.infolist()}
    assert modes == {
        "setup.sh": "0o755",
        "run_autograder": "0o755",
        "requirements.txt": "0o644",
        WHEEL: "0o644",
        "assignment/assignment.toml": "0o644",
    }


@pytest.mark.parametrize("evaluation", [False, True])
def test_the_scripts_are_whole_and_ask_for_the_accuracy_where_it_was_asked_for(
    evaluation: bool, bundled: Callable[..., Path]
) -> None:
    parts = bundled("gradescope", evaluation=evaluation) / "unpacked"
    texts = {name: (parts / name).read_text() for name in ("setup.sh", "run_autograder")}

    for name, text in texts.items():
        assert text.startswith("#!/bin/sh\n")
        assert "@" not in text.replace('"$@"', "")
        subprocess.run(["sh", "-n", parts / name], check=True)
    assert ("--evaluation" in texts["run_autograder"]) is evaluation
    assert ('grade" fetch' in texts["setup.sh"]) is evaluation


def test_the_requirements_are_the_locked_ones(bundled: Callable[..., Path]) -> None:
    text = (bundled("gradescope") / "unpacked/requirements.txt").read_text()

    assert "tensorflow-cpu==" in text
    assert "--hash=sha256:" in text


def test_student_and_time_of_receipt_are_those_of_gradescope(tmp_path: Path) -> None:
    item = gradescope.received(laid_out(tmp_path))

    assert item.identity.student_id == "chen@example.edu"
    assert item.identity.received_at == datetime(2027, 9, 30, 17, 29, 59, 365935, UTC)
    assert item.identity.received_from == "lms"
    assert {"1234", "Li_Chen", "roy@example.edu"} <= set(item.identity.known_as)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        [],
        SUBMISSION | {"created_at": "yesterday"},
        SUBMISSION | {"created_at": "2027-09-30T22:59:59"},
        SUBMISSION | {"users": []},
        SUBMISSION | {"users": ["chen"]},
    ],
)
def test_metadata_that_gradescope_does_not_write_are_our_failure_not_the_students(
    metadata: Any, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"submission_metadata\.json"):
        gradescope.received(laid_out(tmp_path, metadata))
    assert main(["gradescope", str(tmp_path)], tmp_path) == 3
    assert not (tmp_path / "results/results.json").exists()


@pytest.mark.parametrize(
    ("make", "status", "score"),
    [
        (examples.full_marks, 0, True),
        (examples.deviating, 0, True),
        (examples.rejected, 0, True),
        (examples.under_review, 3, False),
        (examples.withheld, 3, False),
    ],
)
def test_only_what_was_settled_has_a_score(
    make: Callable[[], Grade],
    status: int,
    score: bool,
    graded: Callable[[Grade, str, Path], int],
    tmp_path: Path,
) -> None:
    assert graded(make(), "gradescope", laid_out(tmp_path)) == status

    result = json.loads((tmp_path / "results/results.json").read_text())
    assert ("score" in result) is score
    assert ("score" in result) or ("tests" not in result)
    assert result["extra_data"]["isolation"] == make().isolation
