"""The commands for whoever writes a course."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from grader.cli.options import TOOLS, Assignment, SandboxOption, app
from grader.cli.screen import tell
from grader.errors import EXIT_GRADED, UsageError


@app.command(group=TOOLS)
def new_unit(
    name: Annotated[
        str, Parameter(help="Its topic, such as lenet; its module is then called lenet.py.")
    ],
    folder: Annotated[
        Path | None, Parameter(help="A new or empty folder. Default: the unit's name.")
    ] = None,
    /,
) -> int:
    """Write the frame of a unit of your own, which can be graded as it stands."""
    from grader.assignment.framing import write_frame

    place = folder or Path(name)
    for file in write_frame(name, place):
        tell(str(file))
    tell(f"Try it: grade doctor --assignment {place}, then change it: docs/new-unit.md says how.")
    return EXIT_GRADED


@app.command(group=TOOLS)
def publish(*, assignment: Assignment = None, sandbox: SandboxOption = "auto") -> int:
    """Write what is right in the public calls of [[functions]], for `grade check` to compare with.

    It is the same for everybody and holds nothing of the hidden calls.
    """
    from grader.assignment import load_assignment
    from grader.course import KNOWN_CHECKS
    from grader.resources import assignment_dir
    from grader.run.functions import publish_calls
    from grader.sandbox import open_sandbox

    asked = load_assignment(assignment or assignment_dir(), KNOWN_CHECKS)
    if not asked.functions:
        raise UsageError(f"{asked.file}: expected [[functions]]: there is nothing to publish.")
    room = open_sandbox(sandbox)
    try:
        tell(str(publish_calls(asked, room)))
    finally:
        room.close()
    return EXIT_GRADED
