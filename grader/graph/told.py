"""A finding as a student may see it: with its call, and without the numbers of a hidden probe."""

from __future__ import annotations

import re

from grader.domain import Finding
from grader.graph.network import Network
from grader.graph.probes import python_line
from grader.graph.rules.deviation import Deviation

_SAID = ("message", "what", "expected", "received")


def _without_numbers(text: str) -> str:
    """A text about a hidden probe: the kernels stay, its own numbers do not."""
    return re.sub(r"(?<![×0-9])\b[0-9][0-9.]*\b(?!×)", "…", text)


def finding_for_student(network: Network, item: Deviation) -> Finding:
    """A finding with its call; one of a hidden probe says what kind of mistake, no numbers."""
    if network.probe is None or not network.probe.hidden:
        return of_call(network, item.finding)
    if item.finding.severity == "remark":
        shown = {key: _without_numbers(getattr(item.finding, key)) for key in _SAID}
        return item.finding.model_copy(update=shown)
    what = _without_numbers(item.finding.what or item.finding.message)
    hidden = item.finding.model_copy(
        update={
            "message": f"{what}: right on the public configurations, wrong on a hidden one",
            "what": what,
            "expected": "right for every configuration",
            "received": "wrong for a hidden one",
            "help": item.finding.help or EVERYWHERE,
        }
    )
    return of_call(network, hidden)


EVERYWHERE = "Use the arguments everywhere; nothing may be fixed to one configuration."


def of_call(network: Network, finding: Finding) -> Finding:
    """A finding that says which call shows it."""
    hidden = network.probe is not None and network.probe.hidden
    # A program prints the arguments that it was called with.
    printed = network.record.printed if network.record is not None and not hidden else ""
    if network.probe is None:
        told = {"call": python_line("d.build_model()"), "printed": printed}
        return finding.model_copy(update=told)
    asked, call = network.probe.asked(), network.probe.command()
    return finding.model_copy(update={"asked": asked, "call": call, "printed": printed})
