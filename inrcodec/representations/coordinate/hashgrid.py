"""Multiresolution grid with multilinear interpolation: dense levels where they fit, hashed beyond.

Choose it for anything with detail: the zeros of smooth places cost next to nothing.
Source: Müller et al. 2022, arXiv:2201.05989.
"""

from __future__ import annotations

from dataclasses import dataclass

from inrcodec.kernels import Interpolation
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.family import CoordinateRepresentation
from inrcodec.representations.coordinate.grid import (
    GRID_RECIPE,
    GridConfig,
    GridNetwork,
    grid_shape,
)
from inrcodec.signal import SignalSpec

__all__ = ["HashGrid", "HashGridConfig", "HashGridNetwork"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HashGridConfig(GridConfig):
    """As `GridConfig`."""


@dataclass(frozen=True, kw_only=True)
class HashGridNetwork(GridNetwork):
    """Grid features at a point, `depth` ReLU layers and a linear one, all without bias."""

    @property
    def interpolation(self) -> Interpolation:
        """Multilinear, between all corners of a cell."""
        return "linear"


class HashGrid(CoordinateRepresentation):
    """A multiresolution grid of coordinates."""

    name = "hashgrid"
    Config = HashGridConfig
    network_family = HashGridNetwork
    recipe = GRID_RECIPE

    @classmethod
    def network_for(cls, config: object, spec: SignalSpec, goal: FitGoal) -> HashGridNetwork:
        """As fine as the wanted size can pay for, but not finer than the samples."""
        assert isinstance(config, HashGridConfig)
        return HashGridNetwork(**grid_shape(config, spec, goal))
