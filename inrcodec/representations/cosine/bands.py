"""The bands of frequencies in which channels are turned, and noise has levels."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inrcodec.representations.cosine.transform import Blocks

__all__ = ["N_BANDS", "bands_of", "hertz_of"]

_EDGES: Final = np.array(
    (
        200, 400, 600, 800, 1000, 1250, 1550, 1900, 2350, 2900, 3600, 4500, 5600, 7000, 9500,
        12000, 15500,
    ),
    np.int64,
)  # fmt: skip

N_BANDS: Final = len(_EDGES) + 1
"""Below, between and above the edges, in Hz."""


def bands_of(blocks: Blocks, rate: int) -> NDArray[np.int64]:
    """The band of each coefficient of a channel: [samples]."""
    bands = np.empty(blocks.n_samples, np.int64)
    for length, span in blocks.runs():
        bands[span] = np.resize(_bands(length, rate), span.stop - span.start)
    return bands


def hertz_of(length: int, rate: int) -> NDArray[np.float64]:
    """The frequencies of the coefficients of a block."""
    return (2.0 * np.arange(length, dtype=np.float64) + 1.0) * (rate / (4.0 * length))


@lru_cache(maxsize=32)
def _bands(length: int, rate: int) -> NDArray[np.int64]:
    """Those of a block, told by whole numbers."""
    odd = (2 * np.arange(length, dtype=np.int64) + 1) * rate
    return np.searchsorted(4 * length * _EDGES, odd, side="right")
