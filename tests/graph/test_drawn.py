"""Random numbers that stand for variables: kept where small, the same for whoever asks."""

import numpy as np
import pytest

from grader.graph import drawn


@pytest.mark.parametrize("draw", [drawn.uniform, drawn.normal])
@pytest.mark.parametrize("shape", [(), (5,), (drawn.SMALL + 1,), (drawn.LARGE + 1,)])
def test_the_same_question_gets_the_same_numbers(draw, shape):
    first = draw((7, 3, 0), shape)

    assert first.shape == shape
    assert np.array_equal(draw((7, 3, 0), shape), first)
    assert not np.array_equal(draw((7, 3, 1), shape), first)


def test_nobody_can_change_what_the_next_one_gets():
    with pytest.raises(ValueError, match="read-only"):
        drawn.uniform((7, 3, 0), (4,))[:] = 0


@pytest.mark.parametrize(
    ("size", "kept"), [(drawn.SMALL, True), (drawn.LARGE, True), (drawn.LARGE + 1, False)]
)
def test_only_small_arrays_are_kept(size, kept):
    first = drawn.normal((1,), (size,))

    assert (drawn.normal((1,), (size,)) is first) == kept


def test_a_whole_network_asks_for_fewer_small_arrays_than_are_kept():
    asked = [drawn.uniform((7, index, 0), (1,)) for index in range(10_000)]

    again = [drawn.uniform((7, index, 0), (1,)) for index in range(10_000)]
    assert all(a is b for a, b in zip(asked, again, strict=True))
