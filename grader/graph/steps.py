"""The steps on a link, as words: BN, ReLU, pooling, dropout and whatever else stands there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grader.graph import work
from grader.graph.affine import TOLERANCE, Part
from grader.graph.canonical import Segment, Step


@dataclass(frozen=True)
class Word:
    """One step of a segment in the paper's vocabulary.

    Attributes:
        kind: "BN", "ReLU", "pool", "bias", "dropout", or what else it is.
        text: How a message names it.
        key: Equal for the same step with the same weights.
        step: Where it comes from.
        part: For a piece of an affine map.
        low: First channel of the affine map it covers.
        high: One past the last.
    """

    kind: str
    text: str
    key: str
    step: Step
    part: Part | None = None
    low: int = 0
    high: int = 0


def words(segment: Segment) -> tuple[Word, ...]:
    """The steps of a segment, in order; worked out once, since every rule asks."""
    known: dict[str, tuple[Word, ...]] = vars(segment)
    if "words" not in known:
        known["words"] = tuple(_words(segment))
    return known["words"]


def _words(segment: Segment) -> list[Word]:
    found: list[Word] = []
    work.spend_pieces(1 + len(segment.steps))
    for step in segment.steps:
        if step.affine is not None:
            low, high = step.start, step.start + segment.width
            for i, part in enumerate(step.affine.parts):
                kind, text = _affine_word(part, low, high)
                if kind == "other" and found and found[-1].text == text:
                    continue
                if kind:
                    key = _part_key(part, low, high) or f"{step.affine.key}:{i}"
                    found.append(Word(kind, text, key, step, part, low, high))
            continue
        kind, text = _step_word(step)
        if step.kind == "odd" and found and found[-1].text == text:
            continue  # a factor and an offset of the same kind are told as one
        found.append(Word(kind, text, step.key, step))
    return found


def _part_key(part: Part, low: int, high: int) -> str:
    """The same for the same weights or numbers, whatever other steps they were composed with."""
    if part.roles:
        kind = f"{part.kind}:{part.variant}:{part.statistics}"
        return f"{kind}:{part.roles}:{part.epsilon:.9f}:{part.normalises}"
    if part.kind == "constant" and part.factor is not None and part.offset is not None:
        return f"constant:{part.factor[low:high].tolist()}:{part.offset[low:high].tolist()}"
    return ""


def _affine_word(part: Part, low: int, high: int) -> tuple[str, str]:
    if part.kind == "batch_norm":
        return "BN", "BN"
    if part.kind == "bias":
        return "bias", "a trained offset"
    if part.kind == "scale":
        return "scale", "a trained factor"
    if part.kind == "constant" and part.factor is not None and part.offset is not None:
        factor, offset = part.factor[low:high], part.offset[low:high]
        if np.allclose(factor, 1, rtol=0, atol=TOLERANCE) and np.allclose(offset, 0):
            return "", ""
        if np.allclose(offset, 0) and np.allclose(factor, factor[0]):
            return "constant", f"a factor {factor[0]:.4g}"
        return "constant", "a fixed scaling"
    return "other", part.note


def _step_word(step: Step) -> tuple[str, str]:
    if step.kind == "pointwise":
        name, _, numbers = step.detail
        if name == "relu":
            return "ReLU", "ReLU"
        if name == "leaky relu":
            return "activation", f"leaky ReLU (slope {numbers[0]:.3g})"
        if name == "clipped relu":
            return "activation", f"ReLU clipped at {numbers[0]:.3g}"
        return "activation", "another activation" if name == "unknown" else str(name)
    if step.kind == "pool":
        mode, size, strides, _ = step.detail
        text = f"{size[0]}×{size[1]} {'average' if mode == 'mean' else 'max'} pooling"
        if strides != size:
            text += f" with stride {strides[0]}"
        return "pool", text
    if step.kind == "dropout":
        return "dropout", "dropout"
    if step.kind == "noise" and step.detail[0] not in ("Add", "AddV2", "Sub"):
        return "dropout", "random factors"
    if step.kind == "noise":
        return "noise", "random noise"
    if step.kind == "odd":
        text, kind, _ = step.detail
        return kind, text
    if step.kind == "pad":
        return "pad", "padding of the map"
    if step.kind == "crop":
        return "crop", "a crop of the map"
    return "stop", "a stopped gradient"


def spell(found: tuple[Word, ...], then: str = "") -> str:
    """Say "BN → ReLU → 3×3 convolution", or "nothing in between"."""
    texts = [w.text for w in found] + ([then] if then else [])
    return " → ".join(texts) if texts else "nothing in between"
