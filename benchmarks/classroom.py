"""A class of submissions, graded by this grader and by others, in one run.

    python -m benchmarks.classroom [--students 20] [--otter FOLDER] [--evaluation] [--markdown FILE]

Each student hands in the template filled in, with `build_model()` of L=40 as the template leaves
it; every fifth forgets the links of the dense block. The others check five things with plain
asserts: the output shapes of block, transition and network, and the parameters of block and
network. This grader checks all that it always checks, in the sandbox.

With --evaluation each hands in the reference solution and its weights. The others call
`model.predict` on the 10,000 test images; this grader measures as it always does. CIFAR-10 is
named by GRADER_DATA.

Otter-grader is installed apart, so that it cannot change what this grader runs with:

    python -m venv FOLDER && FOLDER/bin/pip install otter-grader ipykernel tensorflow-cpu

Processor seconds are
those of the program and of all processes that came of it, as the kernel counts them for a control
group: so this needs Linux, and the right to make one. They depend less than the clock on what else
the machine does.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
EVERY_WRONG = 5
LINK, NO_LINK = "x = layers.Concatenate()([x, new])", "x = new"

CHECKS = {
    "block shape": "assert block.output_shape == (None, 8, 8, 37)",
    "transition shape": "assert halved.output_shape == (None, 4, 4, 7)",
    "network shape": "assert network.output_shape == (None, 10)",
    "block parameters": "assert trainable(block) == 5916",
    "network parameters": "assert trainable(network) == 71686",
}
"""The five checks of the others; the numbers are those of `grader.paper`."""

MEASURE = """
with numpy.load(IMAGES) as archive:
    images, labels = archive["images"], archive["labels"]
model = build_model()
model.load_weights(WEIGHTS)
predicted = model.predict(preprocess(images), batch_size=256, verbose=0).argmax(axis=1)
assert (predicted == labels).mean() > 0.85
"""

SETUP = """
import keras
import numpy
def trainable(model):
    return sum(int(numpy.prod(w.shape)) for w in model.trainable_weights)
def model_of(channels, call):
    inputs = keras.Input((8, 8, channels))
    return keras.Model(inputs, call(inputs))
block = model_of(17, lambda x: dense_block(x, 4, 5))
halved = model_of(15, lambda x: transition(x, 0.5))
network = build_densenet(depth=22, growth_rate=12)
"""


@dataclass(frozen=True)
class Asked:
    """What is graded.

    Attributes:
        students: How many.
        evaluation: Whether the accuracy is measured.
        images: The test images as an archive that NumPy reads; for the others.
        folder: Where all is made.
    """

    students: int
    evaluation: bool
    images: Path
    folder: Path

    def names(self) -> list[str]:
        """The students' names."""
        return [f"student{number:02d}" for number in range(self.students)]

    def code(self, name: str) -> str:
        """What a student hands in as densenet.py."""
        number = int(name.removeprefix("student"))
        text = solution() if self.evaluation else filled_in()
        wrong = not self.evaluation and number % EVERY_WRONG == EVERY_WRONG - 1
        return f"# {name}\n" + (text.replace(LINK, NO_LINK) if wrong else text)

    def checks(self) -> dict[str, str]:
        """Name → the statements of one check of the others."""
        if not self.evaluation:
            return CHECKS
        measure = MEASURE.replace("IMAGES", repr(str(self.images)))
        return {**CHECKS, "accuracy": measure.replace("WEIGHTS", repr(str(weights())))}


def solution() -> str:
    """The reference solution."""
    return (ROOT / "reference_solution/densenet.py").read_text(encoding="utf-8")


def weights() -> Path:
    """Its weights."""
    return ROOT / "reference_solution/densenet.weights.h5"


def filled_in() -> str:
    """The template with the reference's functions in it: its `build_model()` stays."""
    template = (ROOT / "student_template/densenet.py").read_text(encoding="utf-8")
    own = solution()
    given = {n.name: n for n in ast.parse(own).body if isinstance(n, ast.FunctionDef)}
    for node in reversed(ast.parse(template).body):
        if isinstance(node, ast.FunctionDef) and node.name in ("dense_block", "transition"):
            text = ast.get_source_segment(own, given[node.name]) or ""
            if node.name == "dense_block":
                text = (ast.get_source_segment(own, given["convolution"]) or "") + "\n\n\n" + text
            template = template.replace(ast.get_source_segment(template, node) or "", text)
    return template


GROUPS = {
    Path("/sys/fs/cgroup/cpuacct"): ("cpuacct.usage", 1e9),
    Path("/sys/fs/cgroup"): ("cpu.stat", 1e6),
}
"""Where control groups are made → the file that counts, and its units in a second."""


