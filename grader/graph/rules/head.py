"""The head, sec. 3: BN, ReLU, global average pooling, one fully connected layer, softmax."""

from __future__ import annotations

from grader.graph.canonical import Graph, Node, Segment, Step
from grader.graph.judged import SECOND_HEAD
from grader.graph.reading import Source
from grader.graph.rules import rulings
from grader.graph.rules.blocks import convolution_behind_the_blocks
from grader.graph.rules.connectivity import between, compare_sources, own_part
from grader.graph.rules.judge import Judge, most_common_kinds, size_text
from grader.graph.rules.layers import same_norm, step_help
from grader.graph.steps import Word, spell, words


def judge_head(judge: Judge, known: list[Source], block: str) -> None:
    """What stands behind the last block.

    Args:
        judge: The network.
        known: What the head should receive.
        block: The last block's name; "" where another convolution stands behind it.
    """
    unit = judge.reading.classifier
    if unit is None:
        judge.say(rulings.NO_CLASSIFIER, "head", "none")
        return
    second = judge.reading.second_head
    behind = (*judge.reading.hidden, unit)
    first = behind[0] if second is None else second
    segments, cause = first.entry.segments, first.first.index
    several = _are_several(first.first)
    if several:
        judge.say(rulings.SECOND_CLASSIFIER, "head", SECOND_HEAD, cause)
        segments = tuple({s.key: s for s in segments}.values())
    compare_sources(judge, segments, known, between(block, "head"), cause)
    if second is None:
        _judge_input(judge, first.first, block)
    else:
        judge.say(
            rulings.CONVOLUTION_BEHIND_THE_BLOCKS, f"head, behind {block}",
            f"one more convolution ({size_text(second.last)})", second.last.index,
        )  # fmt: skip
    _judge_classifier(judge, behind[0].first, unit.last)
    if not several:
        _judge_output(judge, unit.last)


def _are_several(node: Node) -> bool:
    """Whether a classifier is the sum of several that all receive the same."""
    keys = [s.key for s in node.inputs[0].segments]
    times = {keys.count(key) for key in keys}
    return len(node.trained) > 1 and times == {len(node.trained)}


def _judge_classifier(judge: Judge, first: Node, node: Node) -> None:
    """One fully connected layer, with one weight for each map and class."""
    hidden = [n for u in judge.reading.hidden for n in u.convolutions]
    if hidden:
        received = f"{len(hidden) + 1}, the first to {hidden[0].channels} maps"
        judge.say(rulings.HIDDEN_LAYERS, "head", received, hidden[0].index)
    rows, columns = first.kernel_shape[:2]
    if (rows, columns) != (1, 1):
        received = f"a layer over the {rows}×{columns} map"
        judge.say(rulings.CLASSIFIER_OF_PLACES, "head", received, node.index)
    classes = judge.expected.num_classes
    if classes is not None and node.channels != classes:
        judge.say(rulings.CLASSES, "head", node.channels, node.index, classes=classes)


def _judge_input(judge: Judge, node: Node, block: str) -> None:
    """BN, ReLU and global average pooling before the classifier."""
    rests = own_part(judge, node, between(block, "head"))
    kinds = [tuple(w.kind for w in rest) for _, rest in rests]
    usual = most_common_kinds(kinds)
    if convolution_behind_the_blocks(judge.reading) is not None and not usual:
        return  # told with the convolution that stands in the head's place
    expected = _expected_before(judge, node)
    if usual != expected or any(k != usual for k in kinds):
        rest = next((r for k, (_, r) in zip(kinds, rests, strict=True) if k != expected), ())
        judge.say(rulings.ORDER_OF_HEAD, "head", spell(rest), node.index, step_help(rest))
        return
    same_norm(judge, node, rests, "head", "head", rulings.DETAILS)
    if usual and usual[-1] == "pool":
        segment, rest = rests[0]
        word = rest[-1]
        if not is_global(word, *map_before(judge.graph, segment, word.step)):
            judge.say(rulings.POOLED_IN_PART, "head", word.text, node.index)


