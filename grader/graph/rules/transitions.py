"""Transitions, sec. 3: BN, (ReLU,) 1×1 convolution to ⌊θm⌋ maps, 2×2 average pooling."""

from __future__ import annotations

from grader import paper
from grader.graph.canonical import Node
from grader.graph.reading import Source, Unit
from grader.graph.rules import rulings
from grader.graph.rules.connectivity import between, compare_sources, own_part
from grader.graph.rules.judge import Judge, most_common_kinds, size_text
from grader.graph.rules.layers import geometry, same_norm, step_help, stop_help
from grader.graph.rules.rulings import POOLING
from grader.graph.steps import Word, spell

CHECK = "transition-layer"


def judge_transition(
    judge: Judge, unit: Unit | None, where: str, known: list[Source], block: str = ""
) -> None:
    """One transition.

    Args:
        judge: The network.
        unit: Its convolution; None where there is none.
        where: Its place.
        known: What it should receive.
        block: The block before it; "" where the transition stands alone.
    """
    if unit is None:
        judge.say(rulings.NO_TRANSITION, where, "none")
        return
    node = unit.last
    number = int(where.rsplit(" ", 1)[1]) if where[-1].isdigit() else 0
    every = sorted((node, *judge.reading.second_transition.get(number, ())), key=lambda n: n.index)
    if len(every) > 1:
        received = " → ".join(size_text(n) for n in every)
        judge.say(rulings.SECOND_TRANSITION, where, received, every[0].index)
    if known:
        segments = every[0].inputs[0].segments
        compare_sources(judge, segments, known, between(block, where), node.index)
    geometry(judge, node, where, (1, 1), CHECK, POOLING)
    _judge_compression(judge, node, sum(s.width for s in unit.entry.segments), where)
    pooled_before = _judge_input(judge, node, where, block)
    _judge_pooling(judge, unit, where, pooled_before)


def _judge_compression(judge: Judge, node: Node, received: int, where: str) -> None:
    compression = judge.expected.compression
    if compression is None:
        return
    accepted = {
        paper.compressed(received, compression),
        paper.compressed_in_floating_point(received, compression),
    }
    if node.channels not in accepted:
        judge.say(
            rulings.FLOOR, where, node.channels, node.index,
            arriving=received, compression=f"{compression:g}", maps=min(accepted),
        )  # fmt: skip


def _judge_input(judge: Judge, node: Node, where: str, block: str) -> bool:
    """BN and, if wanted, ReLU before the convolution; pooling there is the same function."""
    rests = own_part(judge, node, between(block, where))
    kinds = [tuple(w.kind for w in rest) for _, rest in rests]
    usual = most_common_kinds(kinds)
    pooled = bool(usual) and usual[-1] == "pool"
    body = usual[:-1] if pooled else usual
    right = body in (("BN", "ReLU"), ("BN",))
    if right and all(k == usual for k in kinds):
        same_norm(judge, node, rests, where, CHECK, POOLING)
    else:
        shown = next(
            (r for k, (_, r) in zip(kinds, rests, strict=True) if (k != usual) == right), ()
        )
        judge.say(rulings.ORDER_OF_TRANSITION, where, spell(shown), node.index, step_help(shown))
    if pooled:
        pool = rests[0][1][-1]
        if is_two_by_two(pool):
            judge.say(rulings.POOLED_BEFORE, where, "before it", node.index)
        else:
            judge.say(rulings.POOLED_OTHERWISE_BEFORE, where, pool.text, node.index)
    return pooled


def is_two_by_two(word: Word) -> bool:
    """Whether a step is the paper's pooling."""
    return word.step.detail == ("mean", (2, 2), (2, 2), (0, 0, 0, 0))


def _judge_pooling(judge: Judge, unit: Unit, where: str, pooled_before: bool) -> None:
    """What everybody behind the transition receives: one 2×2 average pooling, nothing else."""
    node = unit.last
    own = tuple(w for w in judge.own_steps(node, ("pool",)) if not judge.is_silent(w))
    if own and own[0].kind == "bias":
        own = own[1:]
    pools = tuple(w for w in own if w.kind == "pool")
    if not pools and not pooled_before and node.get("strides") == (1, 1):
        judge.say(rulings.NOT_POOLED, where, spell(own), node.index)
        return
    if pooled_before and pools:
        judge.say(rulings.POOLED_TWICE, where, "twice", node.index)
    elif pools and not (len(pools) == 1 and is_two_by_two(pools[0])):
        judge.say(rulings.POOLED_OTHERWISE, where, spell(pools), node.index)
    if len(pools) < len(own):
        judge.say(rulings.BEHIND_A_TRANSITION, where, spell(own), node.index, stop_help(own))
