"""Samples <-> coefficients: a sum of windowed cosines of time, in blocks of any length.

Time t is in samples; sample n lies at n + 1/2. A block of N samples from time b on is the sum over
k of X[k] sqrt(2/N) cos(pi (k + 1/2) (t - b) / N): even about its beginning, odd about its end.
Around the time between two blocks, as far as half of the shorter one on both sides, they cross
over: both count there, by a sine and a cosine whose squares add up to 1. What one block has too
much the other has with the other sign, so that samples come back exactly, and the sum of squares is
that of the coefficients (time-domain alias cancellation: Princen & Bradley 1986; windows that
follow the blocks: Edler 1989). Nothing crosses the ends of a signal.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blocks", "evaluate", "forward", "inverse"]

Floats = NDArray[np.float64]

_CHUNK = 1 << 21
_FINE_WAVES = 64


class Blocks(NamedTuple):
    """Blocks one after the other from time 0 on; `lengths` [n], powers of two from 2 on."""

    lengths: NDArray[np.int64]

    @staticmethod
    def of_splits(frame: int, splits: NDArray[np.integer]) -> Blocks:
        """Frames of as many samples, each cut into 2**split blocks."""
        counts = 1 << splits.astype(np.int64)
        return Blocks(np.repeat(frame >> splits.astype(np.int64), counts))

    @property
    def starts(self) -> NDArray[np.int64]:
        """When each begins, in samples."""
        return np.concatenate(([0], np.cumsum(self.lengths)[:-1])).astype(np.int64)

    @property
    def n_samples(self) -> int:
        """Of all blocks."""
        return int(self.lengths.sum())

    def runs(self) -> Iterator[tuple[int, slice]]:
        """Runs of blocks of one length: that length, and their samples."""
        changes = np.flatnonzero(np.diff(self.lengths)) + 1
        edges = [0, *changes.tolist(), len(self.lengths)]
        starts = np.concatenate((self.starts, [self.n_samples]))
        for first, stop in pairwise(edges):
            if stop > first:
                yield int(self.lengths[first]), slice(int(starts[first]), int(starts[stop]))

    def crossings(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Between neighbours: lengths of crossings, in samples, and when those are centred."""
        lengths = np.minimum(self.lengths[:-1], self.lengths[1:])
        for length in np.unique(lengths):
            yield int(length), self.starts[1:][lengths == length]


def forward(samples: Floats, blocks: Blocks) -> Floats:
    """Coefficients [n_samples, channels] of samples [up to n_samples, channels].

    Block after block, low frequencies first. Samples that are missing at the end are 0.
    """
    values = np.zeros((blocks.n_samples, samples.shape[1]))
    values[: len(samples)] = samples
    _cross(values, blocks, -1.0)
    return _cosines(values, blocks)


def inverse(coefficients: Floats, blocks: Blocks) -> Floats:
    """The inverse of `forward`: samples [n_samples, channels]."""
    values = _cosines(coefficients, blocks)
    _cross(values, blocks, 1.0)
    return values


