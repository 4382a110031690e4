"""The command line: words to calls, errors to exit statuses, and nothing else.

Results go to standard output, progress and errors to standard error. No room that needs
TensorFlow, Keras, OpenCV or Docker is imported before a command asks for it.

    0    graded, whatever the score; of `check`: every check passed
    1    a submission was rejected: there was nothing to grade; or a check of `check` failed; or
         what `verify` read was changed; or what `compare` compared is not the same
    2    the command line or assignment.toml is wrong
    3    the grader or its machine failed; nothing was turned into points
    130  interrupted
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Group, Parameter
from rich.console import Console

from grader import __version__
from grader.errors import (
    EXIT_GRADED,
    EXIT_INFRASTRUCTURE,
    EXIT_REJECTED,
    EXIT_USAGE,
    GraderError,
    UsageError,
)

if TYPE_CHECKING:
    from grader.domain import Grade
    from grader.graph.evidence import Evidence
    from grader.pipeline import GradeOptions

EXIT_INTERRUPTED = 130
EXIT_OF_TRAINING = {"interrupted": EXIT_INTERRUPTED, "out of memory": EXIT_INFRASTRUCTURE}
"""How a training that the student's network did not end leaves; every other way is 0."""

DEBUG = "--debug"
RESULTS = Path("results")
RESULTS_ENVIRONMENT = "GRADER_RESULTS"
"""The image sets it: what is mounted at /work may not be the container's user's to write."""

DEVICE_ENVIRONMENT = "GRADER_DEVICE"
"""The image sets it to what it was built for: a GPU that is missing is never made up for."""

FETCH_TIMEOUT_S = 30.0
"""Without a byte for so long, a download has failed."""

GRADING = Group("Grade", sort_key=1)
STUDENT = Group("For students", sort_key=2)
TOOLS = Group("For instructors and operators", sort_key=3)
GENERAL = Group("Help", sort_key=4)

app = App(
    name="grade",
    version=f"densenet-grader {__version__}",
    usage="Usage: grade PATH... [OPTIONS]\n       grade COMMAND [OPTIONS] [ARGS...]",
    help="Grade Keras implementations of DenseNet.\n\n"
    "'grade submission.zip' grades one submission; every word below is a command. "
    "A file or folder that is named like a command is given as ./check.",
    help_epilogue="Exit status: 0 graded, 1 rejected, 2 usage, 3 the grader or its machine failed. "
    "--debug after any command shows the traceback of an unexpected error.",
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    group_commands=GENERAL,
)


def _flag(name: str, help: str) -> Parameter:
    """A switch: off unless named, with no --no- twin."""
    return Parameter(name=name, negative="", show_default=False, help=help)


# --- words that several commands share --------------------------------------------------------

SandboxKind = Literal["auto", "docker", "jail", "process"]

Assignment = Annotated[
    Path | None,
    Parameter(
        name="--assignment",
        help="Folder with assignment.toml. Default: the DenseNet assignment that ships.",
    ),
]
Results = Annotated[
    Path,
    Parameter(
        name="--results",
        env_var=RESULTS_ENVIRONMENT,
        help="Folder that keeps run directories and grades.",
    ),
]
JsonFile = Annotated[
    Path | None, Parameter(name="--json", help="Write the grades to this file as JSON.")
]
SandboxOption = Annotated[
    SandboxKind,
    Parameter(
        name="--sandbox",
        help="Where student code runs. auto takes the strongest this machine has; process is no "
        "protection and is stamped on the grade.",
    ),
]
Data = Annotated[
    Path | None,
    Parameter(
        name="--data",
        help="Folder with CIFAR-10. Default: GRADER_DATA, then Keras's cache, then its download.",
    ),
]
SubmittedAt = Annotated[
    str | None,
    Parameter(
        name="--submitted-at",
        help="When it was received, e.g. 2027-09-30T22:58:41+05:30. Without an offset it is taken "
        "in the assignment's time zone. What was recorded so stands until it is set anew. Default: "
        "the file's time, marked as weak.",
    ),
]
From = Annotated[
    Literal[
        "canvas", "moodle", "blackboard", "gradescope", "brightspace", "nbgrader", "folders",
        "files",
    ]
    | None,
    Parameter(
        name="--from",
        help="What named the submissions: a learning platform, or with folders each student's "
        "folder, with files each archive's own name. Default: what most names of the class "
        "folder have in common.",
    ),
]  # fmt: skip
Jobs = Annotated[
    int | None,
    Parameter(name="--jobs", help="Submissions read at the same time. Default: one for each core."),
]
Quiet = Annotated[
    bool,
    _flag("--quiet", "One line for each submission in place of report or table."),
]
NoEvaluation = Annotated[
    bool,
    _flag("--no-evaluation", "Leave the accuracy unmeasured."),
]
Retrain = Annotated[
    bool,
    _flag("--retrain", "Train the network here by its recipe.toml instead of taking its weights."),
]
Backend = Annotated[
    Literal["auto", "openvino", "tensorflow", "xla", "jax"],
    Parameter(
        name="--backend",
        help="What computes the accuracy. auto takes a GPU where there is one, else the fastest "
        "on this processor.",
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "gpu"],
    Parameter(
        name="--device",
        env_var=DEVICE_ENVIRONMENT,
        help="Where the accuracy is computed. With gpu nothing is graded where none is visible.",
    ),
]
Reference = Annotated[
    bool,
    _flag("--reference", "What is graded is the course's own solution: no review for being it."),
]
Folder = Annotated[Path, Parameter(help="The submission's folder.")]


