"""What a run costs in multiplications, counted on the network and worked out by hand."""

import sys
from pathlib import Path

import pytest

from grader.engine.cost import REFERENCE, multiplications, run_multiplications, whole_epochs
from grader.engine.recipe import Images, Recipe

REFERENCE_FOLDER = Path(__file__).parents[2] / "reference_solution"
HALF = Images(sizes=(16, 32), changes_at=(0.5,))


def test_an_epoch_at_half_the_side_is_a_quarter_of_one() -> None:
    assert whole_epochs(Recipe(epochs=4)) == 4
    assert whole_epochs(Recipe(epochs=4, images=HALF)) == 2 * 0.25 + 2


def test_a_run_costs_its_network_times_the_images_it_sees() -> None:
    assert run_multiplications(1000, Recipe(epochs=4, images=HALF), 50) == 2.5 * 1000 * 50


def by_hand(stem: int, growth: int, layers: int) -> int:
    """DenseNet-C, θ = 0.5: 3×3 convolutions at each place, 1×1 transitions, the head."""
    maps, side, total = stem, 32, 9 * 3 * stem * 32**2
    for block in range(3):
        for _ in range(layers):
            total += 9 * maps * growth * side**2
            maps += growth
        if block < 2:
            total += maps * (maps // 2) * side**2
            maps, side = maps // 2, side // 2
    return total + maps * 10


@pytest.mark.tensorflow
def test_the_multiplications_of_the_reference_network_are_those_worked_out_by_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(REFERENCE_FOLDER))
    monkeypatch.delitem(sys.modules, "densenet", raising=False)
    import densenet

    found = multiplications(densenet.build_model())

    assert found == by_hand(16, 32, 3)
    assert found * 15 * 50_000 == REFERENCE
    monkeypatch.delitem(sys.modules, "densenet")
