"""One convolution: what stands before and behind it, its shape, and the batch norm before it.

composite function   sec. 3: BN, then ReLU, then a 3×3 convolution
bottleneck           sec. 3: BN-ReLU-conv1×1(4k)-BN-ReLU-conv3×3(k)
growth rate          sec. 3: every layer gives k maps
"""

from __future__ import annotations

from typing import Any

from grader import paper
from grader.graph.affine import OUTSIDE
from grader.graph.canonical import Node, Segment
from grader.graph.reading import Unit
from grader.graph.rules import rulings
from grader.graph.rules.judge import Judge, has_norm, most_common_kinds, size_text
from grader.graph.rules.rulings import COMPOSITE, Ruling
from grader.graph.steps import Word, spell

Rests = list[tuple[Segment, tuple[Word, ...]]]
"""Each segment that a convolution receives, with the steps that are the receiver's own."""


def judge_layer(judge: Judge, unit: Unit, where: str) -> None:
    """The convolutions of one dense layer, and what stands around each."""
    paired = judge.expected.bottleneck
    if len(unit.convolutions) > 2 or (
        not paired and [n.kernel_shape[:2] for n in unit.convolutions] == [(3, 3), (3, 3)]
    ):
        ruling = rulings.BOTTLENECK_TOO_MANY if paired else rulings.CONVOLUTION_TOO_MANY
        received = " → ".join(size_text(n) for n in unit.convolutions)
        judge.say(ruling, where, received, unit.first.index)
        input_steps(judge, unit.first, where)
        output_steps(judge, unit, where, rulings.BEHIND_A_LAYER)
        return
    turned = _normalises_behind(judge, unit, where)
    if len(unit.convolutions) == 2:
        _judge_bottleneck(judge, unit, where)
        if not turned:
            input_steps(judge, unit.first, where, rulings.BOTTLENECK)
    elif paired:
        judge.say(rulings.BOTTLENECK_MISSING, where, size_text(unit.last), unit.last.index)
    main = unit.last
    if geometry(judge, main, where, (3, 3), "composite-function", rulings.GROWTH):
        _judge_width(judge, main, where, judge.expected.growth_rate, rulings.GROWTH_RATE)
    if not turned or len(unit.convolutions) == 2:
        input_steps(judge, main, where)
    if not turned:
        output_steps(judge, unit, where, rulings.BEHIND_A_LAYER)


def _normalises_behind(judge: Judge, unit: Unit, where: str) -> bool:
    """Whether a layer is conv → BN → ReLU throughout; said once, for it explains the rest."""
    own = judge.own_steps(unit.last, ())
    behind = tuple(w for w in own if w.kind != "bias" and not judge.is_silent(w))
    before = [rest for _, rest in judge.rests(unit.first)]
    if not has_norm(behind) or any(before):
        return False
    then = size_text(unit.last)
    received = f"{then} → {spell(behind)}"
    judge.say(rulings.NORMALISED_BEHIND, where, received, unit.first.index, then=then)
    return True


def _judge_bottleneck(judge: Judge, unit: Unit, where: str) -> None:
    """The 1×1 convolution before the 3×3 one: whether it is asked for, and its 4k maps."""
    inner, main, k = unit.first, unit.last, judge.expected.growth_rate
    if not judge.expected.bottleneck:
        received = f"{size_text(inner)}, then {size_text(main)}"
        judge.say(rulings.BOTTLENECK_UNASKED, where, received, inner.index)
        return
    # Of a layer with another growth rate, 4 times its own is right, and so is 4k.
    own = k if k is not None and main.channels == k else main.channels
    width: int | None = paper.BOTTLENECK_WIDTH * own
    if inner.channels == paper.BOTTLENECK_WIDTH * (k or main.channels):
        width = None
    if geometry(judge, inner, where, (1, 1), "bottleneck", rulings.BOTTLENECK):
        _judge_width(judge, inner, where, width, rulings.BOTTLENECK_WIDTH)


def _judge_width(judge: Judge, node: Node, where: str, maps: int | None, ruling: Ruling) -> None:
    if maps is not None and node.channels != maps:
        kernel = f"{node.kernel_shape[0]}×{node.kernel_shape[1]} convolution"
        judge.say(ruling, where, node.channels, node.index, kernel=kernel, maps=maps)


# --- one convolution's shape -----------------------------------------------------------------


def geometry(
    judge: Judge, node: Node, where: str, kernel: tuple[int, int], check: str, source: str
) -> bool:
    """Kernel, stride, padding, dilation and groups of one convolution.

    Returns:
        Whether they are the paper's.
    """
    rows, columns = kernel
    name = f"{rows}×{columns} convolution"
    if node.kernel_shape[:2] != kernel:
        judge.say(
            rulings.KERNEL_SIZE.in_check(check, source), where, size_text(node), node.index,
            kernel=name, rows=rows, columns=columns,
        )  # fmt: skip
        return False
    pad = rows // 2, (rows - 1) // 2, columns // 2, (columns - 1) // 2
    for setting, expected, received in (
        ("stride", (1, 1), node.get("strides")),
        ("dilation", (1, 1), node.get("dilations")),
        ("groups", 1, node.get("groups")),
        ("padding", pad, node.get("padding")),
    ):
        if expected != received:
            judge.say(
                rulings.SETTING.in_check(check, source), where, _setting(received), node.index,
                setting=setting, kernel=name, value=_setting(expected),
            )  # fmt: skip
            return False
    if node.written_as == "MatMul":
        ruling = rulings.FULLY_CONNECTED.in_check(check, source)
        received = "a fully connected layer over the channels"
        judge.say(ruling, where, received, node.index, kernel=name)
    return True