# --- grading ----------------------------------------------------------------------------------


@app.default
def grade(
    *paths: Annotated[
        Path,
        Parameter(help="A zip, a folder with densenet.py, or a folder of either."),
    ],
    assignment: Assignment = None,
    results: Results = RESULTS,
    json: JsonFile = None,
    submitted_at: SubmittedAt = None,
    student_id: Annotated[
        str | None,
        Parameter(name="--student-id", help="Whose it is. Default: from the file's name."),
    ] = None,
    platform: From = None,
    no_evaluation: NoEvaluation = False,
    retrain: Retrain = False,
    sandbox: SandboxOption = "auto",
    jobs: Jobs = None,
    data: Data = None,
    backend: Backend = "auto",
    device: Device = "auto",
    reference: Reference = False,
    quiet: Quiet = False,
) -> int:
    """Grade submissions."""
    from grader.assignment import load_assignment
    from grader.classroom.submissions import find_submissions
    from grader.pipeline import grade_paths
    from grader.report.classtable import render_class

    if not paths:
        raise UsageError("grade: expected a submission, such as submission.zip. See grade --help.")
    options = _options(
        assignment=assignment,
        results=results,
        submitted_at=submitted_at,
        student_id=student_id,
        platform=platform,
        evaluate=not no_evaluation,
        retrain=retrain,
        sandbox=sandbox,
        jobs=_workers(jobs),
        data=data,
        backend=backend,
        device=device,
        reference=reference,
    )
    found = find_submissions(
        paths,
        load_assignment(options.assignment_dir),
        platform=platform,
        student_id=student_id,
    )
    for notice in found.notices:
        _say(notice)
    waiting = len(found.items)
    several = waiting > 1
    show = _shown(options, quiet, several)
    alone: list[Grade] = []
    with _Working("Grading", waiting, show if several else alone.append) as on_grade:
        grades = grade_paths(list(paths), options, on_grade)
    # The file first: a screen that goes away must not cost it.
    _write_json(grades, json)
    for one in alone:
        show(one)
    if several and not quiet:
        _out().print(render_class(grades))
    return _status(grades)


@app.command(group=GRADING)
def regrade(
    run_dir: Annotated[Path, Parameter(help="A run directory below the results folder.")],
    /,
    *,
    assignment: Assignment = None,
    json: JsonFile = None,
    submitted_at: SubmittedAt = None,
    record: Annotated[
        bool,
        _flag("--record", "Let this grade count from now on: it is added to the record of grades."),
    ] = False,
    evaluate: Annotated[bool, _flag("--evaluate", "Measure the accuracy again.")] = False,
    data: Data = None,
    backend: Backend = "auto",
    device: Device = "auto",
    quiet: Quiet = False,
) -> int:
    """Grade a finished run again, from disk; no student code runs.

    A changed threshold, rubric, due date or late policy needs no more than this. Without --record
    it only shows what the grade would be, and changes nothing.
    """
    from grader.pipeline import regrade as regrade_run

    options = _options(
        assignment=assignment,
        submitted_at=submitted_at,
        record=record,
        evaluate=evaluate,
        data=data,
        backend=backend,
        device=device,
    )
    grade = regrade_run(run_dir, options)
    _write_json([grade], json)
    _shown(options, quiet)(grade)
    if not record:
        _say("Not recorded: this is what the grade would be. --record lets it count.")
    return _status([grade])


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
    quiet: Quiet = False,
) -> int:
    """Show recorded grades once more, as they were made."""
    from grader.report.classtable import render_class
    from grader.report.terminal import render

    grades = _finished(path)
    if student is not None:
        grades = _of_student(grades, student)
    if len(grades) > 1 and not quiet:
        _out().print(render_class(grades))
    else:
        for grade in grades:
            _out().print(render(grade, quiet=quiet))
    return _status(grades)


