"""`grade check --watch`: when it checks, what it ends, what it says is new, and how it ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from grader.cli import run
from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.errors import Cause, InfrastructureError, UsageError
from grader.intake import DEFAULT
from grader.resources import reference_dir
from grader.student.looking import Look
from grader.student.watch import PATIENCE_S, SETTLE_S, Seen, Watch
from grader.student.watching import WatchScreen
from tests import examples

ROOT = Path(__file__).parents[2]


def grade(**outcomes: str) -> Grade:
    """A grade with these checks."""
    results = tuple(
        CheckResult(name=n.replace("_", "-"), title=n, group="shape", outcome=Outcome(o))
        for n, o in outcomes.items()
    )
    found = examples.grade(examples.submission("s1"), examples.checks())
    return found.model_copy(update={"checks": results})


class Desk:
    """A folder, a clock and a check that are played by hand."""

    def __init__(self) -> None:
        self.now, self.saves, self.text = 0.0, 0, "a"
        self.results: list[Grade | Exception] = []
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.shown: list[Seen] = []
        self.said: list[str] = []
        self.interrupts = 0
        self.watch = Watch(
            state=lambda: frozenset({("densenet.py", self.saves, 1)}),
            said=lambda: self.text,
            check=self._check,
            interrupt=self._interrupt,
            screen=self,
            clock=lambda: self.now,
        )

    def _check(self) -> Grade:
        self.began.release()
        self.may_end.acquire()
        result = self.results.pop(0) if self.results else grade(one="passed")
        if isinstance(result, Exception):
            raise result
        return result

    def _interrupt(self) -> None:
        self.interrupts += 1
        self.may_end.release()

    def show(self, seen: Seen) -> None:
        self.shown.append(seen)

    def checking(self, seconds: float) -> None:
        self.said.append(f"checking {seconds:.0f}")

    def unchanged(self) -> None:
        self.said.append("unchanged")

    def save(self, text: str) -> None:
        self.saves, self.text = self.saves + 1, text

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.watch.step()

    def settle(self) -> None:
        self.watch.step()
        self.after(SETTLE_S + 0.001)

    def let_it_end(self) -> None:
        self.may_end.release()
        assert self.watch.job is not None
        self.watch.job.wait(60)
        assert self.watch.job.done


def test_a_folder_is_checked_at_the_start_and_when_it_was_saved() -> None:
    desk = Desk()

    desk.settle()
    desk.let_it_end()
    desk.after(0.9)
    desk.after(60)
    nothing_more = desk.watch.job
    desk.save("b")
    desk.settle()

    assert [seen.took_s for seen in desk.shown] == [pytest.approx(1.0, abs=0.01)]
    assert nothing_more is None
    assert desk.watch.job is not None
    desk.let_it_end()


def test_a_save_in_steps_is_one_save() -> None:
    desk = Desk()
    desk.watch.step()
    for text in ("", "def", "def f"):
        desk.after(SETTLE_S / 2)
        desk.save(text)
    desk.watch.step()

    assert desk.watch.job is None
    desk.settle()
    assert desk.watch.job is not None
    desk.let_it_end()


def test_a_save_that_changes_no_byte_starts_nothing() -> None:
    desk = Desk()
    desk.settle()
    desk.let_it_end()
    desk.watch.step()

    desk.save("a")
    desk.settle()

    assert desk.watch.job is None
    assert desk.said[-1] == "unchanged"


def test_a_save_during_a_check_ends_it_and_its_result_is_not_shown() -> None:
    desk = Desk()
    desk.settle()

    desk.save("b")
    desk.settle()
    assert desk.interrupts == 1
    assert desk.watch.job is not None
    desk.watch.job.wait(60)
    desk.watch.step()
    desk.let_it_end()
    desk.watch.step()

    assert len(desk.shown) == 1
    assert desk.watch._shown_said == "b"


def test_who_saves_every_second_sees_results() -> None:
    """A check that takes 1.5 s: of two saves one is told, and the last always."""
    desk = Desk()
    shown_at = []
    for tick in range(200):
        desk.now = tick / 10
        if tick % 10 == 0 and tick < 150:
            desk.save(f"text {tick}")
        desk.watch.step()
        job = desk.watch.job
        if job is not None and (job.cancelled or desk.now - job.began >= 1.5):
            if not job.cancelled:
                desk.may_end.release()
            job.wait(60)
        if len(desk.shown) > len(shown_at):
            shown_at.append(desk.now)

    assert len(shown_at) >= 5
    assert max(b - a for a, b in itertools.pairwise(shown_at)) < 4
    assert desk.watch._shown_said == "text 140"


@pytest.mark.parametrize("takes", [4, 5])
def test_who_saves_every_second_sees_results_on_a_slow_machine_too(takes: int) -> None:
    desk = Desk()
    desk.settle()
    desk.now += takes
    desk.let_it_end()
    desk.watch.step()
    for tick in range(int(desk.now * 10), int(desk.now * 10) + 600):
        desk.now = tick / 10
        if tick % 10 == 0:
            desk.save(f"text {tick}")
        desk.watch.step()
        job = desk.watch.job
        if job is not None and (job.cancelled or desk.now - job.began >= takes):
            if not job.cancelled:
                desk.may_end.release()
            job.wait(60)

    assert len(desk.shown) >= 60 / (takes + 3)
    desk.may_end.release()


def test_a_check_that_hangs_is_ended_by_a_save_even_after_one_was() -> None:
    desk = Desk()
    desk.settle()
    desk.save("b")
    desk.settle()
    assert desk.watch.job is not None
    desk.watch.job.wait(60)
    desk.watch.step()

    desk.save("c")
    desk.settle()
    young = desk.interrupts
    desk.after(PATIENCE_S)

    assert young == 1
    assert desk.interrupts == 2


def test_what_is_right_now_and_what_is_newly_wrong_is_told() -> None:
    desk = Desk()
    desk.results = [
        grade(one="passed", two="failed", three="failed", four="skipped"),
        grade(one="failed", two="passed", three="failed", four="skipped"),
    ]
    for text in "ab":
        desk.save(text)
        desk.settle()
        desk.let_it_end()
        desk.watch.step()

    first, second = desk.shown
    assert (first.now_right, first.now_wrong) == ((), ())
    assert (second.now_right, second.now_wrong) == (("two",), ("one",))


def test_a_check_that_fails_in_any_way_leaves_the_watch_running() -> None:
    desk = Desk()
    desk.results = [RuntimeError("a bug"), grade(one="passed")]
    for text in "ab":
        desk.save(text)
        desk.settle()
        desk.let_it_end()
        desk.watch.step()

    assert [seen.error for seen in desk.shown] == ["RuntimeError: a bug", ""]


def test_what_failed_for_a_reason_outside_the_code_is_checked_again_with_the_same_code() -> None:
    """The folder was renamed, and is back: what is shown is not what was wrong in between."""
    withheld = grade(one="passed").model_copy(update={"status": GradeStatus.WITHHELD})
    for reason in (UsageError("densenet: Received: nothing of that name."), withheld):
        desk = Desk()
        desk.results = [grade(one="passed"), reason, grade(one="passed")]
        for text in "aba":
            desk.save(text)
            desk.settle()
            desk.let_it_end()
            desk.watch.step()

        assert len(desk.shown) == 3
        assert desk.shown[-1].grade is not None
    assert desk.shown[1].error == ""


def test_an_error_of_ours_is_told_in_its_own_words() -> None:
    desk = Desk()
    desk.results = [InfrastructureError(Cause.INFRA_DISK, "the disk is full", "Free some space.")]
    desk.settle()
    desk.let_it_end()
    desk.watch.step()

    assert desk.shown[0].error == "the disk is full Free some space."


def test_at_its_end_the_watch_knows_whether_the_last_save_was_checked() -> None:
    desk = Desk()
    desk.settle()
    assert desk.watch.is_behind
    desk.let_it_end()
    desk.watch.step()
    assert not desk.watch.is_behind

    desk.save("b")
    desk.watch.step()

    assert desk.watch.is_behind


# --- looking --------------------------------------------------------------------------------


@pytest.fixture
def look(tmp_path: Path) -> Look:
    (tmp_path / "densenet.py").write_text("import parts.layers\nopen('sizes.json')\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "layers.py").write_text("n = 1\n")
    (tmp_path / "sizes.json").write_text("[1]")
    found = Look(tmp_path, DEFAULT)
    found.said()
    return found


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda f: (f / "densenet.py").write_text("import parts.layers # more"), True),
        (lambda f: (f / "parts" / "layers.py").write_text("n = 22\n"), True),
        (lambda f: (f / "sizes.json").write_text("[1, 2]"), True),
        (lambda f: (f / "parts" / "layers.py").unlink(), True),
        (lambda f: (f / "training.json").write_text("{}"), False),
        (lambda f: (f / "densenet.weights.h5").write_bytes(b"w"), False),
        (lambda f: (f / ".densenet.py.swp").write_bytes(b"w"), False),
    ],
    ids=["module", "import", "data", "removed", "history", "weights", "swap file"],
)
def test_what_the_code_needs_is_looked_at_and_nothing_else(
    change: Callable[[Path], Any], counts: bool, look: Look
) -> None:
    before = look.state(), look.said()

    change(look.folder)

    assert ((look.state(), look.said()) != before) == counts


def test_a_folder_without_a_module_says_nothing_yet(tmp_path: Path) -> None:
    look = Look(tmp_path, DEFAULT)
    (tmp_path / "photos.bin").write_bytes(bytes(1000))
    empty = look.said()
    before = look.state()

    (tmp_path / "densenet.py").write_text("x = 1\n")

    assert look.state() != before
    assert look.said() != empty


def test_a_folder_that_is_gone_for_a_moment_ends_nothing(tmp_path: Path) -> None:
    look = Look(tmp_path / "not here", DEFAULT)

    assert look.state() == frozenset()
    assert look.said()


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of Unix")
def test_what_cannot_be_read_as_code_is_told_apart(tmp_path: Path) -> None:
    """Each is another answer of the check; none is what was checked before."""
    module, said = tmp_path / "densenet.py", [Look(tmp_path, DEFAULT).said()]
    for make in (
        lambda: module.mkdir(),
        lambda: (module.rmdir(), os.mkfifo(module)),
        lambda: (module.unlink(), module.symlink_to("densenet.py")),
        lambda: (module.unlink(), module.write_bytes(b"#" * (DEFAULT.notebook_bytes + 1))),
    ):
        make()
        said.append(Look(tmp_path, DEFAULT).said())

    assert len(set(said)) == len(said)


@pytest.mark.parametrize("error", [PermissionError(13, "locked"), FileNotFoundError(2, "gone")])
def test_a_file_that_cannot_be_read_at_this_moment_does_not_end_the_watch(
    error: OSError, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows lets nobody read what an editor is writing."""

    def fail(*_: object) -> dict[str, bytes]:
        raise error

    monkeypatch.setattr("grader.student.looking.code_of", fail)

    assert look.said()
    assert look.state()


