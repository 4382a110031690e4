"""Operations that have no place in a DenseNet, each told once and where it stands."""

from __future__ import annotations

from grader.graph import work
from grader.graph.canonical import Graph, Node
from grader.graph.names import name_of
from grader.graph.reading import consumers, sources
from grader.graph.rules import rulings
from grader.graph.rules.judge import Judge, has_norm
from grader.graph.steps import Word

FIRST = -1
"""Before what any node shows: with an addition, nothing behind it is what it seems."""


def judge_odd(judge: Judge) -> None:
    """Operations that have no place in a DenseNet."""
    _judge_steps(judge)
    for node in judge.reading.odd:
        where = judge.place_of_odd(node)
        if judge.expected.training and _only_augments(judge, node):
            continue
        if node.kind == "add" and "layer" in where:
            judge.say(rulings.ADDED, where, f"added: {name_of(node)}", FIRST)
            continue
        ruling = rulings.ODD_ON_A_LINK if node.kind == "add" else rulings.ODD
        judge.say(ruling, where, name_of(node), node.index)


def _judge_steps(judge: Judge) -> None:
    """What one value is put through that the paper does not have, told once at its place."""
    said: set[tuple[str, str]] = set()
    for node, index, found in judge.links():
        for position, word in enumerate(found):
            if word.kind != "odd" or word.key in judge.told:
                continue
            where, own = _place_of_step(judge, node, index, word)
            if (where, word.text) in said:
                continue
            said.add((where, word.text))
            within = node is not None and judge.reading.where.get(index) == where
            on_a_link = not (own or within) and has_norm(found[position:])
            ruling = rulings.ODD_ON_A_LINK if on_a_link else rulings.ODD
            judge.say(ruling, where, word.text, index if node is None else node.index)


def _place_of_step(judge: Judge, node: Node | None, index: int, word: Word) -> tuple[str, bool]:
    """The giver's place where all that receive its maps receive the step, else a receiver's.

    Returns:
        The place, and whether it is the giver's.
    """
    uses = judge.uses.get(index, [])
    by_all = len(uses) > 1 and all(word.key in {w.key for w in steps} for _, steps in uses)
    giver = judge.reading.where.get(index)
    if giver is not None and (node is None or by_all):
        return giver, True
    return judge.place_of_receiver(node), by_all


def _only_augments(judge: Judge, node: Node) -> bool:
    """Whether a node stands between the image and the stem, in training, and leads nowhere else."""
    if _behind_a_convolution(judge.graph, node):
        return False
    stem = {n.index for n in judge.reading.stem}
    used = consumers(judge.graph)
    stack, seen = [node.index], set()
    work.spend(10 * len(judge.graph.nodes))
    while stack:
        index = stack.pop()
        if index in stem or index in seen:
            continue
        if index < 0 or judge.graph.nodes[index].kind == "conv":
            return False
        seen.add(index)
        stack += used.get(index, ())
    return True


def _behind_a_convolution(graph: Graph, node: Node) -> bool:
    stack, seen = [node.index], set()
    while stack:
        index = stack.pop()
        if graph.nodes[index].kind == "conv":
            return True
        if index not in seen:
            seen.add(index)
            stack += sources(graph.nodes[index])
    return False