class Meter:
    """A control group; what is started in it is counted, with all that comes of it."""

    def __init__(self) -> None:
        root = next((g for g, (file, _) in GROUPS.items() if (g / file).is_file()), None)
        if root is None:
            raise SystemExit("No control group that counts processor time is found here.")
        self.group = root / f"grade-benchmark-{os.getpid()}"
        self.group.mkdir()
        self._file, self._units = GROUPS[root]

    def join(self) -> None:
        """Put the calling process into the group."""
        (self.group / "cgroup.procs").write_text("0")

    def seconds(self) -> float:
        """Processor seconds until now."""
        found = re.search(r"(?:usage_usec )?(\d+)", (self.group / self._file).read_text())
        assert found is not None
        return int(found[1]) / self._units

    def close(self) -> None:
        """Remove the group."""
        self.group.rmdir()


@cache
def meter() -> Meter:
    """The one meter of this program."""
    return Meter()


def run(command: list[str | Path], folder: Path) -> None:
    """One program, silent; a status other than 0 is a verdict, not a failure."""
    programs = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": programs},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=meter().join,
        check=False,
    )


# --- the graders: each prepares, and gives back what is timed and how many failed ---------------


Graded = tuple[Callable[[], None], Callable[[], int]]


def by_grade(asked: Asked) -> Graded:
    """This grader, two submissions at a time."""
    folder = asked.folder / "grade"
    for name in asked.names():
        (folder / "class" / name).mkdir(parents=True)
        (folder / "class" / name / "densenet.py").write_text(asked.code(name), encoding="utf-8")
        if asked.evaluation:
            shutil.copy(weights(), folder / "class" / name)
    measured = [] if asked.evaluation else ["--no-evaluation"]
    command: list[str | Path] = [BIN / "grade", "class", "--jobs", "2", "--json", "grades.json"]

    def failed() -> int:
        grades = json.loads((folder / "grades.json").read_text(encoding="utf-8"))["grades"]
        return sum(any(c["outcome"] == "failed" for c in grade["checks"]) for grade in grades)

    return lambda: run([*command, "--reference", *measured], folder), failed


def by_nbgrader(asked: Asked) -> Graded:
    """`nbgrader autograde` of a notebook in which each check is a graded cell."""
    folder = asked.folder / "nbgrader"
    (folder / "source/densenet").mkdir(parents=True)
    (folder / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'c'\nc.ExecutePreprocessor.timeout = 600\n"
    )
    nbformat.write(notebook(asked, filled_in()), folder / "source/densenet/densenet.ipynb")
    run([BIN / "nbgrader", "generate_assignment", "densenet", "--create"], folder)
    for name in asked.names():
        place = folder / "submitted" / name / "densenet"
        place.mkdir(parents=True)
        nbformat.write(notebook(asked, asked.code(name)), place / "densenet.ipynb")

    def failed() -> int:
        run([BIN / "nbgrader", "export"], folder)
        rows = (folder / "grades.csv").read_text(encoding="utf-8").splitlines()
        column = rows[0].split(",").index("raw_score")
        most = float(len(asked.checks()))
        return sum(float(row.split(",")[column]) < most for row in rows[1:])

    return lambda: run([BIN / "nbgrader", "autograde", "densenet", "--create"], folder), failed


def notebook(asked: Asked, code: str) -> nbformat.NotebookNode:
    """The student's code, the set-up, and one graded cell for each check."""
    cells = [_cell("code", code, solution=True), _cell("setup", SETUP, locked=True)]
    for number, text in enumerate(asked.checks().values()):
        cells.append(_cell(f"check{number}", text, grade=True, locked=True, points=1))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _cell(name: str, source: str, **marks: bool | int) -> nbformat.NotebookNode:
    plain = {"grade": False, "solution": False, "locked": False, "task": False}
    about = {**plain, "grade_id": name, "schema_version": 3, **marks}
    return new_code_cell(source, id=name, metadata={"nbgrader": about})


def by_pytest(asked: Asked) -> Graded:
    """One pytest process for each submission."""
    folder = asked.folder / "pytest"
    tests = "from densenet import *\n" + SETUP
    for number, text in enumerate(asked.checks().values()):
        tests += f"def test_{number}():\n{textwrap.indent(text.strip(), '    ')}\n"
    for name in asked.names():
        (folder / name).mkdir(parents=True)
        (folder / name / "densenet.py").write_text(asked.code(name), encoding="utf-8")
        (folder / name / "test_densenet.py").write_text(tests, encoding="utf-8")

    def grade() -> None:
        for name in asked.names():
            report = ["-q", "-p", "no:cacheprovider", "--rootdir", ".", "--junitxml", "report.xml"]
            run([sys.executable, "-m", "pytest", *report], folder / name)

    def failed() -> int:
        reports = [(folder / name / "report.xml").read_text() for name in asked.names()]
        return sum("<failure" in report or "<error" in report for report in reports)

    return grade, failed


