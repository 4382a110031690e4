"""Which failed checks are causes, and which only follow from one.

One wrong line fails ten checks. A student mends the line, so a report tells that line first and
names the nine others below it. What is told as a consequence costs what it costs: nothing here
changes a point.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from grader.domain import CheckResult, Outcome
from grader.errors import Cause
from grader.graph.evidence import ENDED, Evidence
from grader.graph.network import Network
from grader.graph.record import FailureRecord
from grader.graph.rules import rulings
from grader.graph.rules.deviation import Deviation

CONTRACT = "module-contract"
FOREIGN = "foreign-ops"
OWN_WEIGHTS = "own-weights"
ANSWERS = {
    "dense_block": "block-shape",
    "transition": "transition-shape",
    "build_densenet": "network-shape",
    "build_model": "build-model",
}
"""Function → the check that says what it raised, in the order in which they call each other."""
SIZES = {
    "block-shape": ("dense_block",),
    "growth": ("dense_block", "build_densenet"),
    "parameter-count-block": ("dense_block",),
    "transition-shape": ("transition",),
    "parameter-count-transition": ("transition",),
    "network-shape": ("build_densenet",),
    "parameter-count-network": ("build_densenet", "dense_block", "transition"),
    "build-model-parameters": ("build_model", "build_densenet", "dense_block", "transition"),
}
"""Checks of numbers → the functions whose structure explains them."""
BEHIND = {
    "growth": ("block-shape",),
    "parameter-count-block": ("block-shape", "growth"),
    "parameter-count-transition": ("transition-shape",),
    "network-shape": ("block-shape", "transition-shape"),
    "parameter-count-network": (
        "network-shape", "growth", "parameter-count-block", "parameter-count-transition",
    ),
    "build-model-parameters": (
        "build-model", "growth", "parameter-count-network", "parameter-count-block",
        "parameter-count-transition",
    ),
}  # fmt: skip
"""Checks of numbers → other ones that explain them, where no structure does."""
TRAINING = "training-behaviour"
"""What a structure can have wrong without a shape being another."""
LAYERS, FIRST = "composite-function", "block 1, layer 1"
RESIZING = ("transition-layer", "stem", LAYERS)
"""What can have maps of another size as its consequence."""


def with_causes(
    results: Sequence[CheckResult], evidence: Evidence, about: Mapping[str, Sequence[str]]
) -> tuple[CheckResult, ...]:
    """Each result that did not pass, as a cause with its rank or as what follows from one.

    Args:
        results: In the order of display.
        evidence: What they were read from.
        about: Skipped check → the functions, or checks, that it could not look at.
    """
    found = _Causes(results, evidence, about)
    ranks = {name: number for number, name in enumerate(found.in_order(), 1)}
    return tuple(
        r.model_copy(update={"rank": ranks.get(r.name, 0), "follows_from": found.root(r.name)})
        for r in results
    )


class _Causes:
    """The links from each check to what explains it, at most one."""

    def __init__(
        self,
        results: Sequence[CheckResult],
        evidence: Evidence,
        about: Mapping[str, Sequence[str]],
    ) -> None:
        self.evidence = evidence
        self.failed = [r.name for r in results if r.outcome is Outcome.FAILED]
        self.skipped = [r.name for r in results if r.outcome is Outcome.SKIPPED]
        self.about = about
        self.link: dict[str, str] = {}
        self._lines = {r.name: _lines(r) for r in results if r.name in evidence.compared}
        self._structure = {f: tuple(self._deviating(f)) for f in ANSWERS}
        for name in self.failed:
            self._add(name, self._why_failed(name))
        for name in self.skipped:
            self._add(name, self._why_skipped(name))

    def _add(self, name: str, why: str | None) -> None:
        if why is not None and why != name and self.root(why) != name:
            self.link[name] = why

    def root(self, name: str) -> str | None:
        """The cause that a check follows from in the end; None where it is one, or passed."""
        seen = [name]
        while seen[-1] in self.link and self.link[seen[-1]] not in seen:
            seen.append(self.link[seen[-1]])
        return seen[-1] if len(seen) > 1 else None

    def in_order(self) -> list[str]:
        """The causes, in the order in which they are best mended."""
        places = [d.check for _, d in self.evidence.deviations]

        def key(name: str) -> tuple[int, int]:
            if name == CONTRACT:
                return 0, 0
            if self._raised(name):
                return 1, 0
            return (2, places.index(name)) if name in places else (3, 0)

        return sorted((n for n in self.failed if n not in self.link), key=key)

    # --- failed -----------------------------------------------------------------------------

    def _why_failed(self, name: str) -> str | None:
        if name in self._lines:
            return self._same_lines(name)
        if name == CONTRACT:
            return None
        raised = self._raised(name)
        if raised:
            return self._raised_before(name, raised)
        if name in self.about:  # right where it was answered: the silence is told elsewhere
            silent = [ANSWERS[f] for f in self.about[name]]
            return next((n for n in silent if n in (*self.failed, *self.skipped)), None)
        if name in SIZES and not any(name in checks for checks in self._structure.values()):
            explained = self._structure_behind(name) or self._first(BEHIND.get(name, ()))
            return explained or self._counted_otherwise(name)
        if name == "build-model":
            return self._behind_the_model()
        return self._shown_by_another(name) or self._wrecked_by(name)

    def _same_lines(self, name: str) -> str | None:
        """A comparison that fails for the same lines: of a block that this network is made of."""
        mine = self._lines[name]
        before = list(self._lines)[: list(self._lines).index(name)]
        others = [other for other in before if other in self.failed]
        return next((other for other in others if mine and mine <= self._lines[other]), None)

    def _raised(self, name: str) -> set[tuple[str, str]]:
        """The exceptions that a check tells of."""
        functions = [f for f, check in ANSWERS.items() if check == name]
        return {_key(n.failure) for f in functions for n in self._of(f) if n.failure is not None}

    def _raised_before(self, name: str, raised: set[tuple[str, str]]) -> str | None:
        """A check that tells of the same exceptions: of a function that this one calls."""
        missing = self.evidence.module.functions if self.evidence.module is not None else {}
        functions = [f for f, check in ANSWERS.items() if check == name]
        if CONTRACT in self.failed:
            lacks = [n for n in ANSWERS if missing.get(n) is None]
            calls = all(type == "NameError" and _name_in(text) in lacks for type, text in raised)
            if calls or all(function in lacks for function in functions):
                return CONTRACT
        for check in ANSWERS.values():
            if check == name:
                return None
            before = self._raised(check)
            if check in self.failed and (raised <= before or self._ends_like(before, raised)):
                return check
        return None

    def _ends_like(self, before: set[tuple[str, str]], raised: set[tuple[str, str]]) -> bool:
        """Whether a function did not come back, and one that calls it used up something else."""
        timed_out = any(type == Cause.STUDENT_TIMEOUT for type, _ in before)
        return timed_out and all(type in ENDED for type, _ in raised)

    def _of(self, function: str) -> list[Network]:
        if function == "build_model":
            return [self.evidence.model] if self.evidence.model is not None else []
        return self.evidence.of(function)

    def _deviating(self, function: str) -> Iterator[str]:
        """The checks that a function's structure fails, first cause first."""
        for network in self._of(function):
            for item in sorted(network.deviations, key=lambda d: d.cause):
                if item.finding.severity == "deviation" and item.check in self.failed:
                    yield item.check

    def _structure_behind(self, name: str) -> str | None:
        for function in SIZES[name]:
            for check in self._structure[function]:
                if check != TRAINING:
                    return check
        return None

    def _counted_otherwise(self, name: str) -> str | None:
        """A batch normalisation in one mode alone has other statistics, a frozen one other weights:
        both are counted."""
        counted = "parameter" in name and any(TRAINING in self._structure[f] for f in SIZES[name])
        return TRAINING if counted else None

    def _shown_by_another(self, name: str) -> str | None:
        """What only shows what another check tells: maps that were not halved, and the ReLU that
        all layers behind the stem begin with."""
        found = list(self._deviations_of(name))
        if name == "block-structure" and found:
            sizes = all(d.finding.what == rulings.MAP_SIZE.what for _, d in found)
            return self._first(RESIZING) if sizes else None
        if name == "stem" and found:
            layers = {number for number, d in self._deviations_of(LAYERS) if FIRST in _where(d)}
            shown = all(_is_bare_behind_the_stem(d) and number in layers for number, d in found)
            return LAYERS if shown else None
        return None

    def _behind_the_model(self) -> str | None:
        """`build_model()` is made of the other functions: their mistakes are its own."""
        model = self.evidence.model
        shape = model.output_shape if model is not None else None
        if shape is None or shape[-1] != 10:
            asked = [d.finding.what for _, d in self._deviations_of("head")]
            return "head" if rulings.CLASSES.what in asked else None
        named = [check for f in ANSWERS for check in self._structure[f] if check in self.failed]
        return next((check for check in named if check != "build-model"), None)

    def _wrecked_by(self, name: str) -> str | None:
        """A mistake after which the rest of the network could not be read as what it is."""
        networks = list(self._networks())
        where = [n for n in networks if any(d.check == name for d in n.deviations)]
        if name == OWN_WEIGHTS and not where:
            where = [n for n in networks if n.counted is not None and n.counted.idle]
        if where and all(map(self._is_wrecked, where)):
            return next(d.check for n in networks for d in n.deviations if d.wrecks)
        return FOREIGN if FOREIGN in self.failed and self._at_the_places_of(name) else None

    def _is_wrecked(self, network: Network) -> bool:
        """Whether such a mistake is in a network; where it was not called in training, in another
        answer of its function: it may show in training alone."""
        alike = [network] if "training" in network.traces else self._of(network.name)
        return any(d.wrecks for n in (network, *alike) for d in n.deviations)

    def _at_the_places_of(self, name: str) -> bool:
        """Whether a check only fails where something foreign stands in between."""
        mine, foreign = self._places(name), self._places(FOREIGN)
        return name != FOREIGN and bool(mine) and mine <= foreign

    def _places(self, name: str) -> set[tuple[int, str]]:
        return {(number, place) for number, d in self._deviations_of(name) for place in _where(d)}

    def _deviations_of(self, check: str) -> Iterator[tuple[int, Deviation]]:
        """What fails a check, with the numbers of the networks that show it."""
        for number, network in enumerate(self._networks()):
            for item in network.deviations:
                if item.check == check and item.finding.severity == "deviation":
                    yield number, item

    def _networks(self) -> Iterator[Network]:
        for function in ANSWERS:
            yield from self._of(function)

    def _first(self, names: Sequence[str]) -> str | None:
        return next((n for n in names if n in self.failed), None)

    # --- skipped ----------------------------------------------------------------------------

    def _why_skipped(self, name: str) -> str | None:
        if CONTRACT in self.failed and self.evidence.module is None:
            return CONTRACT
        for needed in self.about.get(name, ()):
            if needed in self.failed or needed in self.skipped:
                return needed
            if ANSWERS.get(needed) in self.failed:
                return ANSWERS[needed]
            if self._structure.get(needed):
                return self._structure[needed][0]
        return CONTRACT if CONTRACT in self.failed else ANSWERS.get(self.evidence.stood_in)


