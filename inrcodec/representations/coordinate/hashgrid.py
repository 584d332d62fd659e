"""Multiresolution grid with a small network behind it: dense levels where they fit, hashed beyond.

Choose it for anything with detail: the zeros of smooth places cost next to nothing. The values at
a point are interpolated on every level, joined, and turned into channels by a ReLU network without
biases, as tiny-cuda-nn has them.
Source: Müller et al. 2022, arXiv:2201.05989; quantized and coded: Girish et al. 2023,
arXiv:2309.15848.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from array_api_compat import array_namespace

from inrcodec.errors import ConfigError
from inrcodec.kernels import GridGeometry, grid_encode, mlp
from inrcodec.kernels.geometry import FEATURES, GROWTH_UNIT, MAX_RESOLUTION
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.family import CoordinateRepresentation
from inrcodec.representations.coordinate.network import (
    Array,
    Network,
    TensorSpec,
    check_integers,
    shape_field,
)
from inrcodec.representations.coordinate.recipe import Recipe
from inrcodec.signal import SignalSpec

__all__ = ["HashGrid", "HashGridConfig", "HashGridNetwork"]

_WIDTH_UNIT = 16
_ENTRIES_PER_BIT = 0.75
_COARSEST = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class HashGridConfig:
    """None: chosen from the signal and the wanted size.

    `levels` 1 to 32, each `growth` (1 to under 16) times as fine as the one before and the last
    with `finest_resolution` vertices per axis (up to 2^22); `features` 1, 2, 4 or 8 per vertex;
    `log2_table_size` 3 to 24, beyond which a level is hashed; `width` of the hidden layers, a
    multiple of 16 up to 256; `depth`, hidden layers, 1 to 8.
    """

    levels: int | None = None
    growth: float = 2.0
    finest_resolution: int | None = None
    features: int = 1
    log2_table_size: int = 22
    width: int = 32
    depth: int = 2

    def __post_init__(self) -> None:
        check_integers(
            self,
            levels=(1, 32),
            finest_resolution=(1, MAX_RESOLUTION),
            features=(1, 8),
            log2_table_size=(3, 24),
            width=(_WIDTH_UNIT, 16 * _WIDTH_UNIT),
            depth=(1, 8),
        )
        if self.features not in FEATURES:
            raise ConfigError(f"features {self.features} is not one of {FEATURES}")
        if not isinstance(self.growth, int | float) or not 1.0 <= self.growth < 16.0:
            raise ConfigError(f"growth {self.growth!r} is not a number in [1, 16)")
        if self.width % _WIDTH_UNIT:
            raise ConfigError(f"width {self.width} is not a multiple of {_WIDTH_UNIT}")


@dataclass(frozen=True, kw_only=True)
class HashGridNetwork(Network):
    """Grid features at a point, `depth` ReLU layers and a linear one, all without bias."""

    levels: int = shape_field(1, 32)
    log2_features: int = shape_field(0, 3)
    log2_table_size: int = shape_field(3, 24)
    base_resolution: int = shape_field(1, MAX_RESOLUTION)
    growth_units: int = shape_field(GROWTH_UNIT, 16 * GROWTH_UNIT - 1)
    width_units: int = shape_field(1, 16)
    depth: int = shape_field(1, 8)

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.geometry  # raises ConfigError for levels that are too fine

    @cached_property
    def geometry(self) -> GridGeometry:
        """Where the vertices of all levels lie."""
        return GridGeometry(
            n_dims=self.n_dims,
            n_levels=self.levels,
            n_features=1 << self.log2_features,
            log2_table_size=self.log2_table_size,
            base_resolution=self.base_resolution,
            growth=self.growth_units / GROWTH_UNIT,
        )

    @property
    def _sizes(self) -> tuple[int, ...]:
        hidden = (self.width_units * _WIDTH_UNIT,) * self.depth
        return (self.geometry.n_outputs, *hidden, self.n_channels)

    def tensors(self) -> tuple[TensorSpec, ...]:
        """One table per level, coarsest first, then the weights of each layer."""
        n_features = self.geometry.n_features
        tables = tuple(
            TensorSpec(shape=(size, n_features), bound=1e-2, step=0.25, learning_rate=4e-2)
            for size in self.geometry.sizes
        )
        layers = zip(self._sizes[:-1], self._sizes[1:], strict=True)
        weights = tuple(
            TensorSpec(
                shape=(n_outputs, n_inputs),
                bound=math.sqrt(6.0 / (n_inputs + n_outputs)),
                step=2.0**-5,
                learning_rate=2e-2,
            )
            for n_inputs, n_outputs in layers
        )
        return tables + weights

    def apply(self, tensors: Sequence[Array], coords: Array) -> Array:
        """Values [n, n_channels] at coords [n, n_dims] in [0, 1]; tables may come joined."""
        n_tables = len(tensors) - self.depth - 1
        table: Array = tensors[0]
        if n_tables > 1:
            table = array_namespace(coords).concat(tuple(tensors[:n_tables]), axis=0)
        features = grid_encode(coords, table, self.geometry)
        return mlp(features, tensors[n_tables:], None, "relu")

    def views(self, values: Array) -> tuple[Array, ...]:
        """One table for all levels, then the weights of each layer."""
        n_entries, n_features = self.geometry.n_entries, self.geometry.n_features
        table: Array = values[: n_entries * n_features].reshape(n_entries, n_features)
        weights: tuple[Array, ...] = super().views(values)[self.levels :]
        return tuple(itertools.chain((table,), weights))

    def macs_per_point(self) -> float:
        """One for each weight, and one for each feature of each corner of a cell."""
        weights = sum(a * b for a, b in zip(self._sizes[:-1], self._sizes[1:], strict=True))
        return float(weights + self.geometry.n_outputs * (1 << self.n_dims))


class HashGrid(CoordinateRepresentation):
    """A multiresolution grid of coordinates."""

    name = "hashgrid"
    Config = HashGridConfig
    network_family = HashGridNetwork
    recipe = Recipe(batch_points=8192, hard_from=0.85, soft="noise")

    @classmethod
    def network_for(cls, config: object, spec: SignalSpec, goal: FitGoal) -> HashGridNetwork:
        """As fine as the wanted size can pay for, but not finer than the samples."""
        assert isinstance(config, HashGridConfig)
        finest = config.finest_resolution or _finest_resolution(spec, goal.n_bytes)
        levels = config.levels or _n_levels(finest, config.growth)
        base = int(finest / config.growth ** (levels - 1))
        return HashGridNetwork(
            n_dims=len(spec.grid),
            n_channels=spec.channels,
            levels=levels,
            log2_features=config.features.bit_length() - 1,
            log2_table_size=config.log2_table_size,
            base_resolution=max(base, 1),
            growth_units=round(config.growth * GROWTH_UNIT),
            width_units=config.width // _WIDTH_UNIT,
            depth=config.depth,
        )


def _finest_resolution(spec: SignalSpec, n_bytes: float) -> int:
    entries = n_bytes * 8.0 * _ENTRIES_PER_BIT
    by_size = entries ** (1.0 / len(spec.grid))
    by_samples = max(spec.grid) / 2.0 if len(spec.grid) > 1 else float(spec.grid[0])
    return min(max(int(min(by_size, by_samples)), 2), MAX_RESOLUTION)


def _n_levels(finest: int, growth: float) -> int:
    if growth <= 1.0 or finest <= _COARSEST:
        return 1
    return min(int(math.log(finest / _COARSEST, growth)) + 1, 32)
