"""Numbers are close as NumPy tells it, and what is not finite is close to nothing."""

import numpy as np
import pytest

from grader.graph.affine import all_close


@pytest.mark.parametrize("difference", [0.0, 1e-7, 9e-6, 2e-5, 1.0, np.nan])
@pytest.mark.parametrize("near", [0.0, 1.0, -50.0])
def test_numbers_are_close_as_numpy_tells_it(near, difference):
    one, other = np.array([near + difference, 1.0]), np.array([near, 1.0])

    assert all_close(one, other, 1e-6) == np.allclose(one, other, atol=1e-6)
    assert all_close(one, 1.0, 1e-6) == np.allclose(one, 1.0, atol=1e-6)


@pytest.mark.parametrize("far", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_close_to_nothing(far):
    there, here = np.array([1.0, far]), np.array([1.0, 2.0])

    assert not all_close(there, here, 1e-6)
    assert not all_close(here, there, 1e-6)
    assert not all_close(there, there, 1e-6)