def by_otter(otter: Path) -> Callable[[Asked], Graded]:
    """`otter run` of each notebook: otter's own way without containers."""

    def prepared(asked: Asked) -> Graded:
        folder = asked.folder / "otter"
        (folder / "tests").mkdir(parents=True)
        for number, text in enumerate(asked.checks().values()):
            (folder / "tests" / f"q{number}.py").write_text(_otter_test(number, text))
        run([otter / "bin/otter", "generate", "-t", "tests", "-o", "autograder.zip"], folder)
        if not zipfile.is_zipfile(folder / "autograder.zip"):
            raise SystemExit("otter generate wrote no autograder.zip")
        asks = new_code_cell("import otter\ngrader = otter.Notebook()")
        for name in asked.names():
            (folder / name).mkdir()
            cells = [asks, new_code_cell(asked.code(name)), new_code_cell(SETUP)]
            kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
            book = new_notebook(cells=cells, metadata={"kernelspec": kernel})
            nbformat.write(book, folder / name / "densenet.ipynb")

        def grade() -> None:
            for name in asked.names():
                arguments = ["--no-logo", "-a", "../autograder.zip", "-o", ".", "densenet.ipynb"]
                run([otter / "bin/otter", "run", *arguments], folder / name)

        def failed() -> int:
            count = 0
            for name in asked.names():
                told = json.loads((folder / name / "results.json").read_text(encoding="utf-8"))
                earned = sum(test.get("score", 0) for test in told["tests"])
                count += earned < len(asked.checks())
            return count

        return grade, failed

    return prepared


def _otter_test(number: int, text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    shown = "\n".join(("... " if line.startswith((" ", ")")) else ">>> ") + line for line in lines)
    case = {"code": shown, "hidden": False, "locked": False}
    suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
    test = {"name": f"q{number}", "points": 1, "suites": [suite]}
    return f"OK_FORMAT = True\ntest = {test!r}\n"


# --- the measurement ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Seconds of one grader for each submission, and how many it found wrong."""

    processor_s: float
    clock_s: float
    failed: int


def measured(prepare: Callable[[Asked], Graded], asked: Asked) -> Cost:
    """Prepare untimed, grade timed, then read what came of it."""
    grade, failed = prepare(asked)
    before, start = meter().seconds(), time.perf_counter()
    grade()
    clock = time.perf_counter() - start
    spent = meter().seconds() - before
    return Cost(spent / asked.students, clock / asked.students, failed())


def table(costs: Mapping[str, Cost], asked: Asked) -> list[list[str]]:
    """Rows of text, the heading first."""
    ours = costs["grade --jobs 2"]
    times = ["times ours, processor", "times ours, clock"]
    rows = [["grader", "processor s", "clock s", *times, f"wrong of {asked.students}"]]
    for name, cost in costs.items():
        seconds = [f"{cost.processor_s:.2f}", f"{cost.clock_s:.2f}"]
        ratios = [cost.processor_s / ours.processor_s, cost.clock_s / ours.clock_s]
        rows.append([name, *seconds, *(f"{ratio:.1f}" for ratio in ratios), str(cost.failed)])
    return rows


def markdown(rows: list[list[str]], asked: Asked) -> str:
    """The table with what it was measured on."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    what = "with the accuracy on 10,000 images" if asked.evaluation else "without accuracy"
    lines = [
        f"## {asked.students} submissions, {what}",
        "",
        f"Seconds per submission; {machine} at the end.",
        "",
        *("| " + " | ".join(row) + " |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]]),
    ]
    return "\n".join(lines) + "\n"


def test_images(folder: Path) -> Path:
    """The test images for those who read NumPy's archives."""
    import numpy as np

    from grader.engine.data import ImageSet, find_images

    data = find_images()
    if not isinstance(data, ImageSet):
        raise SystemExit(data.reason)
    file = folder / "test.npz"
    np.savez(file, images=data.test_images, labels=data.test_labels)
    return file


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=20)
    parser.add_argument("--otter", type=Path, help="environment with otter-grader")
    parser.add_argument("--evaluation", action="store_true")
    parser.add_argument("--markdown", type=Path, help="add the table to this file")
    options = parser.parse_args()
    graders: dict[str, Callable[[Asked], Graded]] = {
        "grade --jobs 2": by_grade,
        "nbgrader autograde": by_nbgrader,
        "pytest": by_pytest,
    }
    if options.otter:
        graders["otter run"] = by_otter(options.otter.absolute())
    with tempfile.TemporaryDirectory() as folder, closing(meter()):
        place = Path(folder)
        images = test_images(place) if options.evaluation else place
        asked = Asked(options.students, options.evaluation, images, place)
        rows = table({name: measured(how, asked) for name, how in graders.items()}, asked)
    shown = Table(*rows[0])
    for row in rows[1:]:
        shown.add_row(*row)
    Console().print(shown)
    if options.markdown:
        with options.markdown.open("a", encoding="utf-8") as file:
            file.write(markdown(rows, asked) + "\n")


if __name__ == "__main__":
    main()
