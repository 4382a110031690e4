"""Every archive and layout of the gallery gets the outcome it must get, and leaves no trace."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grader.domain import Submission
from grader.errors import InfrastructureError, SubmissionRejected
from grader.intake import collect
from grader.intake.names import Identity
from tests.hostile.cases import Case, Refused, Taken
from tests.hostile.gallery import GALLERY

INTAKE = [case for case in GALLERY if case.category in ("archive", "layout", "honest")]
SLIPS = [Path("/tmp/densenet-grader-slip.py"), Path("/tmp/x.py")]


def everything_below(folder: Path) -> set[str]:
    return {
        os.path.join(base, name) for base, *kinds in os.walk(folder) for k in kinds for name in k
    }


def wrong(case: Case, room: Path) -> list[str]:
    """What about the outcome of a case is not as it must be."""
    path = case.make(room)
    before = everything_below(room)
    already = {slip for slip in SLIPS if slip.exists()}
    try:
        submission = collect(path, room / "tree")
    except SubmissionRejected as refused:
        return wrong_refusal(case, refused, room, everything_below(room) - before, already)
    except InfrastructureError as error:
        return [f"the machine was blamed: {error.message}"]
    return wrong_tree(case, submission, room / "tree")


def wrong_refusal(
    case: Case, refused: SubmissionRejected, room: Path, left: set[str], already: set[Path]
) -> list[str]:
    if not isinstance(case.expect, Refused):
        return [f"refused: {refused.message}"]
    said = refused.message + refused.help
    faults = {
        f"cause {refused.cause}": refused.cause is not case.expect.cause,
        f"message {refused.message}": not any(
            words in refused.message for words in case.expect.words.split("|")
        ),
        "control characters in the message": not said.isprintable(),
        "no help": not refused.help,
        "a path of this machine in the message": str(room) in said,
        f"left behind {left}": bool(left),
        "written outside": any(slip.exists() for slip in SLIPS if slip not in already),
    }
    return [fault for fault, found in faults.items() if found]


def wrong_tree(case: Case, submission: Submission, tree: Path) -> list[str]:
    if not isinstance(case.expect, Taken):
        return [f"taken: {[file.path for file in submission.files]}"]
    below = {path for path in everything_below(tree) if not os.path.isdir(path)}
    files = {os.path.relpath(path, tree) for path in below}
    remarks = " ".join(submission.remarks)
    silent = remarks in ("", "densenet.py was read from densenet.ipynb.") or "repaired" in remarks
    source = (tree / "densenet.py").read_text()
    student_id = case.expect.student_id or submission.student_id
    faults = {
        f"files {files}": files != set(case.expect.files),
        "files that the record does not name": files != {file.path for file in submission.files},
        f"remarks {remarks}": case.expect.remark not in remarks
        or not (case.expect.remark or silent),
        "control characters in the remarks": not remarks.isprintable(),
        f"source {source}": case.expect.source not in source,
        f"student {submission.student_id}": submission.student_id != student_id,
    }
    return [fault for fault, found in faults.items() if found]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", INTAKE, ids=lambda case: f"{case.category}: {case.name}")
def test_it_gets_the_outcome_it_must_get_and_leaves_no_trace(case: Case, tmp_path: Path) -> None:
    assert wrong(case, tmp_path) == []


@dataclass(frozen=True)
class Defence:
    """One thing intake does, how to switch it off, and a case that must then go wrong."""

    place: str
    without: Any
    case: str


def nothing(*_: Any, **__: Any) -> None:
    """In place of a check that raises."""


DEFENCES = (
    Defence("paths._refuse_wherever_it_leads_out", nothing, "backslash parent"),
    Defence("paths._is_invisible", lambda _: False, "right-to-left override"),
    Defence("paths.DEVICES", frozenset(), "device name"),
    Defence("paths._refuse_over_limits", nothing, "very deep path"),
    Defence("members.refuse_duplicates", nothing, "same name twice"),
    Defence("members._refuse_other_kinds", nothing, "RAR posing as zip"),
    Defence("members._special", lambda *_: None, "link to a file of the host"),
    Defence("ziplayout._refuse_gaps_and_overlaps", nothing, "data between the files"),
    Defence("ziplayout._refuse_sizes", nothing, "bomb of many files"),
    Defence("ziplayout._refuse_other_sizes", nothing, "other size in the local header"),
    Defence("ziplayout._refuse_unreadable", nothing, "encrypted"),
    Defence("ziplayout._refuse_beyond_comment", nothing, "data behind"),
    Defence("ziplayout._zip64", lambda _, small, __: small, "zip64 sizes that contradict"),
    Defence("layout._refuse_special", nothing, "symbolic link"),
    Defence("layout._refuse_nested", nothing, "zip in a zip"),
    Defence("layout._without_hiding_package", lambda kept, _: (kept, []),
            "package that hides the module"),
    Defence("layout._weights", lambda *_: (None, []), "several weights files"),
    Defence("kinds.dropped_because", lambda _: None, "sitecustomize"),
    Defence("kinds.CLUTTER_FOLDERS", {}, "hook of version control"),
    Defence("collecting._verify", nothing, "bomb in a file that would be ignored"),
    Defence("collecting._looked_at", lambda *_: (), "zip posing as Python"),
    Defence("items.identify", lambda path, *_: Identity(path.stem, "gradescope"),
            "zip named as a formula"),
    Defence("notebook._not_python", nothing, "shell in a notebook"),
    Defence("notebook._refuse_other_languages", nothing, "notebook in another language"),
    Defence("notebook.HEADER", "", "encoding chosen by a cell"),
)  # fmt: skip


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: defence.place)
def test_without_the_defence_its_case_goes_wrong(
    defence: Defence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = [case for case in INTAKE if case.name == defence.case and case.category != "honest"]
    monkeypatch.setattr(f"grader.intake.{defence.place}", defence.without)

    assert wrong(case, tmp_path) != []


def test_the_gallery_says_why_and_names_each_case_once() -> None:
    keys = [(case.category, case.name) for case in GALLERY]

    assert len(set(keys)) == len(keys)
    assert all(case.why for case in GALLERY)
    assert sum(case.category == "honest" for case in GALLERY) >= 15
    assert len(GALLERY) >= 120
