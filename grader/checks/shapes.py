"""Shapes: of a block, a transition, a network, and the growth between layers."""

from __future__ import annotations

from collections.abc import Callable

from grader import paper
from grader.checks.check import Failure
from grader.checks.contract import (
    RETURN_X,
    all_answered,
    answered,
    failed_call,
    imported,
    nothing_is_missing,
    reached,
    silent_on_hidden,
)
from grader.domain import Finding
from grader.graph.evidence import Evidence
from grader.graph.network import Network
from grader.graph.rules.rulings import COMPRESSION, CONNECTIVITY, DETAILS, GROWTH, POOLING
from grader.graph.told import EVERYWHERE, finding_for_student, of_call

BLOCK_HELP = "Give back x and every layer's maps concatenated: channels + num_layers · growth_rate."
TRANSITION_HELP = "A 1×1 convolution to int(compression * channels) maps, then AveragePooling2D(2)."
NETWORK_HELP = "The last layer gives one number for each of num_classes."
SIZES_HELP = "The stem keeps the map's size, each transition halves it, nothing else changes it."


def block_shape(evidence: Evidence) -> None:
    """dense_block keeps the map's size and gives its input's channels plus n·k."""
    _shapes(evidence, "dense_block", _block_output, CONNECTIVITY, BLOCK_HELP)


def transition_shape(evidence: Evidence) -> None:
    """transition halves the map's height and width and keeps ⌊θm⌋ channels."""
    _shapes(evidence, "transition", _transition_output, COMPRESSION, TRANSITION_HELP)


def network_shape(evidence: Evidence) -> None:
    """build_densenet maps images to one number a class; its maps halve from block to block."""
    _shapes(evidence, "build_densenet", _network_output, DETAILS, NETWORK_HELP)
    findings = []
    for network in answered(evidence, "build_densenet"):
        probe = network.probe
        assert probe is not None and probe.network is not None
        size = probe.network.size
        wanted = [size, size // 2, size // 4]
        blocks = network.readings["inference"].blocks
        received = [b.layers[0].entry.height for b in blocks if b.layers]
        if received != wanted:
            findings.append(
                _finding(
                    network, "the sizes of its blocks' maps", wanted, received, POOLING, SIZES_HELP
                )
            )
    if findings:
        raise Failure("the maps do not have the paper's sizes", SIZES_HELP, _few(findings), 0.5)


def growth(evidence: Evidence) -> None:
    """Every layer of a dense block adds k maps."""
    networks = answered(evidence, "dense_block", "build_densenet")
    findings = [finding_for_student(n, d) for n, d in evidence.deviations if d.check == "growth"]
    for network in networks:
        probe = network.probe
        assert probe is not None
        if probe.block is None or network.output_shape is None:
            continue
        gained = (network.output_shape or (0,))[-1] - probe.block.channels
        wanted = probe.block.num_layers * probe.block.growth_rate
        if gained != wanted and not findings:
            findings.append(
                _finding(network, "the maps it adds", wanted, gained, GROWTH, BLOCK_HELP)
            )
    if findings:
        raise Failure(findings[0].message, findings[0].help, findings)
    nothing_is_missing(networks)
    all_answered(evidence, "dense_block", "build_densenet")


def _shapes(
    evidence: Evidence,
    function: str,
    expected: Callable[[Network], set[tuple[int, ...]]],
    source: str,
    help: str,
) -> None:
    networks = evidence.of(function)
    imported(evidence)
    reached(evidence, function)
    findings: list[Finding] = []
    right = 0
    for network in networks:
        probe = network.probe
        assert probe is not None
        if network.failure is not None:
            given = _gave_a_model(evidence) if function == "build_densenet" else None
            failed = failed_call(function, network.failure, probe.hidden)
            findings.append(given or of_call(network, failed))
            continue
        wanted = expected(network)
        if network.output_shape in wanted:
            right += 1
            continue
        findings.append(
            _finding(
                network,
                "the shape it gives",
                _shape(sorted(wanted)[0]),
                _shape(network.output_shape),
                source,
                help,
            )
        )
    if findings:
        share = 0.0 if silent_on_hidden(networks) else right / len(networks)
        raise Failure(findings[0].message, findings[0].help, _few(findings), share)
    if not networks:
        raise Failure(f"{function} was not probed")


def _gave_a_model(evidence: Evidence) -> Finding | None:
    """A part of the network that is no tensor: the next function fails on it, and is right."""
    for network in evidence.networks:
        if network.record is not None and network.record.gave:
            what = f"gives a {network.record.gave}; expected a tensor: return x"
            finding = Finding(
                where=network.name,
                message=f"{network.name} {what}",
                what=what,
                expected="a tensor",
                received=f"a {network.record.gave}",
                help=RETURN_X,
            )
            return of_call(network, finding)
    return None


def _few(findings: list[Finding]) -> list[Finding]:
    """One finding a kind: the same exception in every probe is said once."""
    kept: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        # An exception is the same at the same place; what else differs is a layer's number.
        same = (finding.place, finding.received.partition(":")[0]) if finding.place else ()
        kept.setdefault(same or (finding.message, finding.asked), finding)
    return list(kept.values())


def _shape(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return "an unknown shape"
    return "(" + ", ".join(["batch", *map(str, shape[1:])]) + ")"


def _finding(
    network: Network, what: str, expected: object, received: object, source: str, help: str
) -> Finding:
    if network.probe is not None and network.probe.hidden:
        expected, received = "right for every configuration", "wrong for a hidden one"
        message, help = f"{what}: wrong for a hidden configuration", EVERYWHERE
    else:
        message = f"{what}: expected {expected}, received {received}"
    finding = Finding(
        where=network.name,
        message=message,
        what=what,
        expected=str(expected),
        received=str(received),
        source=source,
        help=help,
    )
    return of_call(network, finding)


def _block_output(network: Network) -> set[tuple[int, ...]]:
    assert network.probe is not None and network.probe.block is not None
    b, batch = network.probe.block, _batch(network)
    return {(batch, b.size, b.size, b.channels + b.num_layers * b.growth_rate)}


def _transition_output(network: Network) -> set[tuple[int, ...]]:
    assert network.probe is not None and network.probe.transition is not None
    t, batch = network.probe.transition, _batch(network)
    widths = {
        paper.compressed(t.channels, t.compression),
        paper.compressed_in_floating_point(t.channels, t.compression),
    }
    return {(batch, t.size // 2, t.size // 2, width) for width in widths}


def _network_output(network: Network) -> set[tuple[int, ...]]:
    assert network.probe is not None and network.probe.network is not None
    return {(_batch(network), network.probe.network.num_classes)}


def _batch(network: Network) -> int:
    assert network.record is not None
    return network.record.input_shape[0] if network.record.input_shape else 0
