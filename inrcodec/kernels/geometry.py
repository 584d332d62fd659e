"""Where the vertices of a multiresolution grid lie in its table: integers, one float per level.

The geometry is that of tiny-cuda-nn's HashGrid, so that tables interchange with it. Level l has
the scale s = base_resolution * growth**l - 1 and ceil(s) + 1 vertices per axis; a point x in [0,
1] lies at p = s * x + 0.5 vertices, in the cell floor(p). A level that fits its share of the table
is dense, row-major with axis 0 fastest; a finer one is hashed. The half-vertex offset lets p reach
the vertex just past the last one of a row: there a dense level goes on in the next row, and past
its end at its beginning.

Source: Müller et al. 2022, sec. 3, arXiv:2201.05989; tiny-cuda-nn `encodings/grid.h`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inrcodec.errors import ConfigError

__all__ = ["FEATURES", "GROWTH_UNIT", "HASH_FACTORS", "MAX_RESOLUTION", "GridGeometry", "GridLevel"]

FEATURES = (1, 2, 4, 8)
GROWTH_UNIT = 4096
HASH_FACTORS = (1, 2654435761, 805459861, 3674653429)
MAX_RESOLUTION = 1 << 22


@dataclass(frozen=True, slots=True)
class GridLevel:
    """One resolution of a grid; its entries are `offset` <= i < `offset + size` of the table.

    `scale` is a float32 value. A vertex position is multiplied by `strides`, axis by axis; the
    products are added when the level is dense and XORed in 32 bits when it is `hashed`; the result
    is taken modulo `size`.
    """

    scale: float
    resolution: int
    size: int
    offset: int
    hashed: bool
    strides: tuple[int, ...]


@dataclass(frozen=True)
class GridGeometry:
    """The shape of a multiresolution grid; everything else about it follows.

    `n_dims` 1 to 4, `n_levels` 1 to 32, `n_features` 1, 2, 4 or 8 per entry, at most
    2**`log2_table_size` (3 to 24) entries per level, `base_resolution` at least 1, `growth` from 1
    up to (not including) 16 in multiples of 1/4096. The finest resolution is at most 2**22. Raises
    ConfigError otherwise.

    >>> levels = GridGeometry(2, 2, 2, log2_table_size=8, base_resolution=16, growth=2.0).levels
    >>> [(level.resolution, level.size, level.hashed) for level in levels]
    [(16, 256, False), (32, 256, True)]
    """

    n_dims: int
    n_levels: int
    n_features: int
    log2_table_size: int
    base_resolution: int
    growth: float

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

    @cached_property
    def levels(self) -> tuple[GridLevel, ...]:
        """The levels, coarsest first."""
        levels: list[GridLevel] = []
        resolution, offset = float(self.base_resolution), 0
        for _ in range(self.n_levels):
            level = self._level(float(np.float32(resolution - 1.0)), offset)
            levels.append(level)
            offset += level.size
            resolution *= self.growth
        return tuple(levels)

    @cached_property
    def scales(self) -> tuple[float, ...]:
        """The scale of each level; with `sizes`, all that native code needs to know."""
        return tuple(level.scale for level in self.levels)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of table entries of each level."""
        return tuple(level.size for level in self.levels)

    @property
    def n_entries(self) -> int:
        """Rows of the table, all levels together."""
        return sum(self.sizes)

    @property
    def n_outputs(self) -> int:
        """Features per point, all levels together: level-major, coarsest first."""
        return self.n_levels * self.n_features

    def _level(self, scale: float, offset: int) -> GridLevel:
        resolution = math.ceil(scale) + 1
        n_vertices = resolution**self.n_dims
        size = min((n_vertices + 7) // 8 * 8, 1 << self.log2_table_size)
        hashed = n_vertices > size
        dense_strides = tuple(resolution**axis for axis in range(self.n_dims))
        strides = HASH_FACTORS[: self.n_dims] if hashed else dense_strides
        return GridLevel(scale, resolution, size, offset, hashed, strides)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} {value} is not in [{low}, {high}]")