# --- the screen -----------------------------------------------------------------------------


def screen_of(width: int, height: int) -> tuple[WatchScreen, Console, StringIO]:
    file = StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=height)
    lines = Text("\n".join(f"line {n}" for n in range(40)))
    noon = datetime(2027, 1, 1, 12, 0, 0)
    screen = WatchScreen(console, Path("/home/mina/densenet"), lambda _: lines, lambda: noon)
    return screen, console, file


def test_what_is_too_long_for_the_screen_keeps_its_end() -> None:
    screen, console, file = screen_of(60, 12)
    with screen:
        screen.show(Seen(grade(one="passed"), "", 0.94, ("two",), ("one",)))
        file.truncate(0)
        console.print(screen._whole(), height=12)
    told = file.getvalue()

    assert "checked in 0.9 s" in told
    assert "now right: two" in told
    assert "newly wrong: one" in told
    assert "line 39" in told
    assert "line 20" not in told


def test_a_pipe_has_each_check_below_the_one_before() -> None:
    file = StringIO()
    noon = datetime(2027, 1, 1, 12, 0, 0)
    screen = WatchScreen(Console(file=file), Path("densenet"), lambda _: Text("ok"), lambda: noon)
    with screen:
        for wrong in ((), ("stem",)):
            screen.checking(0)
            screen.show(Seen(grade(one="passed"), "", 1.0, (), wrong))

    assert file.getvalue().count("saved at 12:00:00, checked in 1.0 s") == 2
    assert "newly wrong: stem" in file.getvalue()
    assert "\x1b" not in file.getvalue()