def _cross(values: Floats, blocks: Blocks, sign: float) -> None:
    """Turn pairs of samples on both sides of all crossings, there or back."""
    for length, centres in blocks.crossings():
        cosine, sine = _slopes(length)
        away = np.arange(length // 2)
        for part in np.array_split(centres, max(1, len(centres) * length // _CHUNK)):
            after, before = part[:, None] + away, part[:, None] - 1 - away
            late, early = values[after], values[before]
            values[before] = cosine * early + sign * sine * late
            values[after] = cosine * late - sign * sine * early


@lru_cache(maxsize=32)
def _slopes(length: int) -> tuple[Floats, Floats]:
    """What blocks count at half samples from the middle of a crossing on: the own, the other."""
    angles = np.pi / 4 + np.pi / 2 * (np.arange(length // 2) + 0.5) / length
    return np.sin(angles)[:, None], np.cos(angles)[:, None]


def _cosines(values: Floats, blocks: Blocks) -> Floats:
    """The orthonormal DCT-IV of each block; it is its own inverse."""
    out = np.empty_like(values)
    for length, span in blocks.runs():
        n_blocks = max(1, _CHUNK // (length * values.shape[1]))
        for first in range(span.start, span.stop, n_blocks * length):
            part = slice(first, min(first + n_blocks * length, span.stop))
            shape = -1, length, values.shape[1]
            out[part] = _dct4(values[part].reshape(shape)).reshape(-1, values.shape[1])
    return out


def _dct4(blocks: Floats) -> Floats:
    """Of values [n, length, channels] along their second axis, by an FFT of half the length."""
    length = blocks.shape[1]
    before, after = _twiddles(length)
    numbers = blocks[:, ::2] + 1j * blocks[:, ::-2]
    spectrum = np.fft.fft(numbers * before, axis=1) * after
    out = np.empty_like(blocks)
    out[:, ::2] = spectrum.real
    out[:, ::-2] = -spectrum.imag
    return out


@lru_cache(maxsize=32)
def _twiddles(length: int) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    at = np.arange(length // 2)
    before = np.exp(-1j * np.pi * (at + 0.25) / length)[:, None]
    after = np.exp(-1j * np.pi * at / length)[:, None] * np.sqrt(2.0 / length)
    return before, after


# --- between the samples -------------------------------------------------------------------------


def evaluate(coefficients: Floats, blocks: Blocks, times: Floats) -> Floats:
    """The sum at any times [n] within the blocks, in samples: [n, channels].

    Takes a multiplication for each time, coefficient of its blocks and channel.
    """
    order = np.argsort(times, kind="stable")
    rising = times[order]
    values = np.zeros((len(times), coefficients.shape[1]))
    crossings = np.minimum(blocks.lengths[:-1], blocks.lengths[1:])
    before, after = np.append(0, crossings), np.append(crossings, 0)
    starts, stops = blocks.starts, blocks.starts + blocks.lengths
    firsts = np.searchsorted(rising, starts - before / 2, side="left")
    lasts = np.searchsorted(rising, stops + after / 2, side="right")
    for block in np.flatnonzero(lasts > firsts):
        span, length = slice(starts[block], stops[block]), int(blocks.lengths[block])
        for first in range(firsts[block], lasts[block], max(1, _CHUNK // length)):
            part = slice(first, min(first + max(1, _CHUNK // length), lasts[block]))
            away = rising[part] - starts[block]
            weights = _slope(away, before[block]) * _slope(length - away, after[block])
            values[part] += weights[:, None] * _sum_of_cosines(coefficients[span], away / length)
    out = np.empty_like(values)
    out[order] = values
    return out


def _slope(inside: Floats, crossing: int) -> Floats:
    """What a block counts so far `inside` of one of its ends, which it crosses over."""
    if crossing == 0:
        return np.ones_like(inside)
    slope: Floats = np.sin(np.pi / 4 + np.pi / 2 * np.clip(inside / crossing, -0.5, 0.5))
    return slope


def _sum_of_cosines(coefficients: Floats, away: Floats) -> Floats:
    """Of coefficients [length, channels] at times [n] in lengths of the block: [n, channels].

    Waves are products of a few coarse and a few fine ones: sines are far dearer than sums.
    """
    length, n_channels = coefficients.shape
    n_fine = min(_FINE_WAVES, length)
    n_coarse = length // n_fine
    fine = np.exp(1j * np.pi * away[:, None] * (np.arange(n_fine) + 0.5))
    coarse = np.exp(1j * np.pi * away[:, None] * (n_fine * np.arange(n_coarse)))
    table = coefficients.reshape(n_coarse, n_fine, n_channels).swapaxes(0, 1)
    sums = (fine @ table.reshape(n_fine, -1)).reshape(len(away), n_coarse, n_channels)
    values: Floats = np.sqrt(2.0 / length) * np.einsum("na,nac->nc", coarse, sums).real
    return values