def _finished(path: Path) -> Sequence[Grade]:
    """The grades that are recorded at a path; nothing is run, and nothing is graded again."""
    from grader.export.json import load_grades
    from grader.ledger import Ledger
    from grader.ledger.rundir import RUN_FILE
    from grader.pipeline import recorded

    if (path / RUN_FILE).is_file():
        return [recorded(path)]
    if Ledger.stands_in(path):
        ledger = Ledger(path)
        return [ledger.read_grade(entry) for entry in ledger.current()]
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
        Literal["csv", "json", "junit", "canvas", "moodle", "gradescope", "feedback"],
        Parameter(
            name="--to",
            help="csv, json and junit are one file; canvas and moodle fill in the sheet of --into; "
            "gradescope and feedback are a folder with a file for each student. feedback says what "
            "a student may see, all other formats are for those who grade.",
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
        bool, _flag("--partial", "Fill in scores of which points are still open as well.")
    ] = False,
) -> int:
    """Write recorded grades in the form that another program reads."""
    from grader.export.command import export as write_export

    written = write_export(
        _finished(path), to, into=into, column=column, output=output, partial=partial
    )
    _tell(f"{written.place}: {written.count} grades")
    if written.filled is not None:
        for name, why in written.filled.left:
            _tell(f"left out: {name}: {why.value}")
        if written.filled.without:
            _tell(f"{written.filled.without} students of the sheet have no grade here")
    return EXIT_GRADED


# --- students ---------------------------------------------------------------------------------


@app.command(group=STUDENT)
def init(
    folder: Annotated[Path, Parameter(help="A new or empty folder.")] = Path("densenet"), /
) -> int:
    """Write out the template to start from."""
    from grader.student.template import write_template

    written = write_template(folder)
    _tell(f"{len(written)} files in {folder}. Read {folder / 'README.md'} next.")
    return EXIT_GRADED


@app.command(group=STUDENT)
def check(
    folder: Folder = Path("."),
    /,
    *,
    assignment: Assignment = None,
    json: JsonFile = None,
    sandbox: SandboxOption = "auto",
    quiet: Quiet = False,
    all: Annotated[
        bool, _flag("--all", "Show everything that was found, not only the first cause.")
    ] = False,
    diff: Annotated[
        bool, _flag("--diff", "Show the network beside the paper's, block by block, as well.")
    ] = False,
) -> int:
    """Run every check that needs neither the test set nor the hidden probes.

    Exit status: 0 every check passed, 1 one failed or there was nothing to check, 2 usage, 3 the
    machine failed.
    """
    from grader.pipeline import check_folder
    from grader.sandbox import sandbox_for_own_code

    if sandbox == "auto":
        sandbox = sandbox_for_own_code()
    options = _options(assignment=assignment, sandbox=sandbox, evaluate=False)
    with _Working("Checking", 1, _unseen):
        read: list[Evidence] = []
        grade = check_folder(folder.resolve(), options, read.append)
    _write_json([grade], json)
    if diff:
        from grader.graph.drawing import draw
        from grader.report.diff import render_drawing

        if grade.checks and not read:
            _tell("--diff: no drawing, as it would tell of checks that students do not see (yet).")
        else:
            _out().print(render_drawing(draw(read[0]) if read else None))
    # Last, so that it is what stays on the screen.
    _shown(options, quiet, checking=True, everything=all)(grade)
    return _status([grade]) or _status_of_checks(grade)


@app.command(group=STUDENT)
def train(
    folder: Folder = Path("."),
    /,
    *,
    recipe: Annotated[
        Path | None, Parameter(name="--recipe", help="Default: recipe.toml in the folder.")
    ] = None,
    data: Data = None,
    restart: Annotated[
        bool,
        _flag("--restart", "Forget the interrupted run and start anew."),
    ] = False,
    initial_weights: Annotated[
        Path | None,
        Parameter(name="--initial-weights", help="Begin with the weights of an earlier training."),
    ] = None,
) -> int:
    """Train build_model() by recipe.toml; interrupted, the same command goes on."""
    from grader.student.train import train_and_show

    _end_silent_downloads()
    history = train_and_show(
        folder, recipe=recipe, data=data, restart=restart, initial_weights=initial_weights
    )
    return EXIT_OF_TRAINING.get(history.stopped.value, EXIT_GRADED)


