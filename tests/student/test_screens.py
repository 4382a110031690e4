"""What `grade train` and `grade pack` show, drawn from real runs, held against golden files.

GOLDEN=write pytest tests/student/test_screens.py  writes them anew; read them as a student would.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from grader.cli import run
from grader.engine.history import Event, History, OnEvent, Progress, Stopped
from grader.resources import reference_dir, template_dir
from grader.student import display, pack, train
from tests.student.recorded import SITTINGS, events_of, frame_of
from tests.student.screens import GOLDEN, hold, on_screen

THRESHOLD = 0.85


class Player:
    """Stands for a training: tells what one told that was recorded.

    Args:
        events: What it tells.
        beside: Called after each event.
    """

    def __init__(self, events: list[Event], beside: Callable[[Event], None]) -> None:
        self.events, self.beside = events, beside

    def __call__(self, folder: Path, *, on_event: OnEvent, **_: object) -> History:
        for event in self.events:
            on_event(event)
            self.beside(event)
        return next(event.history for event in self.events if isinstance(event, Stopped))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Play a sitting before a console; what it shows at each middle of an epoch, and at the end."""
    monkeypatch.setattr(display, "draw_curve", lambda epochs, path: None)
    monkeypatch.setattr(train, "_threshold", lambda: THRESHOLD)

    def play(sitting: str, terminal: bool) -> list[str]:
        file = io.StringIO()
        console = Console(file=file, width=80, force_terminal=terminal, color_system=None)
        live: list[display.TrainingDisplay] = []
        screens: list[str] = []
        enter = display.TrainingDisplay.__enter__

        def without_a_clock(self: display.TrainingDisplay) -> display.TrainingDisplay:
            self.live.live.auto_refresh = False
            live.append(self)
            return enter(self)

        def beside(event: Event) -> None:
            if terminal and isinstance(event, Progress) and event.images_per_s is not None:
                live[0].live.refresh()
                screens.append(on_screen(file.getvalue()))

        monkeypatch.setattr(display.TrainingDisplay, "__enter__", without_a_clock)
        monkeypatch.setattr(train, "train_submission", Player(events_of(sitting), beside))
        train.train_and_show(tmp_path, console=console)
        told = file.getvalue()
        return [*screens, on_screen(told) if terminal else told]

    return play


@pytest.mark.parametrize("sitting", SITTINGS)
def test_a_training_is_shown_as_the_golden_one(
    sitting: str, trained: Callable[..., list[str]]
) -> None:
    (told,) = trained(sitting, terminal=False)

    assert "\x1b" not in told
    hold(f"train.{sitting.replace(' ', '-')}.txt", told)


@pytest.mark.parametrize("sitting", ["interrupted", "resumed"])
def test_a_training_on_a_terminal_is_shown_as_the_golden_one(
    sitting: str, trained: Callable[..., list[str]]
) -> None:
    *moving, end = trained(sitting, terminal=True)

    assert max(len(line) for line in (moving[-1] + end).splitlines()) <= 80
    hold(f"train.{sitting}.terminal.txt", f"{moving[-1]}\n{'=' * 80}\n{end}")


# --- what cannot be trained, and packs ---------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template, in a folder that is named as a student would name it."""
    shutil.copytree(template_dir(), tmp_path / "densenet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADER_DATA", str(tmp_path / "none"))
    return tmp_path / "densenet"


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Run a command; what it says on both streams, without what another machine says otherwise."""

    def of(*words: str, status: int) -> str:
        assert run(words) == status
        said = capsys.readouterr()
        both = (said.err + said.out).replace(str(tmp_path), "/home/mina")
        both = re.sub(r"files, [\d,]+ bytes", "files, <size> bytes", both)
        return re.sub(r"(SHA-256 +)[0-9a-f]{64}", r"\1<sha256>", both)

    return of


def read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_training_that_cannot_begin_is_told_as_the_golden_one(
    folder: Path, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold("train.no-data.txt", told("train", "densenet", "--data", "nowhere", status=3))
    hold("train.no-folder.txt", told("train", "nosuch", status=2))
    hold("train.folder-above.txt", told("train", status=2))
    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    hold("train.read-only.txt", told("train", "densenet", status=2))


class Answered:
    """Stands for a sandbox: says of weights what one said that was recorded."""

    def __init__(self, weights: str) -> None:
        self.frame = frame_of(weights)

    def run(self, stage: object) -> SimpleNamespace:
        return SimpleNamespace(json_frames={"model": self.frame})

    def close(self) -> None:
        """Nothing was opened."""


@pytest.mark.parametrize("weights", ["right", "of another network"])
def test_a_pack_with_weights_is_told_as_the_golden_one(
    weights: str, folder: Path, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("densenet.py", "densenet.weights.h5"):
        shutil.copy(reference_dir() / name, folder)
    monkeypatch.setattr(pack, "open_sandbox", lambda kind: Answered(weights))

    hold(f"pack.weights-{weights.replace(' ', '-')}.txt", told("pack", "densenet", status=0))


def test_a_pack_without_weights_and_with_remarks_is_told_as_the_golden_one(
    folder: Path, told: Callable[..., str]
) -> None:
    hold("pack.stub.txt", told("pack", "densenet", status=0))

    (folder / "recipe.toml").write_text('epochs = "many"\n')
    (folder / "model.pt").write_bytes(b"PK")
    (folder / "cifar-10-python.tar.gz").write_bytes(b"\x1f\x8b")
    (folder / "densenet (1).py").write_text("x = 1\n")
    (folder / "env").mkdir()
    (folder / "env" / "pyvenv.cfg").write_text("home = /usr\n")
    hold("pack.remarks.txt", told("pack", "densenet", status=0))


def test_a_pack_that_is_refused_is_told_as_the_golden_one(
    folder: Path, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold("pack.no-folder.txt", told("pack", "nosuch", status=2))
    for name in ("a.weights.h5", "b.weights.h5"):
        shutil.copy(reference_dir() / "densenet.weights.h5", folder / name)
    hold("pack.two-weights.txt", told("pack", "densenet", status=1))
    (folder / "densenet.py").rename(folder / "densenet (1).py")
    hold("pack.misnamed.txt", told("pack", "densenet", status=1))
    shutil.rmtree(folder)
    folder.mkdir()
    hold("pack.empty.txt", told("pack", "densenet", status=1))
    shutil.copy(template_dir() / "densenet.py", folder)
    monkeypatch.setattr(pack.files, "write_atomically", read_only)
    hold("pack.read-only.txt", told("pack", "densenet", status=2))


def test_each_golden_screen_is_short_and_is_held_by_a_test() -> None:
    for file in GOLDEN.iterdir():
        lines = file.read_text(encoding="utf-8").splitlines()
        assert len(lines) < 50, file.name
        assert "Traceback" not in "\n".join(lines)
