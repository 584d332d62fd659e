"""Multiresolution grid interpolated on simplices: n + 1 vertices at a point of n axes, not 2^n.

To compare: a point takes less work than in `hashgrid`, with three axes about three quarters of the
time, but a fit takes longer to the same quality (docs/results.md, Grids). Cells are cut along their
diagonals, or the whole lattice is skewed, which makes the simplices nearly regular for the same
scale and sqrt(n + 1) times the vertices.
Source: Wen & Yang 2023, simplex-based encoding; the cut cells are those of Kuhn 1960.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from inrcodec.errors import ConfigError
from inrcodec.kernels import Interpolation
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.family import CoordinateRepresentation
from inrcodec.representations.coordinate.grid import (
    GRID_RECIPE,
    GridConfig,
    GridNetwork,
    grid_shape,
)
from inrcodec.representations.coordinate.network import shape_field
from inrcodec.signal import SignalSpec

__all__ = ["SimplexGrid", "SimplexGridConfig", "SimplexGridNetwork"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SimplexGridConfig(GridConfig):
    """As `GridConfig`; `skewed`: of nearly regular simplices, in place of cut cells."""

    skewed: bool = False

    def __post_init__(self) -> None:
        GridConfig.__post_init__(self)
        if not isinstance(self.skewed, bool):
            raise ConfigError(f"skewed {self.skewed!r} is not true or false")


@dataclass(frozen=True, kw_only=True)
class SimplexGridNetwork(GridNetwork):
    """Grid features at a point, `depth` ReLU layers and a linear one, all without bias."""

    skewed: int = shape_field(0, 1)

    @property
    def interpolation(self) -> Interpolation:
        """Between the corners of a simplex."""
        return "simplex" if self.skewed else "kuhn"


class SimplexGrid(CoordinateRepresentation):
    """A multiresolution grid of coordinates, in simplices."""

    name = "simplexgrid"
    Config = SimplexGridConfig
    network_family = SimplexGridNetwork
    recipe = GRID_RECIPE

    @classmethod
    def network_for(cls, config: object, spec: SignalSpec, goal: FitGoal) -> SimplexGridNetwork:
        """As fine as the wanted size can pay for, but not finer than the samples."""
        assert isinstance(config, SimplexGridConfig)
        density = math.sqrt(len(spec.grid) + 1.0) if config.skewed else 1.0
        shape = grid_shape(config, spec, goal, density=density)
        return SimplexGridNetwork(**shape, skewed=int(config.skewed))
