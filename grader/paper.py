"""DenseNet as arithmetic: configurations, shapes and parameter counts of the paper.

Source: Huang, Liu, van der Maaten, Weinberger, "Densely Connected Convolutional Networks",
arXiv 1608.06993, sec. 3 (composite function, pooling layers, growth rate, bottleneck layers,
compression, implementation details).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

BOTTLENECK_WIDTH = 4
"""A bottleneck's 1×1 convolution gives 4k maps (sec. 3, Bottleneck layers)."""


def compressed(channels: int, compression: float) -> int:
    """⌊θm⌋, the maps after a transition layer (sec. 3, Compression).

    The floor is taken of the decimal number that was written, not of its binary image, so that
    0.29 · 100 is 29 although 0.29 * 100 is 28.999999999999996 in floating point.

    Returns:
        ⌊compression · channels⌋.
    """
    return math.floor(Fraction(str(compression)) * channels)


def compressed_in_floating_point(channels: int, compression: float) -> int:
    """`int(channels * compression)`, what a student's code computes; accepted where it differs."""
    return math.floor(channels * compression)


def layers_per_block(depth: int, bottleneck: bool) -> int:
    """n of L = 3n + 4, or L = 6n + 4 with bottlenecks (sec. 3, Implementation details).

    Raises:
        ValueError: No n gives this depth.
    """
    per_layer = 6 if bottleneck else 3
    n, rest = divmod(depth - 4, per_layer)
    if rest or n < 1:
        raise ValueError(f"depth: expected {per_layer}n + 4 with n >= 1. Received: {depth}")
    return n


@dataclass(frozen=True)
class Count:
    """Parameters of a network, without convolution biases.

    Attributes:
        trainable: Kernels, BN scales and offsets, the classifier's weights and biases.
        statistics: BN moving means and variances.
    """

    trainable: int
    statistics: int

    @property
    def total(self) -> int:
        """Trainable parameters and batch-norm statistics."""
        return self.trainable + self.statistics

    def __add__(self, other: Count) -> Count:
        return Count(self.trainable + other.trainable, self.statistics + other.statistics)


def batch_norm_count(channels: int) -> Count:
    """Scale and offset are trained, mean and variance are statistics."""
    return Count(2 * channels, 2 * channels)


def convolution_count(kernel: int, channels_in: int, channels_out: int) -> Count:
    """A square convolution without bias."""
    return Count(kernel * kernel * channels_in * channels_out, 0)


def dense_layer_count(channels: int, growth_rate: int, bottleneck: bool) -> Count:
    """One H of a dense block over `channels` input maps (sec. 3, Composite function)."""
    if not bottleneck:
        return batch_norm_count(channels) + convolution_count(3, channels, growth_rate)
    width = BOTTLENECK_WIDTH * growth_rate
    return (
        batch_norm_count(channels)
        + convolution_count(1, channels, width)
        + batch_norm_count(width)
        + convolution_count(3, width, growth_rate)
    )


def dense_block_count(channels: int, num_layers: int, growth_rate: int, bottleneck: bool) -> Count:
    """A dense block: layer ℓ sees the block's input and ℓ - 1 outputs (eq. 2)."""
    total = Count(0, 0)
    for layer in range(num_layers):
        total += dense_layer_count(channels + layer * growth_rate, growth_rate, bottleneck)
    return total


def transition_count(channels: int, compression: float) -> Count:
    """Batch norm and a 1×1 convolution to ⌊θm⌋ maps; pooling has no parameters."""
    return batch_norm_count(channels) + convolution_count(
        1, channels, compressed(channels, compression)
    )


@dataclass(frozen=True)
class Configuration:
    """A DenseNet of the paper for small images: three dense blocks of equal depth.

    Attributes:
        depth: L, counts weight layers.
        growth_rate: k.
        compression: θ.
        bottleneck: Whether layers are BN-ReLU-conv1×1(4k)-BN-ReLU-conv3×3(k).
        num_classes: Classes.
        input_shape: (height, width, channels).
        stem_channels: Maps of the first convolution; 2k for BC, 16 otherwise (both accepted).
    """

    depth: int = 40
    growth_rate: int = 12
    compression: float = 0.5
    bottleneck: bool = True
    num_classes: int = 10
    input_shape: tuple[int, int, int] = (32, 32, 3)
    stem_channels: int | None = None

    BLOCKS = 3

    @property
    def num_layers(self) -> int:
        """n, layers per block."""
        return layers_per_block(self.depth, self.bottleneck)

    @property
    def stem(self) -> int:
        """Output maps of the first convolution (sec. 3, Implementation details)."""
        if self.stem_channels is not None:
            return self.stem_channels
        return 2 * self.growth_rate if self.bottleneck and self.compression < 1 else 16

    def channels_before(self, block: int) -> int:
        """Maps that enter dense block `block` (1-based)."""
        channels = self.stem
        for _ in range(block - 1):
            channels = compressed(channels + self.num_layers * self.growth_rate, self.compression)
        return channels

    def channels_after(self, block: int) -> int:
        """Maps that leave dense block `block` (1-based)."""
        return self.channels_before(block) + self.num_layers * self.growth_rate

    def count(self) -> Count:
        """Parameters of the whole network, without convolution biases, with a bias in the head."""
        total = convolution_count(3, self.input_shape[2], self.stem)
        for block in range(1, self.BLOCKS + 1):
            total += dense_block_count(
                self.channels_before(block), self.num_layers, self.growth_rate, self.bottleneck
            )
            if block < self.BLOCKS:
                total += transition_count(self.channels_after(block), self.compression)
        last = self.channels_after(self.BLOCKS)
        classifier = Count((last + 1) * self.num_classes, 0)
        return total + batch_norm_count(last) + classifier
