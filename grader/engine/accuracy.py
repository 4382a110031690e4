"""From what the sandbox sent to the measured accuracy, or the reason why there is none.

Property protected: only a network whose reading was proved by its own numbers is measured. Where
the rebuilt network gives other numbers than the student's own, a person looks; where the machine
fails, nobody loses a point.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.assignment import Assignment, DataSource, EvaluationRule
from grader.domain import (
    EXCHANGE,
    RECIPE,
    RETRAINING,
    MeasuredAccuracy,
    Measurement,
    folder_of_seed,
)
from grader.engine.data import CIFAR10, ImageSet, NoData, find_images
from grader.engine.devices import keras_backend
from grader.engine.evaluate import Prepare, evaluate_in_child, refuse_slow
from grader.engine.gpu import Device, Gpu, lease, list_gpus, require_device
from grader.engine.plan import Plan, make_plan
from grader.engine.recipe import Recipe, RecipeError, load_recipe
from grader.engine.retrain import Described, Place, RetrainJob, retrain_in_child
from grader.errors import Cause, InfrastructureError, StageFailed
from grader.graph.canonical import Graph
from grader.graph.dense import why_not_dense
from grader.graph.evidence import Evidence
from grader.graph.network import Network
from grader.graph.numeric import (
    SAMPLE_SEED,
    TOLERANCE,
    Agreement,
    probe_images,
    prove,
    tolerance_of,
    variable_values,
)
from grader.graph.preprocess import trouble
from grader.graph.record import NetworkRecord
from grader.resources import template_dir

Array = NDArray[Any]

GPU_WAIT_S = 3600.0
"""Seconds in the queue for a GPU; not charged to the student."""
MAX_SAMPLE = 2**22
"""Numbers of the images that a proof is made with; two of CIFAR-10 have 6,144."""
HALF_PRECISION = (
    "the network computes in half precision, the grader in float32: of the test images a few"
    " may be answered otherwise than by the network itself"
)
RETRAIN_S = 900.0
"""Seconds of training where `--retrain` asks for it and the assignment does not say."""


@dataclass(frozen=True)
class Instruments:
    """What an accuracy is measured with.

    Attributes:
        data: Folder with the images; see `find_images`.
        backend: What computes; see `grader.engine.evaluate.runtimes`.
        device: "auto", "cpu" or "gpu"; see `grader.engine.gpu.asked_for`.
    """

    data: Path | None = None
    backend: str = "auto"
    device: Device = "auto"


ANY_INSTRUMENTS = Instruments()


def measure(
    evidence: Evidence,
    frames: Mapping[str, bytes],
    assignment: Assignment,
    *,
    handed_in: str | None,
    scratch: Path | None = None,
    retrain: bool = False,
    instruments: Instruments = ANY_INSTRUMENTS,
) -> MeasuredAccuracy:
    """Measure the accuracy of a finished run.

    Args:
        evidence: What the trace says; its model is `build_model()` behind `preprocess`.
        frames: The run's binary frames; "weights" and "sample" are read.
        assignment: Time budgets, and when further trainings are made; it asks for an accuracy.
            Where it asks for a DenseNet too, only a densely connected network has one.
        handed_in: The weights file that came with the submission, as intake knows it; what the
            program says it has loaded is no evidence that there is one.
        scratch: The run directory, which may hold the submission's recipe.toml; None for a
            temporary folder.
        retrain: Train here by the recipe instead of taking the student's weights.
        instruments: What it is measured with.

    Returns:
        What was measured, or why nothing was and whose fault that is (nobody's, as on a machine
        without data).
    """
    try:
        assert assignment.evaluation is not None
        budget = assignment.time_budgets.evaluation_s
        asked = _Asked(
            evidence,
            frames,
            assignment.evaluation,
            assignment.data or CIFAR10,
            budget,
            assignment.probes is not None,
            handed_in,
            scratch,
            instruments,
        )
        return asked.retrained() if retrain else asked.measured()
    except (InfrastructureError, StageFailed) as problem:
        too_slow = problem.cause is Cause.STUDENT_TIMEOUT and evidence.cause is None
        return MeasuredAccuracy(
            note=problem.message,
            cause=problem.cause,
            too_slow_for_s=assignment.time_budgets.evaluation_s if too_slow else None,
        )


@contextmanager
def _borrowed(instruments: Instruments) -> Iterator[Gpu | None]:
    """A leased GPU for the length of the block; None where there is none, or none is wanted.

    Whatever needs no GPU is done before: reading, proving, looking for data.
    """
    backend, device = instruments.backend, instruments.device
    require_device(device, backend)
    if device == "cpu" or backend == "openvino" or not list_gpus():
        yield None
        return
    with lease(wait_s=GPU_WAIT_S) as gpu:
        yield gpu


@dataclass(frozen=True)
class _Asked:
    """One request to measure; see `measure`."""

    evidence: Evidence
    frames: Mapping[str, bytes]
    rule: EvaluationRule
    source: DataSource
    budget_s: float
    of_densenet: bool
    handed_in: str | None
    scratch: Path | None
    instruments: Instruments

    def measured(self) -> MeasuredAccuracy:
        """With the student's weights."""
        model, record = self._network()
        data = find_images(self.instruments.data, self.source)
        if isinstance(data, NoData):
            return MeasuredAccuracy(note=data.reason)
        _refuse_preprocess(record)
        values = trained_values(record, self.frames, self.handed_in)
        plan = _plan(model, values)
        _refuse_diverged(record, self.frames, values)
        agreement = _agreement(model, record, self.frames, values)
        if not agreement.holds:
            return _not_proved(agreement)
        with _borrowed(self.instruments) as gpu:
            found = evaluate_in_child(
                plan,
                data,
                time_budget_s=self.budget_s,
                backend=self.instruments.backend,
                folder=None if self.scratch is None else self.scratch / EXCHANGE,
                gpu=None if gpu is None else gpu.uuid,
                prepare=_prepare(model, values),
            )
        more: dict[str, Any] = {"difference_to_students_network": agreement.difference}
        if tolerance_of(model.traces["inference"]) > TOLERANCE:
            more["notes"] = (HALF_PRECISION,)
        details = found.details.model_copy(update=more)
        suspicions = () if details.looks is None else details.looks.suspicions
        return MeasuredAccuracy(
            runs=(found.model_copy(update={"details": details}),),
            review=(
                f"the weights may have seen the test images: {'; '.join(suspicions)}"
                if suspicions
                else None
            ),
        )

    def retrained(self) -> MeasuredAccuracy:
        """With weights that our engine trains by the student's recipe."""
        model, record = self._network()
        _refuse_preprocess(record)
        if model.program is not None:
            raise StageFailed(
                Cause.STUDENT_FORBIDDEN_OP,
                "preprocess does more than scale, and where a network is trained here it can only"
                " scale: put what it does into layers of build_model()",
            )
        recipe = self._recipe()
        data = find_images(self.instruments.data, self.source)
        if isinstance(data, NoData):
            return MeasuredAccuracy(note=data.reason)
        values = _values(record, self.frames)
        plan = _plan(model, values)  # names the operation that stands in the way, as with weights
        agreement = _agreement(model, record, self.frames, values)
        if not agreement.holds:
            return _not_proved(agreement)
        with ExitStack() as stack:
            place = self.scratch or Path(stack.enter_context(TemporaryDirectory("-retrain")))
            runs = self._runs(record, plan, recipe, data, place / RETRAINING)
            return MeasuredAccuracy(runs=runs)

    def _network(self) -> tuple[Network, NetworkRecord]:
        """`build_model()`'s network and record, if its accuracy is one that was asked for.

        Raises:
            StageFailed: There is none, or it is of another architecture.
        """
        model, record = _model(self.evidence)
        reason = why_not_dense(_graph(model)) if self.of_densenet else None
        if reason is not None:
            raise StageFailed(
                Cause.STUDENT_OTHER_NETWORK,
                "the accuracy counts for a densely connected network alone; build_model()"
                f" {reason}",
            )
        return model, record

    def _runs(
        self, record: NetworkRecord, plan: Plan, recipe: Recipe, data: ImageSet, place: Path
    ) -> tuple[Measurement, ...]:
        """One training; where its accuracy is borderline, further ones with the next seeds."""
        rule = self.rule
        constants = self.frames.get("constants:model", b"")
        network = Described(record.model_dump_json().encode(), constants)
        runs: list[Measurement] = []
        while not runs or len(runs) < rule.trainings_for(runs[0].accuracy):
            own = recipe.model_copy(update={"seed": (recipe.seed + len(runs)) % 2**31})
            seconds = rule.retrain_s or RETRAIN_S
            start = time.perf_counter()
            with _borrowed(self.instruments) as gpu:
                waited_s = time.perf_counter() - start
                if gpu is None:
                    refuse_slow(plan, self.budget_s)
                run = retrain_in_child(
                    network,
                    RetrainJob(
                        recipe=own,
                        budget_s=None if rule.retrain_reference_epochs else seconds,
                        reference_epochs=rule.retrain_reference_epochs,
                        deterministic=rule.deterministic,
                        memory_bytes=rule.retrain_memory_bytes,
                    ),
                    data,
                    Place(
                        place / folder_of_seed(own.seed),
                        keras_backend(self.instruments.backend, gpu is not None),
                        gpu,
                    ),
                )
            runs.append(_having_waited(run, waited_s if gpu is not None else 0.0))
        return tuple(runs)

    def _recipe(self) -> Recipe:
        """The submission's recipe; the template's where it has none."""
        file = None if self.scratch is None else self.scratch / RECIPE
        if file is None or not file.is_file():
            return load_recipe(template_dir() / RECIPE)
        try:
            return load_recipe(file)
        except RecipeError as problem:
            raise StageFailed(Cause.SUBMISSION_BAD_RECIPE, str(problem)) from problem