def _setting(number: Any) -> str:
    """A convolution's setting in words: padding has four sides, a stride two directions."""
    if not isinstance(number, tuple):
        return str(number)
    if len(set(number)) == 1:
        return f"{number[0]} on every side" if len(number) == 4 else str(number[0])
    if len(number) == 4:
        top, bottom, left, right = number
        return f"{top} at the top, {bottom} at the bottom, {left} left, {right} right"
    return f"{number[0]} down, {number[1]} across"


# --- behind and before it --------------------------------------------------------------------


def output_steps(judge: Judge, unit: Unit, where: str, ruling: Ruling) -> None:
    """Nothing may stand between a unit's convolution and the concatenation."""
    own = judge.own_steps(unit.last, ())
    extra = tuple(
        word
        for position, word in enumerate(own)
        if not judge.is_silent(word) and not (word.kind == "bias" and position == 0)
    )
    if extra:
        cause, size = unit.last.index, size_text(unit.last)
        judge.say(ruling, where, spell(extra), cause, stop_help(extra), size=size)


def input_steps(judge: Judge, node: Node, where: str, source: str = COMPOSITE) -> None:
    """BN, then ReLU, then the convolution: the same for everything that reaches it."""
    rests = judge.rests(node)
    kinds = [tuple(w.kind for w in rest) for _, rest in rests]
    wrong = [i for i, k in enumerate(kinds) if k != ("BN", "ReLU")]
    if not wrong:
        same_norm(judge, node, rests, where)
        return
    ruling = rulings.ORDER.in_check("composite-function", source)
    usual = most_common_kinds(kinds)
    if len(wrong) == len(kinds) and all(k == usual for k in kinds):
        if usual[-2:] == ("BN", "ReLU") and not set(usual[:-2]) & {"BN", "ReLU"}:
            ruling = rulings.ORDER_ON_ALL_LINKS
        _order(judge, node, rests[0][1], where, ruling)
        return
    if usual != ("BN", "ReLU"):
        first = next(i for i, k in enumerate(kinds) if k == usual)
        _order(judge, node, rests[first][1], where, ruling)
    for i in wrong:
        if kinds[i] != usual:
            segment, rest = rests[i]
            judge.say(
                rulings.ORDER_ON_A_LINK, where, spell(rest), node.index, stop_help(rest),
                giver=judge.label(segment.node), then=size_text(node),
            )  # fmt: skip


def _order(judge: Judge, node: Node, rest: tuple[Word, ...], where: str, ruling: Ruling) -> None:
    then = size_text(node)
    judge.say(ruling, where, spell(rest, then), node.index, _help_with(rest), then=then)


def _help_with(rest: tuple[Word, ...]) -> str:
    """What to do about these steps before a convolution; "" where the row says it."""
    kinds = tuple(w.kind for w in rest)
    if "norm" in kinds or "other" in kinds:
        return step_help(rest)
    if kinds in rulings.HELP_BY_STEPS:
        return rulings.HELP_BY_STEPS[kinds]
    if kinds[:1] == ("BN",) and set(kinds[1:-1]) & {"scale", "bias"} and kinds[-1] == "ReLU":
        return rulings.SECOND_AFFINE
    return step_help(rest)


def step_help(found: tuple[Word, ...]) -> str:
    """What to do about a step that is another norm or activation; else ""."""
    kinds = {w.kind for w in found}
    return next((text for kind, text in rulings.HELP_BY_STEP.items() if kind in kinds), "")


def stop_help(found: tuple[Word, ...]) -> str:
    """What to do about a gradient that is stopped where nothing may stand; else ""."""
    return rulings.STOPPED if any(w.kind == "stop" for w in found) else ""


# --- its batch norm --------------------------------------------------------------------------


def same_norm(
    judge: Judge,
    node: Node,
    rests: Rests,
    where: str,
    check: str = "composite-function",
    source: str = COMPOSITE,
) -> None:
    """Each batch norm covers what it normalises, with the statistics of its mode."""
    for _, rest in rests:
        if _told_of_norm(judge, node, rest[0], where, check, source):
            return


def _told_of_norm(
    judge: Judge, node: Node, word: Word, where: str, check: str, source: str
) -> bool:
    """Whether one batch norm is another than the paper's; says so."""
    part = word.part
    if part is None:
        return False
    training = judge.expected.training
    if node.index in judge.skipped:
        judge.say(rulings.NORM_SKIPPED, where, "none: it acts in training only", node.index)
    elif part.statistics != ("batch" if training else "moving"):
        names = {"batch": "statistics of the batch", "moving": "moving averages"}
        judge.say(
            rulings.NORM_IN_ANOTHER_MODE, where, names["moving" if training else "batch"],
            node.index, mode="training" if training else "inference",
            statistics=names["batch" if training else "moving"],
        )  # fmt: skip
    elif part.role("beta") is None:
        judge.say(rulings.NO_OFFSET.in_check(check, source), where, "none", node.index)
    elif part.role("gamma") is None:
        judge.say(rulings.NO_SCALE.in_check(check, source), where, "none", node.index)
    elif part.variant:
        ruling = rulings.EPSILON_OUTSIDE.in_check(check, source)
        if part.variant != OUTSIDE:
            ruling = rulings.UNBIASED_VARIANCE.in_check("training-behaviour", source)
        judge.say(ruling, where, f"one with {part.variant}", node.index)
    else:
        return False
    return True
