"""Whatever is changed in an honest answer, it is read or refused with its cause; nothing crashes.

`python -m tests.fuzz --seconds 600` does the same for as long as one likes.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.errors import StageFailed
from grader.graph import work
from tests.fuzz import reading
from tests.fuzz.mutating import mutated


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.integers(0, 2**32))
@pytest.mark.timeout(120)
def test_a_changed_record_is_read_or_refused_with_its_cause(seed: int) -> None:
    outcome = forge(seed)

    if isinstance(outcome, StageFailed):
        assert not outcome.cause.is_infrastructure
        assert outcome.message


def forge(seed: int) -> object:
    """Read a run in which one record was changed; the seed says how."""
    dice = random.Random(seed)
    records, binary = reading.frames(dice.choice(reading.NAMES))
    changed = dice.choice(sorted(records))
    records[changed] = mutated(records[changed], dice)
    with work.limited(work.LIMIT // 10):
        return reading.read({k: reading.encoded(v) for k, v in records.items()}, binary)
