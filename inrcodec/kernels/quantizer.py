"""What the kernels of a fit are told: how values are quantized, and how Adam moves them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from inrcodec.errors import ConfigError

__all__ = ["AdamStep", "Quantizer", "Rounding"]

Rounding = Literal["free", "noisy", "hard"]

_MAX_VALUES = 1 << 32


@dataclass(frozen=True, slots=True)
class Quantizer:
    """How the tensors of a flat vector are quantized; one size, rate and step for each of them.

    A tensor has `sizes` values, at least 1 and below 2^32 together. A unit of the vector stands for
    the tensor's learning rate in `rates`, above 0. `steps` are above 0. `seed` (64 bits) is that of
    the noise of "noisy". Raises ConfigError.
    """

    sizes: tuple[int, ...]
    rates: tuple[float, ...]
    steps: tuple[float, ...]
    rounding: Rounding
    seed: int = 0

    def __post_init__(self) -> None:
        if not len(self.sizes) == len(self.rates) == len(self.steps):
            counts = [len(self.sizes), len(self.rates), len(self.steps)]
            raise ConfigError(f"quantize: sizes, rates and steps must be as many, got {counts}")
        if any(size < 1 for size in self.sizes) or sum(self.sizes) >= _MAX_VALUES:
            raise ConfigError(f"quantize: sizes must be in [1, 2^32) together, got {self.sizes}")
        if not all(0.0 < x < math.inf for x in (*self.rates, *self.steps)):
            raise ConfigError(
                f"quantize: rates and steps must be above 0, got {self.rates} and {self.steps}"
            )
        if self.rounding not in get_args(Rounding):
            raise ConfigError(f"quantize: rounding must be free, noisy or hard: {self.rounding}")

    @property
    def n_values(self) -> int:
        """Values of all tensors."""
        return sum(self.sizes)

    @property
    def keys(self) -> tuple[int, int]:
        """The seed as two numbers of 32 bits."""
        return self.seed & 0xFFFFFFFF, self.seed >> 32 & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class AdamStep:
    """Step number `count`, from 1 on, of Adam. Source: Kingma & Ba 2015, arXiv:1412.6980."""

    rate: float
    beta1: float
    beta2: float
    epsilon: float
    count: int

    @property
    def biases(self) -> tuple[float, float]:
        """What the moments are divided by, as they begin at 0."""
        return 1.0 - self.beta1**self.count, 1.0 - self.beta2**self.count
