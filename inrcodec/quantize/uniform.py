"""Uniform scalar quantization: 256 steps, eight to the octave, each an exact binary fraction.

A step has 4 significant bits and a symbol 15, so their product is exact in float32: the same value
on every machine.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError

__all__ = ["MAX_SYMBOL", "N_STEPS", "dequantize", "nearest_index", "quantize", "step_size"]

N_STEPS = 256
MAX_SYMBOL = 32767

_EXPONENT = -27


def step_size(index: int) -> float:
    """The step (8 + (index & 7)) * 2^((index >> 3) - 27), from 2^-24 to 240; index in [0, 255]."""
    if not 0 <= index < N_STEPS:
        raise ConfigError(f"step index {index} is not in [0, {N_STEPS - 1}]")
    return math.ldexp(8 + (index & 7), (index >> 3) + _EXPONENT)


_STEPS = tuple(step_size(index) for index in range(N_STEPS))


def nearest_index(step: float) -> int:
    """Index of the step nearest to `step` by ratio; the smallest or largest beyond the ends.

    Raises ConfigError unless step > 0.
    """
    if not step > 0:
        raise ConfigError(f"step {step} is not above 0")
    above = int(np.searchsorted(_STEPS, step))
    if above == 0 or above == N_STEPS:
        return min(above, N_STEPS - 1)
    return above if _STEPS[above] / step < step / _STEPS[above - 1] else above - 1


def quantize(values: NDArray[np.floating], index: int) -> NDArray[np.int64]:
    """The nearest multiples of the step, halves to even, clipped to [-32767, 32767]; no NaN."""
    assert not np.isnan(values).any(), "NaN among the values to quantize"
    multiples = np.asarray(values, dtype=np.float64) / step_size(index)
    return np.clip(np.rint(multiples), -MAX_SYMBOL, MAX_SYMBOL).astype(np.int64)


def dequantize(symbols: NDArray[np.integer], index: int) -> NDArray[np.float32]:
    """Symbols times the step, exact in float32 for symbols within [-32767, 32767]."""
    return np.asarray(symbols, dtype=np.float32) * np.float32(step_size(index))
