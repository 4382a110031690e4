"""What lies in a run directory and belongs on its student's page: the network, the mistakes."""

from __future__ import annotations

from pathlib import Path

from grader.domain import Grade
from grader.errors import InfrastructureError, UsageError
from grader.graph.drawing import Drawing, draw
from grader.graph.evidence import assemble
from grader.ledger.key import CourseKey
from grader.report.html.student import Beside
from grader.run.directory import RUNS
from grader.run.folder import RUN_FILE, RunFolder
from grader.run.record import RunRecord

MISTAKES = "mistakes.png"
LARGEST_PICTURE = 4 * 2**20
"""Bytes of a picture that a page carries."""
_PNG = b"\x89PNG\r\n\x1a\n"


def beside(grade: Grade, results: Path, key: CourseKey) -> Beside:
    """What is there of a grade's run; nothing where the run is gone or is not what was written.

    Args:
        grade: Names its run.
        results: The results folder.
        key: The course key.
    """
    name = grade.provenance.run
    if not name or Path(name).name != name:
        return Beside()
    run_dir = results / RUNS / name
    if not (run_dir / RUN_FILE).is_file():
        return Beside()
    run = RunFolder(run_dir, key)
    try:
        record = run.record
    except (InfrastructureError, UsageError):
        return Beside()
    measured = grade.evaluation
    pictured = measured is not None and MISTAKES in measured.details.pictures
    mistakes = picture_in(run_dir / measured.folder / MISTAKES) if measured and pictured else None
    return Beside(_drawing(run, record), mistakes)


def _drawing(run: RunFolder, record: RunRecord) -> Drawing | None:
    """The network as students may know it: no frame of a hidden probe is read for it."""
    try:
        public = [p for p in record.probes if p.function == "build_densenet" and not p.hidden][:1]
        wanted = {"module", "model", "constants:model"}
        wanted |= {f"{kind}:{probe.id}" for kind in ("probe", "constants") for probe in public}
        evidence = assemble(
            {f.name: run.frame(f) for f in record.json_frames if f.name in wanted},
            {f.name: run.frame(f) for f in record.binary_frames if f.name in wanted},
            public,
            record.run.cause,
            record.run.message,
            record.questions.image_shape,
        )
    except InfrastructureError:
        return None
    return draw(evidence)


def picture_in(file: Path) -> bytes | None:
    """A picture that the grader wrote; None where there is none that a page should carry."""
    try:
        if file.is_symlink() or file.stat().st_size > LARGEST_PICTURE:
            return None
        content = file.read_bytes()
    except OSError:
        return None
    return content if content.startswith(_PNG) else None
