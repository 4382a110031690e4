"""Random numbers that stand for variables: kept where small, the same for whoever asks."""

import numpy as np
import pytest

from grader.graph import drawn


@pytest.mark.parametrize("draw", [drawn.uniform, drawn.normal])
@pytest.mark.parametrize("shape", [(), (5,), (drawn.MAX_KEPT + 1,)])
def test_the_same_question_gets_the_same_numbers(draw, shape):
    first = draw((7, 3, 0), shape)

    assert first.shape == shape
    assert np.array_equal(draw((7, 3, 0), shape), first)
    assert not np.array_equal(draw((7, 3, 1), shape), first)


def test_nobody_can_change_what_the_next_one_gets():
    with pytest.raises(ValueError, match="read-only"):
        drawn.uniform((7, 3, 0), (4,))[:] = 0


def test_only_small_arrays_are_kept():
    drawn._kept.cache_clear()

    drawn.normal((1,), (drawn.MAX_KEPT + 1,))
    drawn.normal((1,), (drawn.MAX_KEPT,))

    assert drawn._kept.cache_info().currsize == 1
