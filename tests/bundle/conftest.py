"""A bundle of each platform, written as `grade bundle` writes it, and grades to translate."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.bundle import __main__ as entry
from grader.bundle.command import write_bundle
from grader.domain import Grade
from grader.resources import assignment_dir

WHEEL = "densenet_grader-0.1.0-py3-none-any.whl"


def wheel_with(place: Path, *names: str) -> Path:
    """A file that looks like a wheel of the grader, with these files in it."""
    with zipfile.ZipFile(place / WHEEL, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return place / WHEEL


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_with(tmp_path_factory.mktemp("wheel"), "grader/bundle/__main__.py")


@pytest.fixture
def bundled(wheel: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a bundle and unpacks the zip in it."""

    def write(platform: str, assignment: Path | None = None, **options: object) -> Path:
        folder = tmp_path / "written"
        write_bundle(platform, folder, assignment or assignment_dir(), wheel=wheel, **options)
        for archive in folder.glob("*.zip"):
            zipfile.ZipFile(archive).extractall(folder / "unpacked")
        return folder

    return write


@pytest.fixture
def graded(monkeypatch: pytest.MonkeyPatch) -> Callable[[Grade, str, Path], int]:
    """Lets a platform's entry have this grade, whatever was handed in."""

    def run(grade: Grade, platform: str, root: Path) -> int:
        monkeypatch.setattr(entry, "grade_here", lambda item, *_, **__: grade)
        return entry.main([platform, str(assignment_dir())], root)

    return run
