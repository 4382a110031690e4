"""What a grade does to its readers: on a terminal, in a browser, in a spreadsheet, on disk."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console, RenderableType

from grader.assignment import Assignment
from grader.domain import Grade
from grader.export import (
    read_json,
    write_canvas,
    write_csv,
    write_gradescope,
    write_json,
    write_junit,
    write_moodle,
)
from grader.report.classtable import render_class
from grader.report.terminal import one_line, render

OBEYED = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufffe\uffff"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control codes, reordering, what is not seen, what is no character."""
FORMULA = ("=", "+", "-", "@", "\t")
MOST_CHARACTERS = 100_000


def harm(grade: Grade, assignment: Assignment, room: Path) -> list[str]:
    """Write a grade in every form there is and name what in it would act on its reader."""
    room.mkdir()
    found = [f"terminal: {m!r}" for m in OBEYED.findall(_printed(render(grade, assignment)))]
    found += [f"one line: {m!r}" for m in OBEYED.findall(_printed(one_line(grade)))]
    found += [f"class: {m!r}" for m in OBEYED.findall(_printed(render_class([grade])))]
    if "/" in grade.student_id or not grade.student_id.isprintable():
        found.append(f"student id: {grade.student_id!r}")
    for kind in (_json, _csv, _gradebooks, _gradescope, _junit):
        found += [f"{kind.__name__}: {problem}" for problem in kind(grade, room)]
    for file in room.iterdir():
        if file.stat().st_size > MOST_CHARACTERS:
            found.append(f"{file.name}: {file.stat().st_size} bytes")
    return found


def _printed(shown: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=100).print(shown)
    return stream.getvalue()


def _json(grade: Grade, room: Path) -> Iterator[str]:
    write_json([grade], room / "grades.json")
    if read_json(room / "grades.json")[0].score != grade.score:
        yield "another score"
    if re.search(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]", (room / "grades.json").read_text()):
        yield "a control code"


def _csv(grade: Grade, room: Path) -> Iterator[str]:
    write_csv([grade], room / "grades.csv")
    yield from _in_cells(room / "grades.csv")


def _gradebooks(grade: Grade, room: Path) -> Iterator[str]:
    rows = {
        "canvas.csv": [["Student", "ID", "DenseNet (7)"], ["x", grade.student_id, ""]],
        "moodle.csv": [
            ["Identifier", "Grade", "Maximum Grade", "Feedback comments"],
            [grade.student_id, "", "100", ""],
        ],
    }
    for name, table in rows.items():
        with (room / name).open("w", newline="") as stream:
            csv.writer(stream).writerows(table)
    write_canvas([grade], room / "canvas.csv", "DenseNet", room / "canvas.csv")
    write_moodle([grade], room / "moodle.csv", room / "moodle.csv")
    for name in rows:
        yield from _in_cells(room / name)
    tags = set(re.findall(r"<[^>]*>?", (room / "moodle.csv").read_text())) - {"<br>"}
    yield from (f"HTML: {tag}" for tag in tags)


def _in_cells(file: Path) -> Iterator[str]:
    with file.open(newline="") as stream:
        for cell in (cell for row in csv.reader(stream) for cell in row):
            if cell.startswith(FORMULA) and not re.fullmatch(r"-?[0-9.]+", cell):
                yield f"a formula: {cell[:40]!r}"
            if OBEYED.search(cell):
                yield f"a control code: {cell[:40]!r}"


def _gradescope(grade: Grade, room: Path) -> Iterator[str]:
    write_gradescope(grade, room / "results.json")
    found = json.loads((room / "results.json").read_text())
    texts = [found["output"], *(t for test in found.get("tests", ()) for t in test.values())]
    yield from (f"{m!r}" for text in texts for m in OBEYED.findall(str(text)))


def _junit(grade: Grade, room: Path) -> Iterator[str]:
    write_junit([grade], room / "junit.xml")
    for element in ElementTree.parse(room / "junit.xml").iter():
        texts = [element.text or "", *element.attrib.values()]
        yield from (f"{m!r}" for text in texts for m in OBEYED.findall(text))
