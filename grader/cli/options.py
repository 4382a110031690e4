"""The program `grade`, and the words that several of its commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter, Token

from grader import __version__
from grader.engine.gpu import DEVICE_ENVIRONMENT

RESULTS = Path("results")
RESULTS_ENVIRONMENT = "GRADER_RESULTS"
"""The image sets it: what is mounted at /work may not be the container's user's to write."""

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


def commands() -> list[str]:
    """The words that are commands."""
    return [name for name in app if not name.startswith("-")]


def flag(name: str, help: str) -> Parameter:
    """A switch: off unless named, with no --no- twin."""
    return Parameter(name=name, negative="", show_default=False, help=help)


# --- words that several commands share --------------------------------------------------------


def _assignment_named(_: Any, tokens: Sequence[Token]) -> Path:
    from grader.assignment.units import folder_named

    return folder_named(tokens[0].value)


SandboxKind = Literal["auto", "docker", "jail", "process"]

Assignment = Annotated[
    Path | None,
    Parameter(
        name="--assignment",
        converter=_assignment_named,
        help="A unit of the course that ships, such as opencv, or a folder with assignment.toml. "
        "Default: the DenseNet; in a student's folder, the unit whose module lies there.",
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
        "canvas", "moodle", "blackboard", "gradescope", "brightspace", "sakai", "github",
        "google", "autolab", "prairielearn", "nbgrader", "folders", "files",
    ]
    | None,
    Parameter(
        name="--from",
        help="What named the submissions: a learning platform, or with folders each student's "
        "folder, with files each archive's own name. Default: what most names of the class "
        "folder have in common.",
    ),
]  # fmt: skip
RosterFile = Annotated[
    Path | None,
    Parameter(
        name="--roster",
        help="CSV file of the students, of Canvas, Moodle, Gradescope or your own: names, e-mail "
        "addresses, sections and further ids. Whoever handed nothing in is listed as missing.",
    ),
]
GradebookFile = Annotated[
    str | None,
    Parameter(
        name="--gradebook",
        help="nbgrader's gradebook.db, or its database URL: scores, feedback, lateness and due "
        "date are written into it. Scores and comments that a person has given there stay.",
    ),
]
Jobs = Annotated[
    int | None,
    Parameter(
        name="--jobs",
        help="Submissions read at the same time. Default: one for each core. On a Ray cluster with "
        "an address: one for each of its cores.",
    ),
]
Engine = Annotated[
    Literal["local", "ray"],
    Parameter(
        name="--engine",
        help="Where the work is done: on this machine, or on a Ray cluster, which is started here "
        "unless --address names one.",
    ),
]
Address = Annotated[
    str | None,
    Parameter(name="--address", help="Of the Ray cluster, such as 10.0.0.5:6379."),
]
Quiet = Annotated[
    bool,
    flag("--quiet", "One line for each submission in place of report or table."),
]
Sort = Annotated[
    Literal["class", "student", "score", "accuracy", "late", "lost"],
    Parameter(
        name="--sort",
        help="Order of the class table: as found, or the lowest score or accuracy, the latest, or "
        "who lost most first.",
    ),
]
Having = Annotated[
    str,
    Parameter(
        name="--filter",
        help="Only the lines of the class table with this text in the student_id, the verdict, the "
        "note or a check that was lost.",
    ),
]
FailedOnly = Annotated[
    bool,
    flag("--failed-only", "Only the lines of the class table that lost points or have no score."),
]
NoEvaluation = Annotated[
    bool,
    flag("--no-evaluation", "Leave the accuracy unmeasured."),
]
Retrain = Annotated[
    bool,
    flag("--retrain", "Train the network here by its recipe.toml instead of taking its weights."),
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
    flag("--reference", "What is graded is the course's own solution: no review for being it."),
]
Folder = Annotated[Path, Parameter(help="The submission's folder.")]
