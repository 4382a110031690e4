"""The tables of the probes: what the functions of a DenseNet are called with."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from grader.assignment.mistakes import mistake
from grader.assignment.tables.base import Table
from grader.paper import layers_per_block


class BlockProbe(Table):
    """Arguments for one call of `dense_block`."""

    channels: int = Field(gt=0, le=4096)
    """Feature maps that enter the block."""
    num_layers: int = Field(gt=0, le=64)
    """Dense layers."""
    growth_rate: int = Field(gt=0, le=512)
    """k, maps that each layer adds."""
    bottleneck: bool = True
    """Whether layers have the 1×1 convolution to 4k maps."""
    dropout_rate: float = Field(default=0.0, ge=0, lt=1)
    """Share of activations set to zero in training; asked for where it is above 0."""
    size: int = Field(default=8, gt=1, le=256)
    """Height and width of the input, in pixels."""


class TransitionProbe(Table):
    """Arguments for one call of `transition`."""

    channels: int = Field(gt=0, le=4096)
    """Feature maps that enter the transition layer."""
    compression: float = Field(gt=0, le=1)
    """θ, the share of the maps that is kept."""
    dropout_rate: float = Field(default=0.0, ge=0, lt=1)
    """Share of activations set to zero in training; asked for where it is above 0."""
    size: int = Field(default=8, gt=1, le=256)
    """Height and width of the input, in pixels."""


class NetworkProbe(Table):
    """Arguments for one call of `build_densenet`."""

    depth: int = Field(gt=0, le=400)
    """L; 6n + 4 with bottlenecks, else 3n + 4."""
    growth_rate: int = Field(gt=0, le=512)
    """k."""
    compression: float = Field(default=0.5, gt=0, le=1)
    """θ."""
    bottleneck: bool = True
    """Whether layers are bottleneck layers."""
    num_classes: int = Field(default=10, gt=1, le=10_000)
    """Classes of the softmax."""
    dropout_rate: float = Field(default=0.0, ge=0, lt=1)
    """Share of activations set to zero in training; asked for where it is above 0."""
    size: int = Field(default=32, gt=7, le=256)
    """Height and width of the images, in pixels; they have three colours."""

    @model_validator(mode="after")
    def _depth_is_possible(self) -> Self:
        try:
            layers_per_block(self.depth, self.bottleneck)
        except ValueError as error:
            raise mistake(str(error)) from error
        return self


class HiddenProbes(Table):
    """How many probes are drawn from the course key and the submission's hash."""

    blocks: int = Field(ge=0, le=20)
    """Calls of `dense_block`."""
    transitions: int = Field(ge=0, le=20)
    """Calls of `transition`."""
    networks: int = Field(ge=0, le=10)
    """Calls of `build_densenet`."""


class Probes(Table):
    """The configurations that the student's functions are called with."""

    hidden: HiddenProbes
    """How many nobody knows beforehand."""
    blocks: Annotated[tuple[BlockProbe, ...], Field(strict=False, min_length=1)]
    """Public probes of `dense_block`."""
    transitions: Annotated[tuple[TransitionProbe, ...], Field(strict=False, min_length=1)]
    """Public probes of `transition`."""
    networks: Annotated[tuple[NetworkProbe, ...], Field(strict=False, min_length=1)]
    """Public probes of `build_densenet`."""
