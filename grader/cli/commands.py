"""The commands: words to calls, and nothing else.

No room that needs TensorFlow, Keras, OpenCV or Docker is imported before a command asks for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from grader import files
from grader.cli.options import (
    RESULTS,
    RESULTS_ENVIRONMENT,
    TOOLS,
    Address,
    Assignment,
    Backend,
    Data,
    Device,
    Engine,
    FailedOnly,
    From,
    GradebookFile,
    Having,
    Jobs,
    JsonFile,
    NoEvaluation,
    Quiet,
    Reference,
    Results,
    Retrain,
    RosterFile,
    SandboxOption,
    Sort,
    SubmittedAt,
    app,
    flag,
)
from grader.cli.screen import (
    Working,
    end_silent_downloads,
    options_from,
    out,
    refuse_mistyped,
    say,
    shown,
    status_of,
    tell,
    told_of_gradebook,
    unit_of,
    workers,
    write_grades,
)
from grader.errors import EXIT_GRADED, EXIT_INFRASTRUCTURE, EXIT_REJECTED, UsageError

if TYPE_CHECKING:
    from grader.domain import Grade


# --- grading ----------------------------------------------------------------------------------


@app.default
def grade(
    *paths: Annotated[
        Path,
        Parameter(
            help="A zip, a folder with densenet.py, a folder of either, or a learning platform's "
            "one zip of all."
        ),
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
    roster: RosterFile = None,
    gradebook: GradebookFile = None,
    no_evaluation: NoEvaluation = False,
    retrain: Retrain = False,
    sandbox: SandboxOption = "auto",
    jobs: Jobs = None,
    engine: Engine = "local",
    address: Address = None,
    data: Data = None,
    backend: Backend = "auto",
    device: Device = "auto",
    reference: Reference = False,
    sort: Sort = "class",
    filter: Having = "",
    failed_only: FailedOnly = False,
    quiet: Quiet = False,
) -> int:
    """Grade submissions."""
    from grader.classroom.gradebook import into_gradebook
    from grader.classroom.progress import Progress
    from grader.classroom.submissions import find_submissions
    from grader.export.nbgrader import require_gradebook
    from grader.intake.roster import load_roster
    from grader.ledger import counting_grades
    from grader.ledger.database import network_file_system
    from grader.ledger.lease import hold
    from grader.pipeline import grade_items
    from grader.report.classtable import View, render_class

    if not paths:
        raise UsageError("expected a submission, such as submission.zip. See grade --help.")
    refuse_mistyped(str(paths[0]))
    if address is not None and engine != "ray":
        raise UsageError(f"--address {address}: only a Ray cluster has one. Add --engine ray.")
    if assignment is None and len(paths) == 1 and paths[0].is_dir():
        assignment = unit_of(paths[0]).folder
    options = options_from(
        assignment=assignment,
        results=results,
        submitted_at=submitted_at,
        student_id=student_id,
        platform=platform,
        evaluate=not no_evaluation,
        retrain=retrain,
        sandbox=sandbox,
        jobs=workers(jobs),
        engine=engine,
        address=address,
        data=data,
        backend=backend,
        device=device,
        reference=reference,
    )
    if gradebook is not None:
        require_gradebook(gradebook)
    if (kind := network_file_system(options.results_dir)) is not None:
        say(f"{results} lies on a network disk ({kind}): safe only while one machine grades there.")
    students = None
    if roster is not None:
        students = load_roster(roster, options.assignment.deadline.zone_info)
    with files.scratch("class") as scratch:
        found = find_submissions(
            paths,
            options.assignment,
            platform=platform,
            student_id=student_id,
            scratch=scratch,
            roster=students,
        )
        for notice in found.notices:
            say(notice)
        several = len(found.items) > 1
        progress = Progress(len(found.items)) if several else None
        show = shown(options, quiet, several)
        alone: list[Grade] = []
        with (
            hold(options.results_dir, say),
            Working("Grading", show if several else alone.append, progress) as on_grade,
        ):
            grades = grade_items(found.items, options, on_grade, progress)
    # The file first: a screen that goes away must not cost it.
    write_grades(grades, json, students)
    if gradebook is not None:
        recorded = counting_grades(options.results_dir)
        told_of_gradebook(
            into_gradebook(gradebook, options.assignment, found.items, grades, recorded)
        )
    for one in alone:
        show(one)
    if several and not quiet:
        out().print(render_class(grades, students, View(sort, filter, failed_only)))
    elif students is not None:
        for name in (
            student.student_id
            for student in students.missing({grade.student_id for grade in grades})
        ):
            say(f"nothing handed in: {name}")
    return status_of(grades)


# --- instructors and operators ----------------------------------------------------------------


@app.command(group=TOOLS)
def doctor(
    *,
    assignment: Assignment = None,
    data: Data = None,
    device: Device = "auto",
    json: Annotated[bool, flag("--json", "As JSON, for a program.")] = False,
) -> int:
    """Say what this machine can do, with a fix for each lack."""
    from grader.doctor import examine, show
    from grader.resources import assignment_dir

    progress = Console(stderr=True)
    with progress.status("Looking at this machine (TensorFlow takes some seconds)"):
        readings = examine(data, assignment or assignment_dir(), device)
    return show(readings, out(), as_json=json)


@app.command(group=TOOLS)
def fetch(*, data: Data = None, assignment: Assignment = None) -> int:
    """Have the images of an assignment on this machine, CIFAR-10 (170 MB) for the one that ships:
    say where they are, or let Keras download them."""
    from grader.assignment import load_assignment
    from grader.engine.data import NoData, find_images, title_of
    from grader.resources import assignment_dir
    from grader.scoring.grade import NO_ACCURACY

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Keras brings TensorFlow's chatter along
    end_silent_downloads()
    source = load_assignment(assignment or assignment_dir()).data
    if source is None:
        tell(f"{NO_ACCURACY}: there are no images to fetch")
        return EXIT_GRADED
    with Console(stderr=True).status(f"Looking for {title_of(source)}"):
        found = find_images(data, source, may_download=True)
    if isinstance(found, NoData):
        say(found.reason)
        return EXIT_INFRASTRUCTURE
    tell(f"{title_of(source)} is in {found.source}")
    return EXIT_GRADED


@app.command(group=TOOLS)
def verify(
    results: Annotated[
        Path, Parameter(env_var=RESULTS_ENVIRONMENT, help="The results folder.")
    ] = RESULTS,
    /,
) -> int:
    """Say which recorded grade or run was changed, dropped or added since it was written."""
    from grader.run.audit import verify_results

    if not results.is_dir():
        raise UsageError(f"{results}: expected a results folder. Received: no folder.")
    problems = verify_results(results)
    for problem in problems:
        tell(f"{problem.kind.value}: {problem.message}")
    if not problems:
        tell(f"{results}: every grade is as it was written.")
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
    from grader.comparison import compare_files, function_at, write_comparison
    from grader.report.diff import render_comparison

    given, wanted = function_at(mine), function_at(reference)
    with Console(stderr=True).status("Comparing"):
        findings = compare_files(given, wanted, _size(input_shape), sandbox)
    out().print(render_comparison(findings, str(given), str(wanted)))
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
    all: Annotated[bool, flag("--all", "The whole catalogue: over half an hour of CPU.")] = False,
    quick: Annotated[bool, flag("--quick", "The sample, which is the default.")] = False,
    jobs: Jobs = None,
    assignment: Assignment = None,
    json: Annotated[
        Path | None, Parameter(name="--json", help="Write every verdict to this file as JSON.")
    ] = None,
    freeze: Annotated[
        bool, flag("--freeze", "Keep what was found as the verdicts that count from now on.")
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
            jobs=workers(jobs),
            on_verdict=lambda v: progress.print(one_line(v)),
        )
    finally:
        room.close()
    out().print(render(found))
    if freeze:
        keep(found)
    if json is not None:
        json.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    sound = not found.misjudged if freeze else found.sound
    return EXIT_GRADED if sound else EXIT_INFRASTRUCTURE