def test_options_that_make_no_sense_with_it_are_refused_before_anything_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.sandbox.open_for_own_code", lambda sandbox: pytest.fail("started"))

    assert run(["check", str(tmp_path), "--watch", "--json", "x.json"]) == 2
    assert "--watch" in capsys.readouterr().err


# --- the whole command on a terminal ----------------------------------------------------------

PLAYED = """
import sys
import grader.sandbox
from grader.cli import main
from tests.pipeline.test_pipeline import Replay
grader.sandbox.open_sandbox = lambda *_, **__: Replay()
main()
"""


class Terminal:
    """A terminal with `grade check --watch` in it."""

    def __init__(self, folder: Path, program: list[str]) -> None:
        import pty
        import termios

        self._ours, theirs = pty.openpty()
        self._theirs = theirs
        self.told = b""
        self.before = termios.tcgetattr(theirs)
        command = [sys.executable, *program, "check", str(folder), "--watch"]
        settings = {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "90"}
        # A session whose terminal this is: Ctrl-C reaches the program as in a shell.
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IN_TERMINAL, *command],
            stdin=theirs, stdout=theirs, stderr=theirs,
            env=os.environ | settings, start_new_session=True,
        )  # fmt: skip

    def until(self, words: bytes) -> bytes:
        """Read until the program has said this; what it said up to there."""
        start = len(self.told)
        while words not in self.told[start:]:
            self.told += os.read(self._ours, 2**16)
        return self.told[start:]

    def press_ctrl_c(self) -> None:
        os.write(self._ours, b"\x03")

    def is_as_before(self) -> bool:
        import termios

        return termios.tcgetattr(self._theirs) == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self._ours, self._theirs):
            os.close(fd)


_IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    (tmp_path / "densenet").mkdir()
    (tmp_path / "densenet" / "densenet.py").write_text("x = 1\n")
    with contextlib.ExitStack() as closing:

        def start(*program: str) -> Terminal:
            found = Terminal(tmp_path / "densenet", list(program))
            closing.callback(found.close)
            return found

        yield start


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of Unix")
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_the_terminal_is_left_as_it_was(
    how: str, terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    shell = terminal("-c", PLAYED)
    shell.until(b"checked in")
    (tmp_path / "densenet" / "densenet.py").write_text("x = 2\n")
    shell.until(b"checked in")

    if how == "Ctrl-C":
        shell.press_ctrl_c()
    else:
        shell.process.terminate()
    shell.until(b"The watch has ended.")

    assert shell.process.wait(60) == 0
    assert shell.is_as_before()
    opened, closed = b"\x1b[?1049h", b"\x1b[?1049l"
    assert shell.told.count(opened) == shell.told.count(closed) == 1
    assert shell.told.rindex(b"\x1b[?25h") > shell.told.rindex(b"\x1b[?25l")
    assert shell.told.rindex(closed) < shell.told.rindex(b"The watch has ended.")


BAD_ENDS = {
    "a line that is no Python": ("def broken(:\n", b"densenet.py, line"),
    "aborts": ("import os\nos.abort()\n", b"SIGABRT"),
    "segfaults": ("import ctypes\nctypes.string_at(0)\n", b"SIGSEGV"),
    "takes all memory": ("kept = bytearray(8 * 2**30)\n", b"memory"),
    "loops for ever": ("while True:\n    pass\n", b"endless loop"),
}
"""What stands at the end of the module → what is said of it."""


RIGHT = (reference_dir() / "densenet.py").read_text(encoding="utf-8")


@pytest.fixture
def watched(terminal: Callable[..., Terminal], tmp_path: Path) -> Terminal:
    """The watch of a right module, which it has checked once."""
    (tmp_path / "densenet" / "densenet.py").write_text(RIGHT)
    shell = terminal("-m", "grader.cli")
    shell.until(b"82 of 82")
    return shell


@pytest.mark.exhaustive
@pytest.mark.tensorflow
@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of Unix")
def test_no_end_of_the_code_ends_the_watch(watched: Terminal, tmp_path: Path) -> None:
    file, shell = tmp_path / "densenet" / "densenet.py", watched
    for line, expected in BAD_ENDS.values():
        file.write_text(RIGHT + line)
        shell.until(expected)
        file.write_text(RIGHT)
        shell.until(b"82 of 82")

    shell.press_ctrl_c()
    shell.until(b"The watch has ended.")
    assert shell.process.wait(60) == 0
    assert shell.is_as_before()


@pytest.mark.exhaustive
@pytest.mark.tensorflow
@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of Unix")
def test_what_editors_and_file_managers_do_is_followed(watched: Terminal, tmp_path: Path) -> None:
    folder, away = tmp_path / "densenet", tmp_path / "elsewhere"
    file, shell = folder / "densenet.py", watched

    def atomic(text: str) -> None:
        (folder / ".densenet.py.new").write_text(text)
        os.replace(folder / ".densenet.py.new", file)

    def with_backup(text: str) -> None:
        file.rename(folder / "densenet.py~")
        file.write_text(text)

    def with_a_part(text: str) -> None:
        (folder / "parts.py").write_text("POOL = 2\n")
        file.write_text(text.replace("import keras", "import parts\nimport keras", 1))

    steps: list[tuple[Callable[[], object], bytes]] = [
        (file.unlink, b"no file in the folder"),
        (lambda: atomic(RIGHT + "# 1"), b"82 of 82"),
        (lambda: file.write_text(RIGHT[: len(RIGHT) // 2]), b"newly wrong"),
        (lambda: with_backup(RIGHT + "# 2"), b"82 of 82"),
        (lambda: folder.rename(away), b"nothing of that name"),
        (lambda: away.rename(folder), b"82 of 82"),
        (lambda: shutil.rmtree(folder), b"nothing of that name"),
        (lambda: (folder.mkdir(), with_a_part(RIGHT)), b"82 of 82"),
        (lambda: (folder / "parts.py").write_text("POOL = \n"), b"parts.py, line 1"),
    ]
    for do, expected in steps:
        do()
        shell.until(expected)

    shell.press_ctrl_c()
    shell.until(b"The watch has ended.")
    assert shell.process.wait(60) == 0
    assert shell.is_as_before()
