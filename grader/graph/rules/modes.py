"""Training and inference: what acts in each, and what only a comparison of the two shows."""

from __future__ import annotations

from dataclasses import replace

from grader.graph.affine import Affine, Part
from grader.graph.averages import Follows, follows_batch, identity, norms_of
from grader.graph.canonical import Node
from grader.graph.judged import ALONG
from grader.graph.reading import Reading
from grader.graph.record import VariableRecord
from grader.graph.rules import rulings
from grader.graph.rules.deviation import Deviation, deviation, first_causes, kind_of
from grader.graph.rules.judge import RANDOM, Judge, size_text
from grader.graph.rules.weights import FROZEN
from grader.graph.steps import Word

CHECK = "training-behaviour"
NEVER_UPDATED = "never updated"
MOVING_AVERAGES = "moving averages"
ORDERED = {"composite-function", "transition-layer"}
"""The checks of what stands before and behind a convolution."""


# --- random numbers --------------------------------------------------------------------------


def judge_random(judge: Judge) -> None:
    """Nothing random acts at inference; dropout has its places, another is a remark."""
    for node, index, found in judge.links():
        for position, word in enumerate(found):
            before = found[:position]
            cause = index if node is None else node.index
            if word.kind in RANDOM and not judge.expected.training:
                where = _place_of_random(judge, node, index, before)
                name = "random noise" if word.kind == "noise" else "dropout"
                received = "always on: it draws numbers at inference too"
                judge.say(rulings.ALWAYS_RANDOM, where, received, cause, random=name)
            elif word.kind == "dropout" and not _is_usual_dropout(judge, index, word, before):
                where = _place_of_random(judge, node, index, before)
                received = "of another kind or in another place"
                judge.say(rulings.DROPOUT_ELSEWHERE, where, received, cause)
                return


def _place_of_random(judge: Judge, node: Node | None, index: int, before: tuple[Word, ...]) -> str:
    """Whose maps a random step changes: the giver's, or those that a receiver changed first."""
    giver = judge.reading.where.get(index)
    if giver is not None and (node is None or not _beyond_the_giver(before)):
        return giver
    return judge.place_of_receiver(node)


def _is_usual_dropout(judge: Judge, index: int, word: Word, before: tuple[Word, ...]) -> bool:
    source = judge.reading.where.get(index, "")
    usual = not _beyond_the_giver(before) and source not in ("", "stem", "head")
    return usual and word.text == "dropout" and word.step.detail[-1] == "elementwise"


def _beyond_the_giver(found: tuple[Word, ...]) -> bool:
    """Whether steps are more than what may belong to the convolution before them."""
    return any(w.kind not in ("bias", "crop", "pad", *RANDOM) for w in found)


# --- moving averages and overwritten weights ---------------------------------------------------


def updates(
    inference: Reading, training: Reading | None, variables: tuple[VariableRecord, ...]
) -> tuple[list[Deviation], str]:
    """Every moving average follows the batch in training, rests at inference; no weight moves.

    Returns:
        What deviates, and the place of an average of which that cannot be read; "" for none.
    """
    if training is None:
        return [], ""
    found = _overwritten(training, variables)
    unread = ""
    measured = {
        identity(n, p): (p, a) for n, p, a in norms_of(training.graph) if _place(training, n)
    }
    for node, part, _ in norms_of(inference.graph):
        place = _place(inference, node)
        if place in ("", "stem"):
            continue  # a normalisation of the image may be fixed
        for role in ("mean", "variance"):
            index = part.role(role)
            if index is None:
                continue
            answer = _moves(index, role, inference, training, measured.get(identity(node, part)))
            if answer is Follows.UNREAD:
                unread = unread or place
            elif isinstance(answer, tuple):
                found.append(_astray(inference, place, *answer))
                break
    return first_causes(found), unread


def _place(reading: Reading, node: Node | None) -> str:
    return reading.where.get(node.index, "") if node is not None else ""


