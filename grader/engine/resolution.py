"""Training on smaller images first: how large they are when, and the network that takes them.

A convolutional network has the same weights at every size, and a step costs as the square of the
side. The student's `preprocess` always gets whole images, as it was promised; what it gives is
made smaller. Averaging over areas is a product of matrices, the same on every backend.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from grader.engine.recipe import FULL_SIZE, Recipe, RecipeError


def sizes_by_epoch(recipe: Recipe) -> list[int]:
    """The side in pixels of the images of each epoch; the last epoch has the full one."""
    starts = [round(share * recipe.epochs) for share in recipe.images.changes_at]
    sizes = [
        recipe.images.sizes[sum(epoch >= start for start in starts)]
        for epoch in range(recipe.epochs)
    ]
    return [*sizes[:-1], FULL_SIZE]


def area_weights(before: int, after: int) -> npt.NDArray[np.float32]:
    """How much of each of `before` pixels in a row goes into each of `after` larger ones.

    Returns:
        Shape (after, before), float32, each row sums to 1.
    """
    edges = np.arange(after + 1) * (before / after)
    pixels = np.arange(before)
    low = np.maximum(edges[:-1, None], pixels[None])
    high = np.minimum(edges[1:, None], pixels[None] + 1)
    covered: npt.NDArray[np.float64] = np.clip(high - low, 0, None) * (after / before)
    return covered.astype(np.float32)


def smaller(images: Any, size: int) -> Any:
    """What `preprocess` gave, at `size` pixels a side where CIFAR-10's images have 32.

    Args:
        images: (batch, H, W, channels), any number type.
        size: 8..32.

    Returns:
        (batch, H · size/32, W · size/32, channels), of the same type.
    """
    from keras import ops

    if size == FULL_SIZE:
        return images
    height, width = (_scaled(side, size) for side in images.shape[1:3])
    rows = area_weights(images.shape[1], height)
    columns = area_weights(images.shape[2], width)
    exact = ops.cast(images, "float32")
    exact = ops.einsum("ih,bhwc->biwc", ops.convert_to_tensor(rows), exact)
    exact = ops.einsum("jw,biwc->bijc", ops.convert_to_tensor(columns), exact)
    kind = str(images.dtype)
    return ops.cast(exact if "float" in kind else ops.round(exact), images.dtype)


def _scaled(side: int, size: int) -> int:
    return max(1, round(side * size / FULL_SIZE))


def networks(model: Any, recipe: Recipe) -> dict[int, Any]:
    """The model at each size that the recipe trains at, all of them with the model's own weights.

    Raises:
        RecipeError: The network takes images of one size only.
    """
    sizes = set(sizes_by_epoch(recipe))
    if sizes == {FULL_SIZE}:
        return {FULL_SIZE: model}
    free = _of_any_size(model)
    found = {size: model if size == FULL_SIZE else free for size in sizes}
    for size in sizes - {FULL_SIZE}:
        _try_out(free, model, size)
    return found


def _of_any_size(model: Any) -> Any:
    """The same layers, linked as they are, behind an input of any height and width."""
    import keras

    entry = model.inputs[0]
    inputs = keras.Input((None, None, entry.shape[-1]), dtype=entry.dtype)
    try:
        return keras.models.clone_model(
            model, input_tensors=inputs, clone_function=lambda layer: layer
        )
    except (ValueError, TypeError) as error:
        raise _one_size_only(model, error) from error


def _try_out(free: Any, model: Any, size: int) -> None:
    _, height, width, channels = model.input_shape
    shape = (2, _scaled(height, size), _scaled(width, size), channels)
    try:
        given = tuple(free(np.zeros(shape, np.float32), training=False).shape)
    # Whatever a layer of the student's says of a size that it was not made for.
    except Exception as error:
        raise _one_size_only(model, error) from error
    own = {id(v) for v in model.weights} == {id(v) for v in free.weights}
    if given != (2, *model.output_shape[1:]) or not own:
        raise _one_size_only(model, f"the answer has shape {given}")


def _one_size_only(model: Any, why: object) -> RecipeError:
    said = str(why).strip().split("\n", maxsplit=1)[0]
    return RecipeError(
        f"images.sizes: build_model() takes images of {model.input_shape[1]} ×"
        f" {model.input_shape[2]} only ({said}). Leave the [images] table out of the recipe, or"
        " end the network with GlobalAveragePooling2D, which takes any size."
    )