@app.command(group=STUDENT)
def pack(
    folder: Folder = Path("."),
    /,
    *,
    output: Annotated[
        Path | None,
        Parameter(name=["--output", "-o"], help="Folder for the two files. Default: FOLDER."),
    ] = None,
) -> int:
    """Write submission.zip and a receipt with its SHA-256."""
    from grader.student.pack import pack as pack_folder
    from grader.student.pack import read_receipt, remarks_on_packed

    archive = pack_folder(folder, output or folder)
    receipt = read_receipt(archive)
    with Console(stderr=True).status("Loading the weights into build_model()"):
        remarks = [*receipt.remarks, *remarks_on_packed(archive, receipt.weights)]
    _tell(f"{archive}  {len(receipt.files)} files, {receipt.size_bytes:,} bytes")
    _tell(f"SHA-256   {receipt.sha256}")
    _tell(f"weights   {receipt.weights or 'none: the accuracy cannot be graded'}")
    for remark in remarks:
        _tell(f"remark    {remark}")
    return EXIT_GRADED


# --- instructors and operators ----------------------------------------------------------------


@app.command(group=TOOLS)
def doctor(
    *,
    assignment: Assignment = None,
    data: Data = None,
    device: Device = "auto",
    json: Annotated[bool, _flag("--json", "As JSON, for a program.")] = False,
) -> int:
    """Say what this machine can do, with a fix for each lack."""
    from grader.doctor import examine, show
    from grader.resources import assignment_dir

    progress = Console(stderr=True)
    with progress.status("Looking at this machine (TensorFlow takes some seconds)"):
        readings = examine(data, assignment or assignment_dir(), device)
    return show(readings, _out(), as_json=json)


@app.command(group=TOOLS)
def fetch(*, data: Data = None) -> int:
    """Have CIFAR-10 on this machine: say where it is, or let Keras download it (170 MB)."""
    from grader.engine.data import NoData, find_cifar10

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Keras brings TensorFlow's chatter along
    _end_silent_downloads()
    with Console(stderr=True).status("Looking for CIFAR-10"):
        found = find_cifar10(data, may_download=True)
    if isinstance(found, NoData):
        _say(found.reason)
        return EXIT_INFRASTRUCTURE
    _tell(f"CIFAR-10 is in {found.source}")
    return EXIT_GRADED


@app.command(group=TOOLS)
def verify(
    results: Annotated[
        Path, Parameter(env_var=RESULTS_ENVIRONMENT, help="The results folder.")
    ] = RESULTS,
    /,
) -> int:
    """Say which recorded grade or run was changed, dropped or added since it was written."""
    from grader.ledger import ProblemKind
    from grader.ledger import verify as problems_of

    if not results.is_dir():
        raise UsageError(f"{results}: expected a results folder. Received: no folder.")
    problems = problems_of(results)
    for problem in problems:
        _tell(f"{problem.kind.value}: {problem.message}")
    if all(problem.kind is ProblemKind.INTERRUPTED for problem in problems):
        _tell(f"{results}: every grade is as it was written.")
        return EXIT_GRADED
    return EXIT_REJECTED


@app.command(group=TOOLS)
def compare(
    mine: Annotated[str, Parameter(help="FILE.py:FUNCTION; the function gives a model.")],
    reference: Annotated[str, Parameter(help="FILE.py:FUNCTION of the network it should be.")],
    /,
    *,
    input_shape: Annotated[
        str | None,
        Parameter(
            name="--input-shape",
            help="Size of the images, e.g. 32,32,3; for models that do not say it themselves.",
        ),
    ] = None,
    json: Annotated[
        Path | None, Parameter(name="--json", help="Write the differences to this file as JSON.")
    ] = None,
    sandbox: SandboxOption = "auto",
) -> int:
    """Say whether two files compute the same network, and if not, where they part.

    Names, order of concatenation and style are no difference. Exit status: 0 the same, 1 another
    network or none, 2 usage (or a reference that gives no network), 3 the machine failed.
    """
    from grader.comparison import compare_files, named, write_comparison
    from grader.report.diff import render_comparison

    given, wanted = named(mine), named(reference)
    with Console(stderr=True).status("Comparing"):
        findings = compare_files(given, wanted, _size(input_shape), sandbox)
    _out().print(render_comparison(findings, str(given), str(wanted)))
    if json is not None:
        write_comparison(findings, given, wanted, json)
    different = any(finding.severity == "deviation" for finding in findings)
    return EXIT_REJECTED if different else EXIT_GRADED


