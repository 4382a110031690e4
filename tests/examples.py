"""Grades to show and export: one of each verdict, one with many findings, one hostile."""

from datetime import datetime, timedelta
from pathlib import Path

from grader.assignment import load_assignment
from grader.domain import (
    CheckResult,
    Dataset,
    Finding,
    Grade,
    MeasuredAccuracy,
    Measurement,
    Outcome,
    Provenance,
    Submission,
    SubmissionRef,
)
from grader.errors import Cause, InfrastructureError, SubmissionRejected
from grader.scoring import apply_deadline, make_grade, ungraded
from grader.scoring.grade import Facts

ASSIGNMENT = load_assignment(Path(__file__).parent / "example_assignment.toml")
DUE = ASSIGNMENT.deadline.due
PROVENANCE = Provenance(
    grader="0.1.0",
    assignment_sha256=ASSIGNMENT.sha256,
    tensorflow="2.21.0",
    keras="3.15.0",
    probe_seed_id="k-4f1c20ab",
    backend="tensorflow",
)
PAPER = "Huang et al. 2017"

TITLES = {
    "module-contract": (
        "shape",
        "densenet.py imports, and has the functions the assignment asks for.",
    ),
    "block-shape": (
        "shape",
        "dense_block keeps the map's size and gives its input's channels plus n·k.",
    ),
    "transition-shape": (
        "shape",
        "transition halves the map's height and width and keeps ⌊θm⌋ channels.",
    ),
    "network-shape": (
        "shape",
        "build_densenet maps images to one number a class; its maps halve from block to block.",
    ),
    "growth": ("shape", "Every layer of a dense block adds k maps."),
    "parameter-count-block": (
        "parameters",
        "dense_block has exactly the paper's trainable parameters and batch-norm statistics.",
    ),
    "parameter-count-transition": (
        "parameters",
        "transition has exactly the paper's trainable parameters and batch-norm statistics.",
    ),
    "parameter-count-network": (
        "parameters",
        "build_densenet has exactly the paper's trainable parameters and batch-norm statistics.",
    ),
    "build-model-parameters": (
        "parameters",
        "build_model() has exactly the parameters of a DenseNet of its depth and growth rate.",
    ),
    "composite-function": (
        "architecture",
        "Each layer is BN, then ReLU, then a convolution, in this order.",
    ),
    "dense-connectivity": (
        "architecture",
        "Each layer receives the block's input and all earlier layers' maps, as they are.",
    ),
    "bottleneck": (
        "architecture",
        "With bottleneck=True each layer has a 1×1 convolution to 4k maps before the 3×3 one.",
    ),
    "transition-layer": (
        "architecture",
        "A transition is BN, a 1×1 convolution to ⌊θm⌋ maps, and 2×2 average pooling.",
    ),
    "stem": (
        "architecture",
        "The network begins with one 3×3 convolution: 2k maps (BC) or 16, nothing behind it.",
    ),
    "head": (
        "architecture",
        "The network ends in BN, ReLU, global average pooling, one Dense layer and softmax.",
    ),
    "block-structure": (
        "architecture",
        "Three blocks of n layers, L = 3n + 4 or 6n + 4, a transition between each two.",
    ),
    "foreign-ops": ("architecture", "Nothing is computed that the paper does not have."),
    "training-behaviour": (
        "architecture",
        "Training and inference differ in batch statistics and dropout, and in nothing else.",
    ),
    "own-weights": (
        "architecture",
        "Each convolution and normalisation has trained weights of its own, all of them used.",
    ),
    "build-model": (
        "architecture",
        "build_model() gives a DenseNet of the paper for 32×32×3 images and 10 classes.",
    ),
}


def check(name: str, outcome: Outcome = Outcome.PASSED, **fields) -> CheckResult:
    group, title = TITLES[name]
    return CheckResult(name=name, group=group, title=title, outcome=outcome, **fields)


def checks(*others: CheckResult) -> list[CheckResult]:
    """All checks passed but `others`."""
    changed = {other.name: other for other in others}
    return [changed.get(name) or check(name) for name in TITLES]


def submission(student_id: str, **fields) -> Submission:
    defaults = {
        "source": f"{student_id}.zip",
        "sha256": "3f9a1c20" * 8,
        "root": "/run/tree",
        "files": (),
        "received_at": DUE - timedelta(hours=1, minutes=1, seconds=19),
        "received_from": "lms",
    }
    return Submission(student_id=student_id, **defaults | fields)


