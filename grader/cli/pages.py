"""`grade export --to html`: pages from grades, with what their runs hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from grader.domain import Grade
from grader.errors import UsageError
from grader.export.html import write_pages
from grader.export.pseudonyms import Pseudonyms
from grader.intake.roster import Roster
from grader.ledger import Ledger, load_key
from grader.ledger.key import CourseKey, key_to_read
from grader.report.html.student import Beside, student_page
from grader.report.visibility import all_due_passed
from grader.run.beside import beside
from grader.run.directory import results_of

NAME_IT = "Pseudonyms are drawn from the course key: name its file with GRADER_KEY_FILE."


def write_html(
    path: Path,
    grades: Sequence[Grade],
    folder: Path,
    *,
    hide_names: bool,
    title: str,
    roster: Roster | None,
    others: Sequence[Grade] = (),
) -> None:
    """Write the pages of grades.

    Args:
        path: Where the grades are recorded: what their runs hold is shown where they lie there.
        grades: In order.
        folder: Where to write.
        hide_names: Whether students get pseudonyms.
        title: Of the assignment.
        roster: The students of the class; not with pseudonyms.
        others: Submissions in whose place another of the same student counts; not with pseudonyms.

    Raises:
        UsageError: The folder holds other pages, or the pseudonyms would be of another course key.
        InfrastructureError: The disk failed or is full, or the course key cannot be read.
    """
    if hide_names and roster is not None:
        raise UsageError("--pseudonyms: expected no --roster with it: it has the names.")
    write_pages(
        grades,
        folder,
        beside=_beside(path),
        now=datetime.now(UTC),
        pseudonyms=_pseudonyms(grades) if hide_names else None,
        title=title,
        roster=roster,
        others=others,
    )


def page_maker(path: Path, grades: Sequence[Grade], title: str) -> Callable[[Grade], str]:
    """What makes a student's page.

    Args:
        path: As `write_html` takes it.
        grades: Of the class.
        title: Of the assignment.
    """
    found, after_due = _beside(path), all_due_passed(grades, datetime.now(UTC))
    return lambda grade: student_page(grade, found(grade), after_due=after_due, title=title)


def _beside(path: Path) -> Callable[[Grade], Beside]:
    """What finds the run of a grade that is recorded at a path.

    Without the course key a run cannot be proved, and its page has no picture of the network.
    """
    results = path if Ledger.stands_in(path) else results_of(path)
    return partial(beside, results=results, key=key_to_read()) if results else _nothing


def _nothing(_: Grade) -> Beside:
    """No run lies beside grades that came as a file."""
    return Beside()


def _pseudonyms(grades: Sequence[Grade]) -> Pseudonyms:
    """Names drawn from the key that the grades were made with.

    Raises:
        UsageError: It is not here: the names would be others than those drawn elsewhere.
    """
    key = load_key()
    if key is None:
        raise UsageError(f"--pseudonyms: there is no course key here. {NAME_IT}")
    made_with = {g.provenance.probe_seed_id for g in grades} - {None, key.id}
    if made_with:
        raise UsageError(
            f"--pseudonyms: the grades were made with course key {min(map(str, made_with))[:40]}, "
            f"and this is {key.id}. {NAME_IT}"
        )
    return Pseudonyms(partial(_digest, key))


def _digest(key: CourseKey, student_id: str) -> bytes:
    return key.derive(student_id, "pseudonym")