def _having_waited(run: Measurement, seconds: float) -> Measurement:
    """With the time in the queue for a GPU, which is charged to nobody."""
    times = run.details.times
    times = times.model_copy(update={"queue_s": times.queue_s + seconds})
    details = run.details.model_copy(update={"times": times})
    return run.model_copy(update={"details": details})


def _not_proved(agreement: Agreement) -> MeasuredAccuracy:
    return MeasuredAccuracy(
        note="the accuracy was not measured, since a person has to look first",
        review=f"the rebuilt network is not proved to be the student's: {agreement.message}",
    )


def _model(evidence: Evidence) -> tuple[Network, NetworkRecord]:
    """`build_model()`'s network and record.

    Raises:
        StageFailed: There is none; says why.
        InfrastructureError: There is none because this machine failed.
    """
    model = evidence.model
    if model is not None and model.failure is None and model.record is not None:
        return model, model.record
    if evidence.cause is not None and evidence.cause.is_infrastructure:
        raise InfrastructureError(evidence.cause, evidence.message)
    if model is not None and model.failure is not None:
        what = model.failure
        place = f" ({what.where})" if what.where else ""
        if what.type in set(Cause):  # the sandbox's own word, not the student's exception
            raise StageFailed(Cause(what.type), f"build_model(): {what.message}{place}")
        raise StageFailed(
            Cause.STUDENT_EXCEPTION, f"build_model(): {what.type}: {what.message}{place}"
        )
    raise StageFailed(
        evidence.cause or Cause.STUDENT_EXITED, evidence.message or "build_model() gave no network"
    )