def measured(correct: int, wall_time_s: float = 7.13, official: bool = True) -> MeasuredAccuracy:
    run = Measurement(
        mode="weights",
        images=10_000,
        of_images=10_000,
        correct=correct,
        wall_time_s=wall_time_s,
        device="CPU, 2 cores",
        dataset=Dataset(
            name="cifar10" if official else "cifar10-jpeg", sha256="ab12" * 16, official=official
        ),
    )
    return MeasuredAccuracy(runs=(run,))


def grade(given: Submission, results: list[CheckResult], **fields) -> Grade:
    deadline = apply_deadline(
        ASSIGNMENT, given.student_id, given.received_at, given.received_from, {}
    )
    defaults = {"provenance": PROVENANCE, "isolation": "jail", "deadline": deadline}
    return make_grade(ASSIGNMENT, given, results, Facts(**defaults | fields))


def full_marks() -> Grade:
    """The reference solution."""
    return grade(submission("s1234567"), checks(), measured=measured(9120))


def deviating() -> Grade:
    """A wrong bottleneck, missing links, a remark, accuracy just missed, one second late."""
    links = tuple(
        Finding(
            where=f"block {block}, layer {layer}",
            message=f"input: expected {layer} sources, received {layer - 1}",
            what="input",
            expected="the block's input and " + (f"layers 1 to {layer - 1}"),
            received=f"the same without layer {layer - 2}",
            source=f"{PAPER}, eq. 2",
            help="Concatenate the outputs of all earlier layers, not only the last two.",
        )
        for block in (1, 2, 3)
        for layer in (3, 4, 5, 6)
    )
    wide = Finding(
        where="dense_block, layer 1, first convolution",
        message="maps: expected 48, received 24",
        what="maps",
        expected="48 maps (4k)",
        received="24 maps (2k)",
        source=f"{PAPER}, sec. 3, Bottleneck layers",
        help="Give the 1×1 convolution 4 * growth_rate filters.",
        call='python -c "import keras, densenet as d; print(d.dense_block(keras.Input((8, 8, 24)), '
        'num_layers=4, growth_rate=12, bottleneck=True))"',
    )
    pooled = Finding(
        where="transition 1",
        message="pooling stands before the 1×1 convolution; the same function, more memory",
        source=f"{PAPER}, sec. 3, Pooling layers",
        severity="remark",
    )
    count = Finding(
        where="build_densenet(depth=22, growth_rate=12)",
        message="trainable parameters: expected 71,686, received 66,214",
        what="trainable parameters",
        expected="71,686",
        received="66,214 (−5,472 = 9 bottlenecks with 2k maps and 12 missing links)",
        source=f"{PAPER}, sec. 3, Implementation details",
        help="The count follows from the structure: correct that first.",
    )
    results = checks(
        check(
            "parameter-count-block",
            Outcome.FAILED,
            rationale="2 of 4 probes differ.",
            follows_from="bottleneck",
            score=0.5,
            max_score=1.0,
        ),
        check(
            "parameter-count-network",
            Outcome.FAILED,
            rationale="3 of 3 probes differ.",
            follows_from="bottleneck",
            findings=(count,),
        ),
        check(
            "dense-connectivity",
            Outcome.FAILED,
            score=0.25,
            max_score=1.0,
            rationale="12 of 18 layers do not receive all earlier maps.",
            rank=2,
            findings=links,
        ),
        check(
            "bottleneck",
            Outcome.FAILED,
            findings=(wide,),
            rationale="The bottleneck is 2k maps wide.",
            rank=1,
        ),
        check("transition-layer", findings=(pooled,)),
        check(
            "own-weights",
            Outcome.SKIPPED,
            rationale="builds on dense-connectivity, which failed",
            follows_from="dense-connectivity",
        ),
    )
    late = submission(
        "s2345678",
        received_at=DUE + timedelta(seconds=1),
        received_from="argument",
        remarks=("ignored 3 files of macOS: __MACOSX", "densenet.ipynb: dropped 2 lines of shell"),
    )
    return grade(late, results, measured=measured(8478, official=False))


