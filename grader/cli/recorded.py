"""The commands that read recorded grades: to show them, and to hand them to other programs.

No room that needs TensorFlow, Keras, OpenCV or Docker is imported before a command asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from grader.cli.options import GRADING, FailedOnly, Having, Quiet, RosterFile, Sort, app, flag
from grader.cli.screen import options_from, out, say, status_of, tell
from grader.errors import EXIT_GRADED, UsageError

if TYPE_CHECKING:
    from grader.domain import Grade


@app.command(group=GRADING)
def report(
    path: Annotated[
        Path,
        Parameter(
            help="A results folder, a run directory or a grade in it, or a JSON file of --json."
        ),
    ],
    student: Annotated[
        str | None, Parameter(help="Of whom: a student_id, or a part that only theirs has.")
    ] = None,
    /,
    *,
    roster: RosterFile = None,
    sort: Sort = "class",
    filter: Having = "",
    failed_only: FailedOnly = False,
    quiet: Quiet = False,
) -> int:
    """Show recorded grades once more, as they were made."""
    from grader.intake.roster import load_roster
    from grader.report.classtable import View, render_class
    from grader.report.overview import superseded
    from grader.report.terminal import render

    grades = _finished(path)
    students = load_roster(roster) if roster is not None and student is None else None
    if student is not None:
        grades = _of_student(grades, student)
    view = View(sort, filter, failed_only)
    counting = [grade for grade in grades if grade.counts] or grades
    if (len(counting) > 1 or students is not None) and not quiet:
        out().print(render_class(grades, students, view))
    else:
        for grade in view.of(counting):
            out().print(render(grade, quiet=quiet), crop=False)
        for line in superseded(grades) if not quiet else ():
            tell(line)
    return status_of(counting)


def _finished(path: Path) -> Sequence[Grade]:
    """The grades that are recorded at a path; nothing is run, and nothing is graded again."""
    from grader.export.json import load_grades
    from grader.ledger import Ledger, standing
    from grader.pipeline import recorded
    from grader.run.folder import RUN_FILE

    if (path / RUN_FILE).is_file():
        return [recorded(path)]
    if Ledger.stands_in(path):
        found = standing(path)
        if found.unproved is not None:
            say(f"Not proved: sealed with course key {found.unproved}, which is not here.")
        return found.grades
    return load_grades(path)


def _of_student(grades: Sequence[Grade], wanted: str) -> Sequence[Grade]:
    """The grades of one student, named in full or by a part of the name.

    Raises:
        UsageError: There is no such student, or more than one.
    """
    names = sorted({grade.student_id for grade in grades})
    found = [name for name in names if name == wanted] or [
        name for name in names if wanted.casefold() in name.casefold()
    ]
    if len(found) != 1:
        told = ", ".join((found or names)[:20])
        reason = "several students are named so" if found else "no student is named so"
        raise UsageError(f"{wanted}: {reason}. Received: {told}.")
    return [grade for grade in grades if grade.student_id == found[0]]


@app.command(group=GRADING)
def export(
    path: Annotated[
        Path, Parameter(help="A results folder, a run directory or a JSON file of --json.")
    ],
    /,
    *,
    to: Annotated[
        Literal[
            "csv",
            "json",
            "junit",
            "canvas",
            "moodle",
            "gradescope",
            "autolab",
            "prairielearn",
            "classroom50",
            "feedback",
            "html",
        ],
        Parameter(
            name="--to",
            help="csv, json and junit are one file; canvas and moodle fill in the sheet of --into; "
            "gradescope, autolab, prairielearn, classroom50 and feedback are a folder with a file "
            "for each student, feedback under the names that Canvas and Moodle take back; html is "
            "a folder with a page for the class and, in students/, one for each student. feedback "
            "and the students' pages say what a student may see, all else is for those who grade.",
        ),
    ],
    into: Annotated[
        Path | None, Parameter(name="--into", help="The CSV file that Canvas or Moodle exported.")
    ] = None,
    column: Annotated[
        str | None,
        Parameter(
            name="--column",
            help='The assignment\'s column in that sheet, such as "DenseNet". Moodle: by default '
            "Grade.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        Parameter(name="--output", help="Where to write. Default: a name that says the format."),
    ] = None,
    partial: Annotated[
        bool, flag("--partial", "Fill in scores of which points are still open as well.")
    ] = False,
    pseudonyms: Annotated[
        bool,
        flag("--pseudonyms", "html: other names for all students, drawn from the course key."),
    ] = False,
    assignment: Annotated[
        Path | None,
        Parameter(
            name="--assignment",
            help="html, feedback: folder of the assignment whose title is shown.",
        ),
    ] = None,
    form: Annotated[
        Literal["page", "text"] | None,
        Parameter(
            name="--as", help="feedback: a page for a browser, which is the default, or text."
        ),
    ] = None,
    roster: RosterFile = None,
    classroom: Annotated[
        str | None,
        Parameter(
            name="--classroom",
            help="classroom50: its classroom and assignment, such as dl-2027/densenet.",
        ),
    ] = None,
) -> int:
    """Write recorded grades in the form that another program or a browser reads."""
    from grader.cli.pages import page_maker, write_html
    from grader.export.command import export as write_export
    from grader.intake.roster import load_roster

    recorded = _finished(path)
    # json says of each whether it counts; pages list the others apart.
    grades = [grade for grade in recorded if grade.counts or to == "json"]
    others = [grade for grade in recorded if not grade.counts and not pseudonyms]
    title = options_from(assignment=assignment).assignment.title if assignment else ""
    students = load_roster(roster) if roster is not None else None
    if to != "feedback":
        _refuse(to, **{"as": form})
    if to == "html":
        _refuse(to, into=into, column=column, partial=partial, classroom=classroom)
        place = output or Path(to)
        with Console(stderr=True).status("Writing pages"):
            write_html(
                path, grades, place,
                hide_names=pseudonyms, title=title, roster=students, others=others,
            )  # fmt: skip
        tell(f"{place}: {len(grades)} students' pages, and index.html for those who grade")
        return EXIT_GRADED
    page = None
    if to == "feedback" and form != "text":
        page = page_maker(path, grades, title)
    else:
        _refuse(to, assignment=assignment)
    _refuse(to, pseudonyms=pseudonyms)
    written = write_export(
        grades,
        to,
        into=into,
        column=column,
        output=output,
        partial=partial,
        roster=students,
        classroom=classroom,
        page=page,
    )
    tell(f"{written.place}: {written.count} grades")
    for name in written.left:
        tell(f"left out: {name}: no score: a person has to decide first")
    if written.filled is not None:
        for name, why in written.filled.left:
            tell(f"left out: {name}: {why.value}")
        if written.filled.without:
            tell(f"{written.filled.without} students of the sheet have no grade here")
    return EXIT_GRADED


def _refuse(to: str, **given: object) -> None:
    """Refuse options that a format has no use for.

    Raises:
        UsageError: Names the first.
    """
    for name, value in given.items():
        if value:
            raise UsageError(f"--to {to}: expected no --{name}.")
