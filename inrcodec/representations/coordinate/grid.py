"""What the grid families share: a multiresolution grid, a small network behind it, and its size.

The values at a point are interpolated on every level, joined, and turned into channels by a ReLU
network without biases, as tiny-cuda-nn has them.
Source: Müller et al. 2022, arXiv:2201.05989; quantized and coded: Girish et al. 2023,
arXiv:2309.15848.
"""

from __future__ import annotations

import bisect
import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from inrcodec.errors import ConfigError
from inrcodec.kernels import (
    GridGeometry,
    GridPerceptron,
    Interpolation,
    Perceptron,
    grid_mlp,
    grid_mlp_descent,
)
from inrcodec.kernels.geometry import EXTENT_UNIT, FEATURES, GROWTH_UNIT, MAX_RESOLUTION
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.network import (
    Array,
    Network,
    TensorSpec,
    check_integers,
    shape_field,
)
from inrcodec.representations.coordinate.recipe import Recipe
from inrcodec.signal import Kind, SignalSpec

__all__ = ["GRID_RECIPE", "GridConfig", "GridNetwork", "grid_shape"]

GRID_RECIPE = Recipe(batch_points=8192, hard_from=0.85, soft="noise")

_WIDTH_UNIT = 16
_ENTRIES_PER_BIT = 0.75
_SPARSE = 5.0 / 8.0  # vertices per sample along an axis
_BITS_PER_DENSE_ENTRY = 3.5
_COARSEST = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class GridConfig:
    """None: chosen from the signal and the wanted size.

    `levels` 1 to 32, each `growth` (1 to under 16) times as fine as the one before and the last
    with `finest_resolution` vertices (up to 2^22) along the longest axis; `features` 1, 2, 4 or 8
    per vertex; `log2_table_size` 3 to 24, beyond which a level is hashed; `width` of the hidden
    layers, a multiple of 16 up to 256; `depth`, hidden layers, 1 to 8. Cells are square in samples,
    but a film has `time_scale` (over 0, up to 1) times as many vertices per frame as per pixel.
    """

    levels: int | None = None
    growth: float = 2.0
    finest_resolution: int | None = None
    features: int = 1
    log2_table_size: int = 22
    width: int = 32
    depth: int = 2
    time_scale: float = 0.5

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
        if not isinstance(self.time_scale, int | float) or not 0.0 < self.time_scale <= 1.0:
            raise ConfigError(f"time_scale {self.time_scale!r} is not a number in (0, 1]")
        if self.width % _WIDTH_UNIT:
            raise ConfigError(f"width {self.width} is not a multiple of {_WIDTH_UNIT}")


@dataclass(frozen=True, kw_only=True)
class GridNetwork(Network):
    """Grid features at a point, `depth` ReLU layers and a linear one, all without bias."""

    has_grid: ClassVar[bool] = True
    levels: int = shape_field(1, 32)
    log2_features: int = shape_field(0, 3)
    log2_table_size: int = shape_field(3, 24)
    base_resolution: int = shape_field(1, MAX_RESOLUTION)
    growth_units: int = shape_field(GROWTH_UNIT, 16 * GROWTH_UNIT - 1)
    width_units: int = shape_field(1, 16)
    depth: int = shape_field(1, 8)
    extents: tuple[int, ...] = shape_field(1, EXTENT_UNIT, per_axis=True)

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
            interpolation=self.interpolation,
            extents=self.extents,
        )

    @property
    @abstractmethod
    def interpolation(self) -> Interpolation:
        """Between which vertices values are interpolated."""

    @property
    def _sizes(self) -> tuple[int, ...]:
        hidden = (self.width_units * _WIDTH_UNIT,) * self.depth
        return (self.geometry.n_outputs, *hidden, self.n_channels)

    @cached_property
    def _kernel(self) -> GridPerceptron:
        return GridPerceptron(self.geometry, Perceptron(self._sizes, False, "relu"))

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

    def apply(self, values: Array, coords: Array) -> Array:
        """What is put out, [n, n_channels], at coords [n, n_dims] in [0, 1]."""
        return grid_mlp(coords, values, self._kernel)

    def descent(self, values: Array, coords: Array, targets: Array) -> tuple[float, Array]:
        """The mean square of what is off `targets` [n, n_channels], and its gradient."""
        return grid_mlp_descent(coords, targets, values, self._kernel)

    def macs_per_point(self) -> float:
        """One for each weight, and one for each feature of each corner."""
        weights = sum(a * b for a, b in zip(self._sizes[:-1], self._sizes[1:], strict=True))
        return float(weights + self.geometry.n_outputs * self.geometry.n_corners)


def grid_shape(
    config: GridConfig, spec: SignalSpec, goal: FitGoal, *, density: float = 1.0
) -> dict[str, Any]:
    """The fields of a `GridNetwork`: as fine as the wanted size can pay for, but not finer than the
    samples. `density`: vertices for each that a linear grid of the same scale has."""
    sizes = [float(size) for size in spec.grid]
    if spec.kind is Kind.VIDEO:
        sizes[0] *= config.time_scale
    longest = max(sizes)
    extents = tuple(max(round(size / longest * EXTENT_UNIT), 1) for size in sizes)
    n_bits = goal.n_bytes * 8.0 / density
    finest = config.finest_resolution or _finest_resolution(longest, extents, n_bits)
    levels = config.levels or _n_levels(finest, config.growth)
    base = int(finest / config.growth ** (levels - 1))
    return {
        "n_dims": len(spec.grid),
        "n_channels": spec.channels,
        "levels": levels,
        "log2_features": config.features.bit_length() - 1,
        "log2_table_size": config.log2_table_size,
        "base_resolution": max(base, 1),
        "growth_units": round(config.growth * GROWTH_UNIT),
        "width_units": config.width // _WIDTH_UNIT,
        "depth": config.depth,
        "extents": extents,
    }


def _finest_resolution(longest: float, extents: tuple[int, ...], n_bits: float) -> int:
    """Vertices along the longest axis, of `longest` samples.

    Up to 5 for 8 samples most of them may be zero; nearer to one for each sample they stand in for
    the samples, and each has to be paid for.
    """

    def n_vertices(resolution: int) -> float:
        return math.prod(1.0 + (resolution - 1.0) * e / EXTENT_UNIT for e in extents)

    def paid_by(n_entries: float) -> int:
        return bisect.bisect_right(range(MAX_RESOLUTION + 1), n_entries, key=n_vertices) - 1

    sparse = longest if len(extents) == 1 else longest * _SPARSE
    most = min(max(sparse, paid_by(n_bits / _BITS_PER_DENSE_ENTRY)), longest)
    return min(max(int(min(paid_by(n_bits * _ENTRIES_PER_BIT), most)), 2), MAX_RESOLUTION)


def _n_levels(finest: int, growth: float) -> int:
    if growth <= 1.0 or finest <= _COARSEST:
        return 1
    return min(int(math.log(finest / _COARSEST, growth)) + 1, 32)
