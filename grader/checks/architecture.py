"""The architecture: one check for each part of the paper, over what the rules found."""

from __future__ import annotations

from collections.abc import Sequence

from grader.checks.check import Failure, NothingToJudge
from grader.checks.contract import all_answered, answered, failed_call, nothing_is_missing
from grader.domain import Finding
from grader.graph.evidence import Evidence
from grader.graph.network import Network
from grader.graph.preprocess import trouble
from grader.graph.rules.rulings import BEFORE_THE_STEM, DETAILS
from grader.graph.told import finding_for_student, of_call

FUNCTIONS = ("dense_block", "transition", "build_densenet")
"""Those that are called with configurations."""
IDLE_HELP = "A layer whose output is thrown away, or multiplied by zero, is no part of the network."
NO_PREPROCESS = Finding(
    where="preprocess",
    message="there is no preprocess: the network gets the bytes 0 to 255 as they are",
    help="Put the scaling that you trained with into preprocess(images).",
    severity="remark",
)


def composite_function(evidence: Evidence) -> list[Finding]:
    """Each layer is BN, then ReLU, then a convolution, in this order."""
    return _by_rules(evidence, "composite-function", "dense_block", "build_densenet")


def dense_connectivity(evidence: Evidence) -> list[Finding]:
    """Each layer receives the block's input and all earlier layers' maps, as they are."""
    return _by_rules(evidence, "dense-connectivity", "dense_block", "build_densenet", layers=2)


def bottleneck(evidence: Evidence) -> list[Finding]:
    """With bottleneck=True each layer has a 1×1 convolution to 4k maps before the 3×3 one."""
    return _by_rules(evidence, "bottleneck", "dense_block", "build_densenet")


def transition_layer(evidence: Evidence) -> list[Finding]:
    """A transition is BN, a 1×1 convolution to ⌊θm⌋ maps, and 2×2 average pooling."""
    return _by_rules(evidence, "transition-layer", "transition", "build_densenet")


def stem(evidence: Evidence) -> list[Finding]:
    """The network begins with one 3×3 convolution: 2k maps (BC) or 16, nothing behind it."""
    return _by_rules(evidence, "stem", "build_densenet")


def head(evidence: Evidence) -> list[Finding]:
    """The network ends in BN, ReLU, global average pooling, one Dense layer and softmax."""
    return _by_rules(evidence, "head", "build_densenet")


def block_structure(evidence: Evidence) -> list[Finding]:
    """Three blocks of n layers, L = 3n + 4 or 6n + 4, a transition between each two."""
    return _by_rules(evidence, "block-structure", "dense_block", "build_densenet")


def foreign_ops(evidence: Evidence) -> list[Finding]:
    """Nothing is computed that the paper does not have."""
    return _by_rules(evidence, "foreign-ops", *FUNCTIONS)


def training_behaviour(evidence: Evidence) -> list[Finding]:
    """Training and inference differ in batch statistics and dropout, and in nothing else."""
    return _by_rules(evidence, "training-behaviour", *FUNCTIONS)


def own_weights(evidence: Evidence) -> list[Finding]:
    """Each convolution and normalisation has trained weights of its own, all of them used."""
    findings, remarks = _found(evidence, "own-weights")
    networks = answered(evidence, *FUNCTIONS)
    idle = next((n for n in networks if n.counted is not None and n.counted.idle), None)
    if idle is not None and idle.counted is not None and idle.probe is not None:
        names = ", ".join(idle.counted.idle[:3])
        findings.append(
            Finding(
                where=idle.name,
                what="its trained weights",
                message=f"its trained weights: expected all used, received "
                f"{len(idle.counted.idle)} that the output does not depend on ({names})",
                expected="all used",
                received=f"{len(idle.counted.idle)} idle: {names}",
                source=DETAILS,
                help=IDLE_HELP,
            )
        )
    remarks = _verdict(networks, findings, remarks)
    all_answered(evidence, *FUNCTIONS)
    return remarks


