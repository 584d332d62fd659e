"""The points that a network is fitted to, and the batches in which it sees them.

Samples stay in memory as their source has them; what a network has to put out for them is computed
for the points of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inrcodec.representations.coordinate.coords import grid_coords
from inrcodec.representations.output import OutputScale
from inrcodec.signal import Signal

__all__ = ["FitData", "SampleTargets", "Targets", "batches"]

_PERMUTED_POINTS = 1 << 22


class Targets(Protocol):
    """What a network has to put out at each point; an array [n_points, channels] is one."""

    def __len__(self) -> int:
        """Number of points."""

    def __getitem__(self, points: NDArray[np.int64], /) -> NDArray[np.float32]:
        """The targets [n, channels] of points [n], by index."""


@dataclass(frozen=True, slots=True)
class SampleTargets:
    """The targets of a signal's samples, on the scale of a network's output."""

    signal: Signal
    output: OutputScale

    def __len__(self) -> int:
        return self.signal.spec.n_points

    def __getitem__(self, points: NDArray[np.int64], /) -> NDArray[np.float32]:
        spec = self.signal.spec
        samples = _rows(self.signal).take(points, axis=0)
        return self.output.to_targets(spec.to_unit(samples))


def _rows(signal: Signal) -> NDArray[np.generic]:
    """The samples as [n_points, channels]."""
    return signal.samples.reshape(signal.spec.n_points, signal.spec.channels)


@dataclass(frozen=True, kw_only=True, slots=True)
class FitData:
    """The points to fit: `targets`, row-major over `grid`; on any affine scale.

    `mse_scale` turns the mean square error of the targets into that of the [0, 1] scale.
    """

    grid: tuple[int, ...]
    targets: Targets
    mse_scale: float

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.targets)

    def at(self, points: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Coordinates [n, axes] and targets [n, channels] of points [n], by row-major index."""
        return grid_coords(self.grid, points), self.targets[points]


def batches(
    n_points: int, batch_points: int, random: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Row-major indices of points, forever: all of a small grid at once; of a larger one random
    batches, epoch by epoch, or drawn with replacement where a permutation would be too long."""
    while True:
        if n_points <= batch_points:
            yield np.arange(n_points)
        elif n_points > _PERMUTED_POINTS:
            yield random.integers(n_points, size=batch_points)
        else:
            order = random.permutation(n_points)
            whole = n_points // batch_points * batch_points
            yield from order[:whole].reshape(-1, batch_points)
