"""Arrays with places where there is no number: which those are, and what a fit sees there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["filled", "nearest", "resampled"]


def filled(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`values` [*grid, channels] with what lies under the mask made up from what is around it.

    A place takes the mean of the numbers in the smallest block of 2^k samples a side, counted from
    the first sample, that holds any; a channel without numbers is 0. Smooth where the numbers are,
    and coarser the farther away they are.
    """
    if not mask.any():
        return values
    if max(mask.shape[:-1]) == 1:
        return np.where(mask, np.float32(0), values)
    sums, counts = np.where(mask, np.float32(0), values), (~mask).astype(np.float32)
    for axis, size in enumerate(mask.shape[:-1]):
        firsts = np.arange(0, size, 2)
        sums = np.add.reduceat(sums, firsts, axis=axis)
        counts = np.add.reduceat(counts, firsts, axis=axis)
    means = sums / np.maximum(counts, np.float32(1))
    coarse = filled(means.astype(np.float32, copy=False), counts == 0)
    for axis, size in enumerate(mask.shape[:-1]):
        coarse = np.repeat(coarse, 2, axis=axis).take(np.arange(size), axis=axis)
    return np.where(mask, coarse, values)


def nearest(points: NDArray[np.floating], grid: tuple[int, ...]) -> tuple[NDArray[np.int64], ...]:
    """The index of the sample nearest to each point [n, axes] of [0, 1], axis by axis."""
    inside = np.nan_to_num(np.clip(points.astype(np.float64), 0.0, 1.0))
    return tuple(
        np.minimum(inside[:, axis] * size, size - 1).astype(np.int64)
        for axis, size in enumerate(grid)
    )


def resampled(
    mask: NDArray[np.bool_], windows: tuple[tuple[int, int, int], ...]
) -> NDArray[np.bool_]:
    """The mask at `count` samples of `size` from `start` on, one such window for each axis.

    Sample i of n lies at (i + 0.5) / n; at another size than the mask's the nearest one counts.
    """
    indices = [
        (2 * np.arange(start, start + count) + 1) * coded // (2 * size)
        for (size, start, count), coded in zip(windows, mask.shape[:-1], strict=True)
    ]
    part: NDArray[np.bool_] = mask[np.ix_(*indices, np.arange(mask.shape[-1]))]
    return part
