"""Two channels <-> the same turned, so that the first has most: by one angle, or one for each band.

What is left in the second is small, and so are its bits (a Karhunen-Loeve transform of two).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import ByteReader
from inrcodec.errors import CorruptError
from inrcodec.representations.cosine.bands import N_BANDS, bands_of
from inrcodec.representations.cosine.transform import Blocks

__all__ = ["Angles", "angles_of", "angles_to_bytes", "read_angles", "turned"]

Floats = NDArray[np.float64]

Angles = tuple[tuple[int, ...], ...]
"""For each two channels, one of all bands or one of each, in 64ths of half a turn."""

_ANGLES: Final = 64
_BY_BAND: Final = 255
_LEAST_SECONDS: Final = 4.0  # whose angles by band are worth their bytes


def angles_of(coefficients: Floats, blocks: Blocks, rate: int) -> Angles:
    """What coefficients [samples, channels] are best turned by: short ones by one angle."""
    bands = np.zeros(len(coefficients), np.int64)
    if len(coefficients) >= _LEAST_SECONDS * rate:
        bands = bands_of(blocks, rate)
    n_bands = N_BANDS if bands.any() else 1
    return tuple(
        _best(coefficients[:, first], coefficients[:, first + 1], bands, n_bands)
        for first in range(0, coefficients.shape[1] - 1, 2)
    )


def _best(a: Floats, b: Floats, bands: NDArray[np.int64], n_bands: int) -> tuple[int, ...]:
    both, own = 2.0 * np.bincount(bands, a * b, n_bands), np.bincount(bands, a * a - b * b, n_bands)
    angles = [
        round(0.5 * math.atan2(y, x) / math.pi * _ANGLES) % _ANGLES if x or y else None
        for y, x in zip(both.tolist(), own.tolist(), strict=True)
    ]
    known = [angle for angle in angles if angle is not None]
    if len(set(known)) <= 1:
        return (known[0] if known else 0,)
    return tuple(angle or 0 for angle in angles)


def turned(
    coefficients: Floats, angles: Angles, blocks: Blocks, rate: int, *, back: bool = False
) -> Floats:
    """Coefficients [samples, channels], each two channels turned by their angles, there or back."""
    out = coefficients.copy()
    for pair, own in enumerate(angles):
        radians = np.pi / _ANGLES * np.array(own, np.float64)
        if len(own) > 1:
            radians = radians[bands_of(blocks, rate)]
        cosine, sine = np.cos(radians), np.sin(radians) * (-1.0 if back else 1.0)
        first, second = coefficients[:, 2 * pair], coefficients[:, 2 * pair + 1]
        out[:, 2 * pair] = cosine * first + sine * second
        out[:, 2 * pair + 1] = cosine * second - sine * first
    return out


def angles_to_bytes(angles: Angles) -> bytes:
    """A byte for a pair with one angle, else 255 and a byte for each band."""
    return b"".join(bytes(own if len(own) == 1 else (_BY_BAND, *own)) for own in angles)


def read_angles(reader: ByteReader, n_channels: int, *, start: int) -> Angles:
    """The inverse; `start`: where they are in the file. Raises BitstreamError."""
    angles = []
    for _ in range(n_channels // 2):
        first = reader.u8()
        by_band = first == _BY_BAND
        angles.append(tuple(reader.u8() for _ in range(N_BANDS)) if by_band else (first,))
    flat = [angle for own in angles for angle in own]
    if any(angle >= _ANGLES for angle in flat):
        raise CorruptError(f"angles {flat} are not all below {_ANGLES}", offset=start)
    return tuple(angles)
