"""The variables of a network, counted: never `count_params()`, never a tolerance.

Source: densenet.md, Parameters: convolution biases are allowed, a batch norm without scale and a
classifier without bias are remarks; the rest must be the closed form of paper.py exactly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from grader.graph.canonical import Graph, Segment
from grader.graph.reading import Reading, wanted_nodes
from grader.graph.record import VariableRecord
from grader.graph.steps import Word, words


@dataclass(frozen=True)
class Counted:
    """The parameters of one network.

    Attributes:
        trainable: Elements of all trainable variables.
        statistics: Elements of the variables that are not trained but scale or shift maps behind
            the stem; those of an input normalisation, a random state or a counter are none.
        biases: Convolution biases among the trainable ones, and in how many convolutions.
        biased: How many convolutions have one.
        missing_scales: Channels of batch norms without a trained scale.
        missing_bias: Classes, where the classifier has no bias.
        idle: Names of trainable variables that the output does not depend on.
    """

    trainable: int
    statistics: int
    biases: int
    biased: int
    missing_scales: int
    missing_bias: int
    idle: tuple[str, ...]

    @property
    def comparable(self) -> int:
        """Trainable parameters as the closed form counts them."""
        return self.trainable - self.biases + self.missing_scales + self.missing_bias


def count(
    reading: Reading,
    variables: tuple[VariableRecord, ...],
    used: Collection[int],
    classifier: int | None = None,
    averages: Collection[int] = (),
) -> Counted:
    """Count what the paper counts.

    Args:
        reading: The network in inference.
        variables: Its variable table.
        used: Indices of the variables that the output depends on.
        classifier: Index of the classifier's node, if there is one.
        averages: Indices of moving averages that a batch norm has, and the network does not use.
    """
    graph = reading.graph
    biases: dict[int, int] = {}
    biased: set[int] = set()
    missing: dict[str, int] = {}
    classifier_bias = False
    inner: set[int] = set()
    for segment, in_stem in _segments(graph, reading):
        node = graph.nodes[segment.node]
        found = words(segment)
        for position, word in enumerate(found):
            scales = (
                {i for t in word.step.affine.terms for i in t.symbol.variables}
                if word.step.affine is not None
                else set()
            )
            inner |= set() if in_stem else scales
            part = word.part
            if part is None:
                continue
            if part.kind == "bias" and position == 0 and node.kind == "conv":
                if node.index == classifier:
                    classifier_bias = True
                else:
                    # Of several convolutions that are one, each may have a bias of its own.
                    biases |= {i: variables[i].size for i in _bias_variables(word)}
                    biased.add(node.index)
            if part.kind == "batch_norm" and part.role("gamma") is None and not in_stem:
                assert word.step.affine is not None
                missing[word.step.affine.key] = word.step.affine.channels
    table = dict(enumerate(variables))
    trainable = sum(v.size for v in table.values() if v.trainable)
    inner |= set(averages)
    statistics = sum(
        v.size for i, v in table.items() if not v.trainable and _is_statistic(v) and i in inner
    )
    classes = graph.nodes[classifier].channels if classifier is not None else 0
    return Counted(
        trainable,
        statistics,
        sum(biases.values()),
        len(biased),
        sum(missing.values()),
        classes if classifier is not None and not classifier_bias else 0,
        tuple(v.name for i, v in table.items() if v.trainable and i not in used),
    )


def _bias_variables(word: Word) -> set[int]:
    """The variables behind a bias: one, or one for each part of a sum of convolutions."""
    assert word.part is not None
    assert word.step.affine is not None
    index = word.part.roles[0][1]
    terms = [t for t in word.step.affine.terms if t.origin.bare and t.origin.bare[0] == index]
    return set().union(*[t.symbol.variables for t in terms])


def _is_statistic(variable: VariableRecord) -> bool:
    return variable.dtype.startswith(("float", "bfloat")) and bool(variable.shape)


def _segments(graph: Graph, reading: Reading) -> Iterator[tuple[Segment, bool]]:
    """Every segment in use, and whether it leads from the image to the stem."""
    stem = {n.index for n in reading.stem}
    for node in wanted_nodes(graph):
        for value in node.inputs:
            for segment in value.segments:
                yield segment, node.index in stem and graph.nodes[segment.node].kind != "conv"
    if graph.output is not None:
        for segment in graph.output.segments:
            yield segment, False


def used_variables(graph: Graph) -> set[int]:
    """Indices of the variables the output depends on."""
    used: set[int] = set()
    segments = [] if graph.output is None else list(graph.output.segments)
    for node in wanted_nodes(graph):
        if node.kernel is not None:
            used |= node.kernel.variables
        for value in node.inputs:
            segments += value.segments
    for segment in segments:
        for step in segment.steps:
            if step.affine is not None:
                for term in step.affine.terms:
                    used |= term.symbol.variables
    return used
