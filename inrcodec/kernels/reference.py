"""The meaning of every kernel, in the array API: the same lines run under numpy and under torch.

Slow and plain. Native code must agree with this page to about 1e-6 of the largest value. Grids are
worked on level by level, so temporaries are of the size of one level's output, not of all.

Sources: grid: Müller et al. 2022, sec. 3, arXiv:2201.05989, no smoothstep; damped sines: Shah and
Sitawarin 2023, arXiv:2306.15242.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import product
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels.geometry import GridGeometry, GridLevel
from inrcodec.kernels.perceptron import Activation

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
        terms = (
            _weight(fraction, corner)[:, None] * xp.take(rows, index, axis=0)
            for corner, index in _corners(xp, cell, level)
        )
        outputs.append(reduce(operator.add, terms))
    features: Array = xp.concat(outputs, axis=1)
    return features


def grid_encode_table_gradient(gradient: Array, coords: Array, geometry: GridGeometry) -> Array:
    """The gradient of the table, given the `gradient` [n, levels * features] of the features."""
    xp = array_api_compat.array_namespace(gradient, coords)
    device = array_api_compat.device(gradient)
    shape = (geometry.n_entries, geometry.n_features)
    total: Array = xp.zeros(shape, dtype=gradient.dtype, device=device)
    for number, level in enumerate(geometry.levels):
        rows = total[level.offset : level.offset + level.size, :]
        features = _features_of(gradient, number, geometry)
        cell, fraction = _locate(xp, coords, level)
        for corner, index in _corners(xp, cell, level):
            weight = xp.astype(_weight(fraction, corner), gradient.dtype)
            _add_rows(rows, index, weight[:, None] * features)
    return total


def grid_encode_coords_gradient(
    gradient: Array, coords: Array, table: Array, geometry: GridGeometry
) -> Array:
    """The gradient of the coordinates; zero at the border of [0, 1] and outside."""
    xp = array_api_compat.array_namespace(gradient, coords, table)
    total: Array = xp.zeros_like(coords)
    for number, level in enumerate(geometry.levels):
        rows = table[level.offset : level.offset + level.size, :]
        features = _features_of(gradient, number, geometry)
        cell, fraction = _locate(xp, coords, level)
        for corner, index in _corners(xp, cell, level):
            along = xp.sum(features * xp.take(rows, index, axis=0), axis=1)
            along = level.scale * xp.astype(along, coords.dtype)
            for axis in range(geometry.n_dims):
                total[:, axis] += _weight_slope(fraction, corner, axis) * along
    inside: Array = xp.astype((coords > 0) & (coords < 1), coords.dtype)
    return total * inside


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


def _locate(xp: ModuleType, coords: Array, level: GridLevel) -> tuple[Array, Array]:
    """The cell [n, dims] (int64) of each point, and the point's place in it, in [0, 1)."""
    inside = xp.where(coords > 0, coords, xp.zeros_like(coords))
    inside = xp.where(inside < 1, inside, xp.ones_like(coords))
    position = xp.astype(xp.astype(inside, xp.float64) * level.scale + 0.5, coords.dtype)
    cell = xp.floor(position)
    return xp.astype(cell, xp.int64), position - cell


def _corners(
    xp: ModuleType, cell: Array, level: GridLevel
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each corner of a cell, as 0 or 1 per axis, and the row [n] of every point's vertex there."""
    for corner in product((0, 1), repeat=cell.shape[1]):
        index = (cell[:, 0] + corner[0]) * level.strides[0]
        for axis in range(1, cell.shape[1]):
            term = (cell[:, axis] + corner[axis]) * level.strides[axis]
            index = xp.bitwise_xor(index, term) if level.hashed else index + term
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
        np.add.at(target, np.asarray(index, np.int64), values)
    else:
        target.index_add_(0, index, values)
