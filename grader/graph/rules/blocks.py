"""Dense blocks: their layers, and how many blocks and layers there are."""

from __future__ import annotations

from grader.graph.densenet import most_common
from grader.graph.reading import Block, Reading, Source, Unit
from grader.graph.rules import rulings
from grader.graph.rules.connectivity import (
    compare_sources,
    judge_block_input,
    judge_block_output,
)
from grader.graph.rules.judge import Judge, size_text
from grader.graph.rules.layers import judge_layer
from grader.graph.rules.rulings import Ruling
from grader.graph.rules.transitions import is_two_by_two
from grader.graph.steps import spell


def judge_block(judge: Judge, block: Block, name: str) -> None:
    """Composite function, growth, bottleneck and dense connectivity of one block."""
    wanted, found = judge.expected.num_layers, len(block.layers)
    known = given_by(block)
    for number, unit in enumerate(block.layers, 1):
        where = f"{name}, layer {number}"
        judge_layer(judge, unit, where)
        compare_sources(judge, unit.entry.segments, known[:number], where, unit.first.index)
    if wanted is not None and found != wanted:
        judge.say(_layers(name, found), name, found, _last_of(block), layers=wanted)
    judge_block_output(judge, block, name, known)
    judge_block_input(judge, block, name)


def given_by(block: Block) -> list[Source]:
    """The block's input and its layers, as those that give maps."""
    units = enumerate(block.layers, 1)
    return [block.entry, *[Source(f"layer {n}", (u.last,)) for n, u in units]]


def _layers(name: str, found: int) -> Ruling:
    if found == 1:
        return rulings.ONE_LAYER
    return rulings.LAYERS_OF_A_BLOCK if name == "dense_block" else rulings.LAYERS


def _last_of(block: Block) -> int:
    return block.layers[-1].last.index if block.layers else 0


def judge_blocks_match(judge: Judge) -> None:
    """Three blocks of equal depth, two transitions, none behind the last."""
    blocks = judge.reading.blocks
    surplus = convolution_behind_the_blocks(judge.reading)
    if surplus is not None:
        blocks = blocks[:-1]
        _judge_surplus(judge, surplus)
    if len(blocks) != 3:
        judge.say(rulings.BLOCKS, "network", len(blocks))
    usual = judge.expected.num_layers or most_common([len(b.layers) for b in blocks])
    for block in blocks:
        found = len(block.layers)
        if judge.expected.num_layers is None and found != usual:
            where = f"block {block.number}"
            judge.say(rulings.LAYERS_ALIKE, where, found, _last_of(block), layers=usual)
    _judge_sizes(judge, [b.layers[0].entry.height for b in blocks if b.layers])


def _judge_sizes(judge: Judge, heights: list[int]) -> None:
    """Each block's maps are half as high as those of the one before; the first that are not."""
    first = judge.graph.nodes[0].height if heights else 0
    for i, height in enumerate(heights):
        if height != first // 2**i:
            received = f"{height}×{height}"
            judge.say(rulings.MAP_SIZE, f"block {i + 1}", received, size=first // 2**i)
            return


def convolution_behind_the_blocks(reading: Reading) -> Unit | None:
    """A transition, or another convolution, between the last dense layer and the classifier."""
    if len(reading.blocks) < 2 or reading.blocks[-1].layers:
        return None
    at = len(reading.blocks) - 2
    return reading.transitions[at] if at < len(reading.transitions) else None


def _judge_surplus(judge: Judge, unit: Unit) -> None:
    """Behind the last block comes the head; one more transition or convolution is a mistake."""
    number = len(judge.reading.blocks) - 1
    own = tuple(w for w in judge.own_steps(unit.last, ("pool",)) if not judge.is_silent(w))
    received = f"{size_text(unit.last)} → {spell(own)}" if own else size_text(unit.last)
    if any(is_two_by_two(word) for word in own):
        judge.say(
            rulings.TRANSITION_BEHIND_THE_BLOCKS, f"transition {number}, behind block {number}",
            f"one more transition ({received})", unit.last.index,
        )  # fmt: skip
        return
    judge.say(
        rulings.CONVOLUTION_BEHIND_THE_BLOCKS, f"head, behind block {number}",
        f"one more convolution ({received})", unit.last.index,
    )  # fmt: skip