def trained_values(
    record: NetworkRecord, frames: Mapping[str, bytes], handed_in: str | None
) -> list[Array]:
    """The variables' values after the student's weights file was loaded.

    Raises:
        StageFailed: No file was handed in, it could not be loaded, or its values did not arrive.
    """
    weights = record.weights
    if handed_in is None:
        raise StageFailed(
            Cause.SUBMISSION_MISSING_FILE,
            "no trained weights were handed in: expected one *.weights.h5 or *.keras file",
        )
    if weights.file != handed_in:
        raise StageFailed(
            Cause.STUDENT_BAD_OUTPUT,
            f"the weights handed in were not loaded: expected {handed_in}, received"
            f" {(weights.file or 'none')[:200]}",
        )
    if not weights.loaded:
        failure = weights.failure
        text = f"{failure.type}: {failure.message}".strip(": ") if failure is not None else ""
        raise StageFailed(
            Cause.STUDENT_EXCEPTION,
            f"the weights file does not fit build_model(): {text[:400] or 'it was not loaded'}",
        )
    return _values(record, frames)


def _refuse_preprocess(record: NetworkRecord) -> None:
    """A network is measured behind a `preprocess` that is known, for one image at a time.

    Raises:
        StageFailed: It is not; says what to do.
    """
    found = trouble(record.preprocess)
    if found is not None:
        expected, received, help = found
        raise StageFailed(
            Cause.STUDENT_FORBIDDEN_OP,
            f"preprocess: expected {expected}, received {received}. {help}",
        )


