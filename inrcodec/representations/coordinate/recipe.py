"""How a family of networks is best fitted, and from where. Needs no torch: families state it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Base", "Recipe"]

_MAX_BATCH_POINTS = 1 << 16
_PARAMETERS_PER_POINT = 256  # more points than that would make iterations too few


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """An earlier function of the same network, to which symbols may be coded as differences.

    One array of symbols and one step index per tensor.
    """

    symbols: tuple[NDArray[np.int64], ...]
    step_indices: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a family is best fitted.

    `batch_points` per iteration at least, more for many parameters; values are rounded from the
    fraction `hard_from` of the budget on, before that they are `free` or carry `noise`;
    `resumed_rate` scales the learning rates of a fit that goes on from an earlier one, which rounds
    from its beginning, and `warm_rate` those of a fit that begins at a base.
    """

    batch_points: int
    hard_from: float
    soft: Literal["free", "noise"]
    step_rate: float = 1e-2
    resumed_rate: float = 0.05
    warm_rate: float = 1.0
    beta2: float = 0.99

    def points_of_batch(self, n_parameters: int) -> int:
        """More points where there are many values to move, which take as long for any batch."""
        wanted = n_parameters // _PARAMETERS_PER_POINT
        return max(self.batch_points, min(wanted, _MAX_BATCH_POINTS))
