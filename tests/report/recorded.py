"""Real runs, recorded, so that reports are drawn from what the judge says and not from inventions.

`python -m tests.report.recorded` records them again (needs TensorFlow, the jail and CIFAR-10): the
submissions below are graded, and what the sandbox gave, what intake saw and what was measured is
kept in runs/. A test writes a run directory of it and assesses that as `grade regrade` does.

Weights are left out: they are large, and only an evaluation reads them, whose outcome is kept.
"""

from __future__ import annotations

import base64
import json
import lzma
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from grader.assignment import load_assignment
from grader.course import Course, GradeOptions
from grader.domain import MeasuredAccuracy, Run, Submission
from grader.ledger.key import CourseKey
from grader.pipeline import collect_run
from grader.resources import reference_dir
from grader.run.folder import RunFolder
from grader.run.request import RunRequest
from grader.run.writing import write_run
from grader.sandbox import open_sandbox
from grader.sandbox.contract import StageResult
from grader.selftest.reference import REFERENCE
from grader.student.pack import pack

RUNS = Path(__file__).parent / "runs"
ASSIGNMENT = load_assignment(Path(__file__).parents[1] / "example_assignment.toml")
KEY = CourseKey.of(b"the key of the recorded runs: no secret")
LEFT_OUT = {"weights"}


def run_of(name: str, folder: Path) -> RunFolder:
    """A run directory of a recorded run.

    Args:
        name: Of `SUBMISSIONS`.
        folder: Where to make it.
    """
    kept = json.loads(lzma.decompress((RUNS / f"{name}.json.xz").read_bytes()))
    submission = Submission.model_validate(kept["submission"])
    result = StageResult(
        Run.model_validate(kept["run"]),
        {frame: text.encode() for frame, text in kept["json"].items()},
        {frame: base64.b64decode(text) for frame, text in kept["binary"].items()},
        complete=True,
    )
    run = RunFolder(folder / name, KEY, name)
    write_run(run, result, RunRequest(ASSIGNMENT, submission, key=KEY))
    run.write(submission)
    return run


def measured_of(name: str) -> MeasuredAccuracy:
    """What was measured of a recorded run."""
    kept = json.loads(lzma.decompress((RUNS / f"{name}.json.xz").read_bytes()))
    return MeasuredAccuracy.model_validate(kept["measured"])


# --- what was recorded ---------------------------------------------------------------------

NARROW = ("composite(x, 4 * growth_rate, 1, dropout_rate)", "composite(x, 2 * growth_rate, 1)")
LAST_TWO = ("seen = join(features)", "seen = join(features[-2:])")
POOLED_FIRST = (
    "    x = conv(x, filters, 1)\n",
    "    x = layers.AveragePooling2D(2)(x)\n    x = conv(x, filters, 1)\n",
)


def with_mistakes() -> str:
    """Bottlenecks of half the width, links to the last two maps alone, pooling that comes first."""
    text = REFERENCE.replace("return layers.AveragePooling2D(2)(x)", "return x")
    text = text.replace(
        "filters, kernel_size, dropout_rate):", "filters, kernel_size, dropout_rate=0.0):"
    )
    for old, new in (NARROW, LAST_TWO, POOLED_FIRST):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def packed(folder: Path, name: str, files: Mapping[str, str | bytes]) -> Path:
    """A zip whose bytes are the same every time."""
    with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in files.items():
            archive.writestr(zipfile.ZipInfo(file), content)
    return folder / f"{name}.zip"


def reference(folder: Path) -> Path:
    """The reference solution as `grade pack` packs it, with its trained weights."""
    return pack(reference_dir(), folder).rename(folder / "s1234567.zip")


def deviating(folder: Path) -> Path:
    """A notebook with three mistakes, as macOS packs it."""
    text = "!pip install keras\n%matplotlib inline\n" + with_mistakes()
    cell = {"cell_type": "code", "source": text, "metadata": {}, "outputs": []}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    files = {
        "densenet/densenet.ipynb": json.dumps(notebook),
        "densenet/.DS_Store": bytes(64),
        "__MACOSX/densenet/._densenet.ipynb": bytes(64),
    }
    return packed(folder, "s2345678", files)


def right(folder: Path) -> Path:
    """A right network without trained weights."""
    return packed(folder, "s3456789", {"densenet.py": REFERENCE})


def stopped(folder: Path) -> Path:
    """A module that does not import."""
    text = '"""My DenseNet."""\n\nimport torch\n\n\ndef dense_block(x, num_layers, growth_rate):\n'
    return packed(folder, "s5678901", {"densenet.py": text + "    return torch.cat([x], 1)\n"})


SUBMISSIONS: dict[str, Callable[[Path], Path]] = {
    "reference": reference,
    "deviating": deviating,
    "right": right,
    "stopped": stopped,
}


def record(name: str, folder: Path) -> dict[str, Any]:
    """Grade one of them, as `grade` does, and say what came of it."""
    bare = name == "right"
    sandbox = open_sandbox("process" if bare else "jail")
    options = GradeOptions(RUNS, folder / "results", reference=name == "reference")
    course = Course(
        ASSIGNMENT, {}, replace(options, data=Path("nowhere") if bare else None), KEY, sandbox
    )
    try:
        run = collect_run(SUBMISSIONS[name](folder), course)
    finally:
        sandbox.close()
    told = run.evaluation() or MeasuredAccuracy()
    record = run.record
    return {
        "submission": run.submission().model_dump(mode="json", exclude_defaults=True),
        "run": record.run.model_dump(mode="json", exclude_defaults=True),
        "measured": told.model_dump(mode="json", exclude={"asked"}, exclude_defaults=True),
        "json": {f.name: run.frame(f).decode() for f in record.json_frames},
        "binary": {
            f.name: base64.b64encode(run.frame(f)).decode()
            for f in record.binary_frames
            if f.name not in LEFT_OUT
        },
    }


def main() -> None:
    """Record all, or those that are named."""
    for name in sys.argv[1:] or SUBMISSIONS:
        with tempfile.TemporaryDirectory() as folder:
            kept = record(name, Path(folder))
        text = json.dumps(kept, ensure_ascii=False)
        (RUNS / f"{name}.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))
        print(f"{name}: {kept['measured']}"[:200])


if __name__ == "__main__":
    main()
