"""Codabench gets a competition that it can read, and scores that it can show."""

from __future__ import annotations

import html
import json
import shlex
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from grader.assignment import load_assignment
from grader.bundle import codabench
from grader.domain import Grade
from grader.resources import assignment_dir
from tests import examples

IMAGE = "registry.example.edu/densenet-grader:1"


def laid_out(root: Path) -> Path:
    """A submission as the compute worker lays it out, with the file that it adds itself."""
    (root / "input/res").mkdir(parents=True)
    (root / "output").mkdir()
    (root / "input/res/densenet.py").write_text("")
    (root / "input/res/metadata").write_text("elapsedTime: null\nexitCode: null\n")
    return root


@pytest.fixture
def parts(bundled: Callable[..., Path]) -> Path:
    return bundled("codabench", image=IMAGE) / "unpacked"


@pytest.fixture
def competition(parts: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((parts / "competition.yaml").read_text())
    return read


def test_the_competition_has_the_keys_that_codabench_requires(
    competition: dict[str, Any],
) -> None:
    assert competition["version"] == 2
    assert {"title", "image", "terms", "pages", "phases", "tasks", "leaderboards"} <= set(
        competition
    )
    for phase in competition["phases"]:
        assert {"name", "start", "end", "tasks"} <= set(phase)
    for task in competition["tasks"]:
        assert {"index", "name", "scoring_program"} <= set(task)
    for board in competition["leaderboards"]:
        assert {"title", "key", "columns"} <= set(board)
        assert [column["index"] for column in board["columns"]] == [0]
    assert competition["docker_image"] == IMAGE


def test_every_file_that_the_competition_names_is_in_it(
    competition: dict[str, Any], parts: Path
) -> None:
    named = [competition["image"], competition["terms"], *(p["file"] for p in competition["pages"])]
    named += [task["scoring_program"] for task in competition["tasks"]]

    assert [name for name in named if not (parts / name).exists()] == []
    assert (parts / "logo.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", (parts / "logo.png").read_bytes()[16:24]) == (128, 128)


def test_the_phase_ends_with_the_due_second_in_utc(competition: dict[str, Any]) -> None:
    (phase,) = competition["phases"]
    due = load_assignment(assignment_dir()).deadline.due

    assert phase["end"] == due.astimezone(UTC).replace(tzinfo=None)
    assert phase["start"] < phase["end"]
    assert phase["start"] <= datetime.now(UTC).replace(tzinfo=None)


def test_the_scoring_program_is_one_command_and_not_for_participants(
    competition: dict[str, Any], parts: Path
) -> None:
    metadata = yaml.safe_load((parts / "scoring_program/metadata.yaml").read_text())

    words = shlex.split(metadata["command"])
    assert words[:4] == ["python3", "-I", "-m", "grader.bundle"]
    assert words[4:] == ["codabench", "/app/program/assignment"]
    assert competition["make_programs_available"] is False
    assert (parts / "scoring_program/assignment/assignment.toml").is_file()


def test_with_evaluation_the_accuracy_has_a_column_and_the_image_the_images(
    bundled: Callable[..., Path],
) -> None:
    folder = bundled("codabench", image=IMAGE, evaluation=True)

    read = yaml.safe_load((folder / "unpacked/competition.yaml").read_text())
    columns = read["leaderboards"][0]["columns"]
    metadata = (folder / "unpacked/scoring_program/metadata.yaml").read_text()
    assert [column["key"] for column in columns] == ["score", "accuracy"]
    assert metadata.strip().endswith("--evaluation")
    assert "RUN grade fetch" in (folder / "image/Dockerfile").read_text()


def test_a_title_is_only_a_title(bundled: Callable[..., Path], tmp_path: Path) -> None:
    title = 'Ünits: "dense" # 😀'
    (tmp_path / "course").mkdir()
    text = (assignment_dir() / "assignment.toml").read_text()
    changed = text.replace('title = "DenseNet on CIFAR-10"', f"title = {title!r}")
    (tmp_path / "course/assignment.toml").write_text(changed)

    folder = bundled("codabench", tmp_path / "course", image=IMAGE)

    read = yaml.safe_load((folder / "unpacked/competition.yaml").read_text())
    assert read["title"] == read["tasks"][0]["name"] == title
    assert (folder / "unpacked/overview.md").read_text() == f"# {title}\n"


def test_no_page_names_a_check_that_students_do_not_see(
    bundled: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "course").mkdir()
    text = (assignment_dir() / "assignment.toml").read_text()
    assert 'stem = { points = 3, visibility = "visible" }' in " ".join(text.split())
    lines = [
        line.replace('"visible"', '"hidden"') if line.startswith("stem ") else line
        for line in text.splitlines()
    ]
    (tmp_path / "course/assignment.toml").write_text("\n".join(lines))

    parts = bundled("codabench", tmp_path / "course", image=IMAGE) / "unpacked"

    page = (parts / "evaluation.md").read_text()
    assert "| head | 3 |" in page
    assert "stem" not in page


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
def test_only_what_was_settled_has_scores(
    make: Callable[[], Grade],
    status: int,
    graded: Callable[[Grade, str, Path], int],
    tmp_path: Path,
) -> None:
    grade = make()

    assert graded(grade, "codabench", laid_out(tmp_path)) == status

    file = tmp_path / "output/scores.json"
    assert file.exists() is (status == 0)
    if status == 0:
        scores = json.loads(file.read_text())
        assert scores["score"] == grade.score
        assert ("accuracy" in scores) is (grade.evaluation is not None)
    assert not (tmp_path / "output/metadata").exists()


def test_unseen_checks_are_in_neither_score_nor_page(
    graded: Callable[[Grade, str, Path], int], tmp_path: Path
) -> None:
    whole = examples.deviating()
    first = next(check for check in whole.checks if check.rank == 1)
    hidden = first.model_copy(update={"visibility": "hidden"})
    checks = tuple(hidden if check is first else check for check in whole.checks)

    part = whole.model_copy(update={"checks": checks})

    for name, grade in {"whole": whole, "part": part}.items():
        graded(grade, "codabench", laid_out(tmp_path / name))

    pages = [tmp_path / name / "output/detailed_results.html" for name in ("whole", "part")]
    assert [first.title in html.unescape(page.read_text()) for page in pages] == [True, False]
    scores = json.loads((tmp_path / "part/output/scores.json").read_text())
    assert scores["score"] == round(whole.score - first.score, 2)


def test_the_page_is_harmless_whatever_a_student_wrote(
    graded: Callable[[Grade, str, Path], int], tmp_path: Path
) -> None:
    graded(examples.hostile(), "codabench", laid_out(tmp_path))

    page = (tmp_path / "output/detailed_results.html").read_text()
    assert "<script" not in page
    assert "\x1b" not in page


def test_nobody_is_late_where_the_platform_keeps_the_time(tmp_path: Path) -> None:
    identity = codabench.received(laid_out(tmp_path)).identity

    assert identity.in_time
    assert identity.received_at is None
