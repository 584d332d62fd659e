"""Probability tables of symbols -M..M: counts with sum 2^24, from two numbers, by integers alone.

Floats choose a table in the encoder and price symbols; they never decide a count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import ByteReader, ByteWriter
from inrcodec.errors import ConfigError

__all__ = ["MAX_SYMBOL", "N_SCALES", "TOTAL", "Shape", "Table", "choose_table"]

TOTAL = 1 << 24
MAX_SYMBOL = 32767
N_SCALES = 256

_SCALE_BITS = 20
_RATIO_BITS = 62
_WEIGHT_BITS = 31


class Shape(IntEnum):
    """How weights fall with |k|. The numbers stand in streams: append only, never reuse."""

    LAPLACE = 0
    GAUSSIAN = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Probabilities of the symbols -M..M; `max_symbol` M in [0, 32767], `scale_index` in [0, 255].

    With m = (8 + (q & 7)) * 2^((q >> 3) - 20) for the scale index q, the weight of symbol k is
    (m / (1 + m))^|k| for LAPLACE and (m^2 / (1 + m^2))^(k^2) for GAUSSIAN.
    """

    shape: Shape
    scale_index: int
    max_symbol: int

    def __post_init__(self) -> None:
        if not 0 <= self.scale_index < N_SCALES:
            raise ConfigError(f"scale index {self.scale_index} is not in [0, {N_SCALES - 1}]")
        if not 0 <= self.max_symbol <= MAX_SYMBOL:
            raise ConfigError(f"max symbol {self.max_symbol} is not in [0, {MAX_SYMBOL}]")

    def counts(self) -> NDArray[np.int64]:
        """Counts [2M + 1] of the symbols -M..M: each at least 1, sum exactly 2^24; read-only."""
        return _counts(self.shape, self.scale_index, self.max_symbol)

    def bits(self) -> NDArray[np.float64]:
        """What each of the symbols -M..M costs, in bits [2M + 1]; read-only."""
        return _bits(self.shape, self.scale_index, self.max_symbol)

    def cost_bits(self, symbols: NDArray[np.integer]) -> float:
        """Bits that the symbols cost. Raises ConfigError if one is not in [-M, M]."""
        histogram = _histogram(symbols)
        if histogram.size > self.max_symbol + 1:
            raise ConfigError(
                f"symbol of size {histogram.size - 1} is not in a table of +-{self.max_symbol}"
            )
        return _cost(self, histogram)

    def write(self, writer: ByteWriter) -> None:
        """Scale index u8, then max symbol and shape in one varint: 2 bytes up to M = 63."""
        writer.u8(self.scale_index)
        writer.varint(self.max_symbol << 1 | self.shape)

    @staticmethod
    def read(reader: ByteReader) -> Table:
        """The inverse of `write`. Raises BitstreamError."""
        scale_index = reader.u8()
        packed = reader.varint(MAX_SYMBOL << 1 | 1)
        return Table(Shape(packed & 1), scale_index, packed >> 1)


def choose_table(symbols: NDArray[np.integer]) -> Table:
    """The table of lowest cost for these symbols; max_symbol is their largest size.

    Raises ConfigError if a symbol is not in [-32767, 32767].
    """
    histogram = _histogram(symbols)
    max_symbol = max(histogram.size - 1, 0)
    if max_symbol == 0:
        return Table(Shape.LAPLACE, 0, 0)

    def cost_of(table: Table) -> float:
        return _cost(table, histogram)

    starts = (
        Table(Shape.LAPLACE, _index_of(_laplace_scale(histogram)), max_symbol),
        Table(Shape.GAUSSIAN, _index_of(_gaussian_scale(histogram)), max_symbol),
    )
    return min((_descend(start, cost_of) for start in starts), key=cost_of)


# --- counts: integers only -----------------------------------------------------------------------


