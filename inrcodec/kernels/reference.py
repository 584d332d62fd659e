"""The meaning of every kernel, in the array API: the same lines run under numpy and under torch.

Slow and plain. Native code must agree with this page to about 1e-6 of the largest value. Grids are
worked on level by level, so temporaries are of the size of one level's output, not of all.

Sources: grid: Müller et al. 2022, sec. 3, arXiv:2201.05989; its simplices: Wen and
Yang 2023; damped sines: Shah and Sitawarin 2023, arXiv:2306.15242.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from types import ModuleType
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels.geometry import GridGeometry, GridLevel, Interpolation
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

    out[i, l] = sum over the corners v of x_i's cell or simplex of w_v(x_i) * table[index_l(v)].
    Coordinates outside [0, 1] are moved to its border and NaN to 0; the result has the type of
    `table`. Positions p = s * x + 0.5, and y = F * sum(p) + p where the grid is skewed, are
    computed in float64 and rounded once to the type of coords, as a fused multiply-add would; the
    sum is one of that type, in the order of the axes.
    """
    xp = array_api_compat.array_namespace(coords, table)
    outputs: list[Array] = []
    for level in geometry.levels:
        rows = table[level.offset : level.offset + level.size, :]
        place = _locate(xp, coords, level, geometry)
        terms = (
            xp.astype(corner.weight(), table.dtype)[:, None]
            * xp.take(rows, place.row(corner, level), axis=0)
            for corner in place.corners()
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
        place = _locate(xp, coords, level, geometry)
        for corner in place.corners():
            weight = xp.astype(corner.weight(), gradient.dtype)
            _add_rows(rows, place.row(corner, level), weight[:, None] * features)
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
        place = _locate(xp, coords, level, geometry)
        slopes: Array = xp.zeros_like(coords)
        for corner in place.corners():
            values = xp.take(rows, place.row(corner, level), axis=0)
            along = xp.astype(xp.sum(features * values, axis=1), coords.dtype)
            for axis in range(geometry.n_dims):
                slopes[:, axis] += corner.slope(axis) * along
        if geometry.interpolation == "simplex":
            slopes = slopes + geometry.skew * xp.sum(slopes, axis=1)[:, None]
        for axis, scale in enumerate(level.scales):
            total[:, axis] += scale * slopes[:, axis]
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


def _locate(
    xp: ModuleType, coords: Array, level: GridLevel, geometry: GridGeometry
) -> _Place[Array]:
    """Where each point lies on a level."""
    inside = xp.where(coords > 0, coords, xp.zeros_like(coords))
    inside = xp.where(inside < 1, inside, xp.ones_like(coords))
    scales = xp.asarray(level.scales, dtype=xp.float64, device=array_api_compat.device(coords))
    position = xp.astype(xp.astype(inside, xp.float64) * scales + 0.5, coords.dtype)
    if geometry.interpolation == "simplex":
        total = reduce(operator.add, (position[:, axis] for axis in range(geometry.n_dims)))
        shift = geometry.skew * xp.astype(total, xp.float64)[:, None]
        position = xp.astype(shift + xp.astype(position, xp.float64), coords.dtype)
    cell = xp.floor(position)
    return _Place(xp, xp.astype(cell, xp.int64), position - cell, geometry.interpolation)


@dataclass(frozen=True, slots=True)
class _Place(Generic[Array]):
    """The cell [n, dims] (int64) of each point, and the point's place in it, in [0, 1)."""

    xp: ModuleType
    cell: Array
    fraction: Array
    interpolation: Interpolation

    def corners(self) -> Iterator[_Corner[Array]]:
        """The corners of each point's cell, or of its simplex."""
        n_dims, f = self.fraction.shape[1], self.fraction
        if self.interpolation == "nearest":
            yield _Vertex(f)
        elif self.interpolation in ("linear", "smoothstep"):
            is_smooth = self.interpolation == "smoothstep"
            heights = f * f * (3.0 - 2.0 * f) if is_smooth else f
            slopes = 6.0 * f * (1.0 - f) if is_smooth else self.xp.ones_like(f)
            for steps in product((0, 1), repeat=n_dims):
                yield _CubeCorner(heights, slopes, steps)
        else:
            fractions = [self.fraction[:, axis] for axis in range(n_dims)]
            ranks = [self._rank(axis) for axis in range(n_dims)]
            for number in range(n_dims + 1):
                yield _SimplexCorner(self.xp, fractions, ranks, number)

    def _rank(self, axis: int) -> Array:
        """How many axes come before this one [n] by falling fraction, equal ones by number."""
        mine = self.fraction[:, axis]
        others = [i for i in range(self.fraction.shape[1]) if i != axis]
        ahead = (
            self.fraction[:, i] >= mine if i < axis else self.fraction[:, i] > mine for i in others
        )
        rank: Array = self.xp.zeros_like(self.cell[:, axis])
        for is_ahead in ahead:
            rank = rank + self.xp.astype(is_ahead, rank.dtype)
        return rank

    def row(self, corner: _Corner[Array], level: GridLevel) -> Array:
        """The row [n] of a corner's vertex within the level."""
        terms = (
            (self.cell[:, axis] + corner.step(axis)) * stride
            for axis, stride in enumerate(level.strides)
        )
        index: Array = reduce(self.xp.bitwise_xor if level.hashed else operator.add, terms)
        return index % level.size


@dataclass(frozen=True, slots=True)
class _Vertex(Generic[Array]):
    """The lowest corner of the cell, alone."""

    fraction: Array

    def step(self, axis: int) -> int:
        """How far from the cell's lowest corner."""
        return 0

    def weight(self) -> Array:
        """One [n]."""
        return self.fraction[:, 0] * 0.0 + 1.0

    def slope(self, axis: int) -> Array:
        """The derivative [n] of the weight: zero."""
        return self.fraction[:, axis] * 0.0


@dataclass(frozen=True, slots=True)
class _CubeCorner(Generic[Array]):
    """A corner of the cell: `steps` is 0 or 1 per axis.

    `heights` [n, dims] rise from 0 to 1 through the cell, with `slopes`.
    """

    heights: Array
    slopes: Array
    steps: tuple[int, ...]

    def step(self, axis: int) -> int:
        """How far from the cell's lowest corner."""
        return self.steps[axis]

    def weight(self) -> Array:
        """The product [n] over the axes of the height or 1 less it."""
        return reduce(operator.mul, (self._factor(axis) for axis in range(len(self.steps))))

    def slope(self, axis: int) -> Array:
        """The derivative [n] of the weight along an axis of the cell."""
        slope = self.slopes[:, axis] * (1.0 if self.steps[axis] else -1.0)
        others = (self._factor(other) for other in range(len(self.steps)) if other != axis)
        return reduce(operator.mul, others, slope)

    def _factor(self, axis: int) -> Array:
        return self.heights[:, axis] if self.steps[axis] else 1.0 - self.heights[:, axis]


@dataclass(frozen=True, slots=True)
class _SimplexCorner(Generic[Array]):
    """The corner reached by a step along each of the `number` axes of largest fraction."""

    xp: ModuleType
    fractions: list[Array]
    ranks: list[Array]
    number: int

    def step(self, axis: int) -> Array:
        """How far from the cell's lowest corner [n], 0 or 1."""
        steps: Array = self.xp.astype(self.ranks[axis] < self.number, self.ranks[axis].dtype)
        return steps

    def weight(self) -> Array:
        """The fraction [n] of the last axis that was stepped along, less that of the next one."""
        if self.number == 0:
            return 1.0 - self._sorted(0)
        if self.number == len(self.ranks):
            return self._sorted(self.number - 1)
        return self._sorted(self.number - 1) - self._sorted(self.number)

    def slope(self, axis: int) -> Array:
        """The derivative [n] of the weight along an axis of the cell."""
        return self._is_at(axis, self.number - 1) - self._is_at(axis, self.number)

    def _sorted(self, rank: int) -> Array:
        terms = (self._is_at(axis, rank) * f for axis, f in enumerate(self.fractions))
        return reduce(operator.add, terms)

    def _is_at(self, axis: int, rank: int) -> Array:
        there: Array = self.xp.astype(self.ranks[axis] == rank, self.fractions[axis].dtype)
        return there


_Corner: TypeAlias = _Vertex[Array] | _CubeCorner[Array] | _SimplexCorner[Array]


def _add_rows(target: Array, index: Array, values: Array) -> None:
    """target[index] += values, repetitions counted, which the array API cannot say."""
    if isinstance(target, np.ndarray):
        np.add.at(target, np.asarray(index, np.int64), values)
    else:
        target.index_add_(0, index, values)
