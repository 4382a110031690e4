"""Help texts as they are kept in tests/house/help; `GOLDEN=write pytest` writes them."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from grader.cli import app

GOLDEN = Path(__file__).parent / "help"
COMMANDS = sorted(name for name in app if not name.startswith("-"))


def help_of(*command: str) -> str:
    console = Console(file=io.StringIO(), width=80, color_system=None, force_terminal=False)
    app.help_print(list(command), console=console)
    lines = (line.rstrip() for line in console.file.getvalue().splitlines())
    return "\n".join(lines).strip() + "\n"


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=["grade", *COMMANDS])
def test_the_help_is_what_was_agreed(command):
    kept = GOLDEN / f"{'-'.join(['grade', *command])}.txt"
    if os.environ.get("GOLDEN") == "write":
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(help_of(*command), encoding="utf-8")

    assert help_of(*command) == kept.read_text(encoding="utf-8")


def test_no_help_is_kept_for_a_command_that_is_gone():
    known = {"grade.txt", *(f"grade-{name}.txt" for name in COMMANDS)}

    assert {path.name for path in GOLDEN.iterdir()} == known
