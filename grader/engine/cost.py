"""What a training run costs, in multiplications: the same on every machine.

One multiply-add of one image's way forward is the unit. Backward takes about twice as many again,
for every network alike, so it is left out on both sides of a comparison.
"""

from __future__ import annotations

import math
from typing import Any

from grader.engine.recipe import FULL_SIZE, Recipe
from grader.engine.resolution import sizes_by_epoch

REFERENCE = 77_727_416 * 15 * 50_000
"""The run that the reference solution's weights are of: DenseNet-C L=13 k=32, 15 whole epochs."""

LAPTOP = 0.457 * REFERENCE
"""A run by recipe.laptop.toml with the network that it names."""
TRAINED = 0.18
"""Forward multiplications a second in training, as a share of those in a convolution alone;
measured on an AVX-512 processor, in processor seconds (benchmarks/results/recipes.md)."""


def multiplications(model: Any) -> int | None:
    """Multiply-adds of one whole image in all convolutions and dense layers.

    Args:
        model: A built Keras model whose layers are linked in a graph.

    Returns:
        None where the layers do not say what they give, as in a subclassed model.
    """
    import keras

    if not model.inputs:
        return None
    counted = 0
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.Model) or not hasattr(layer, "kernel"):
            continue
        for node in layer._inbound_nodes[:1]:
            counted += _of_one(layer, tuple(node.output_tensors[0].shape))
    return counted


def _of_one(layer: Any, given: tuple[int | None, ...]) -> int:
    """Each number of the kernel is used once at each place of the answer."""
    places = given[1:-1] if len(given) == 4 else ()
    kernel = math.prod(int(side) for side in layer.kernel.shape)
    return kernel * math.prod(side or 1 for side in places)


def whole_epochs(recipe: Recipe) -> float:
    """The run's length in epochs of whole images; one at 16 pixels is a quarter of one."""
    return sum((size / FULL_SIZE) ** 2 for size in sizes_by_epoch(recipe))


def run_multiplications(a_whole_image: int, recipe: Recipe, images: int) -> float:
    """Multiply-adds of a whole run.

    Args:
        a_whole_image: As `multiplications` counts.
        recipe: Decides the epochs and the sizes.
        images: Training images of an epoch, without those held back.
    """
    return a_whole_image * whole_epochs(recipe) * images
