"""Grades written into nbgrader's gradebook, through nbgrader's own API.

nbgrader's cells keep what they are: a cell named as a group of checks gets that group's points, and
one further cell, `accuracy`, gets all others and the feedback. Points go in as automatic ones, so
that a score or a comment that a person has given in the formgrader stays and counts. What nobody
has earned or lost yet (review, withheld, not measured) is left for a person, by nbgrader's "needs
manual grading". The penalty is written with them: nbgrader computes its own at autograde alone.
"""

from __future__ import annotations

import math
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.errors import UsageError
from grader.report.feedback import student_lines
from grader.scoring import ACCURACY

OUTSIDE = "accuracy"
"""The cell for what no cell of the notebook is named after."""
PLAIN_TEXT = "    "
"""nbgrader reads comments as Markdown; a line that begins so is shown as it stands."""
_WEAK = ("file-time", None)


@dataclass(frozen=True)
class Written:
    """What became of the grades.

    Attributes:
        scored: nbgrader's names of the students whose score is in the gradebook.
        open: Name, and why a person has to grade some of it.
        notices: What the instructor should know.
    """

    scored: tuple[str, ...]
    open: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """What of nbgrader the grades are of.

    Attributes:
        assignment: nbgrader's name of the assignment.
        notebook: Of the notebook; `densenet` of densenet.ipynb.
        due: The due date for all.
        extensions: Name of a student → own due date.
        groups: Group of checks → its points by the rubric.
    """

    assignment: str
    notebook: str
    due: datetime
    extensions: Mapping[str, datetime]
    groups: Mapping[str, float]


def require_gradebook(place: str) -> None:
    """See that a gradebook can be written, before an hour's work.

    Args:
        place: Path of gradebook.db, or a database URL.

    Raises:
        UsageError: nbgrader is not installed, or it is no gradebook.
    """
    if find_spec("nbgrader") is None:
        raise UsageError(
            "--gradebook needs nbgrader: install the extra nbgrader beside the grader."
        )
    with _gradebook(place):
        pass


def write_gradebook(
    place: str, work: Work, grades: Sequence[tuple[str, Grade]], *, after_due: bool = False
) -> Written:
    """Write grades into a gradebook.

    Args:
        place: Path of gradebook.db, or a database URL.
        work: Assignment, notebook, due dates.
        grades: nbgrader's name of the student, and the one grade that counts.
        after_due: Whether the due date has passed, so that the feedback tells of what waits for it.

    Returns:
        Whose score is in the gradebook, and who needs a person.

    Raises:
        UsageError: It is no gradebook, or nbgrader refuses what is written.
    """
    scored, waiting = [], []
    with _gradebook(place) as book:
        notices = _have_assignment(book, work)
        cells, told = _have_cells(book, work)
        for student, grade in grades:
            why = _write_one(book, work, cells, student, grade, after_due)
            if why is None:
                scored.append(student)
            else:
                waiting.append((student, why))
    return Written(tuple(scored), tuple(waiting), (*notices, *told))


@contextmanager
def _gradebook(place: str) -> Iterator[Any]:
    """The open gradebook, committed at the end.

    Raises:
        UsageError: What it is not, or what nbgrader says.
    """
    from nbgrader.api import Gradebook, InvalidEntry, MissingEntry
    from sqlalchemy.exc import SAWarning, SQLAlchemyError

    url = place if "://" in place else f"sqlite:///{Path(place).resolve()}"
    if "://" not in place and not Path(place).resolve().parent.is_dir():
        raise UsageError(f"--gradebook {place}: there is no such folder.")
    try:
        with warnings.catch_warnings():
            # nbgrader builds its records in an order that SQLAlchemy 2 remarks on.
            warnings.simplefilter("ignore", SAWarning)
            with _programs_beside_python():
                # Without a course's name none is added to those that are there.
                book = Gradebook(url, course_id="")
            try:
                yield book
                book.db.commit()
            finally:
                book.close()
    except (SQLAlchemyError, InvalidEntry, MissingEntry) as error:
        reason = str(error).splitlines()[0][:300]
        raise UsageError(f"--gradebook {place}: {reason}") from error


@contextmanager
def _programs_beside_python() -> Iterator[None]:
    """For a new gradebook nbgrader starts `alembic` by name; it lies beside this Python."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


# --- assignment and cells -----------------------------------------------------------------


def _have_assignment(book: Any, work: Work) -> list[str]:
    """The assignment with its due date; made where nbgrader does not know it."""
    from nbgrader.api import Course, MissingEntry

    due = _naive(work.due)
    try:
        found = book.find_assignment(work.assignment)
    except MissingEntry:
        courses = [course.id for course in book.db.query(Course).all()]
        course = courses[0] if len(courses) == 1 else "default_course"
        book.check_course(course)
        book.add_assignment(work.assignment, duedate=due, course_id=course)
        return [f"{work.assignment} was no assignment of the gradebook: it is one now."]
    changed = found.duedate is not None and found.duedate != due
    was = found.duedate
    book.update_or_create_assignment(work.assignment, duedate=due)
    if not changed:
        return []
    return [f"The due date of {work.assignment} was {was} UTC; by assignment.toml it is {due} UTC."]


def _have_cells(book: Any, work: Work) -> tuple[dict[str, list[str]], list[str]]:
    """Which groups of checks each cell gets the points of; a cell is made where none fits."""
    from nbgrader.api import MissingEntry

    try:
        notebook = book.find_notebook(work.notebook, work.assignment)
    except MissingEntry:
        notebook = book.add_notebook(work.notebook, work.assignment)
    known = {cell.name: cell for cell in (*notebook.grade_cells, *notebook.task_cells)}
    named = {group: cell_name(group) for group in work.groups}
    cells: dict[str, list[str]] = {}
    for group, name in named.items():
        cells.setdefault(name if name in known else OUTSIDE, []).append(group)
    notices = []
    for name, groups in cells.items():
        points = math.fsum(work.groups[group] for group in groups)
        if name not in known:
            book.add_task_cell(
                name, work.notebook, work.assignment, max_score=points, cell_type="markdown"
            )
            notices.append(
                f"The notebook {work.notebook} has no cell {name!r} for {points:g} points: the "
                "gradebook has it now. make_notebook.py writes a notebook with it."
            )
        elif known[name].max_score != points:
            notices.append(
                f"The cell {name!r} counts to {known[name].max_score:g} points, the rubric to "
                f"{points:g}: scores above the cell's are cut. Write the notebook anew with "
                "make_notebook.py, and `nbgrader generate_assignment`."
            )
    return cells, notices


def cell_name(group: str) -> str:
    """What the cell of a group of checks is called; nbgrader takes letters, digits, `-` and `_`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", group).strip("-") or OUTSIDE


