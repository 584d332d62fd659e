"""How tiny-cuda-nn's HashGrid computes a grid of ours: which encodings, and which rows they read.

Its levels are cubes of R = ceil(N * growth**l - 1) + 1 vertices per axis, axis 0 fastest, with one
scale for all axes. A grid whose extents are all 1 is that, row for row. Of another grid each level
is an encoding of its own, of one level: its cube is one vertex wider than the box of ours, so that
nothing wraps, coordinates are shrunk to the box, and the table is spread out by an index. All
levels in one encoding would not do: there a point near the end of an axis of extent 1 wraps to rows
that vertices near its beginning have as well, which in a box they have not. Nor would it for a
growth that is no power of 2, as its exp2f may then round a scale across a whole number, and with it
R; nor for more than 128 features, a block of whose threads it cannot launch. Hashed levels have the
same rows in both.

Source: tiny-cuda-nn `encodings/grid.h`, `common_device.h`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.kernels.geometry import EXTENT_UNIT, GridGeometry, GridLevel

__all__ = ["TcnnLayout", "TcnnPart", "layout_of"]

_INTERPOLATIONS: Final = ("linear", "smoothstep", "nearest")
_EXACT_GROWTHS: Final = (1.0, 2.0, 4.0, 8.0)
_MAX_LOG2_ROWS: Final = 24
_MAX_OUTPUTS: Final = 128


@dataclass(frozen=True, slots=True)
class TcnnPart:
    """One encoding: its `config` and `n_rows`; `factors` multiply coordinates, per axis."""

    config: dict[str, str | int | float]
    n_rows: int
    factors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TcnnLayout:
    """The encodings whose features, joined, are the grid's.

    `rows`: for each row of their tables, one after the other, the row of ours that it is; None if
    they are the same. Rows that no point reaches are any of their level.
    """

    parts: tuple[TcnnPart, ...]
    rows: NDArray[np.int64] | None


def layout_of(geometry: GridGeometry) -> TcnnLayout:
    """How a grid is computed. Raises ConfigError for one that tiny-cuda-nn has not."""
    if geometry.interpolation not in _INTERPOLATIONS:
        name = geometry.interpolation
        raise ConfigError(
            f"backend tcnn has no {name} interpolation: linear, smoothstep or nearest"
        )
    if geometry.n_dims == 1:
        raise ConfigError("backend tcnn has no grids of 1 dimension: 2, 3 or 4")
    if _is_a_hash_grid(geometry):
        return TcnnLayout((_whole(geometry),), None)
    parts = tuple(_part(geometry, level) for level in geometry.levels)
    rows = [_rows(level, part.n_rows) for level, part in zip(geometry.levels, parts, strict=True)]
    return TcnnLayout(parts, np.concatenate(rows))


def _is_a_hash_grid(geometry: GridGeometry) -> bool:
    is_exact = geometry.n_levels == 1 or geometry.growth in _EXACT_GROWTHS
    is_cube = all(extent == EXTENT_UNIT for extent in geometry.extents)
    return is_exact and is_cube and geometry.n_outputs <= _MAX_OUTPUTS


def _whole(geometry: GridGeometry) -> TcnnPart:
    config = {
        **_common(geometry),
        "n_levels": geometry.n_levels,
        "log2_hashmap_size": geometry.log2_table_size,
        "base_resolution": geometry.base_resolution,
        "per_level_scale": geometry.growth,
    }
    return TcnnPart(config, geometry.n_entries, (1.0,) * geometry.n_dims)


def _part(geometry: GridGeometry, level: GridLevel) -> TcnnPart:
    width = _width(level)
    n_vertices = width**geometry.n_dims
    log2_rows = geometry.log2_table_size
    if not level.hashed:
        log2_rows = max((n_vertices - 1).bit_length(), 3)
    if log2_rows > _MAX_LOG2_ROWS:
        size = " x ".join([str(width)] * geometry.n_dims)
        raise ConfigError(
            f"backend tcnn has no dense level of {size} vertices: at most 2^{_MAX_LOG2_ROWS}"
        )
    config = {
        **_common(geometry),
        "n_levels": 1,
        "log2_hashmap_size": log2_rows,
        "base_resolution": width,
        "per_level_scale": 1.0,
    }
    n_rows = min((n_vertices + 7) // 8 * 8, 1 << log2_rows)
    return TcnnPart(config, n_rows, tuple(scale / (width - 1) for scale in level.scales))


def _common(geometry: GridGeometry) -> dict[str, str | int | float]:
    return {
        "otype": "HashGrid",
        "n_features_per_level": geometry.n_features,
        "interpolation": geometry.interpolation.capitalize(),
    }


def _width(level: GridLevel) -> int:
    """Vertices per axis of the cube: up to the one past the last of the longest axis."""
    return max(level.resolutions) + 1


def _rows(level: GridLevel, n_rows: int) -> NDArray[np.int64]:
    """The row of ours for each row of the cube; vertices beyond the box share out the level."""
    rows: NDArray[np.int64] = np.arange(n_rows, dtype=np.int64) % level.size
    if not level.hashed:
        n_dims, width = len(level.resolutions), _width(level)
        cube = rows[: width**n_dims].reshape((width,) * n_dims)
        box = tuple(slice(0, resolution + 1) for resolution in reversed(level.resolutions))
        cube[box] = reduce(np.add.outer, _along_axes(level)) % level.size
    return rows + level.offset


def _along_axes(level: GridLevel) -> Iterator[NDArray[np.int64]]:
    """What each vertex adds to its row, the last axis first."""
    for resolution, stride in zip(
        reversed(level.resolutions), reversed(level.strides), strict=True
    ):
        yield np.arange(resolution + 1, dtype=np.int64) * stride