def _where(item: Deviation) -> tuple[str, ...]:
    return item.places or (item.finding.where,)


def _is_bare_behind_the_stem(item: Deviation) -> bool:
    """Whether a ReLU alone stands behind the stem: it may be that of the layers that receive it."""
    told = item.finding
    return told.expected == rulings.BEHIND_THE_STEM.expected and told.received == "ReLU"


def _name_in(text: str) -> str:
    """The name that is not defined."""
    return next(iter(re.findall(r"name '(\w+)'", text)), "")


def _lines(result: CheckResult) -> set[tuple[int, str]]:
    """The lines of the student's that a comparison names; none where it names other places too."""
    places = {(f.line, f.code) for f in result.findings if f.severity == "deviation"}
    return set() if any(not line for line, _ in places) else places


WITHOUT_A_RESULT = r"NoneType|\bGot '?None\b|Received: None\b"
"""What Python and Keras say to None in place of a tensor."""
MET = {
    "None": rf"^it gives nothing|{WITHOUT_A_RESULT}",
    "a tuple": r"^it gives a tuple|'tuple' object",
    "a list": r"^it gives a list|'list' object",
    "a layer": r"^Only input tensors may be passed as positional arguments",
}
"""What a function gave by mistake → what is said of it, there and wherever it is passed on."""


def _key(failure: FailureRecord) -> tuple[str, str]:
    """The same exception at the same place; its text may hold a layer's number.

    A name that is not defined, and a result that is none, are one mistake in all their places.
    """
    if failure.type == Cause.STUDENT_TIMEOUT:  # a loop is interrupted in any of its lines
        return failure.type, failure.where.rpartition(", in ")[2]
    if failure.type == "NameError":
        return failure.type, failure.message.partition(". Did you mean")[0]
    for thing, said in MET.items():
        if re.search(said, failure.message):
            return thing, ""
    return failure.type, failure.where or failure.message
