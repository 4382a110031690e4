"""The commands for whoever writes a course."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from grader.cli.options import TOOLS, app
from grader.cli.screen import tell
from grader.errors import EXIT_GRADED


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
