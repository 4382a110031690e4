"""Autolab: autograde-Makefile and autograde.tar, and the image that both are run in.

Source: Autolab's documentation, "Guide for lab authors", and its autograde_core.rb: the last line
has the scores; without one every problem of the lab is a 0. So what is no grade has to be said by a
score for `lateness` alone, a problem of no points.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

from grader import files
from grader.assignment import Assignment
from grader.bundle.parts import put, put_course, put_grader, render
from grader.bundle.platform import Order, Platform, exit_status, handed_in_as, in_time, shown
from grader.checks import checks_of
from grader.domain import Grade, GradeStatus, Outcome
from grader.errors import EXIT_GRADED
from grader.export.files import write_out
from grader.export.platforms import LATENESS, to_autolab
from grader.intake import Item
from grader.intake.kinds import ARCHIVE
from grader.report.feedback import summary_lines
from grader.scoring import ACCURACY

MAKEFILE, TAR, PARTS = "autograde-Makefile", "autograde.tar", "densenet-grader"


def write(order: Order, folder: Path) -> list[str]:
    """Write the two files, and the image's recipe with what it installs."""
    with files.scratch("autolab") as scratch:
        parts = scratch / PARTS
        driver = render("autolab/driver.sh", order, lateness=LATENESS)
        put(parts, {"driver.sh": driver}, runnable=("driver.sh",))
        put_course(order.assignment, parts / "assignment")
        _write_tar(parts, folder / TAR)
    put(folder, {MAKEFILE: render("autolab/Makefile", order, tar=TAR, parts=PARTS)})
    put(folder, {"image/Dockerfile": render("autolab/Dockerfile", order)})
    put_grader(order, folder / "image", source="/opt/densenet-grader", home="/opt/densenet-grader")
    problems = ", ".join(f"{n} {most:g}" for n, most in problems_of(order.assignment).items())
    return [
        f"docker build -t {order.image or 'autograding_image_densenet'} {folder / 'image'}",
        f"Give Tango that image and name it on the lab's page; handin file name {ARCHIVE}.",
        f"Problems of the lab and their points: {problems}.",
        f"Put {MAKEFILE} and {TAR} into the lab's folder, or upload them under Add Autograder.",
    ]


def problems_of(assignment: Assignment) -> Mapping[str, float]:
    """What the lab has to have problems for: each group of checks that students see."""
    groups = {check.name: check.group for check in checks_of(assignment)} | {ACCURACY: ACCURACY}
    points: dict[str, float] = {}
    for name, line in assignment.rubric.items():
        if line.visibility == "visible":
            group = groups[name]
            points[group] = points.get(group, 0.0) + line.points
    return points | {LATENESS: 0.0}


def _write_tar(folder: Path, file: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = tarfile.TarInfo(path.relative_to(folder.parent).as_posix())
            info.mode, info.size = path.stat().st_mode & 0o777, path.stat().st_size
            archive.addfile(info, io.BytesIO(path.read_bytes()))
    write_out(file, stream.getvalue())


def received(root: Path) -> Item:
    """The submission. Autolab tells neither whose it is nor when it came, and keeps both."""
    return handed_in_as(root / ARCHIVE, in_time("student"))


def answer(grade: Grade, _: Path, assignment: Assignment) -> int:
    """Print what Autolab reads. Points that stay open get no score, so that a person gives them."""
    status = exit_status(grade)
    seen = shown(grade)
    if status != EXIT_GRADED:
        print(*summary_lines(seen), sep="\n", file=sys.stderr)
        return status
    settled = [c for c in seen.checks if c.name != ACCURACY or c.outcome is not Outcome.SKIPPED]
    told = to_autolab(seen.model_copy(update={"checks": tuple(settled)}))
    if grade.status is GradeStatus.REJECTED:
        # There were no checks whose groups could name the problems.
        zeros = json.dumps({"scores": dict.fromkeys(problems_of(assignment), 0.0)})
        told = f"{told.splitlines()[0]}\n{zeros}\n"
    sys.stdout.write(told)
    sys.stdout.flush()
    return status


PLATFORM = Platform(Path(), write, received, answer)
