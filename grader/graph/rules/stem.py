"""The stem, sec. 3: one 3×3 convolution of the image, and nothing before or behind it."""

from __future__ import annotations

from grader.graph.canonical import Node, Segment
from grader.graph.reading import Unit
from grader.graph.rules import rulings
from grader.graph.rules.judge import Judge
from grader.graph.rules.layers import geometry, output_steps
from grader.graph.steps import Word, spell, words


def judge_stem(judge: Judge) -> None:
    """One 3×3 convolution of the image, stride 1, no normalisation or activation behind it."""
    stem = judge.reading.stem
    if judge.reading.second_stem is not None:
        judge.say(rulings.SECOND_STEM, "stem", 2, judge.reading.second_stem.index)
    if not stem:
        judge.say(rulings.NO_STEM, "stem", "none")
        return
    for node in stem:
        geometry(judge, node, "stem", (3, 3), "stem", rulings.DETAILS)
        _judge_image(judge, node)
    _judge_width(judge, sum(n.channels for n in stem), stem[0].index)
    if len(stem) > 1:
        judge.say(rulings.STEM_IN_PARTS, "stem", f"{len(stem)} side by side", stem[0].index)
    for node in stem:
        output_steps(judge, Unit((node,)), "stem", rulings.BEHIND_THE_STEM)


def _judge_width(judge: Judge, channels: int, cause: int) -> None:
    accepted = judge.expected.stem_channels
    if accepted and channels not in accepted:
        maps = " or ".join(map(str, dict.fromkeys(accepted)))
        judge.say(rulings.STEM_WIDTH, "stem", channels, cause, maps=maps)
    if judge.expected.bottleneck and accepted and channels == 16 != accepted[0]:
        judge.say(rulings.STEM_OF_16, "stem", 16, cause, maps=accepted[0])


def _judge_image(judge: Judge, node: Node) -> None:
    """Between the image and the stem: fixed scaling or normalisation; augmentation in training."""
    if judge.expected.training:
        return
    for segment in (s for value in node.inputs for s in value.segments):
        if judge.graph.nodes[segment.node].kind != "input":
            received = judge.label(segment.node)
            judge.say(rulings.OPERATION_BEFORE_THE_STEM, "stem", received, node.index)
        elif odd := _beyond_scaling(judge, segment):
            judge.say(rulings.BEFORE_THE_STEM, "stem", spell(odd), node.index)


def _beyond_scaling(judge: Judge, segment: Segment) -> tuple[Word, ...]:
    return tuple(w for w in words(segment) if not _scales_the_image(judge, w))


def _scales_the_image(judge: Judge, word: Word) -> bool:
    if word.kind in ("constant", "stop"):  # nothing before an image learns
        return True
    if word.kind in ("scale", "bias", "BN", "other") and word.step.affine is not None:
        if any(t.symbol.statistics for t in word.step.affine.terms):
            return False  # an image's answer would depend on the images beside it
        used = {i for t in word.step.affine.terms for i in t.symbol.variables}
        return not any(judge.variables[i].trainable for i in used)
    return False
