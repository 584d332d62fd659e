"""Where points lie in the cells of a grid's levels, and what each corner counts there.

In the array API, for `reference.py`: rows of a level's table, weights, and their first and second
derivatives along the axes of a cell.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import product
from types import ModuleType
from typing import TYPE_CHECKING, Generic, TypeVar

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels.geometry import GridGeometry, GridLevel, Interpolation

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")

__all__ = ["Corner", "Place", "locate"]


class Corner(ABC, Generic[Array]):
    """A corner of each point's cell, [n] of everything."""

    @abstractmethod
    def step(self, axis: int) -> Array | int:
        """How far from the cell's lowest corner, 0 or 1."""

    @abstractmethod
    def weight(self) -> Array:
        """What its value counts."""

    @abstractmethod
    def slope(self, axis: int) -> Array:
        """The derivative of the weight along an axis of the cell."""

    @abstractmethod
    def bend(self, axis: int, other: int) -> Array:
        """The derivative of the slope on one axis along another, or along the same."""


def locate(xp: ModuleType, coords: Array, level: GridLevel, geometry: GridGeometry) -> Place[Array]:
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
    return Place(xp, xp.astype(cell, xp.int64), position - cell, geometry.interpolation)


@dataclass(frozen=True, slots=True)
class Place(Generic[Array]):
    """The cell [n, dims] (int64) of each point, and the point's place in it, in [0, 1)."""

    xp: ModuleType
    cell: Array
    fraction: Array
    interpolation: Interpolation

    def corners(self) -> Iterator[Corner[Array]]:
        """The corners of each point's cell, or of its simplex."""
        n_dims, f = self.fraction.shape[1], self.fraction
        if self.interpolation == "nearest":
            yield _Vertex(f)
        elif self.interpolation in ("linear", "smoothstep"):
            is_smooth = self.interpolation == "smoothstep"
            rises = (f, self.xp.ones_like(f), self.xp.zeros_like(f))
            if is_smooth:
                rises = f * f * (3.0 - 2.0 * f), 6.0 * f * (1.0 - f), 6.0 - 12.0 * f
            for steps in product((0, 1), repeat=n_dims):
                yield _CubeCorner(rises, steps)
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

    def row(self, corner: Corner[Array], level: GridLevel) -> Array:
        """The row [n] of a corner's vertex within the level."""
        terms = (
            (self.cell[:, axis] + corner.step(axis)) * stride
            for axis, stride in enumerate(level.strides)
        )
        index: Array = reduce(self.xp.bitwise_xor if level.hashed else operator.add, terms)
        return index % level.size


@dataclass(frozen=True, slots=True)
class _Vertex(Corner[Array]):
    """The lowest corner of the cell, alone."""

    fraction: Array

    def step(self, axis: int) -> int:
        return 0

    def weight(self) -> Array:
        return self.fraction[:, 0] * 0.0 + 1.0

    def slope(self, axis: int) -> Array:
        return self.fraction[:, axis] * 0.0

    def bend(self, axis: int, other: int) -> Array:
        return self.fraction[:, axis] * 0.0


@dataclass(frozen=True, slots=True)
class _CubeCorner(Corner[Array]):
    """A corner of the cell: `steps` is 0 or 1 per axis.

    `rises` [n, dims] from 0 to 1 through the cell, and their first and second derivatives.
    """

    rises: tuple[Array, Array, Array]
    steps: tuple[int, ...]

    def step(self, axis: int) -> int:
        return self.steps[axis]

    def weight(self) -> Array:
        """The product over the axes of the rise or 1 less it."""
        return self._product({})

    def slope(self, axis: int) -> Array:
        return self._product({axis: 1})

    def bend(self, axis: int, other: int) -> Array:
        return self._product({axis: 2} if axis == other else {axis: 1, other: 1})

    def _product(self, orders: dict[int, int]) -> Array:
        """Of the factors of all axes, of these axes the derivatives of an order."""
        axes = range(len(self.steps))
        return reduce(operator.mul, (self._factor(axis, orders.get(axis, 0)) for axis in axes))

    def _factor(self, axis: int, order: int) -> Array:
        rise = self.rises[order][:, axis]
        if self.steps[axis]:
            return rise
        return -rise if order else 1.0 - rise


@dataclass(frozen=True, slots=True)
class _SimplexCorner(Corner[Array]):
    """The corner reached by a step along each of the `number` axes of largest fraction."""

    xp: ModuleType
    fractions: list[Array]
    ranks: list[Array]
    number: int

    def step(self, axis: int) -> Array:
        steps: Array = self.xp.astype(self.ranks[axis] < self.number, self.ranks[axis].dtype)
        return steps

    def weight(self) -> Array:
        """The fraction of the last axis that was stepped along, less that of the next one."""
        if self.number == 0:
            return 1.0 - self._sorted(0)
        if self.number == len(self.ranks):
            return self._sorted(self.number - 1)
        return self._sorted(self.number - 1) - self._sorted(self.number)

    def slope(self, axis: int) -> Array:
        return self._is_at(axis, self.number - 1) - self._is_at(axis, self.number)

    def bend(self, axis: int, other: int) -> Array:
        return self.fractions[axis] * 0.0

    def _sorted(self, rank: int) -> Array:
        terms = (self._is_at(axis, rank) * f for axis, f in enumerate(self.fractions))
        return reduce(operator.add, terms)

    def _is_at(self, axis: int, rank: int) -> Array:
        there: Array = self.xp.astype(self.ranks[axis] == rank, self.fractions[axis].dtype)
        return there
