"""A mistake made in one place only: the layers, block or transition that `in` names.

The functions of the mistake are copied as `odd_...` beside the right ones, and the reference calls
the copies in that place alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from grader.selftest.definitions import definitions, with_definitions
from grader.syntax import module_of

CALLS = {
    "dense_layer": ("dense_block", "new = dense_layer(seen,"),
    "dense_block": ("build_densenet", "x = dense_block(x,"),
    "transition": ("build_densenet", "x = transition(x,"),
}
"""A function that can be odd → where the reference calls it, and how."""
ALWAYS = "always"
PLACES = {
    r"layers": ("dense_layer", ALWAYS),
    r"layer (\d+)": ("dense_layer", "layer == {}"),
    r"last layer": ("dense_layer", "layer == num_layers"),
    r"basic layers": ("dense_layer", "not bottleneck"),
    r"bottleneck layers": ("dense_layer", "bottleneck"),
    r"block (\d+)": ("dense_block", "block == {}"),
    r"transitions": ("transition", ALWAYS),
    r"transition (\d+)": ("transition", "block == {}"),
    r"head": ("head", ALWAYS),
}
"""A place → the function that is odd there, and when the reference calls the odd one. What is
always odd keeps its own name. A layer of one block is written "block 2, layer 3"."""
NAMED = {"last layer": "layer", "basic layers": "dense_block", "bottleneck layers": "dense_block",
         "layers": "dense_block", "transitions": "transition"}  # fmt: skip
"""What a finding calls the places that it does not call by their own name."""


@dataclass(frozen=True)
class Place:
    """Where alone a mistake is made."""

    words: str
    """As the catalogue says it: "block 2, layer 3"."""
    calls: tuple[tuple[str, str], ...]
    """The functions that are odd there, the innermost first, and the condition of each call."""

    @property
    def slug(self) -> str:
        """For the mutant's name: "block-2-layer-3"."""
        return re.sub(r"[ ,]+", "-", self.words).replace("transitions", "transition")

    @property
    def where(self) -> str:
        """What a finding there must say."""
        return NAMED.get(self.words, self.words)


def place_of(words: str) -> Place | None:
    """A place by its words; None where they name none."""
    calls = []
    for part in reversed(words.split(", ")):
        found = [(re.fullmatch(p, part), call) for p, call in PLACES.items()]
        match = next(((m, call) for m, call in found if m is not None), None)
        if match is None:
            return None
        numbers, (function, condition) = match
        calls.append((function, condition.format(*numbers.groups())))
    if len(calls) > 1 and [function for function, _ in calls] != ["dense_layer", "dense_block"]:
        return None
    return Place(words, tuple(calls))


def in_place(right: str, wrong: str, place: Place) -> str:
    """The right text with a mistake of the wrong one in one place.

    Args:
        right: The reference.
        wrong: The reference with the mistake everywhere; other functions, and nothing else.
        place: Where it is to be made.

    Raises:
        ValueError: The mistake is not in what is called there.
    """
    old, new = definitions(right), definitions(wrong)
    for function, condition in place.calls:
        odd = {name for name in _used_by(function, new) if _differs(name, old, new)}
        if function not in odd:
            raise ValueError(f"the edits change nothing in what makes {place.words}")
        if condition == ALWAYS:
            new = {**old, **_copies(odd, old, new, kept=function)}
            continue
        new = {**old, **_copies(odd, old, new)}
        caller, call = CALLS[function]
        choice = f"(odd_{function} if {condition} else {function})("
        new[caller] = old[caller].replace(call, call.replace(f"{function}(", choice))
    changed = [text for name, text in new.items() if old.get(name) != text]
    return with_definitions(right, "\n\n\n".join(changed) + "\n")


def _differs(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    """Whether a definition, or one that it uses, is not the right one."""
    return any(old.get(used) != new[used] for used in _used_by(name, new))


def _used_by(name: str, new: Mapping[str, str]) -> set[str]:
    """What a definition uses, itself among it."""
    found, waiting = set[str](), [name]
    while waiting:
        one = waiting.pop()
        if one not in found and one in new:
            found.add(one)
            nodes = ast.walk(module_of(new[one]))
            waiting += [node.id for node in nodes if isinstance(node, ast.Name)]
    return found


def _copies(
    odd: set[str], old: Mapping[str, str], new: Mapping[str, str], kept: str = ""
) -> dict[str, str]:
    """The odd definitions under names of their own, by which they call each other.

    Args:
        odd: Their names.
        old: The right definitions.
        new: The wrong ones.
        kept: The one that keeps its name.
    """
    names = {name: f"odd_{name}" for name in odd & old.keys() if name != kept}
    pattern = rf"\b({'|'.join(names)})\b" if names else r"(?!)"
    return {
        names.get(name, name): re.sub(pattern, lambda found: names[found[0]], text)
        for name, text in new.items()
        if name in odd
    }
