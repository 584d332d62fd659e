"""SampleFormat: the types of samples, and the road of their values to the [0, 1] scale and back."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["SampleFormat", "from_unit", "to_unit"]

_BLOCK = 1 << 16
_LARGEST_SINGLE = float(np.finfo(np.float32).max)
_LARGEST_DOUBLE = float(np.finfo(np.float64).max)


class SampleFormat(IntEnum):
    """How a sample is stored. The numbers stand in streams: append only, never reuse."""

    U8 = 0
    U16 = 1
    S16 = 2
    S24 = 3
    S32 = 4
    F16 = 5
    F32 = 6
    S8 = 7
    U32 = 8
    S64 = 9
    U64 = 10
    F64 = 11

    @property
    def bits(self) -> int:
        """Bits per sample."""
        return int(self.name[1:])

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The numpy type that holds it; 24-bit samples sit in the low bits of int32."""
        kind = {"U": "u", "S": "i", "F": "f"}[self.name[0]]
        return np.dtype(f"{kind}{4 if self is SampleFormat.S24 else self.bits // 8}")

    @property
    def is_float(self) -> bool:
        """Whether samples are floats, whose range is the signal's own."""
        return self.name[0] == "F"

    @property
    def arrays_only(self) -> bool:
        """Whether images, sounds and films never have it."""
        return self >= SampleFormat.S8

    @property
    def nominal_range(self) -> tuple[float, float]:
        """Smallest and largest integer value; (0, 1) for floats, which carry their own range.

        Those of 64 bits are rounded to a float: 2^63 and 2^64 for the largest.
        """
        if self.is_float:
            return 0.0, 1.0
        if self.name[0] == "U":
            return 0.0, float((1 << self.bits) - 1)
        return -float(1 << (self.bits - 1)), float((1 << (self.bits - 1)) - 1)

    @property
    def widest_range(self) -> tuple[float, float]:
        """The least and the greatest value that a sample can have."""
        if not self.is_float:
            return self.nominal_range
        largest = {16: 65504.0, 32: _LARGEST_SINGLE, 64: _LARGEST_DOUBLE}[self.bits]
        return -largest, largest


def to_unit(
    samples: NDArray[np.generic], sample_format: SampleFormat, value_range: tuple[float, float]
) -> NDArray[np.float32]:
    """Samples -> float32, 0 for the low end of the range and 1 for the high one; NaN stays NaN."""
    low, high = value_range
    # float32 cannot hold the difference of 24-bit integers
    wide = np.dtype(np.float64 if sample_format.bits > 16 else np.float32)
    span = wide.type(high - low) or wide.type(np.inf)  # of a constant everything is 0
    unit = np.empty(samples.shape, np.float32)
    for source, target in _blocks(samples, unit):
        values: NDArray[np.floating] = source.astype(wide)
        values -= wide.type(low)
        values /= span
        target[:] = values
    return unit


def from_unit(
    values: NDArray[np.floating], sample_format: SampleFormat, value_range: tuple[float, float]
) -> NDArray[np.generic]:
    """Values on the [0, 1] scale -> samples, clipped and rounded. What is not a number is 0."""
    low, high = value_range
    samples = np.empty(values.shape, sample_format.dtype)
    for source, target in _blocks(values, samples):
        unit = np.nan_to_num(np.clip(source, 0.0, 1.0), copy=False)
        wide = unit.astype(np.float64) * (high - low) + low
        if sample_format.is_float:
            target[:] = np.clip(wide, low, high)
        else:
            _put_integers(np.clip(np.rint(wide), low, high), target)
    return samples


def _put_integers(wide: NDArray[np.float64], target: NDArray[np.generic]) -> None:
    """Whole numbers into an integer array; 2^63 and 2^64, which none holds, as the largest."""
    if target.dtype.itemsize < 8:
        target[:] = wide
        return
    largest = np.iinfo(np.int64 if target.dtype.kind == "i" else np.uint64).max
    beyond = wide >= float(largest)
    target[:] = np.where(beyond, 0.0, wide)
    target[beyond] = largest


def _blocks(
    source: NDArray[np.generic], target: NDArray[np.generic]
) -> Iterator[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """Runs of both, in the same order, short enough that what is computed of one is small."""
    flat, into = source.reshape(-1), target.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        run = slice(start, start + _BLOCK)
        yield flat[run], into[run]
