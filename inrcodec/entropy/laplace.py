"""Probabilities of integers around a mean that is none: a quantized Laplace, by integers alone.

A mean is an index m, in 1/256; a scale is an index s in [0, 240], of b = 2^(s/16 - 5). Its
cumulative counts come from two stored tables of integers, as `docs/format.md` states: nothing
depends on how a machine computes an exponential.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inrcodec.entropy.tables import TOTAL

__all__ = [
    "DECAY_BITS",
    "MAX_DEVIATE",
    "MEAN_UNIT",
    "N_SCALES",
    "SCALES_PER_OCTAVE",
    "SMALLEST_OCTAVE",
    "decays",
    "laplace_counts",
    "laplace_cumulative",
    "powers",
]

MEAN_UNIT: Final = 256
SCALES_PER_OCTAVE: Final = 16
SMALLEST_OCTAVE: Final = -5
N_SCALES: Final = 241
MAX_DEVIATE: Final = 2047
"""The largest symbol that may be coded this way."""

DECAY_BITS: Final = 32
_POWER_BITS, _POWER_STEPS_BITS, _BETWEEN_BITS = 31, 10, 16
_EXTRA_BITS: Final = 64
_LOG2_E: Final = 0x171547652B82FE1777D0FFDA0D23A7D1  # log2(e) * 2^124, rounded down


def laplace_counts(
    means: NDArray[np.integer], scales: NDArray[np.integer], max_symbol: int
) -> NDArray[np.int64]:
    """Counts [n, 2M + 1] of the symbols -M..M, each at least 1, with sum 2^24.

    `means` and `scales` [n] are indices.
    """
    edges = np.arange(-max_symbol, max_symbol + 2)
    return np.diff(laplace_cumulative(means[:, None], scales[:, None], edges, max_symbol), axis=1)


def laplace_cumulative(
    means: NDArray[np.integer],
    scales: NDArray[np.integer],
    symbols: NDArray[np.integer],
    max_symbol: int,
) -> NDArray[np.int64]:
    """The counts below `symbols` in [-M, M + 1], broadcast: 0 at -M, 2^24 at M + 1."""
    distance = MEAN_UNIT * symbols - MEAN_UNIT // 2 - means.astype(np.int64)
    power = _halvings(np.abs(distance) * decays()[scales])
    below = np.where(distance < 0, power, (1 << 32) - power)
    free = TOTAL - (2 * max_symbol + 1)
    counts = (symbols + max_symbol) + (below * free >> 32)
    counts = np.where(symbols <= -max_symbol, 0, counts)
    counted: NDArray[np.int64] = np.where(symbols > max_symbol, TOTAL, counts)
    return counted


def _halvings(exponents: NDArray[np.int64]) -> NDArray[np.int64]:
    """2^31 * 2^-(e / 2^32), rounded down here and there; 0 from 2^-32 on."""
    table = powers()
    whole = np.minimum(exponents >> DECAY_BITS, 32)
    part = exponents & ((1 << DECAY_BITS) - 1)
    step = part >> (DECAY_BITS - _POWER_STEPS_BITS)
    between = part >> (DECAY_BITS - _POWER_STEPS_BITS - _BETWEEN_BITS) & ((1 << _BETWEEN_BITS) - 1)
    high, low = table[step], table[step + 1]
    power: NDArray[np.int64] = (high - ((high - low) * between >> _BETWEEN_BITS)) >> whole
    return power


@cache
def decays() -> NDArray[np.int64]:
    """R_s = log2(e) / (256 b) in units of 2^-32, rounded to the nearest: [241], read-only."""
    roots = _roots(SCALES_PER_OCTAVE)
    table = []
    for scale in range(N_SCALES):
        octave, part = divmod(scale, SCALES_PER_OCTAVE)
        # log2(e) * 2^124 * 2^-(part / 16) * 2^64, then to 2^32 / 256 / 2^(octave - 5)
        value = _LOG2_E * roots[part]
        shift = 124 + _EXTRA_BITS - DECAY_BITS + 8 + octave + SMALLEST_OCTAVE
        table.append((value + (1 << shift - 1)) >> shift)
    return _frozen(table)


@cache
def powers() -> NDArray[np.int64]:
    """E_j = 2^31 * 2^-(j / 1024), rounded to the nearest: [1025], read-only."""
    roots = _roots(1 << _POWER_STEPS_BITS)
    shift = _EXTRA_BITS - _POWER_BITS
    table = [(root + (1 << shift - 1)) >> shift for root in roots]
    return _frozen([*table, 1 << _POWER_BITS - 1])


def _roots(n: int) -> list[int]:
    """2^64 * 2^-(j / n) for j < n, a power of two; by integer square roots of 192 bits."""
    bits = 192
    root = 1 << bits - 1  # 1/2
    for _ in range(n.bit_length() - 1):
        root = math.isqrt(root << bits)
    values = [1 << bits]
    for _ in range(n - 1):
        values.append(values[-1] * root >> bits)
    return [value >> bits - _EXTRA_BITS for value in values]


def _frozen(values: list[int]) -> NDArray[np.int64]:
    table = np.array(values, np.int64)
    table.flags.writeable = False
    return table
