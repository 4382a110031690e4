"""All mutants, in the order in which the confusion table shows them."""

from functools import cache

from grader.selftest.mutant import Mutant, MutantError, write
from grader.selftest.remark import REMARKS
from grader.selftest.right import RIGHT
from grader.selftest.wrong_layers import WRONG_LAYERS
from grader.selftest.wrong_links import WRONG_LINKS
from grader.selftest.wrong_networks import WRONG_NETWORKS
from grader.selftest.wrong_transitions import WRONG_TRANSITIONS

__all__ = ["Mutant", "MutantError", "catalogue", "write"]


@cache
def catalogue() -> tuple[Mutant, ...]:
    """Returns every mutant: the wrong ones by place, then the right ones and the remarks."""
    return (
        *WRONG_LAYERS,
        *WRONG_LINKS,
        *WRONG_TRANSITIONS,
        *WRONG_NETWORKS,
        *RIGHT,
        *REMARKS,
    )
