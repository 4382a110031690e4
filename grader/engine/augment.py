"""Random changes to training images: drawn on the host, applied on the device.

The draws are a few small integers per image, made by a counter-based generator keyed by seed and
epoch. So both backends see the same images, and a resumed run sees what the first one would have.
"""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grader.engine.recipe import Augmentation, Recipe

_NO_EPOCH = 2**32
"""The key of what is drawn once for a whole run; epochs have smaller ones."""


class Draws(NamedTuple):
    """What is random about one epoch; each array starts with axes (steps, batch)."""

    image: npt.NDArray[np.int32]
    """Which training image: (steps, batch)."""
    top: npt.NDArray[np.int32]
    """First row of the crop within the padded image: (steps, batch), 0..2·pad_crop."""
    left: npt.NDArray[np.int32]
    """First column of the crop: (steps, batch), 0..2·pad_crop."""
    flip: npt.NDArray[np.int32]
    """1 to mirror, 0 not to: (steps, batch)."""
    hole: npt.NDArray[np.int32]
    """Row and column of the cutout's centre: (steps, batch, 2), 0..31."""
    mix: npt.NDArray[np.float32]
    """Share of the image itself in its mixture with its neighbour: (steps, 1), 0.5..1."""

    def slice(self, start: int, stop: int, length: int) -> Draws:
        """Steps start..stop, repeated at the end to fill `length` steps.

        A fixed length keeps one compiled program for all slices, the last and short one too.
        """
        order = np.minimum(np.arange(start, start + length), stop - 1)
        part: list[Any] = [array[order] for array in self]
        return Draws(*part)


def draw_epoch(recipe: Recipe, epoch: int, examples: int) -> Draws:
    """All draws of one epoch (0 is the first).

    Images left over after the last whole batch are dropped for this epoch; the order differs
    in each epoch, so all images take part.
    """
    rng = np.random.Generator(np.random.Philox(key=[recipe.seed, epoch]))
    batch = min(recipe.batch_size, examples)
    steps = examples // batch
    shape = (steps, batch)
    image = rng.permutation(examples)[: steps * batch].reshape(shape)
    shifts = 2 * recipe.augmentation.pad_crop + 1
    mixup = recipe.augmentation.mixup
    top, left = rng.integers(0, shifts, (2, *shape))
    flip = rng.integers(0, 2, shape) * int(recipe.augmentation.flip)
    if recipe.augmentation.alternate_flips:
        flip = (_first_flips(recipe.seed, examples)[image] + epoch) % 2
    hole = rng.integers(0, 32, (*shape, 2))
    mix = rng.beta(mixup, mixup, (steps, 1)) if mixup else np.ones((steps, 1))
    mix = np.maximum(mix, 1 - mix)
    arrays: list[Any] = [array.astype(np.int32) for array in (image, top, left, flip, hole)]
    arrays.append(mix.astype(np.float32))
    return Draws(*arrays)


def _first_flips(seed: int, examples: int) -> npt.NDArray[np.int64]:
    """Which images the first epoch mirrors where flips alternate."""
    return np.random.Generator(np.random.Philox(key=[seed, _NO_EPOCH])).integers(0, 2, examples)


def mean_colour(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The mean pixel of (N, H, W, 3) images, rounded; what padding and cutout put in."""
    mean: npt.NDArray[np.float64] = images.mean(axis=(0, 1, 2))
    return np.rint(mean).astype(np.uint8)


def padded_pixels(images: npt.NDArray[np.uint8], pad: int) -> npt.NDArray[np.uint8]:
    """Images padded by `pad` pixels of the mean colour, as one list of pixels.

    The authors' code pads with zeros after subtracting the mean, which is the mean colour.

    Returns:
        Shape (N · (H + 2·pad) · (W + 2·pad), 3), uint8.
    """
    count, height, width, channels = images.shape
    size = (count, height + 2 * pad, width + 2 * pad, channels)
    out = np.broadcast_to(mean_colour(images), size).copy()
    out[:, pad : pad + height, pad : pad + width] = images
    return out.reshape(-1, channels)


def crop_and_flip(pixels: Any, draws: Any, size: int, pad: int) -> Any:
    """Take one batch out of `padded_pixels` with its shifts and mirrors, in one gather.

    Args:
        pixels: device tensor of `padded_pixels`.
        draws: the `Draws` of one step; axes (batch,).
        size: height and width of an image without padding.
        pad: the padding of `pixels`.

    Returns:
        Shape (batch, size, size, 3), the type of `pixels`.
    """
    from keras import ops

    width = size + 2 * pad
    along = ops.arange(size, dtype="int32")
    rows = draws.top[:, None] + along[None, :]
    mirrored = draws.flip[:, None]
    cols = draws.left[:, None] + mirrored * (size - 1) + (1 - 2 * mirrored) * along[None, :]
    line = draws.image[:, None] * width + rows
    return ops.take(pixels, line[:, :, None] * width + cols[:, None, :], axis=0)


def cut_and_mix(images: Any, draws: Any, what: Augmentation, colour: Any) -> Any:
    """Cutout and mixup on one batch of bytes (batch, H, W, 3); the result is bytes again.

    `preprocess` is promised bytes, so the mixture is rounded to whole numbers.
    """
    from keras import ops

    if what.cutout:
        along = ops.arange(images.shape[1], dtype="int32")
        first = draws.hole - what.cutout // 2
        row, col = first[:, :1], first[:, 1:]
        in_row = (along[None] >= row) & (along[None] < row + what.cutout)
        in_col = (along[None] >= col) & (along[None] < col + what.cutout)
        inside = in_row[:, :, None, None] & in_col[:, None, :, None]
        images = ops.where(inside, colour, images)
    if what.mixup:
        own = ops.cast(images, "float32")
        mixed = draws.mix * own + (1 - draws.mix) * ops.roll(own, 1, axis=0)
        images = ops.cast(ops.round(mixed), "uint8")
    return images


def mix_labels(onehot: Any, draws: Any, what: Augmentation) -> Any:
    """The labels (batch, classes) of what `cut_and_mix` made."""
    from keras import ops

    if not what.mixup:
        return onehot
    return draws.mix * onehot + (1 - draws.mix) * ops.roll(onehot, 1, axis=0)


class TrainingImages:
    """The training images on the device, and the batch that a step's draws ask for."""

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        what: Augmentation,
        classes: int,
    ) -> None:
        from keras import ops

        self.what, self.classes, self.size = what, classes, images.shape[1]
        self.pixels = ops.convert_to_tensor(padded_pixels(images, what.pad_crop))
        self.colour = ops.convert_to_tensor(mean_colour(images))
        self.labels = ops.convert_to_tensor(labels.astype(np.int32))

    @property
    def arrays(self) -> tuple[Any, Any, Any]:
        """All that lies on the device."""
        return self.pixels, self.colour, self.labels

    def over(self, arrays: tuple[Any, Any, Any]) -> TrainingImages:
        """The same over `arrays`, which a compiled function was given as arguments."""
        given = copy(self)
        given.pixels, given.colour, given.labels = arrays
        return given

    def batch(self, draws: Draws) -> tuple[Any, Any, Any]:
        """Images (batch, H, W, 3) uint8, target shares (batch, classes), labels (batch,)."""
        from keras import ops

        images = crop_and_flip(self.pixels, draws, self.size, self.what.pad_crop)
        labels = ops.take(self.labels, draws.image)
        target = mix_labels(ops.one_hot(labels, self.classes), draws, self.what)
        return cut_and_mix(images, draws, self.what, self.colour), target, labels
