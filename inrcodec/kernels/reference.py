"""The meaning of every kernel, in the array API: the same lines run under numpy and under torch.

Slow and plain. Native code must agree with this page to about 1e-6 of the largest value. Works
level by level, so temporaries are of the size of one level's output, not of all.

Source: Müller et al. 2022, sec. 3, arXiv:2201.05989; no smoothstep.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels.geometry import GridGeometry, GridLevel

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")

__all__ = ["grid_encode", "grid_encode_backward"]


def grid_encode(coords: Array, table: Array, geometry: GridGeometry) -> Array:
    """Features [n, levels * features] of `table` [entries, features] at `coords` [n, dims].

    out[i, l] = sum over the 2**dims corners v of x_i's cell of w_v(x_i) * table[index_l(v)], with
    the multilinear weights w. Coordinates outside [0, 1] are moved to its border and NaN to 0; the
    result has the type of `table`. Position p = s * x + 0.5 is computed in float64 and rounded
    once to the type of coords, as a fused multiply-add would.
    """
    xp = array_api_compat.array_namespace(coords, table)
    outputs: list[Array] = []
    for level in geometry.levels:
        rows = table[level.offset : level.offset + level.size, :]
        cell, fraction = _locate(xp, coords, level)
        fraction = xp.astype(fraction, table.dtype)
        total = 0.0
        for corner, index in _corners(cell, level):
            weight = _weight(fraction, corner)
            total = total + weight[:, None] * xp.take(rows, index, axis=0)
        outputs.append(total)
    return xp.concat(outputs, axis=1)


def grid_encode_backward(
    gradient: Array, coords: Array, table: Array, geometry: GridGeometry
) -> tuple[Array, Array]:
    """Gradients with respect to `coords` and `table`, given the `gradient` of the output.

    The gradient of a coordinate at or outside the border of [0, 1] is zero.
    """
    xp = array_api_compat.array_namespace(gradient, coords, table)
    grad_coords, grad_table = xp.zeros_like(coords), xp.zeros_like(table)
    inside = xp.astype((coords > 0) & (coords < 1), coords.dtype)
    for number, level in enumerate(geometry.levels):
        span = slice(level.offset, level.offset + level.size)
        first = number * geometry.n_features
        g = gradient[:, first : first + geometry.n_features]
        cell, fraction = _locate(xp, coords, level)
        for corner, index in _corners(cell, level):
            weight = xp.astype(_weight(fraction, corner), table.dtype)
            _add_rows(grad_table[span, :], index, weight[:, None] * g)
            along = xp.astype(
                xp.sum(g * xp.take(table[span, :], index, axis=0), axis=1), coords.dtype
            )
            for axis in range(geometry.n_dims):
                slope = level.scale * _weight_slope(fraction, corner, axis)
                grad_coords[:, axis] += slope * along
    return grad_coords * inside, grad_table


def _locate(xp: ModuleType, coords: Array, level: GridLevel) -> tuple[Array, Array]:
    """The cell [n, dims] (int64) of each point, and the point's place in it, in [0, 1)."""
    inside = xp.where(coords > 0, coords, xp.zeros_like(coords))
    inside = xp.where(inside < 1, inside, xp.ones_like(coords))
    position = xp.astype(xp.astype(inside, xp.float64) * level.scale + 0.5, coords.dtype)
    cell = xp.floor(position)
    return xp.astype(cell, xp.int64), position - cell


def _corners(cell: Array, level: GridLevel) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each corner of a cell, as 0 or 1 per axis, and the row [n] of every point's vertex there."""
    for corner in product((0, 1), repeat=cell.shape[1]):
        index = (cell[:, 0] + corner[0]) * level.strides[0]
        for axis in range(1, cell.shape[1]):
            term = (cell[:, axis] + corner[axis]) * level.strides[axis]
            index = index ^ term if level.hashed else index + term
        yield corner, index % level.size


def _weight(fraction: Array, corner: tuple[int, ...]) -> Array:
    """The weight [n] of a corner: the product over the axes of f or 1 - f."""
    weight = _factor(fraction, corner, 0)
    for axis in range(1, len(corner)):
        weight = weight * _factor(fraction, corner, axis)
    return weight


def _weight_slope(fraction: Array, corner: tuple[int, ...], axis: int) -> Array:
    """The derivative [n] of a corner's weight along an axis of the cell."""
    slope = fraction[:, axis] * 0.0 + (1.0 if corner[axis] else -1.0)
    for other in range(len(corner)):
        if other != axis:
            slope = slope * _factor(fraction, corner, other)
    return slope


def _factor(fraction: Array, corner: tuple[int, ...], axis: int) -> Array:
    return fraction[:, axis] if corner[axis] else 1.0 - fraction[:, axis]


def _add_rows(target: Array, index: Array, values: Array) -> None:
    """target[index] += values, repetitions counted, which the array API cannot say."""
    if isinstance(target, np.ndarray):
        np.add.at(target, index, values)
    else:
        target.index_add_(0, index, values)