@lru_cache(maxsize=256)
def _counts(shape: Shape, scale_index: int, max_symbol: int) -> NDArray[np.int64]:
    sizes = np.arange(max_symbol + 1, dtype=np.int64)
    numerator = (8 + (scale_index & 7)) << (scale_index >> 3)
    denominator = 1 << _SCALE_BITS
    exponents = sizes
    if shape is Shape.GAUSSIAN:
        numerator, denominator, exponents = numerator**2, denominator**2, sizes * sizes
    weights = _powers(numerator, numerator + denominator, exponents)
    total_weight = 2 * int(weights.sum()) - int(weights[0])
    free = TOTAL - (2 * max_symbol + 1)
    half = 1 + weights * free // total_weight  # below 2^31 * 2^24
    counts = np.concatenate([half[:0:-1], half])
    counts[max_symbol] += TOTAL - int(counts.sum())
    counts.flags.writeable = False
    return counts


def _powers(numerator: int, denominator: int, exponents: NDArray[np.int64]) -> NDArray[np.int64]:
    """(numerator / denominator)^exponents with 31 fractional bits, by squaring and rounding down.

    Squares are kept with 62 fractional bits, so that ratios next to 1 keep their distance from it.
    """
    square = (numerator << _RATIO_BITS) // denominator
    weights = np.full(exponents.shape, 1 << _WEIGHT_BITS, dtype=np.int64)
    for bit in range(int(exponents[-1]).bit_length()):
        factor = square >> (_RATIO_BITS - _WEIGHT_BITS)
        weights = np.where(exponents >> bit & 1, weights * factor >> _WEIGHT_BITS, weights)
        square = square * square >> _RATIO_BITS
    return weights


# --- prices and search: floats are welcome -------------------------------------------------------


@lru_cache(maxsize=256)
def _bits(shape: Shape, scale_index: int, max_symbol: int) -> NDArray[np.float64]:
    bits = 24.0 - np.log2(_counts(shape, scale_index, max_symbol))
    bits.flags.writeable = False
    return bits


def _histogram(symbols: NDArray[np.integer]) -> NDArray[np.int64]:
    """How often each |k| occurs, [max |k| + 1]; empty for no symbols."""
    sizes = np.abs(np.asarray(symbols, dtype=np.int64).ravel())
    largest = int(sizes.max(initial=0))
    if not 0 <= largest <= MAX_SYMBOL or int(sizes.min(initial=0)) < 0:
        raise ConfigError(f"symbol of size {largest} is not in [0, {MAX_SYMBOL}]")
    return np.bincount(sizes).astype(np.int64)


def _cost(table: Table, histogram: NDArray[np.int64]) -> float:
    half = table.bits()[table.max_symbol :]
    return float(half[: histogram.size] @ histogram)


def _laplace_scale(histogram: NDArray[np.int64]) -> float:
    """m whose mean of |k|, 2 t / (1 - t^2) with t = m / (1 + m), is that of the histogram."""
    mean = float(np.arange(histogram.size) @ histogram) / float(histogram.sum())
    ratio = mean / (1.0 + float(np.hypot(1.0, mean)))
    return ratio / (1.0 - ratio)


def _gaussian_scale(histogram: NDArray[np.int64]) -> float:
    """m of the Gaussian with the histogram's variance: about m^2 / 2 where it is wide."""
    sizes = np.arange(histogram.size, dtype=np.float64)
    variance = float((sizes * sizes) @ histogram) / float(histogram.sum())
    return float(np.sqrt(2.0 * variance))


def _index_of(scale: float) -> int:
    octave = int(np.floor(np.log2(scale))) - 3 + _SCALE_BITS
    eighth = round(scale * 2.0 ** (_SCALE_BITS - octave)) - 8
    return min(max(8 * octave + eighth, 0), N_SCALES - 1)


def _descend(start: Table, cost_of: Callable[[Table], float]) -> Table:
    """Walk the scale index downhill from `start` to the nearest minimum."""
    best, best_cost = start, cost_of(start)
    for direction in (1, -1):
        while 0 <= best.scale_index + direction < N_SCALES:
            step = Table(best.shape, best.scale_index + direction, best.max_symbol)
            cost = cost_of(step)
            if cost >= best_cost:
                break
            best, best_cost = step, cost
    return best