def _size(written: str | None) -> list[int] | None:
    """--input-shape as height, width, channels."""
    if written is None:
        return None
    parts = written.split(",")
    if len(parts) not in (1, 3) or not all(p.strip().isdecimal() and int(p) > 0 for p in parts):
        raise UsageError(f"--input-shape: expected HEIGHT,WIDTH,CHANNELS. Received: {written}")
    return [int(p) for p in parts]


@app.command(group=TOOLS)
def selftest(
    *names: Annotated[str, Parameter(help="Mutants of the catalogue. Default: a sample of 40.")],
    all: Annotated[bool, _flag("--all", "The whole catalogue: over half an hour of CPU.")] = False,
    quick: Annotated[bool, _flag("--quick", "The sample, which is the default.")] = False,
    jobs: Jobs = None,
    assignment: Assignment = None,
    json: Annotated[
        Path | None, Parameter(name="--json", help="Write every verdict to this file as JSON.")
    ] = None,
    freeze: Annotated[
        bool, _flag("--freeze", "Keep what was found as the verdicts that count from now on.")
    ] = False,
    sandbox: SandboxOption = "auto",
) -> int:
    """Judge networks whose verdict is known: each must lose exactly what it is known to lose."""
    from importlib.util import find_spec

    if find_spec("grader.selftest") is None:
        raise UsageError("selftest: it is not in the wheel for students. Run it in a checkout.")
    from grader.assignment import load_assignment
    from grader.resources import assignment_dir
    from grader.sandbox import open_sandbox, sandbox_for_own_code
    from grader.selftest.run import choose
    from grader.selftest.run import freeze as keep
    from grader.selftest.run import selftest as judge_all
    from grader.selftest.show import one_line, render

    if all and (quick or names):
        raise UsageError("--all: expected neither --quick nor names with it.")
    if freeze and assignment is not None:
        raise UsageError("--freeze: expected the assignment that ships, without --assignment.")
    cases = choose(names, everything=all)
    rules = load_assignment(assignment or assignment_dir())
    progress = Console(stderr=True)
    room = open_sandbox(sandbox_for_own_code() if sandbox == "auto" else sandbox, warm=True)
    try:
        found = judge_all(
            cases,
            rules,
            room,
            jobs=_workers(jobs),
            on_verdict=lambda v: progress.print(one_line(v)),
        )
    finally:
        room.close()
    _out().print(render(found))
    if freeze:
        keep(found)
    if json is not None:
        json.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    sound = not found.misjudged if freeze else found.sound
    return EXIT_GRADED if sound else EXIT_INFRASTRUCTURE


# --- shared by the commands -------------------------------------------------------------------

LONGEST_LINE = 1000
"""Characters of one line of a message."""


def _out() -> Console:
    return Console()


def _end_silent_downloads() -> None:
    """Keras waits for ever for a server that does not answer."""
    import socket

    socket.setdefaulttimeout(FETCH_TIMEOUT_S)


def _options(
    *,
    assignment: Path | None = None,
    results: Path = RESULTS,
    submitted_at: str | None = None,
    **rest: Any,
) -> GradeOptions:
    from grader.pipeline import GradeOptions
    from grader.resources import assignment_dir

    directory = assignment or assignment_dir()
    received = None if submitted_at is None else _received(submitted_at, directory)
    return GradeOptions(
        assignment_dir=directory, results_dir=results, submitted_at=received, **rest
    )


def _workers(jobs: int | None) -> int:
    """How many at the same time; one for each core where nothing is said."""
    if jobs is None:
        return os.cpu_count() or 1
    if jobs < 1:
        raise UsageError(f"--jobs: expected 1 or more. Received: {jobs}")
    return jobs


def _received(written: str, assignment: Path) -> datetime:
    """--submitted-at as an instant; without an offset, in the assignment's zone, and said so."""
    from grader.assignment import aware_time, load_assignment, zone_named

    zone = zone_named(load_assignment(assignment).deadline.zone)
    try:
        moment = aware_time(written, zone)
    except ValueError as error:
        raise UsageError(f"--submitted-at: {error}") from error
    if not _has_offset(written):
        _say(f"--submitted-at has no offset: taken as {moment.isoformat()} ({zone.key}).")
    return moment


