"""Where the vertices of a multiresolution grid lie in its table: integers, a few floats per level.

Level l has N = base_resolution * growth**l vertices per axis; the `extents` of the axes scale that,
so that cells can be square on a signal that is not. Axis i has the scale s_i = (N - 1) * extent_i,
and a point x in [0, 1] lies at p_i = s_i * x_i + 0.5. A value is interpolated between

- "linear": the 2**n corners of the cell floor(p), with multilinear weights;
- "smoothstep": the same corners, the place f in the cell replaced by f**2 (3 - 2 f) on each axis;
- "nearest": the vertex floor(p) alone, which is the nearest one;
- "kuhn": the n + 1 corners of the simplex that p lies in when each cell is cut into n! along its
  diagonals (Kuhn, Freudenthal);
- "simplex": the same at y_i = p_i + F_n * sum(p), F_n = (sqrt(n + 1) - 1) / n: the lattice is
  skewed so that the simplices are nearly regular.

A level that fits its share of the table is dense, row-major with axis 0 fastest, in a box of
vertices: ceil(s_i) + 1 per axis, or floor(max y_i) + 2 if skewed. A finer one is hashed. Grids of
the first three whose extents are all 1 are tiny-cuda-nn's HashGrid: tables interchange with it. The
half-vertex offset lets p reach the vertex just past the last one of a row: there a dense level goes
on in the next row, and past its end at its beginning.

A skewed level has sqrt(n + 1) times the vertices of the same scale, as its cells are smaller, and
its dense box is (n + 1)**(n / 2) times as large: most of it lies beyond the points and stays zero.

Sources: Müller et al. 2022, sec. 3, arXiv:2201.05989; tiny-cuda-nn `encodings/grid.h`; Wen & Yang
2023, simplex-based encoding.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Literal, Self, get_args

import numpy as np

from inrcodec.errors import ConfigError

__all__ = [
    "EXTENT_UNIT",
    "FEATURES",
    "GROWTH_UNIT",
    "HASH_FACTORS",
    "MAX_RESOLUTION",
    "GridGeometry",
    "GridLevel",
    "Interpolation",
]

EXTENT_UNIT = 4096
FEATURES = (1, 2, 4, 8)
GROWTH_UNIT = 4096
HASH_FACTORS = (1, 2654435761, 805459861, 3674653429)
MAX_RESOLUTION = 1 << 22

Interpolation = Literal["linear", "smoothstep", "nearest", "kuhn", "simplex"]
_INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)


@dataclass(frozen=True, slots=True)
class GridLevel:
    """One resolution of a grid; its entries are `offset` <= i < `offset + size` of the table.

    `scales` are float32 values, one per axis, and `resolutions` the vertices per axis. A vertex
    position is multiplied by `strides`, axis by axis; the products are added when the level is
    dense and XORed in 32 bits when it is `hashed`; the result is taken modulo `size` (of a dense
    level it is below twice that).
    """

    scales: tuple[float, ...]
    resolutions: tuple[int, ...]
    size: int
    offset: int
    hashed: bool
    strides: tuple[int, ...]


@dataclass(frozen=True)
class GridGeometry:
    """The shape of a multiresolution grid; everything else about it follows.

    `n_dims` 1 to 4, `n_levels` 1 to 32, `n_features` 1, 2, 4 or 8 per entry, at most
    2**`log2_table_size` (3 to 24) entries per level, `base_resolution` at least 1, `growth` from 1
    up to (not including) 16 in multiples of 1/4096. The finest resolution is at most 2**22.
    `extents`, one per axis in units of 1/4096, are 1 to 4096; none means 4096 for all. Raises
    ConfigError otherwise.

    >>> levels = GridGeometry(2, 2, 2, log2_table_size=8, base_resolution=16, growth=2.0).levels
    >>> [(level.resolutions, level.size, level.hashed) for level in levels]
    [((16, 16), 256, False), ((32, 32), 256, True)]
    """

    n_dims: int
    n_levels: int
    n_features: int
    log2_table_size: int
    base_resolution: int
    growth: float
    interpolation: Interpolation = "linear"
    extents: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_range("n_dims", self.n_dims, 1, 4)
        _check_range("n_levels", self.n_levels, 1, 32)
        if self.n_features not in FEATURES:
            raise ConfigError(f"n_features {self.n_features} is not one of {FEATURES}")
        _check_range("log2_table_size", self.log2_table_size, 3, 24)
        _check_range("base_resolution", self.base_resolution, 1, MAX_RESOLUTION)
        if not 1.0 <= self.growth < 16.0 or not (self.growth * GROWTH_UNIT).is_integer():
            raise ConfigError(
                f"growth {self.growth} is not a multiple of 1/{GROWTH_UNIT} in [1, 16)"
            )
        finest = self.base_resolution * self.growth ** (self.n_levels - 1)
        if finest > MAX_RESOLUTION:
            raise ConfigError(f"finest resolution {finest:.0f} is not within [1, {MAX_RESOLUTION}]")
        if self.interpolation not in _INTERPOLATIONS:
            allowed = ", ".join(_INTERPOLATIONS)
            raise ConfigError(f"interpolation {self.interpolation} is not one of {allowed}")
        self._set_extents()

    def _set_extents(self) -> None:
        extents = tuple(self.extents) or (EXTENT_UNIT,) * self.n_dims
        if len(extents) != self.n_dims:
            raise ConfigError(f"extents {list(extents)} are not {self.n_dims}")
        for extent in extents:
            _check_range("extent", extent, 1, EXTENT_UNIT)
        object.__setattr__(self, "extents", extents)

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Self:
        """The geometry whose `numbers` these are."""
        n_dims, n_levels, n_features, log2_table_size, base, growth, interpolation, *extents = (
            numbers
        )
        options = n_dims, n_levels, n_features, log2_table_size, base, growth / GROWTH_UNIT
        return cls(*options, _INTERPOLATIONS[interpolation], tuple(extents))

    @property
    def numbers(self) -> tuple[int, ...]:
        """All that it is, as integers: what an operator of torch is told."""
        return (
            self.n_dims,
            self.n_levels,
            self.n_features,
            self.log2_table_size,
            self.base_resolution,
            round(self.growth * GROWTH_UNIT),
            _INTERPOLATIONS.index(self.interpolation),
            *self.extents,
        )

    @cached_property
    def levels(self) -> tuple[GridLevel, ...]:
        """The levels, coarsest first."""
        levels: list[GridLevel] = []
        resolution, offset = float(self.base_resolution), 0
        for _ in range(self.n_levels):
            level = self._level(resolution - 1.0, offset)
            levels.append(level)
            offset += level.size
            resolution *= self.growth
        return tuple(levels)

    @cached_property
    def skew(self) -> float:
        """F_n, a float32 value: computed in binary64, then rounded. 0 unless skewed."""
        if self.interpolation != "simplex":
            return 0.0
        return float(np.float32((math.sqrt(self.n_dims + 1.0) - 1.0) / self.n_dims))

    @property
    def n_corners(self) -> int:
        """The entries of a level that a point's value depends on."""
        if self.interpolation == "nearest":
            return 1
        return self.n_dims + 1 if self.interpolation in ("kuhn", "simplex") else 1 << self.n_dims

    @cached_property
    def shape(self) -> tuple[str, tuple[float, ...], tuple[int, ...], tuple[int, ...]]:
        """All that native code needs: interpolation, scales and resolutions level by level, sizes.

        The two in the middle have a number per axis of each level.
        """
        scales = tuple(scale for level in self.levels for scale in level.scales)
        resolutions = tuple(number for level in self.levels for number in level.resolutions)
        return self.interpolation, scales, resolutions, self.sizes

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of table entries of each level."""
        return tuple(level.size for level in self.levels)

    @cached_property
    def n_entries(self) -> int:
        """Rows of the table, all levels together."""
        return sum(self.sizes)

    @property
    def n_outputs(self) -> int:
        """Features per point, all levels together: level-major, coarsest first."""
        return self.n_levels * self.n_features

    def _level(self, span: float, offset: int) -> GridLevel:
        scales = tuple(float(np.float32(span * (e / EXTENT_UNIT))) for e in self.extents)
        resolutions = self._resolutions(scales)
        n_vertices = math.prod(resolutions)
        size = min((n_vertices + 7) // 8 * 8, 1 << self.log2_table_size)
        hashed = n_vertices > size
        dense_strides = tuple(math.prod(resolutions[:axis]) for axis in range(self.n_dims))
        strides = HASH_FACTORS[: self.n_dims] if hashed else dense_strides
        return GridLevel(scales, resolutions, size, offset, hashed, strides)

    def _resolutions(self, scales: tuple[float, ...]) -> tuple[int, ...]:
        """Vertices per axis; in binary64, sums in the order of the axes.

        A position in float32 is at most one vertex beyond. As all axes have two vertices or more
        (or all have one), the last row that is reached is then below twice the level's size.
        """
        if self.interpolation != "simplex":
            return tuple(math.ceil(scale) + 1 for scale in scales)
        shift = self.skew * reduce(operator.add, (scale + 0.5 for scale in scales))
        return tuple(math.floor(scale + 0.5 + shift) + 2 for scale in scales)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} {value} is not in [{low}, {high}]")
