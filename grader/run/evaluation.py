"""The measured accuracy of a run: measured, kept, and measured again where that is asked for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from grader import files
from grader.assignment import Assignment
from grader.domain import RECIPE, MeasuredAccuracy
from grader.engine import accuracy
from grader.engine.accuracy import ANY_INSTRUMENTS, Instruments
from grader.run.folder import RunFolder
from grader.run.provenance import programs_digest
from grader.run.reading import evidence_of
from grader.run.record import EvaluationRecord
from grader.run.seal import damaged
from grader.scoring.accuracy import unanswered


def digest_of(instruments: Instruments) -> str:
    """Names what decides a measurement, beside what stands in the run's own name."""
    what = {
        "backend": instruments.backend,
        "device": instruments.device,
        "data": str(instruments.data or os.environ.get("GRADER_DATA", "")),
        "programs": measuring_programs(),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def measuring_programs() -> str:
    """Names the programs that decide a measurement."""
    return programs_digest("engine", "graph")


def _stands(known: EvaluationRecord, instruments: Instruments) -> bool:
    """Whether what was measured is what would be measured now.

    Where the command names nothing, a measurement by other instruments, such as another machine's
    GPU, stands too: the same programs made it, on the official images.
    """
    if known.asked == digest_of(instruments):
        return bool(known.runs)
    official = bool(known.runs) and all(run.dataset.official for run in known.runs)
    return instruments == ANY_INSTRUMENTS and official and known.programs == measuring_programs()


def have_evaluation(
    run: RunFolder,
    assignment: Assignment,
    instruments: Instruments,
    measure: Callable[..., MeasuredAccuracy],
) -> None:
    """Measure the accuracy, unless what is known answers the assignment already.

    Args:
        run: The run.
        assignment: Whether what is known answers it.
        instruments: What it is measured with.
        measure: `measured_in`, or what does the same elsewhere.
    """
    known = run.evaluation()
    if (
        known is None
        or not _stands(known, instruments)
        or unanswered(assignment, known) is not None
    ):
        keep_measured(run, assignment, instruments, measure)


def have_note(run: RunFolder, note: str) -> None:
    """Say why no accuracy is measured, where none is known."""
    if run.evaluation() is None:
        run.write(EvaluationRecord(note=note))


def keep_measured(
    run: RunFolder,
    assignment: Assignment,
    instruments: Instruments,
    measure: Callable[..., MeasuredAccuracy] | None = None,
) -> MeasuredAccuracy:
    """Measure the accuracy and keep what came of it in the run directory."""
    measured = (measure or measured_in)(run, assignment, instruments, scratch=run.path)
    asked, programs = digest_of(instruments), measuring_programs()
    run.write(EvaluationRecord(asked=asked, programs=programs, **dict(measured)))
    return measured


def measured_beside(
    run: RunFolder, assignment: Assignment, instruments: Instruments
) -> MeasuredAccuracy:
    """Measure the accuracy and leave the run directory as it is."""
    with files.scratch("evaluation") as scratch:
        if (run.path / RECIPE).is_file():
            shutil.copyfile(run.path / RECIPE, scratch / RECIPE)
        return measured_in(run, assignment, instruments, scratch=scratch)


def measured_in(
    run: RunFolder, assignment: Assignment, instruments: Instruments, *, scratch: Path
) -> MeasuredAccuracy:
    """Measure the accuracy of a finished run, as it was asked to be measured.

    Args:
        run: The run.
        assignment: Time budgets, and when further trainings are made.
        instruments: What it is measured with.
        scratch: Holds the recipe that was handed in, and what measuring leaves.
    """
    _same_recipe(run)
    return accuracy.measure(
        evidence_of(run),
        run.binary_frames(),
        assignment,
        handed_in=run.submission().weights,
        scratch=scratch,
        retrain=run.record.questions.mode == "retrain",
        instruments=instruments,
    )


def _same_recipe(run: RunFolder) -> None:
    """Refuse a recipe that is not the one that was handed in.

    Raises:
        InfrastructureError: It was changed.
    """
    submission, file = run.submission(), run.path / RECIPE
    wanted = {f.sha256 for f in submission.files if f.path == submission.recipe}
    found = {hashlib.sha256(file.read_bytes()).hexdigest()} if file.is_file() else set()
    if wanted != found:
        raise damaged(RECIPE, "it is not what was handed in")