def _expected_before(judge: Judge, node: Node) -> tuple[str, ...]:
    """The steps before the classifier; where it answers for each place, the pooling comes later."""
    pointwise = node.kernel_shape[:2] == (1, 1)
    places = node.inputs[0].height > 1
    pooled_later = (places and pointwise) or _last_map(judge) == (1, 1)
    flattened = places and not pointwise
    return ("BN", "ReLU") if pooled_later or flattened else ("BN", "ReLU", "pool")


def _last_map(judge: Judge) -> tuple[int, int]:
    """Height and width of the maps that the head receives."""
    surplus = convolution_behind_the_blocks(judge.reading)
    if surplus is not None:
        height, width = surplus.last.height, surplus.last.width
        for word in judge.own_steps(surplus.last, ("pool",)):
            if word.kind == "pool":
                rows, columns = word.step.detail[2]
                height, width = -(-height // rows), -(-width // columns)
        return height, width
    layers = [u.last for b in judge.reading.blocks for u in b.layers]
    return (layers[-1].height, layers[-1].width) if layers else (1, 1)


def map_before(graph: Graph, segment: Segment, last: Step) -> tuple[int, int]:
    """Height and width of a segment's maps before one of its steps."""
    node = graph.nodes[segment.node]
    height, width = node.height, node.width
    for step in segment.steps:
        if step is last:
            break
        if step.kind in ("pad", "crop"):
            top, bottom, left, right = step.detail[:4]
            sign = 1 if step.kind == "pad" else -1
            height, width = height + sign * (top + bottom), width + sign * (left + right)
        elif step.kind == "pool":
            _, window, strides, (top, bottom, left, right) = step.detail
            height = (height + top + bottom - window[0]) // strides[0] + 1
            width = (width + left + right - window[1]) // strides[1] + 1
    return height, width


def is_global(word: Word, height: int, width: int) -> bool:
    """Whether a step is the mean over the whole map: a 7×7 window leaves a part of 8×8 out."""
    if word.kind != "pool":
        return False
    mode, window, _, padding = word.step.detail
    return bool(mode == "mean" and window == (height, width) and padding == (0, 0, 0, 0))


def _judge_output(judge: Judge, node: Node) -> None:
    """Logits or one softmax; a bias; the mean over places where the classifier was 1×1."""
    output = judge.graph.output
    assert output is not None
    segment = output.segments[0]
    outer = judge.graph.nodes[segment.node]
    softmaxes = 0
    trailing: list[Word] = [w for s in output.segments for w in words(s)]
    logarithm = outer.kind == "softmax" and outer.get("logarithm")
    while outer.kind == "softmax":
        softmaxes += 1
        inner = outer.inputs[0].segments[0]
        trailing = [*words(inner), *trailing]
        outer = judge.graph.nodes[inner.node]
    rest = [w for w in trailing if w.kind == "odd" or not judge.is_silent(w)]
    judge.told |= {w.key for w in rest if w.kind == "odd"}
    behind = [w for w in words(segment) if softmaxes and w in rest]
    biased, rest = _without_head_steps(judge, node, rest)
    if behind or softmaxes > 1 or rest or len(output.segments) != 1 or outer.index != node.index:
        received = f"{softmaxes} times softmax" if softmaxes > 1 else "something else"
        if rest or behind:
            received = spell((*rest, *[w for w in behind if w not in rest]))
        judge.say(rulings.BEHIND_THE_CLASSIFIER, "head", received, node.index)
    elif logarithm:
        received = "log_softmax: neither probabilities nor logits"
        judge.say(rulings.LOG_SOFTMAX, "head", received, node.index)
    if not biased:
        judge.say(rulings.NO_BIAS, "head", "none", node.index)


def _without_head_steps(judge: Judge, node: Node, rest: list[Word]) -> tuple[bool, list[Word]]:
    """Whether the classifier has a bias, and the steps behind it less that and a late pooling."""
    biased = bool(rest) and rest[0].kind == "bias"
    rest = rest[1:] if biased else rest
    pooled = bool(rest) and is_global(rest[0], node.height, node.width)
    if node.height > 1 and pooled:
        rest = rest[1:]
        if rest and rest[0].kind == "bias":
            biased, rest = True, rest[1:]
    elif max(node.height, node.width) > 1 and not any(w.kind == "pool" for w in rest):
        received = "none: the classifier answers for each place of the map"
        judge.say(rulings.POOLED_BY_NOBODY, "head", received, node.index)
    return biased, rest
