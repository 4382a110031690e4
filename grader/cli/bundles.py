"""The command that hands the grader to a platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from grader.cli.options import TOOLS, Assignment, app, flag
from grader.cli.screen import tell
from grader.errors import EXIT_GRADED


@app.command(group=TOOLS)
def bundle(
    platform: Annotated[
        Literal["gradescope", "codabench", "autolab", "prairielearn", "classroom50"],
        Parameter(help="Who runs the grader."),
    ],
    folder: Annotated[Path, Parameter(help="A new or empty folder.")],
    /,
    *,
    assignment: Assignment = None,
    wheel: Annotated[
        Path | None,
        Parameter(
            name="--wheel",
            help="The grader's wheel without the answers. Default: built from this checkout.",
        ),
    ] = None,
    image: Annotated[
        str | None,
        Parameter(name="--image", help="Name of the image that the platform starts."),
    ] = None,
    evaluation: Annotated[
        bool,
        flag("--evaluation", "Measure the accuracy there, where the sandbox works there."),
    ] = False,
) -> int:
    """Write what a platform that runs graders is given, and say what to do with it."""
    from grader.bundle.command import write_bundle
    from grader.resources import assignment_dir

    steps = write_bundle(
        platform,
        folder,
        assignment or assignment_dir(),
        wheel=wheel,
        image=image,
        evaluation=evaluation,
    )
    for step in steps:
        tell(step)
    return EXIT_GRADED