def _moves(
    index: int,
    role: str,
    inference: Reading,
    training: Reading,
    norm: tuple[Part, Affine] | None,
) -> Follows | tuple[str, str]:
    """How one moving average moves; where that is wrong, what is expected and received."""
    if index in inference.graph.updates:
        return "left alone at inference", "changed by every image"
    if index not in training.graph.updates:
        return "", NEVER_UPDATED
    if norm is None:
        return Follows.UNREAD
    answer = follows_batch(training.graph.updates[index], index, role, *norm)
    if answer is Follows.NO:
        return f"moved towards the {role} of the batch in training", "set to something else"
    return answer


def _astray(inference: Reading, place: str, movement: str, received: str) -> Deviation:
    cause = min(index for index, where in inference.where.items() if where == place)
    ruling = rulings.AVERAGES_ASTRAY if movement else rulings.AVERAGES_IDLE
    return deviation(ruling, place, received, cause, movement=movement)


def _overwritten(training: Reading, variables: tuple[VariableRecord, ...]) -> list[Deviation]:
    """Trained weights that the network overwrites by itself: spectral or weight normalisation."""
    moved = training.graph.updates
    return [
        deviation(
            rulings.KERNEL_OVERWRITTEN, training.where[node.index],
            "overwritten by the network itself", node.index, size=size_text(node),
        )
        for node in training.graph.nodes
        if node.index in training.where
        and any(i in moved and variables[i].trainable for i in node.trained)
    ]  # fmt: skip


# --- what one mode shows beyond the other ------------------------------------------------------


def only_here(own: list[Deviation], known: list[Deviation]) -> list[Deviation]:
    """What training shows beyond inference: a behaviour that differs by mode."""
    kinds = {kind_of(d) for d in known}
    fresh = []
    for item in own:
        if kind_of(item) in kinds:
            continue
        if item.finding.severity == "remark":
            fresh += [item] if item.check == CHECK else []
            continue
        if item.check == "own-weights":
            # Weights are shared in every mode; batch norms that share show it in this one only.
            fresh.append(item)
            continue
        said = {
            key: f"when called with training=True: {getattr(item.finding, key)}"
            for key in ("message", "what")
        }
        finding = item.finding.model_copy(update=said)
        fresh.append(replace(item, check=CHECK, finding=finding))
    return fresh


def another_end(inference: Reading, training: Reading | None) -> list[Deviation]:
    """Probabilities in one mode and logits in the other: the same answer, and a trap for a loss."""
    node = inference.classifier.last if inference.classifier is not None else None
    if training is None or node is None or training.classifier is None:
        return []
    ends = [_end(reading) for reading in (training, inference)]
    if ends[0] == ends[1]:
        return []
    received = f"{ends[0]} in training, {ends[1]} at inference"
    return [deviation(rulings.ANOTHER_END, "head", received, node.index)]


def _end(reading: Reading) -> str:
    segments = reading.graph.output.segments if reading.graph.output is not None else ()
    last = {reading.graph.nodes[s.node].kind for s in segments}
    return "a softmax" if last == {"softmax"} else "logits"


def without_consequences(found: list[Deviation]) -> list[Deviation]:
    """Less what one deviation explains: a frozen batch norm is one in inference mode, one over
    another axis has other averages, and where a layer's order is wrong dropout has no place."""
    if any(d.check in ORDERED and d.finding.severity == "deviation" for d in found):
        found = [d for d in found if d.finding.what != rulings.DROPOUT_ELSEWHERE.what]
    if any(ALONG in d.finding.received for d in found):
        found = [d for d in found if d.check != CHECK]
    frozen = {d.finding.where for d in found if d.finding.received == FROZEN}
    follows = {MOVING_AVERAGES, NEVER_UPDATED}
    return [d for d in found if d.finding.where not in frozen or d.finding.received not in follows]
