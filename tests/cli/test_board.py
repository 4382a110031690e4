"""The live board of a class."""

import io
import os
import pty
import subprocess
import sys

import pytest
from rich.console import Console

from grader.classroom.progress import Progress, Stage
from grader.cli.board import Board
from grader.domain import GradeStatus


def drawn(progress, width=80):
    screen = io.StringIO()
    Console(file=screen, width=width).print(Board(progress))
    return screen.getvalue()


def test_the_board_counts_outcomes_and_stages():
    progress = Progress(300)
    progress.finished(GradeStatus.GRADED)
    progress.finished(GradeStatus.REJECTED)

    with progress.stage("nguyenvananh_48213", Stage.READING):
        shown = drawn(progress)

    assert "2 of 300 graded" in shown
    assert "1 graded  1 rejected  1 reading  297 waiting" in shown
    assert "reading  nguyenvananh_48213" in shown
    assert "left" in shown


def test_a_hostile_name_stays_on_its_line():
    progress = Progress(2)

    with progress.stage("a\x1b[2J\n[red]b", Stage.MEASURING):
        shown = drawn(progress)

    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 3


CLASS = """
import sys, types
from grader.cli import run
from grader.classroom.progress import Stage
from grader.domain import GradeStatus

class Pipeline(types.ModuleType):
    def grade_items(self, items, options, on_grade, progress):
        with progress.stage(items[0].identity.student_id, Stage.READING):
            input()
        return []

sys.modules["grader.pipeline"] = Pipeline("grader.pipeline")
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_on_a_terminal_a_class_has_its_board(tmp_path):
    for name in ("chen.zip", "asha.zip"):
        (tmp_path / name).write_bytes(b"")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", CLASS, str(tmp_path / "asha.zip"), str(tmp_path / "chen.zip")]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=theirs, env=environment
    ) as program:
        os.close(theirs)
        screen = b""
        while b"reading" not in screen:
            screen += os.read(ours, 4096)
        program.stdin.write(b"\n")
        program.stdin.close()
        while piece := _more(ours):
            screen += piece
    os.close(ours)

    assert b"0 of 2 graded" in screen
    assert b"asha" in screen
    assert program.returncode == 0


def _more(terminal):
    """What the program still writes; nothing once it is gone."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