def without_evaluation() -> Grade:
    """No data on this machine, no time of receipt, no sandbox."""
    given = submission("s3456789", received_at=None, received_from=None)
    return grade(
        given,
        checks(),
        isolation="none",
        measured=MeasuredAccuracy(note="CIFAR-10 was not found on this machine"),
    )


def under_review() -> Grade:
    """The rebuilt network disagrees with the student's own; the time is only the file's."""
    given = submission("s4567890", received_from="file-time")
    return grade(
        given,
        checks(),
        measured=MeasuredAccuracy(
            note="the network could not be rebuilt faithfully",
            review="The rebuilt network and the student's own differ by up to 3.1e-02 on random "
            "inputs (allowed: 1e-04).",
        ),
    )


def stopped() -> Grade:
    """The student's module does not import; all that builds on it is skipped."""
    results = [
        check(
            name,
            Outcome.SKIPPED,
            rationale="the module does not import",
            follows_from="module-contract",
        )
        for name in TITLES
    ]
    results[0] = check(
        "module-contract",
        Outcome.FAILED,
        rationale="densenet.py does not import.",
        rank=1,
        findings=(
            Finding(
                where="densenet.py, line 3, in <module>",
                message="densenet.py, line 3, in <module>: expected a module that can be "
                "imported, received ModuleNotFoundError: No module named 'torch'",
                expected="a module that can be imported",
                received="ModuleNotFoundError: No module named 'torch'",
                help="Write the network with Keras; other frameworks are not installed.",
                place="densenet.py, line 3, in <module>",
                line=3,
                code="import torch",
            ),
        ),
    )
    return grade(
        submission("s5678901"),
        results,
        cause=Cause.STUDENT_IMPORT,
        message="densenet.py does not import",
        measured=MeasuredAccuracy(
            note="there is no network to evaluate", cause=Cause.STUDENT_IMPORT
        ),
    )


def rejected() -> Grade:
    """Not a zip."""
    error = SubmissionRejected(
        Cause.SUBMISSION_BAD_ARCHIVE,
        "The file is not a zip archive: it begins with 'Rar!'.",
        "Pack the folder again with `grade pack`.",
    )
    reference = SubmissionRef(source="final_FINAL(2).rar", received_from="lms", received_at=DUE)
    return ungraded(
        error,
        assignment=ASSIGNMENT,
        student_id="s6789012",
        submission=reference,
        provenance=PROVENANCE,
    )


def withheld() -> Grade:
    """The engine was gone."""
    error = InfrastructureError(
        Cause.INFRA_ENGINE,
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.",
        "Start Docker, or grade with --sandbox jail.",
    )
    reference = SubmissionRef(source="s7890123.zip", sha256="77" * 32)
    return ungraded(
        error,
        assignment=ASSIGNMENT,
        student_id="s7890123",
        submission=reference,
        provenance=PROVENANCE,
    )


HOSTILE = (
    "\x1b[2J\x1b[H\x1b[32mPASSED\x1b[0m [bold green]100/100[/] \x1b]0;owned\x07 [/] [link=http://x]"
    "\u202egnp.exe\u2066 \x9b31m \x08\x08\x08\x00 :skull: <script>alert(1)</script> \u200b"
    '=HYPERLINK("http://x") \r\noverwritten e\u0301' + "\u0301" * 50 + " \ud83d\U000e0041 "
)


def hostile() -> Grade:
    """Everything a student can name is an attack on the report."""
    results = checks(
        check(
            "stem",
            Outcome.FAILED,
            rationale=HOSTILE,
            help=HOSTILE,
            findings=tuple(
                Finding(
                    where=HOSTILE,
                    message=HOSTILE,
                    expected=HOSTILE,
                    received=HOSTILE * 1000,
                    source=HOSTILE,
                    help=HOSTILE,
                )
                for _ in range(40)
            ),
        ),
    )
    given = submission(HOSTILE, source="../../" + HOSTILE, remarks=(HOSTILE,) * 30)
    return grade(
        given,
        results,
        cause=Cause.STUDENT_EXCEPTION,
        message=HOSTILE,
        help=HOSTILE,
        measured=MeasuredAccuracy(note=HOSTILE, cause=Cause.STUDENT_EXCEPTION),
    )


ALL = (full_marks, deviating, without_evaluation, under_review, stopped, rejected, withheld)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
