"""Which rules apply to which of the student's functions."""

from __future__ import annotations

from grader.graph.judged import SECOND_HEAD
from grader.graph.probes import Probe
from grader.graph.reading import Source
from grader.graph.rules import rulings
from grader.graph.rules.blocks import (
    convolution_behind_the_blocks,
    given_by,
    judge_block,
    judge_blocks_match,
)
from grader.graph.rules.head import judge_head
from grader.graph.rules.judge import Judge
from grader.graph.rules.modes import judge_random
from grader.graph.rules.odd import judge_odd
from grader.graph.rules.stem import judge_stem
from grader.graph.rules.transitions import judge_transition
from grader.graph.rules.weights import judge_weights


def apply_rules(judge: Judge, probe: Probe | None) -> None:
    """All that the rules find in one graph.

    Args:
        judge: The graph as read; collects what is found.
        probe: What was asked; None for `build_model()`.
    """
    _judge_trouble(judge, "build_model" if probe is None else probe.function)
    if probe is not None and probe.block is not None:
        judge_block(judge, judge.reading.blocks[0], "dense_block")
    elif probe is not None and probe.transition is not None:
        _judge_one_transition(judge)
    else:
        _judge_network(judge)
    judge_odd(judge)
    judge_weights(judge)
    judge_random(judge)


def _judge_trouble(judge: Judge, function: str) -> None:
    """What could not be read at all."""
    for trouble in judge.graph.trouble:
        if trouble == SECOND_HEAD:
            judge.say(rulings.SECOND_CLASSIFIER, "head", trouble)
        else:
            judge.say(rulings.NO_ANSWER, function, trouble)


def _judge_one_transition(judge: Judge) -> None:
    nodes, units = judge.graph.nodes, judge.reading.transitions
    known = [Source("its input", (nodes[0],))] if nodes else []
    judge_transition(judge, units[0], "transition", known)
    if len(units) > 1:
        judge.say(rulings.TRANSITIONS_FOR_ONE, "transition", len(units))


def _judge_network(judge: Judge) -> None:
    """The whole network, stem to head."""
    judge_stem(judge)
    judge_blocks_match(judge)
    blocks, transitions = judge.reading.blocks, judge.reading.transitions
    surplus = convolution_behind_the_blocks(judge.reading)
    for i, block in enumerate(blocks):
        if surplus is not None and i == len(blocks) - 1:
            judge_head(judge, [block.entry], "")
            break
        name = f"block {block.number}"
        judge_block(judge, block, name)
        if surplus is not None and transitions[i] is surplus:
            continue
        if i == len(blocks) - 1:
            judge_head(judge, given_by(block), name)
        elif i < len(transitions):
            judge_transition(judge, transitions[i], f"transition {i + 1}", given_by(block), name)