def _has_offset(written: str) -> bool:
    return datetime.fromisoformat(written.strip()).tzinfo is not None


def _shown(
    options: GradeOptions, quiet: bool, several: bool = False, **how: bool
) -> Callable[[Grade], None]:
    """How a grade is shown when it is made.

    One grade is a report. Of several, each is a line of progress, and their table is the result;
    with --quiet the lines are the result.
    """
    from grader.assignment import load_assignment
    from grader.report.terminal import render

    assignment = load_assignment(options.assignment_dir)
    console = Console(stderr=True) if several and not quiet else _out()
    return lambda grade: console.print(render(grade, assignment, quiet=quiet or several, **how))


def _unseen(grade: Grade) -> None:
    """Show nothing now: the grade is shown when its file is written, or nobody reads any more."""


class _Working:
    """A moving line on standard error while work goes on; it steps aside for each grade.

    Args:
        verb: What is being done.
        total: Submissions to come.
        show: Shows a finished grade.
    """

    def __init__(self, verb: str, total: int, show: Callable[[Grade], None]) -> None:
        self.verb, self.total, self.show = verb, total, show
        self.done = 0
        self.status = Console(stderr=True).status(self._words())

    def _words(self) -> str:
        return f"{self.verb} {self.done + 1} of {self.total}" if self.total > 1 else self.verb

    def __enter__(self) -> Callable[[Grade], None]:
        self.status.start()
        return self._one_done

    def __exit__(self, *_: object) -> None:
        self.status.stop()

    def _one_done(self, grade: Grade) -> None:
        self.status.stop()
        try:
            self.show(grade)
        except (BrokenPipeError, SystemExit):  # Rich ends a program whose reader went away
            self.show = _unseen
        self.done += 1
        if self.done < self.total:
            self.status.update(self._words())
            self.status.start()


def _write_json(grades: Sequence[Grade], file: Path | None) -> None:
    if file is not None:
        from grader.export.json import write_json

        write_json(grades, file)
        _say(f"{len(grades)} grades in {file}" if len(grades) != 1 else f"The grade is in {file}")


def _status(grades: Iterable[Grade]) -> int:
    from grader.scoring.grade import exit_status

    return exit_status(grades)


def _status_of_checks(grade: Grade) -> int:
    from grader.domain import Outcome

    failed = any(check.outcome is Outcome.FAILED for check in grade.checks)
    return EXIT_REJECTED if failed else EXIT_GRADED


def _tell(message: str) -> None:
    """A result, on standard output."""
    _print(_out(), message)


def _say(message: str) -> None:
    """Progress and errors, on standard error."""
    _print(Console(stderr=True), message)


def _print(console: Console, message: str) -> None:
    """Lines that may quote a student's file name."""
    from grader.report.text import safe_text

    for line in message.split("\n"):
        console.print(safe_text(line, limit=LONGEST_LINE), soft_wrap=True)


# --- the way in -------------------------------------------------------------------------------


def run(words: Sequence[str]) -> int:
    """One command line to its end.

    Args:
        words: What follows the program's name.

    Returns:
        The exit status. Every error becomes one, with one line on standard error.
    """
    debug = DEBUG in words
    try:
        status = app(
            [word for word in words if word != DEBUG], exit_on_error=False, print_error=False
        )
        sys.stdout.flush()
    except CycloptsError as error:
        _say(f"grade: {error}\nSee grade --help.")
        return EXIT_USAGE
    except GraderError as error:
        _explain(error, debug)
        return error.exit_status
    except KeyboardInterrupt:
        _say("Interrupted. What was finished is kept; the same command goes on from there.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`grade … | head`). Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_INFRASTRUCTURE
    except Exception as error:  # a bug of ours: one line for the user, never points for a student
        _explain(error, debug)
        if not debug:
            _say("This is an error of the grader. --debug shows where it happened.")
        return EXIT_INFRASTRUCTURE
    return status if isinstance(status, int) else EXIT_GRADED


def _explain(error: Exception, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    lines = [f"grade: {error or type(error).__name__}"]
    help = getattr(error, "help", "")
    if help:
        lines.append(help)
    _say("\n".join(lines))


def main() -> None:
    """The console script `grade`."""
    from grader.report.plain import show_every_character

    show_every_character(sys.stdout, sys.stderr)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
