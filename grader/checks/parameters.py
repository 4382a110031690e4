"""Parameter counts against the closed form of paper.py: exact, no tolerance."""

from __future__ import annotations

from collections.abc import Callable

from grader import paper
from grader.checks.check import Failure, NothingToJudge
from grader.checks.contract import all_answered, answered
from grader.domain import Finding
from grader.graph.evidence import Evidence
from grader.graph.forensics import explain
from grader.graph.network import Network, accepted_stems, configuration_of
from grader.graph.rules.rulings import DETAILS
from grader.graph.told import EVERYWHERE, of_call

OWN_NORMS = "Each batch normalisation keeps a mean and a variance for each map that it receives."


def parameter_count_block(evidence: Evidence) -> None:
    """dense_block has exactly the paper's trainable parameters and batch-norm statistics."""
    _counts(evidence, "dense_block", _block_count)


def parameter_count_transition(evidence: Evidence) -> None:
    """transition has exactly the paper's trainable parameters and batch-norm statistics."""
    _counts(evidence, "transition", _transition_count)


def parameter_count_network(evidence: Evidence) -> None:
    """build_densenet has exactly the paper's trainable parameters and batch-norm statistics."""
    _counts(evidence, "build_densenet", _network_count)


def build_model_parameters(evidence: Evidence) -> None:
    """build_model() has exactly the parameters of a DenseNet of its depth and growth rate."""
    model = evidence.model
    if model is None or model.failure is not None or model.counted is None:
        raise NothingToJudge("build_model gave nothing that could be looked at", "build_model")
    if model.configuration is None:
        raise Failure(
            "build_model() could not be recognised as a DenseNet, so its count has no formula",
            "Return build_densenet(...) with your configuration.",
        )
    wrong = _compare(model, [model.configuration.count()], model.configuration)
    if wrong:
        raise Failure(wrong[0].message, wrong[0].help, wrong)


def _counts(
    evidence: Evidence, function: str, closed: Callable[[Network], list[paper.Count]]
) -> None:
    findings: list[Finding] = []
    right = 0
    networks = answered(evidence, function)
    for network in networks:
        wrong = _compare(network, closed(network))
        findings += wrong
        right += not wrong
    if findings:
        share = right / len(evidence.of(function))
        # What a public configuration shows explains the hidden ones.
        shown = [f for f in findings if f.call] or findings
        raise Failure(shown[0].message, shown[0].help, _once(shown), share)
    all_answered(evidence, function)


def _compare(
    network: Network,
    accepted: list[paper.Count],
    configuration: paper.Configuration | None = None,
) -> list[Finding]:
    counted = network.counted
    assert counted is not None
    best = min(accepted, key=lambda c: abs(c.trainable - counted.comparable))
    right = {c.statistics for c in accepted if c.trainable == counted.comparable}
    if not right:
        difference = counted.comparable - best.trainable
        what = "its trainable parameters (convolution biases left out)"
        hidden = network.probe is not None and network.probe.hidden
        help = EVERYWHERE if hidden else explain(network, difference, configuration)
        return [_finding(network, what, best.trainable, counted.comparable, help)]
    if counted.statistics not in right:
        what = "its batch-norm statistics (moving means and variances)"
        return [_finding(network, what, best.statistics, counted.statistics, OWN_NORMS)]
    return []


def _finding(network: Network, what: str, expected: int, received: int, help: str) -> Finding:
    hidden = network.probe is not None and network.probe.hidden
    wanted, found = f"{expected:,}", f"{received:,}"
    message = f"{what}: expected {wanted}, received {found}"
    if hidden:
        wanted, found = "right for every configuration", "wrong for a hidden one"
        message = f"{what}: wrong for a hidden configuration"
    finding = Finding(
        where=network.name,
        message=message,
        what=what,
        expected=wanted,
        received=found,
        source=DETAILS,
        help=help,
    )
    return of_call(network, finding)


def _once(findings: list[Finding]) -> list[Finding]:
    kept: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        kept.setdefault((finding.message, finding.asked), finding)
    return list(kept.values())


def _block_count(network: Network) -> list[paper.Count]:
    assert network.probe is not None and network.probe.block is not None
    b = network.probe.block
    return [paper.dense_block_count(b.channels, b.num_layers, b.growth_rate, b.bottleneck)]


def _transition_count(network: Network) -> list[paper.Count]:
    assert network.probe is not None and network.probe.transition is not None
    t = network.probe.transition
    widths = {
        paper.compressed(t.channels, t.compression),
        paper.compressed_in_floating_point(t.channels, t.compression),
    }
    norm = paper.batch_norm_count(t.channels)
    return [norm + paper.convolution_count(1, t.channels, w) for w in sorted(widths)]


def _network_count(network: Network) -> list[paper.Count]:
    assert network.probe is not None
    configuration = configuration_of(network.probe)
    found = sum(n.channels for n in network.readings["inference"].stem)
    stems = accepted_stems(configuration)
    return [
        paper.Configuration(
            configuration.depth,
            configuration.growth_rate,
            configuration.compression,
            configuration.bottleneck,
            configuration.num_classes,
            configuration.input_shape,
            stem,
        ).count()
        for stem in ([found] if found in stems else stems[:1])
    ]