# --- one student --------------------------------------------------------------------------


def _write_one(
    book: Any,
    work: Work,
    cells: Mapping[str, Sequence[str]],
    student: str,
    grade: Grade,
    after_due: bool,
) -> str | None:
    """Write a grade; why a person has to grade some of it, None where all is graded."""
    book.update_or_create_student(student)
    received = grade.submission.received_at
    when = {}
    if received is not None and grade.submission.received_from not in _WEAK:
        when = {"timestamp": _naive(received)}
    submission = book.update_or_create_submission(work.assignment, student, **when)
    own_due = work.extensions.get(student)
    submission.extension = own_due - work.due if own_due else submission.extension
    notebook = _submitted_notebook(book, submission, work)
    waiting = []
    owned = {name: _grade_of(book, notebook, name) for name in cells}
    by_hand = _as_set(grade, {name: own.max_score for name, own in owned.items()})
    for name, own in owned.items():
        points = by_hand.get(name, _points(grade, cells[name]))
        most = math.inf if by_hand else own.max_score
        own.auto_score = None if points is None else min(max(points, 0.0), most)
        own.needs_manual_grade = points is None and own.manual_score is None
        if own.needs_manual_grade:
            waiting.append(name)
    _comment(book, notebook, grade, after_due)
    book.db.commit()
    book.db.refresh(notebook)
    notebook.late_submission_penalty = _penalty(grade, notebook.score)
    return _why_open(grade, waiting) if waiting else None


def _as_set(grade: Grade, cells: Mapping[str, float]) -> dict[str, float]:
    """A score that the staff has set, as points of the cells; empty where none was.

    Each cell is filled in turn, and what is beyond all of them goes into the last one.
    """
    if grade.override is None:
        return {}
    rest, filled = grade.score, {}
    for name, most in cells.items():
        filled[name] = min(rest, most)
        rest -= filled[name]
    filled[list(cells)[-1]] += rest
    return filled


def _points(grade: Grade, groups: Sequence[str]) -> float | None:
    """Points of some groups of checks; None where that is for a person, or not known yet."""
    if grade.status is GradeStatus.REJECTED:
        return 0.0
    checks = [check for check in grade.checks if check.group in groups]
    if grade.status is not GradeStatus.GRADED or any(_is_open(check) for check in checks):
        return None
    return math.fsum(check.score for check in checks)


def _is_open(check: CheckResult) -> bool:
    return check.outcome is Outcome.SKIPPED and check.name == ACCURACY


def _penalty(grade: Grade, score: float) -> float:
    """Of the points that count now, with those that a person has given."""
    if grade.override is not None:
        return 0.0
    if grade.status is GradeStatus.GRADED and grade.deadline is not None:
        return float(min(grade.deadline.penalty, score))
    return 0.0


def _why_open(grade: Grade, cells: Sequence[str]) -> str:
    if grade.status is GradeStatus.GRADED:
        return f"{', '.join(cells)}: not measured yet"
    return grade.message or grade.status.value


def _comment(book: Any, notebook: Any, grade: Grade, after_due: bool) -> None:
    """The feedback, where the notebook has a place for one; a person's own comment stays."""
    places = {comment.name: comment for comment in notebook.comments}
    if not places:
        return
    place = places[OUTSIDE] if OUTSIDE in places else places[min(places)]
    lines = list(student_lines(grade, after_due))
    place.auto_comment = "\n".join(f"{PLAIN_TEXT}{line}" for line in lines)


def _submitted_notebook(book: Any, submission: Any, work: Work) -> Any:
    """The student's notebook; made where the submission is older than the notebook."""
    from nbgrader.api import SubmittedNotebook

    found = [each for each in submission.notebooks if each.name == work.notebook]
    if not found:
        master = book.find_notebook(work.notebook, work.assignment)
        found = [SubmittedNotebook(notebook=master, assignment=submission)]
        book.db.add(found[0])
        book.db.commit()
    return found[0]


def _grade_of(book: Any, notebook: Any, name: str) -> Any:
    """The grade of a cell; made, with a place for a comment, where the cell is newer."""
    from nbgrader.api import Comment, Grade, TaskCell

    for grade in notebook.grades:
        if grade.name == name:
            return grade
    master = notebook.notebook
    cell = next(c for c in (*master.grade_cells, *master.task_cells) if c.name == name)
    grade = Grade(cell_id=cell.id, notebook=notebook)
    book.db.add(grade)
    if isinstance(cell, TaskCell):
        book.db.add(Comment(cell_id=cell.id, notebook=notebook))
    book.db.commit()
    book.db.refresh(notebook)
    return grade


def _naive(moment: datetime) -> datetime:
    """As nbgrader keeps times: UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


__all__ = ["Work", "Written", "cell_name", "require_gradebook", "write_gradebook"]
