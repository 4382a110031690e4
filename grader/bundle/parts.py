"""What bundles are made of: texts, the course's files, the grader's wheel, archives."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import grader
from grader.assignment import Assignment
from grader.assignment.tables.answers import KEY_FILE
from grader.bundle.platform import MODULE, Order
from grader.errors import UsageError
from grader.export.files import write_out
from grader.resources import folder as shipped
from grader.run.reference import copy_sources

TEMPLATES = Path(__file__).parent / "templates"
STUDENT_WHEEL = Path(grader.__file__).parent.parent / "student_wheel.py"
"""Only a checkout has it."""
ANSWERS = ("/reference_solution/", "/reference/", "/selftest/", ".ipynb")
"""Parts of the names of files that hold the solution."""
_BUILT = (2020, 1, 1, 0, 0, 0)
"""One date for all files in an archive: the same course gives the same bundle."""


def render(template: str, order: Order, **values: str) -> str:
    """A template's text with its @NAMES@ filled in.

    Args:
        template: Its path below templates/.
        order: What the bundle is made of.
        values: Further names.
    """
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    common = {"grade": MODULE, "options": order.options, "wheel": "densenet_grader-*.whl"}
    for name, value in {**common, **values}.items():
        text = text.replace(f"@{name}@", value)
    return text


def put(folder: Path, files: Mapping[str, str], *, runnable: tuple[str, ...] = ()) -> None:
    """Write texts into a folder, by name.

    Args:
        folder: Where.
        files: Name → content.
        runnable: Those that a platform starts.
    """
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8")
        place.chmod(0o755 if name in runnable else 0o644)


def put_course(assignment: Assignment, folder: Path) -> None:
    """Copy what grading reads of a course: its file, its extensions, its reference networks.

    Nothing else of the course's folder is copied: solutions may lie there.

    Raises:
        UsageError: A file lies outside the course's folder, where the copy could not name it.
    """
    home = assignment.file.parent
    folder.mkdir(parents=True)
    shutil.copyfile(assignment.file, folder / assignment.file.name)
    if assignment.extensions_file is not None:
        _copy_one(assignment.extensions_file, home, folder)
    if assignment.answers:
        _copy_one(home / KEY_FILE, home, folder)
    for file in _references(assignment):
        place = _copy_one(file, home, folder)
        copy_sources(file, place.parent)


def _references(assignment: Assignment) -> list[Path]:
    home = assignment.file.parent
    networks = [r.file(home) for network in assignment.networks for r in network.same_as]
    functions = [file for asked in assignment.functions for file in asked.reference_files(home)]
    return list(dict.fromkeys([*networks, *functions]))


def _copy_one(file: Path, home: Path, folder: Path) -> Path:
    try:
        place = folder / file.resolve().relative_to(home.resolve())
    except ValueError as error:
        raise UsageError(f"{file}: expected a file below {home}, to be put in the bundle.") from (
            error
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(file, place))


def put_grader(order: Order, folder: Path, *, source: str, home: str) -> None:
    """Write what installs the grader: its wheel, what it needs, locked by hash, and setup.sh.

    Args:
        order: What the bundle is made of.
        folder: Where.
        source: The same folder on the platform, in words of a shell.
        home: Where the platform keeps what is installed, in words of a shell.
    """
    fetch = f'KERAS_HOME="{home}/keras" "$venv/bin/grade" fetch' if order.evaluation else ""
    setup = render("install.sh", order, source=source, venv=f'"{home}/venv"', fetch=fetch)
    put(folder, {"setup.sh": setup}, runnable=("setup.sh",))
    shutil.copyfile(shipped("locks") / "cpu.txt", folder / "requirements.txt")
    wheel = order.wheel()
    shutil.copyfile(wheel, folder / wheel.name)


def put_image(order: Order, folder: Path, image: str) -> list[str]:
    """Write the recipe of the image that a platform starts.

    Returns:
        What to do with it, in lines.
    """
    fetch = "# CIFAR-10, into KERAS_HOME.\nRUN grade fetch" if order.evaluation else ""
    put(folder, {"image/Dockerfile": render("image/Dockerfile", order, fetch=fetch)})
    return [
        "In a checkout of the grader: docker build -t densenet-grader .",
        f"docker build -t {image} {folder / 'image'} && docker push {image}",
    ]


def find_wheel(given: Path | None, scratch: Path) -> Path:
    """The wheel that goes into bundles: the one named, or one built from this checkout.

    Args:
        given: What --wheel says.
        scratch: Where one may be built.

    Raises:
        UsageError: There is none, or it holds the solution, which student code might read there.
    """
    wheel = given or _build(scratch)
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{wheel}: expected a wheel of this grader ({error}).") from error
    if not wheel.name.startswith("densenet_grader-") or "grader/bundle/__main__.py" not in names:
        raise UsageError(f"{wheel}: expected a wheel of this grader, such as `make student-wheel`.")
    if answers := [name for name in names if any(part in f"/{name}" for part in ANSWERS)]:
        raise UsageError(
            f"{wheel}: it holds the solution ({answers[0]}), which a student could read on a "
            "platform. Take the wheel of `make student-wheel`."
        )
    return wheel


def _build(scratch: Path) -> Path:
    if not STUDENT_WHEEL.is_file():
        raise UsageError(
            "--wheel: expected the grader's wheel without the answers. This grader is no checkout "
            "and cannot build one; in a checkout `make student-wheel` does."
        )
    command = [sys.executable, str(STUDENT_WHEEL), str(scratch)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise UsageError(f"{STUDENT_WHEEL.name}: {ran.stderr.strip().splitlines()[-1:]}. Build it "
                         "with `make student-wheel` and name it with --wheel.")  # fmt: skip
    return Path(ran.stdout.strip().splitlines()[-1])


def write_zip(folder: Path, file: Path) -> None:
    """A folder's files as a zip, with their modes; nothing of this machine stands in it.

    Raises:
        UsageError: The place cannot be written to.
        InfrastructureError: The disk failed or is full.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _BUILT)
            info.external_attr = (0o100000 | path.stat().st_mode & 0o777) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    write_out(file, stream.getvalue())
