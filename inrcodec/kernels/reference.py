"""The meaning of every kernel, in the array API: the same lines run under numpy and under torch.

Slow and plain. Native code must agree with this page to about 1e-6 of the largest value, but for
points on the border of two cells (docs/decisions/0010). Grids are worked on level by level, so
temporaries are of the size of one level's output, not of all.

Sources: grid: Müller et al. 2022, sec. 3, arXiv:2201.05989; its simplices: Wen and
Yang 2023; damped sines: Shah and Sitawarin 2023, arXiv:2306.15242.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels.geometry import GridGeometry, GridLevel
from inrcodec.kernels.perceptron import Activation
from inrcodec.kernels.reference_cells import Corner, locate

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")

__all__ = [
    "grid_encode",
    "grid_encode_coords_gradient",
    "grid_encode_table_gradient",
    "mlp",
    "mlp_gradients",
]


def grid_encode(
    coords: Array, table: Array, geometry: GridGeometry, *, direction: Array | None = None
) -> Array:
    """Features [n, levels * features] of `table` [entries, features] at `coords` [n, dims].

    out[i, l] = sum over the corners v of x_i's cell or simplex of w_v(x_i) * table[index_l(v)].
    Coordinates outside [0, 1] are moved to its border and NaN to 0; the result has the type of
    `table`. Positions p = s * x + 0.5, and y = F * sum(p) + p where the grid is skewed, are
    computed in float64 and rounded once to the type of coords, as a fused multiply-add would; the
    sum is one of that type, in the order of the axes.

    With a `direction` [n, dims], the derivatives of the features along it, at the border of [0, 1]
    and outside without the axes of which that is so.
    """
    xp = array_api_compat.array_namespace(coords, table)
    outputs: list[Array] = []
    for level in geometry.levels:
        rows = table[level.offset : level.offset + level.size, :]
        place = locate(xp, coords, level, geometry)
        way = _way(xp, direction, coords, level=level, geometry=geometry)
        terms = (
            xp.astype(_weight(corner, way), table.dtype)[:, None]
            * xp.take(rows, place.row(corner, level), axis=0)
            for corner in place.corners()
        )
        outputs.append(reduce(operator.add, terms))
    features: Array = xp.concat(outputs, axis=1)
    return features


def grid_encode_table_gradient(
    gradient: Array, coords: Array, geometry: GridGeometry, *, direction: Array | None = None
) -> Array:
    """The gradient of the table, given the `gradient` [n, levels * features] of what is encoded."""
    xp = array_api_compat.array_namespace(gradient, coords)
    device = array_api_compat.device(gradient)
    shape = (geometry.n_entries, geometry.n_features)
    total: Array = xp.zeros(shape, dtype=gradient.dtype, device=device)
    for number, level in enumerate(geometry.levels):
        rows = total[level.offset : level.offset + level.size, :]
        features = _features_of(gradient, number, geometry)
        place = locate(xp, coords, level, geometry)
        way = _way(xp, direction, coords, level=level, geometry=geometry)
        for corner in place.corners():
            weight = xp.astype(_weight(corner, way), gradient.dtype)
            _add_rows(rows, place.row(corner, level), weight[:, None] * features)
    return total


def grid_encode_coords_gradient(
    gradient: Array,
    coords: Array,
    table: Array,
    geometry: GridGeometry,
    *,
    direction: Array | None = None,
) -> Array:
    """The gradient of the coordinates; zero at the border of [0, 1] and outside."""
    xp = array_api_compat.array_namespace(gradient, coords, table)
    total: Array = xp.zeros_like(coords)
    for number, level in enumerate(geometry.levels):
        rows = table[level.offset : level.offset + level.size, :]
        features = _features_of(gradient, number, geometry)
        place = locate(xp, coords, level, geometry)
        way = _way(xp, direction, coords, level=level, geometry=geometry)
        slopes: Array = xp.zeros_like(coords)
        for corner in place.corners():
            values = xp.take(rows, place.row(corner, level), axis=0)
            along = xp.astype(xp.sum(features * values, axis=1), coords.dtype)
            for axis in range(geometry.n_dims):
                slopes[:, axis] += _slope_of(corner, axis, way) * along
        if geometry.interpolation == "simplex":
            slopes = slopes + geometry.skew * xp.sum(slopes, axis=1)[:, None]
        for axis, scale in enumerate(level.scales):
            total[:, axis] += scale * slopes[:, axis]
    return total * _inside(xp, coords)


def _inside(xp: ModuleType, coords: Array) -> Array:
    """1 where a coordinate is within (0, 1), else 0."""
    inside: Array = xp.astype((coords > 0) & (coords < 1), coords.dtype)
    return inside


def _way(
    xp: ModuleType,
    direction: Array | None,
    coords: Array,
    *,
    level: GridLevel,
    geometry: GridGeometry,
) -> list[Array] | None:
    """A direction in the cells of a level, [n] for each axis."""
    if direction is None:
        return None
    inside = _inside(xp, coords) > 0
    axes = xp.where(inside, direction, xp.zeros_like(direction)).T
    way = [axes[axis, :] * scale for axis, scale in enumerate(level.scales)]
    if geometry.interpolation != "simplex":
        return way
    total = reduce(operator.add, way)
    return [step + geometry.skew * total for step in way]


def _weight(corner: Corner[Array], way: list[Array] | None) -> Array:
    """What a corner counts, or its derivative on a way through the cell."""
    if way is None:
        return corner.weight()
    return reduce(operator.add, (corner.slope(axis) * step for axis, step in enumerate(way)))


def _slope_of(corner: Corner[Array], axis: int, way: list[Array] | None) -> Array:
    """The derivative of `_weight` along an axis of the cell."""
    if way is None:
        return corner.slope(axis)
    return reduce(operator.add, (corner.bend(axis, d) * step for d, step in enumerate(way)))


def mlp(
    x: Array, weights: Sequence[Array], biases: Sequence[Array] | None, activation: Activation
) -> Array:
    """Values [n, outputs] at x [n, inputs]: h = activation(W h + b), the last layer without it.

    sine: sin h; relu: max(h, 0); sine_sqrt: sin h sqrt|h|; sine_arctan: sin h arctan h; sine_log:
    sin h ln(1 + |h|).
    """
    layers = _layers(weights, biases)
    for weight, bias in layers[:-1]:
        x = _activate(_affine(x, weight, bias), activation)
    return _affine(x, *layers[-1])


def mlp_gradients(
    gradient: Array,
    x: Array,
    weights: Sequence[Array],
    biases: Sequence[Array] | None,
    *,
    activation: Activation,
) -> tuple[list[Array], list[Array] | None, Array]:
    """The gradients of weights, biases and x, given the `gradient` [n, outputs] of the values.

    The slopes of relu and of sine_sqrt at 0 are 0.
    """
    xp = array_api_compat.array_namespace(gradient, x)
    inputs, slopes = [x], []
    for weight, bias in _layers(weights, biases)[:-1]:
        sums = _affine(inputs[-1], weight, bias)
        inputs.append(_activate(sums, activation))
        slopes.append(_slope(sums, activation))
    of_weights, of_biases = [], []
    for number in reversed(range(len(weights))):
        of_weights.append(gradient.T @ inputs[number])
        of_biases.append(xp.sum(gradient, axis=0))
        gradient = gradient @ weights[number]
        if number > 0:
            gradient = gradient * slopes[number - 1]
    return of_weights[::-1], None if biases is None else of_biases[::-1], gradient


def _layers(
    weights: Sequence[Array], biases: Sequence[Array] | None
) -> list[tuple[Array, Array | None]]:
    return [
        (weight, None if biases is None else biases[number])
        for number, weight in enumerate(weights)
    ]


def _affine(x: Array, weight: Array, bias: Array | None) -> Array:
    y = x @ weight.T
    if bias is not None:
        y += bias
    return y


def _activate(sums: Array, activation: Activation) -> Array:
    xp = array_api_compat.array_namespace(sums)
    values: Array
    if activation == "relu":
        values = xp.clip(sums, 0.0, None)
    elif activation == "sine":
        values = xp.sin(sums)
    else:
        values = xp.sin(sums) * _damping(xp, sums, activation)
    return values


def _slope(sums: Array, activation: Activation) -> Array:
    """The derivative of `_activate`; finite wherever `sums` is."""
    xp = array_api_compat.array_namespace(sums)
    slopes: Array
    if activation == "relu":
        slopes = xp.astype(sums > 0, sums.dtype)
    elif activation == "sine":
        slopes = xp.cos(sums)
    else:
        slopes = xp.cos(sums) * _damping(xp, sums, activation)
        slopes += xp.sin(sums) * _damping_slope(xp, sums, activation)
    return slopes


def _damping(xp: ModuleType, sums: Array, activation: Activation) -> Array:
    """What a damped sine is multiplied by."""
    damping: Array
    if activation == "sine_arctan":
        damping = xp.atan(sums)
    elif activation == "sine_log":
        damping = xp.log1p(xp.abs(sums))
    else:
        damping = xp.sqrt(xp.abs(sums))
    return damping


def _damping_slope(xp: ModuleType, sums: Array, activation: Activation) -> Array:
    """The derivative of `_damping`; that of the root is cut off where it would not be finite."""
    slope: Array
    if activation == "sine_arctan":
        slope = 1.0 / (1.0 + sums * sums)
    elif activation == "sine_log":
        slope = xp.sign(sums) / (1.0 + xp.abs(sums))
    else:
        tiny = float(xp.finfo(sums.dtype).smallest_normal)
        slope = 0.5 * xp.sign(sums) / xp.sqrt(xp.clip(xp.abs(sums), tiny, None))
    return slope


def _features_of(gradient: Array, number: int, geometry: GridGeometry) -> Array:
    """The columns of one level."""
    first = number * geometry.n_features
    return gradient[:, first : first + geometry.n_features]


def _add_rows(target: Array, index: Array, values: Array) -> None:
    """target[index] += values, repetitions counted, which the array API cannot say."""
    if isinstance(target, np.ndarray):
        np.add.at(target, np.asarray(index, np.int64), values)
    else:
        target.index_add_(0, index, values)
