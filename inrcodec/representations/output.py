"""The affine map from what a function puts out to the [0, 1] scale, as streams store it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inrcodec.signal import Signal

__all__ = ["CHANNEL_UNIT", "OutputScale", "blocks_of"]

CHANNEL_UNIT: Final = 1 << 16
_BLOCK_POINTS: Final = 1 << 16

Blocks = Iterable[NDArray[np.float32]]
"""Values [n, channels] in [0, 1], in parts; one point at least."""


@dataclass(frozen=True, slots=True)
class OutputScale:
    """value = offsets[channel] + scale * output, all in units of 1/65536 of the [0, 1] scale."""

    offsets: tuple[int, ...]
    scale: int

    @staticmethod
    def of(values: NDArray[np.float32]) -> OutputScale:
        """Mean of each channel and spread around them, of values [n, channels] in [0, 1]."""
        return OutputScale.of_blocks((values,))

    @staticmethod
    def of_blocks(blocks: Blocks) -> OutputScale:
        """The same, of values that come in parts."""
        n_points, totals, squares = 0, np.zeros(1), np.zeros(1)
        for block in blocks:
            wide = block.astype(np.float64)
            n_points += len(block)
            totals = totals + _column_sums(wide)
            squares = squares + _column_sums(np.square(wide))
        means = totals / n_points
        spread = float(np.sqrt((squares / n_points - np.square(means)).mean().clip(0.0)))
        return _stored(means, spread)

    @staticmethod
    def spanning(blocks: Blocks) -> OutputScale:
        """The mean of each channel, and the span of all values."""
        n_points, totals, low, high = 0, np.zeros(1), np.inf, -np.inf
        for block in blocks:
            n_points += len(block)
            totals = totals + _column_sums(block.astype(np.float64))
            low, high = min(low, float(block.min())), max(high, float(block.max()))
        return _stored(totals / n_points, high - low)

    def to_targets(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a network has to put out for these values, both [n, channels]."""
        return (values - self._offsets) / np.float32(self.factor)

    def to_values(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inverse of `to_targets`."""
        return outputs * np.float32(self.factor) + self._offsets

    @property
    def factor(self) -> float:
        """Size of one unit of output on the [0, 1] scale."""
        return self.scale / CHANNEL_UNIT

    @property
    def _offsets(self) -> NDArray[np.float32]:
        return np.array(self.offsets, dtype=np.float32) / np.float32(CHANNEL_UNIT)


def blocks_of(signal: Signal) -> Iterator[NDArray[np.float32]]:
    """The values [n, channels] of a signal on the [0, 1] scale, some points at a time."""
    rows = signal.samples.reshape(signal.spec.n_points, signal.spec.channels)
    for at in range(0, len(rows), _BLOCK_POINTS):
        yield signal.spec.to_unit(rows[at : at + _BLOCK_POINTS])


def _column_sums(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """As rows.sum(axis=0), which takes ten times as long where there are few columns."""
    return np.array([column.sum() for column in rows.T])


def _stored(means: NDArray[np.float64], scale: float) -> OutputScale:
    """The nearest that a stream can hold."""
    offsets = np.rint(means * CHANNEL_UNIT).clip(0, CHANNEL_UNIT - 1)
    rounded = min(max(round(scale * CHANNEL_UNIT), 1), CHANNEL_UNIT - 1)
    return OutputScale(tuple(int(offset) for offset in offsets), rounded)
