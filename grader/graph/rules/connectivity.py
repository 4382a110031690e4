"""Dense connectivity, eq. 2: layer ℓ receives [x0, x1, …, x(ℓ-1)], each once and as it is."""

from __future__ import annotations

from collections.abc import Iterable

from grader.graph.canonical import Node, Segment
from grader.graph.reading import Block, Source
from grader.graph.rules import rulings
from grader.graph.rules.judge import Judge, size_text
from grader.graph.rules.layers import Rests, stop_help
from grader.graph.steps import spell, words

LAST = 10**6
"""The cause of what a block's output shows: every layer of it comes first."""


def compare_sources(
    judge: Judge,
    segments: Iterable[Segment],
    known: list[Source],
    where: str,
    cause: int,
    receiver: str = "it",
) -> None:
    """Which of the known sources arrive, how often, and which part of them."""
    owner = {node.index: source.label for source in known for node in source.nodes}
    widths = {node.index: node.channels for source in known for node in source.nodes}
    ranges: dict[int, list[tuple[int, int]]] = {}
    strangers: list[int] = []
    inside: set[int] = set()
    for segment in segments:
        node, start, stop = judge.arrives_as(segment, widths)
        if node in owner:
            ranges.setdefault(node, []).append((start, stop))
        elif node not in strangers:
            strangers.append(node)
            inside |= judge.behind[node]
    for node, giver in owner.items():
        arrived = ranges.get(node, [])
        if not arrived and node in inside:
            continue  # it arrives in what is said below to have no place here
        received = _as_it_arrived(arrived, widths[node])
        ruling = rulings.LINK_PERMUTED if received == PERMUTED else rulings.LINK
        if received:
            twice = received.endswith(("times", "twice"))
            help = rulings.CONCATENATED_TWICE if twice else ""
            judge.say(ruling, where, received, cause, help, receiver=receiver, giver=giver)
    for index in strangers:
        of_the_image = judge.graph.nodes[index].kind == "input"
        place = f"stem and {where}" if of_the_image else where
        judge.say(rulings.STRANGER, place, judge.label(index), cause, receiver=receiver)


PERMUTED = "all of them in another order"


def _as_it_arrived(arrived: list[tuple[int, int]], width: int) -> str:
    """What of a giver's maps arrives, where it is anything else than all of them once."""
    if not arrived:
        return "not at all"
    whole = [(0, width)]
    if arrived == whole:
        return ""
    covered = sorted(arrived)
    if arrived == whole * len(arrived):
        return f"{len(arrived)} times"
    if _tiles(covered, width):
        return PERMUTED
    if len(set(arrived)) < len(arrived):
        return "some of its maps twice"
    parts = ", ".join(f"{a} to {b - 1}" for a, b in covered[:4])
    return f"only its maps {parts} of {width}"


def _tiles(parts: list[tuple[int, int]], width: int) -> bool:
    at = 0
    for start, stop in parts:
        if start != at:
            return False
        at = stop
    return at == width


def judge_block_output(judge: Judge, block: Block, name: str, known: list[Source]) -> None:
    """A block alone gives back its input and all its layers' maps, as they are."""
    if block.number != 0:
        return
    compare_sources(judge, block.output, known, name, LAST, "the block's output")
    for segment in block.output:
        own = len(judge.own_steps(judge.graph.nodes[segment.node], ()))
        rest = tuple(w for w in words(segment)[own:] if not judge.is_silent(w))
        if rest:
            giver = judge.label(segment.node)
            judge.say(
                rulings.CHANGED_IN_OUTPUT, name, spell(rest), LAST, stop_help(rest), giver=giver
            )


def judge_block_input(judge: Judge, block: Block, name: str) -> None:
    """A block alone hands its input on as it is; in a network that is its giver's to answer for."""
    if block.number != 0:
        return
    for node in block.entry.nodes:
        changed = tuple(w for w in judge.own_steps(node, ()) if not judge.is_silent(w))
        if changed:
            judge.say(rulings.CHANGED_INPUT, name, spell(changed), help=stop_help(changed))


def between(block: str, where: str) -> str:
    """The place of what a transition, or the head, is given by the block before it."""
    receiver = f"the {where}" if where == "head" else where
    return f"{block}, its output to {receiver}" if block else where


def own_part(judge: Judge, node: Node, where: str) -> Rests:
    """What a transition or the head does to all it receives; what only some maps had is a link's.

    Returns:
        Each segment with the steps that all of them end in.
    """
    rests = judge.rests(node)
    if len(rests) < 2 or len({tuple(w.key for w in rest) for _, rest in rests}) == 1:
        return rests
    shared = 0
    shortest = min(len(rest) for _, rest in rests)
    while shared < shortest and len({rest[-1 - shared].kind for _, rest in rests}) == 1:
        shared += 1
    tail = [w.kind for w in rests[0][1][len(rests[0][1]) - shared :]]
    if tail[:1] != ["BN"]:
        return rests
    changed = next((i for i, (_, rest) in enumerate(rests) if len(rest) > shared), None)
    if changed is None:
        return rests
    segment, rest = rests[changed]
    giver = judge.reading.where.get(segment.node, "")
    _, joint, receiver = where.partition(", its output to ")
    judge.say(
        rulings.CHANGED_ON_A_LINK,
        # Only one receives the last layer's maps, so the layer may have changed them itself.
        giver + joint + receiver if joint and "layer" in giver else where,
        spell(rest),
        node.index,
        stop_help(rest),
        giver=judge.label(segment.node),
        then=size_text(node),
        usual=spell(rest[len(rest) - shared :]),
    )
    return [(segment, rest[len(rest) - shared :]) for segment, rest in rests]