def build_model(evidence: Evidence) -> list[Finding]:
    """build_model() gives a DenseNet of the paper for 32×32×3 images and 10 classes."""
    model = evidence.model
    if model is None:
        raise NothingToJudge("build_model gave nothing that could be looked at", "build_model")
    if model.failure is not None:
        finding = of_call(model, failed_call("build_model", model.failure))
        raise Failure(finding.message, finding.help, [finding])
    findings = _preprocess(model)
    findings += [
        of_call(model, d.finding.model_copy(update={"where": "build_model, " + d.finding.where}))
        for n, d in evidence.deviations
        if n is model
        and d.finding.severity == "deviation"
        # What `preprocess` does with the images stands before the stem, and is told once.
        and not (findings and d.finding.where == "stem" and d.finding.what == BEFORE_THE_STEM.what)
    ]
    remarks = [NO_PREPROCESS] if model.record and model.record.preprocess.get("missing") else []
    if model.counted is not None and model.counted.idle and not findings:
        findings.append(
            Finding(
                where="build_model",
                what="its trained weights",
                message=f"its trained weights: expected all used, received "
                f"{len(model.counted.idle)} that the output does not depend on "
                f"({', '.join(model.counted.idle[:3])})",
                expected="all used",
                received=f"{len(model.counted.idle)} idle: {', '.join(model.counted.idle[:3])}",
                help=IDLE_HELP,
            )
        )
    shape = model.output_shape
    if shape is None or len(shape) != 2 or shape[-1] != 10:
        findings.append(
            Finding(
                where="build_model",
                what="the shape it gives",
                message=f"the shape it gives: expected (batch, 10), received {shape}",
                expected="(batch, 10)",
                received=str(shape),
                source=DETAILS,
            )
        )
    configuration = model.configuration
    if configuration is not None and configuration.bottleneck and not findings:
        if configuration.compression not in (0.5, 1.0):
            remarks.append(
                Finding(
                    where="build_model",
                    message=f"θ = {configuration.compression:g}; the paper's DenseNet-BC has 0.5",
                    source=DETAILS,
                    severity="remark",
                )
            )
    return _verdict([model], findings, remarks)


def _preprocess(model: Network) -> list[Finding]:
    """What is wrong about `preprocess`, which nobody else would say before the grading."""
    found = trouble(model.record.preprocess) if model.record is not None else None
    if found is None:
        return []
    expected, received, help = found
    return [
        Finding(
            where="preprocess",
            message=f"what it gives: expected {expected}, received {received}",
            expected=expected,
            received=received,
            help=help,
        )
    ]


def _by_rules(evidence: Evidence, check: str, *functions: str, layers: int = 1) -> list[Finding]:
    networks = answered(evidence, *functions)
    findings, remarks = _found(evidence, check)
    remarks = _verdict(networks, findings, remarks, layers)
    all_answered(evidence, *functions)
    return remarks


def _found(evidence: Evidence, check: str) -> tuple[list[Finding], list[Finding]]:
    """Deviations and remarks of one check, those of build_model() left to its own check."""
    findings: list[Finding] = []
    remarks: list[Finding] = []
    for network, item in evidence.deviations:
        if item.check != check or (network is evidence.model and not _only_model(evidence)):
            continue
        finding = finding_for_student(network, item)
        (remarks if finding.severity == "remark" else findings).append(finding)
    return findings, remarks


def _only_model(evidence: Evidence) -> bool:
    """Whether build_model() is all there is to look at."""
    return not any(n.failure is None for n in evidence.networks)


def _verdict(
    networks: Sequence[Network], findings: list[Finding], remarks: list[Finding], layers: int = 1
) -> list[Finding]:
    if findings:
        raise Failure(findings[0].message, findings[0].help, [*findings, *remarks])
    nothing_is_missing(networks, layers)
    return remarks
