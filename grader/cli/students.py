"""The commands for students: from the template to the zip.

No room that needs TensorFlow, Keras, OpenCV or Docker is imported before a command asks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators
from rich.console import Console

from grader.cli.options import (
    STUDENT,
    Assignment,
    Data,
    Folder,
    JsonFile,
    Quiet,
    SandboxOption,
    app,
    flag,
)
from grader.cli.screen import (
    EXIT_INTERRUPTED,
    Working,
    end_silent_downloads,
    options_from,
    out,
    shown,
    status_of,
    status_of_checks,
    tell,
    unit_of,
    unseen,
    write_grades,
)
from grader.cli.watching import watch_folder
from grader.errors import EXIT_GRADED, EXIT_INFRASTRUCTURE, UsageError

if TYPE_CHECKING:
    from grader.graph.evidence import Evidence

EXIT_OF_TRAINING = {"interrupted": EXIT_INTERRUPTED, "out of memory": EXIT_INFRASTRUCTURE}
"""How a training that the student's network did not end leaves; every other way is 0."""


@app.command(group=STUDENT)
def init(
    *words: Annotated[
        str,
        Parameter(
            name="UNIT",
            help="A unit, such as opencv, and a new or empty folder for it. Default folder: the "
            "unit's name. A folder alone is for the DenseNet.",
        ),
    ],
    list: Annotated[
        bool, flag("--list", "Name the units of the course, and write nothing.")
    ] = False,
    notebook: Annotated[
        bool, flag("--notebook", "Write a notebook in place of the Python file.")
    ] = False,
) -> int:
    """Write out the template of a unit to start from."""
    from grader.assignment.units import units
    from grader.student.template import chosen, write_template

    if list:
        for one in units():
            tell(f"{one.topic:12}  {one.module:16}  {one.title}")
        return EXIT_GRADED
    unit, folder = chosen(words)
    written = write_template(folder, unit, notebook=notebook)
    tell(f"{len(written)} files in {folder}. Read {folder / 'README.md'} next.")
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
        bool, flag("--all", "Show everything that was found, not only the first cause.")
    ] = False,
    diff: Annotated[
        bool, flag("--diff", "Show the network beside the paper's, block by block, as well.")
    ] = False,
    watch: Annotated[
        bool, flag("--watch", "Check again after each save, and show what it changed. Ctrl-C ends.")
    ] = False,
    only: Annotated[
        str | None, Parameter(name="--only", help="Make one check alone, by its name.")
    ] = None,
) -> int:
    """Run every check that needs neither the test set nor the hidden probes.

    Exit status: 0 every check passed, 1 one failed or there was nothing to check, 2 usage, 3 the
    machine failed.
    """
    from grader.sandbox import open_for_own_code

    course = assignment or unit_of(folder).folder
    if only is not None:  # a slip is answered before anything is started
        _ = options_from(assignment=course, only=only).assignment
        if diff:
            raise UsageError("--only: expected without --diff, which draws the whole network.")
    if watch and (json is not None or quiet or diff):
        raise UsageError("--watch: expected neither --json, --quiet nor --diff with it.")
    own = open_for_own_code(sandbox)  # it loads TensorFlow while we load what follows
    from grader.pipeline import check_folder
    from grader.report.checked import prints_of

    options = options_from(assignment=course, sandbox=sandbox, evaluate=False, only=only)
    if watch:
        return watch_folder(folder.resolve(), options, own, everything=all)
    with Working("Checking", unseen):
        read: list[Evidence] = []
        grade = check_folder(folder.resolve(), options, read.append, own)
    write_grades([grade], json)
    if diff:
        from grader.graph.drawing import draw
        from grader.report.diff import render_drawing

        if grade.checks and not read:
            tell("--diff: no drawing, as it would tell of checks that students do not see (yet).")
        else:
            out().print(render_drawing(draw(read[0]) if read else None))
    # Last, so that it is what stays on the screen.
    prints = prints_of(read[0]) if read else {}
    shown(options, quiet, checking=True, everything=all, only=only, prints=prints)(grade)
    return status_of([grade]) or status_of_checks(grade)


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
        flag("--restart", "Forget the interrupted run and start anew."),
    ] = False,
    initial_weights: Annotated[
        Path | None,
        Parameter(name="--initial-weights", help="Begin with the weights of an earlier training."),
    ] = None,
    minutes: Annotated[
        float | None,
        Parameter(
            name="--minutes",
            validator=validators.Number(gt=0),
            help="Stop after so many minutes of training; says first what fits into them.",
        ),
    ] = None,
    find_rate: Annotated[
        bool,
        flag("--find-rate", "Try a hundred learning rates, say which is good, and train nothing."),
    ] = False,
) -> int:
    """Train build_model() by recipe.toml; interrupted, the same command goes on."""
    from grader.student.train import find_rate_and_show, train_and_show

    end_silent_downloads()
    if find_rate:
        find_rate_and_show(folder, recipe=recipe, data=data)
        return EXIT_GRADED
    history = train_and_show(
        folder,
        recipe=recipe,
        data=data,
        restart=restart,
        initial_weights=initial_weights,
        budget_s=None if minutes is None else 60 * minutes,
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
    assignment: Assignment = None,
) -> int:
    """Write submission.zip and a receipt with its SHA-256."""
    from grader.assignment import load_assignment
    from grader.intake import IntakePolicy
    from grader.student.pack import pack as pack_folder
    from grader.student.pack import read_receipt, remarks_on_packed, told_of_packed

    rules = load_assignment(assignment or unit_of(folder).folder)
    archive = pack_folder(folder, output or folder, policy=IntakePolicy.of(rules))
    receipt = read_receipt(archive)
    with Console(stderr=True).status("Loading the weights into build_model()"):
        remarks = [*receipt.remarks, *remarks_on_packed(archive, receipt.weights, rules)]
    for line in told_of_packed(archive, receipt, remarks, rules):
        tell(line)
    return EXIT_GRADED


@app.command(group=STUDENT)
def explain(
    check: Annotated[
        str | None, Parameter(help="A check's name, such as dense-connectivity. Default: a list.")
    ] = None,
    /,
    *,
    assignment: Assignment = None,
) -> int:
    """Say what a check is about: the paper's sentence, a picture, common mistakes."""
    from grader.course import named_check, seen_checks
    from grader.student.explain import check_list, explanation

    rules = options_from(assignment=assignment or unit_of(Path(".")).folder).assignment
    if check is None:
        seen = {one: rules.rubric[one.name].points for one in seen_checks(rules)}
        out().print(check_list(seen))
        return EXIT_GRADED
    one = named_check(check, rules)
    out().print(explanation(one, rules.rubric[one.name].points))
    return EXIT_GRADED
