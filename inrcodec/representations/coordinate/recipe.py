"""How a family of networks is best fitted. Needs no torch, so that families can state it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Recipe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a family is best fitted.

    `batch_points` per iteration; values are rounded from the fraction `hard_from` of the budget on,
    before that they are `free` or carry `noise`; `resumed_rate` scales the learning rates of a fit
    that goes on from an earlier one, which rounds from its beginning.
    """

    batch_points: int
    hard_from: float
    soft: Literal["free", "noise"]
    step_rate: float = 1e-2
    resumed_rate: float = 0.05
    beta2: float = 0.99
