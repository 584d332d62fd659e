"""The one place that fixes order, range and the half-sample rule of coordinates.

Sample i of n on an axis lies at (i + 0.5) / n in [0, 1]; points are in row-major order of the grid
and a point's coordinates in the order of the grid's axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrcodec.representations.base import Window

__all__ = ["axis_coords", "grid_coords", "point_coords"]


def axis_coords(window: Window) -> NDArray[np.float32]:
    """Coordinates [len(window)] of the samples of one axis."""
    index = window.start + np.arange(window.count, dtype=np.float64)
    return ((index + 0.5) / window.size).astype(np.float32)


def grid_coords(grid: tuple[int, ...], points: NDArray[np.int64]) -> NDArray[np.float32]:
    """Coordinates [n, axes] of points of a whole grid by row-major index [n].

    As `point_coords` gives them, without coordinates of points that are not asked for.
    """
    places = np.unravel_index(points, grid)
    columns = [(place + 0.5) / size for place, size in zip(places, grid, strict=True)]
    return np.stack(columns, axis=1).astype(np.float32)


def point_coords(
    axes: tuple[NDArray[np.float32], ...], points: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Coordinates [n, axes] of grid points by row-major index [n], from those of each axis."""
    places = np.unravel_index(points, tuple(len(axis) for axis in axes))
    columns = [axis[place] for axis, place in zip(axes, places, strict=True)]
    return np.stack(columns, axis=1)
