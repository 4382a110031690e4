"""The class of a soak: submissions of every kind, each with the outcome that it must have.

Right and wrong networks are those of the self-test's catalogue, hostile programs and archives those
of `tests/hostile`. All are graded by the small assignment of `tests/hostile`, for which the
outcomes of the hostile ones are known exactly.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from grader.domain import Grade, GradeStatus, Outcome
from grader.errors import Cause
from grader.selftest.catalogue import Mutant, catalogue
from tests.hostile.cases import Case, Graded, Refused
from tests.hostile.gallery import GALLERY
from tests.hostile.programs import EVERYTHING, RIGHT, small_assignment_text

LIMITS = {"wall_time_s": 40, "cpu_time_s": 20}
"""Of the soak: some programs use them up, and no other comes near them on a busy machine."""
WRITTEN = {"wall_time_s": "trace_s"}
"""What assignment.toml calls a limit, where that is another name."""
SHARES = {"right": 40, "wrong": 25, "hostile": 18, "crashing": 7, "refused": 10}
"""Of a hundred submissions, so many of each kind."""
CRASHES = {Cause.STUDENT_EXITED, Cause.STUDENT_EXCEPTION, Cause.STUDENT_OUT_OF_MEMORY}
NOT_ASKED = {
    "input-size-free", "input-shape-ignored",  # right for images of 32x32 alone
    "only-network-link-doubled",  # in the third layer of a block
    "raises-without-bottleneck", "transition-floor-of-even-widths-only",  # of odd widths
    "compression-off-in-basic",  # without bottlenecks
    "build-model-densenet121", "network-keras-applications",  # larger than its output may be
}  # fmt: skip
"""Their verdicts rest on what the real assignment asks for, and this small one does not."""
ALIKE = "# Handed in by {name}.\n"


@dataclass(frozen=True)
class Expected:
    """The outcome that a submission must have.

    Attributes:
        kind: Of `SHARES`.
        what: What it is, in words.
        status: What becomes of it.
        cause: How its run or its intake ended.
        lost: Exactly the checks that do not pass; None where it is only known what is `among` them.
        among: Checks that must not pass.
    """

    kind: str
    what: str
    status: GradeStatus = GradeStatus.GRADED
    cause: Cause | None = None
    lost: frozenset[str] | None = frozenset()
    among: frozenset[str] = frozenset()

    def faults(self, grade: Grade) -> list[str]:
        """What about a grade is not as it must be."""
        lost = {c.name for c in grade.checks if c.outcome is not Outcome.PASSED} - {"accuracy"}
        found = {
            f"status {grade.status.value}": grade.status is not self.status,
            f"cause {grade.cause}": grade.cause is not self.cause,
            f"lost {sorted(lost)}": self.lost is not None and lost != self.lost,
            f"kept {sorted(self.among - lost)}": not self.among <= lost,
        }
        return [fault for fault, wrong in found.items() if wrong]


@dataclass(frozen=True)
class Entry:
    """One submission to come: how it is written, and what must become of it.

    Attributes:
        expected: The outcome.
        write: Hands it in, in a class folder, under a name.
    """

    expected: Expected
    write: Callable[[Path, str], None]


def write_class(folder: Path, students: int, seed: int) -> dict[str, Expected]:
    """Write a class.

    Args:
        folder: Made here.
        students: How many.
        seed: Decides their order, and which of each kind there are.

    Returns:
        Student id → what must become of the submission.
    """
    folder.mkdir(parents=True)
    order = random.Random(seed)
    chosen = [entry for kind in SHARES for entry in _chosen(kind, students, order)]
    order.shuffle(chosen)
    named = {f"s{number:04d}": entry for number, entry in enumerate(chosen)}
    for name, entry in named.items():
        entry.write(folder, name)
    return {name: entry.expected for name, entry in named.items()}


def _chosen(kind: str, students: int, order: random.Random) -> Iterator[Entry]:
    whole = list(ENTRIES[kind]())
    order.shuffle(whole)
    before = sum(
        share
        for other, share in SHARES.items()
        if list(SHARES).index(other) < list(SHARES).index(kind)
    )
    start, end = (students * share // 100 for share in (before, before + SHARES[kind]))
    return islice(cycle(whole), end - start)


def write_assignment(folder: Path) -> Path:
    """Write the assignment of the soak. Returns its folder."""
    text = small_assignment_text()
    for name, value in LIMITS.items():
        written = WRITTEN.get(name, name)
        text, found = re.subn(rf"(?m)^{written} = .*$", f"{written} = {value}", text)
        assert found == 1, name
    folder.mkdir(parents=True)
    (folder / "assignment.toml").write_text(text, encoding="utf-8")
    return folder


# --- the kinds ---------------------------------------------------------------------------------


def _right() -> Iterator[Entry]:
    programs = {m.name: m.source() for m in _of_kind("right", "remark")}
    programs["the reference in other words"] = RIGHT
    for number, (name, source) in enumerate(programs.items()):
        yield Entry(Expected("right", name), _handed_in(source, HANDED_IN[number % len(HANDED_IN)]))


def _wrong() -> Iterator[Entry]:
    for number, mutant in enumerate(_of_kind("wrong")):
        expected = Expected("wrong", mutant.name, lost=None, among=frozenset(mutant.loses))
        yield Entry(expected, _handed_in(mutant.source(), HANDED_IN[number % len(HANDED_IN)]))


def _of_kind(*kinds: str) -> Iterator[Mutant]:
    """Those whose verdict the small assignment gives too.

    A mistake in one place may lie in a layer that its networks do not have.
    """
    for mutant in catalogue():
        known = mutant.place is None and mutant.runs_on_cpu and mutant.name not in NOT_ASKED
        if mutant.kind in kinds and known:
            yield mutant


def _hostile() -> Iterator[Entry]:
    return (_ran(case, "hostile") for case in _that_run() if not _crashes(case))


def _crashing() -> Iterator[Entry]:
    return (_ran(case, "crashing") for case in _that_run() if _crashes(case))


def _that_run() -> Iterator[Case]:
    """The cases that end as they must under the limits of the soak.

    Of those with limits of their own, only what ends the whole run: a function that runs out of
    wider limits is given up alone.
    """
    for case in GALLERY:
        wanted = case.expect
        if isinstance(wanted, Graded):
            whole = set(wanted.limits) <= LIMITS.keys() and wanted.lost == EVERYTHING
            if whole or not wanted.limits:
                yield case


def _crashes(case: Case) -> bool:
    return isinstance(case.expect, Graded) and case.expect.cause in CRASHES


def _ran(case: Case, kind: str) -> Entry:
    assert isinstance(case.expect, Graded)
    wanted = case.expect
    return Entry(
        Expected(kind, case.name, wanted.status, wanted.cause, wanted.lost), _made_by(case)
    )


def _refused() -> Iterator[Entry]:
    for case in GALLERY:
        if isinstance(case.expect, Refused) and case.category == "archive":
            wanted = Expected(
                "refused", case.name, GradeStatus.REJECTED, case.expect.cause, frozenset()
            )
            yield Entry(wanted, _made_by(case))


ENTRIES: dict[str, Callable[[], Iterator[Entry]]] = {
    "right": _right,
    "wrong": _wrong,
    "hostile": _hostile,
    "crashing": _crashing,
    "refused": _refused,
}


# --- how they are handed in --------------------------------------------------------------------


def _made_by(case: Case) -> Callable[[Path, str], None]:
    """As the recipe makes it; a folder gets a note, so that no two are alike."""

    def write(folder: Path, name: str) -> None:
        with tempfile.TemporaryDirectory() as room:
            made = case.make(Path(room))
            place = folder / (name if made.is_dir() else f"{name}.zip")
            shutil.move(made, place)
        if place.is_dir():
            (place / "notes.md").write_text(ALIKE.format(name=name), encoding="utf-8")

    return write


def _handed_in(source: str, how: Callable[[Path, str], None]) -> Callable[[Path, str], None]:
    def write(folder: Path, name: str) -> None:
        how(folder / name, ALIKE.format(name=name) + source)

    return write


def _as_folder(place: Path, text: str) -> None:
    place.mkdir()
    (place / "densenet.py").write_text(text, encoding="utf-8")


def _as_zip(place: Path, text: str) -> None:
    with zipfile.ZipFile(place.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("hw/densenet.py", text)


def _as_notebook(place: Path, text: str) -> None:
    place.mkdir()
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1}
    whole = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell | {"source": text}]}
    (place / "densenet.ipynb").write_text(json.dumps(whole), encoding="utf-8")


HANDED_IN: Sequence[Callable[[Path, str], None]] = (_as_folder, _as_zip, _as_notebook)
