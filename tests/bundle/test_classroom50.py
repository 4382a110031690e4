"""Classroom 50 gets an autograder and its runtime, and results that it collects."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from grader.bundle import classroom50
from grader.bundle.__main__ import main
from grader.domain import Grade
from grader.resources import assignment_dir
from tests import examples
from tests.bundle.conftest import WHEEL

IMAGE = "ghcr.io/example/densenet-grader:1"
PUSHED = datetime(2027, 9, 30, 17, 29, 58, tzinfo=UTC)
ENVIRONMENT = {
    "CLASSROOM": "dl-fall-2027",
    "ASSIGNMENT": "densenet",
    "USERNAME": "chen",
    "SUBMISSION_TAG": "submit/2027-09-30T17-30-12Z-a1b2c3d",
    "COMMIT_URL": "https://github.com/o/r/commit/a1b2c3d",
    "RELEASE_URL": "https://github.com/o/r/releases/tag/submit%2F2027",
    "REVIEW_URL": "",
    "GITHUB_EVENT_NAME": "push",
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout as the runner has it, with files of the student's own that pretend to be ours."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"repository": {"pushed_at": int(PUSHED.timestamp())}}))
    for name, value in (ENVIRONMENT | {"GITHUB_EVENT_PATH": str(event)}).items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "densenet.py").write_text("")
    (root / "result.json").write_text('{"score": 100}')
    (root / "release-body.md").write_text("# 100 of 100")
    return root


def faults(result: Any) -> list[str]:
    """What Classroom 50's own checks of a result would refuse, apart from what its runner adds."""
    found = [k for k in ("commit", "release", "review", "datetime") if not result.get(k)]
    found += ["schema"] if result.get("schema") != "classroom50/result/v1" else []
    found += [k for k in ("classroom", "assignment") if result[k] != ENVIRONMENT[k.upper()]]
    found += ["submission"] if not result["submission"].startswith("submit/") else []
    for each in (result, *result["tests"]):
        for key in ("score", "max-score"):
            if type(each[key]) is not int or each[key] < 0:
                found.append(f"{key} of {each}")
        found += ["more than the most"] if each["score"] > each["max-score"] else []
    for test in result["tests"]:
        if type(test["passed"]) is not bool or not test["test-name"]:
            found.append(f"test {test}")
    return found


def test_the_runner_installs_the_grader_where_no_image_has_it(
    bundled: Callable[..., Path],
) -> None:
    folder = bundled("classroom50")

    assert {path.name for path in (folder / "autograder").iterdir()} == {
        "autograder.py",
        "assignment",
        "setup.sh",
        "requirements.txt",
        WHEEL,
    }
    assert json.loads((folder / "runtime.json").read_text()) == {
        "runs-on": "ubuntu-latest",
        "python": "3.13",
    }


def test_with_an_image_the_runtime_is_a_container(bundled: Callable[..., Path]) -> None:
    folder = bundled("classroom50", image=IMAGE)

    assert {path.name for path in (folder / "autograder").iterdir()} == {
        "autograder.py",
        "assignment",
    }
    runtime = json.loads((folder / "runtime.json").read_text())
    assert runtime["container"] == {"image": IMAGE, "user": "root"}
    assert (folder / "image/Dockerfile").is_file()


@pytest.mark.parametrize("evaluation", [False, True])
def test_the_autograder_is_a_program_that_calls_the_grader(
    evaluation: bool, bundled: Callable[..., Path]
) -> None:
    text = (bundled("classroom50", evaluation=evaluation) / "autograder/autograder.py").read_text()

    ast.parse(text)
    assert "'-I', '-m', 'grader.bundle', 'classroom50'" in text
    assert ("--evaluation" in text) is evaluation


def test_the_time_of_receipt_is_githubs_own(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = classroom50.received(checkout).identity
    assert identity.student_id == "chen"
    assert identity.received_at == PUSHED

    monkeypatch.setenv("GITHUB_EVENT_NAME", "workflow_dispatch")
    assert classroom50.received(checkout).identity.received_at == datetime(
        2027, 9, 30, 17, 30, 12, tzinfo=UTC
    )


@pytest.mark.parametrize("event", ["", "[]", "{}", '{"repository": {"pushed_at": "now"}}'])
def test_an_event_that_cannot_be_read_leaves_the_tags_time(event: str, checkout: Path) -> None:
    (checkout.parent / "event.json").write_text(event)

    received = classroom50.received(checkout).identity.received_at

    assert received == datetime(2027, 9, 30, 17, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (examples.full_marks, 0),
        (examples.deviating, 0),
        (examples.rejected, 0),
        (examples.under_review, 3),
        (examples.withheld, 3),
    ],
)
def test_only_what_was_settled_has_a_result(
    make: Callable[[], Grade],
    status: int,
    graded: Callable[[Grade, str, Path], int],
    checkout: Path,
) -> None:
    grade = make()

    assert graded(grade, "classroom50", checkout) == status

    file = checkout / "result.json"
    assert file.exists() is (status == 0)
    assert not (checkout / "release-body.md").exists()
    if status == 0:
        result = json.loads(file.read_text())
        assert faults(result) == []
        assert result["score"] == pytest.approx(grade.score, abs=0.51)
        assert result["submission"] == ENVIRONMENT["SUBMISSION_TAG"]
        assert result["review"] == ENVIRONMENT["COMMIT_URL"]


def test_what_was_rejected_is_one_test_that_says_why(
    graded: Callable[[Grade, str, Path], int], checkout: Path
) -> None:
    grade = examples.rejected()
    graded(grade, "classroom50", checkout)

    result = json.loads((checkout / "result.json").read_text())
    (test,) = result["tests"]
    assert (test["test-name"], test["passed"], test["score"]) == ("submission", False, 0)
    assert grade.message
    assert grade.message in test["message"]


@pytest.mark.parametrize("name", ["USERNAME", "SUBMISSION_TAG"])
def test_an_environment_that_the_runner_does_not_set_is_our_failure(
    name: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name)

    assert main(["classroom50", str(assignment_dir())], checkout) == 3
    assert not (checkout / "result.json").exists()


def test_a_link_in_the_place_of_the_result_is_not_followed(
    graded: Callable[[Grade, str, Path], int], checkout: Path
) -> None:
    (checkout / "result.json").unlink()
    (checkout.parent / "other.json").write_text("other")
    (checkout / "result.json").symlink_to("../other.json")

    graded(examples.full_marks(), "classroom50", checkout)

    assert not (checkout / "result.json").is_symlink()
    assert (checkout.parent / "other.json").read_text() == "other"