def _refuse_diverged(
    record: NetworkRecord, frames: Mapping[str, bytes], values: list[Array]
) -> None:
    """A network whose own answers are no numbers has nothing that could be measured.

    Raises:
        StageFailed: Says what of the weights is no number, where something is.
    """
    answers = _answers(record, frames)
    if answers is None or np.all(np.isfinite(answers)):
        return
    named = zip(record.variables, values, strict=True)
    broken = [variable.name for variable, value in named if not np.all(np.isfinite(value))]
    why = (
        f"the weights hold NaN or infinity ({len(broken)} of {len(values)} variables, the first is"
        f" {broken[0][:60]})"
        if broken
        else "with these weights the network's own answers are NaN or infinity"
    )
    raise StageFailed(
        Cause.STUDENT_BAD_OUTPUT,
        f"{why}: the training diverged. Train again with a smaller learning rate, or warm up to it,"
        " and see that the loss stays a number.",
    )


def _answers(record: NetworkRecord, frames: Mapping[str, bytes]) -> Array | None:
    """What the student's network gave on random images; None where that did not arrive whole."""
    sizes = record.sample.shape or []
    flat = np.frombuffer(frames.get("sample", b""), np.uint8)
    if flat.size != 4 * math.prod(sizes):
        return None
    return flat.view("<f4").reshape(sizes)


def _values(record: NetworkRecord, frames: Mapping[str, bytes]) -> list[Array]:
    try:
        return variable_values(record.variables, frames["weights"])
    except (KeyError, ValueError) as error:
        raise StageFailed(
            Cause.STUDENT_BAD_OUTPUT, "the weights did not come out of the sandbox whole"
        ) from error


def _plan(model: Network, values: list[Array]) -> Plan:
    plan = make_plan(_graph(model), values)
    return plan if model.program is None else replace(plan, images="float32")


def _graph(model: Network) -> Graph:
    if model.graph is None:
        raise StageFailed(Cause.STUDENT_BAD_OUTPUT, "build_model() could not be read")
    return model.graph


def _prepare(model: Network, values: list[Array]) -> Prepare | None:
    """`preprocess` over many images, where it is no part of the network that was read."""
    program = model.program
    return None if program is None else lambda images: program.all(images, values)


def _agreement(
    model: Network, record: NetworkRecord, frames: Mapping[str, bytes], values: list[Array]
) -> Agreement:
    """Whether the reading gives what the student's network gave on random images."""
    assert model.graph is not None
    failure = record.sample.failure
    if failure is not None:
        return Agreement(None, f"its own network did not run: {failure.type}: {failure.message}")
    sizes = record.sample.shape or []
    batch, *image = record.input_shape or [0]
    # The other side says how many images of which size it was shown: it is asked for small ones.
    if len(image) != 3 or math.prod(record.input_shape) > MAX_SAMPLE or sizes[:1] != [batch]:
        return Agreement(None, "its own answers are not for the images that it was shown")
    answers = _answers(record, frames)
    if answers is None:
        return Agreement(None, "its own answers did not come out of the sandbox whole")
    images = probe_images(SAMPLE_SEED, batch, image)
    return prove(
        model.graph,
        values,
        images if model.program is None else model.program(images, values),
        answers,
        tolerance_of(model.traces["inference"]),
    )
