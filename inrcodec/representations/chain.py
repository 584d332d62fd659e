"""Chain: the functions of a film's groups of frames, seen as one function of time and place.

A group is unpacked when its frames are asked for; one that is stored as a difference needs those
before it, back to the last that is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import DecodeLimits, Group
from inrcodec.errors import ConfigError
from inrcodec.representations.base import Cost, Piece, Representation, Window
from inrcodec.signal import SignalSpec

__all__ = ["Chain"]


class Chain:
    """The functions of `groups`, all of one family, over the frames of `spec` one after another.

    Only the group that was used last is kept, so that films are read in order with the memory of
    one group.
    """

    def __init__(
        self,
        family: type[Representation],
        groups: Sequence[Group],
        spec: SignalSpec,
        limits: DecodeLimits,
    ) -> None:
        self.spec, self.name = spec, family.name
        self._family, self._groups, self._limits = family, tuple(groups), limits
        self._starts = np.cumsum([0, *(group.n_frames for group in groups)])
        self._last: tuple[int, Representation] | None = None

    def function(self, number: int) -> Representation:
        """The function of a group. Raises BitstreamError if it cannot be unpacked."""
        before = None
        if self._last is not None:
            last, function = self._last
            if last == number:
                return function
            if last == number - 1:
                before = function
        first = number
        while self._groups[first].predicted and not (before and first == number):
            first -= 1
        for index in range(first, number + 1):
            before = self._unpack(index, before)
        assert before is not None
        self._last = number, before
        return before

    def _unpack(self, number: int, before: Representation | None) -> Representation:
        group = self._groups[number]
        spec = replace(self.spec, grid=(group.n_frames, *self.spec.grid[1:]))
        base = before if group.predicted else None
        return self._family.unpack(group.sections, spec, self._limits, base=base)

    def pieces(self, windows: tuple[Window, ...]) -> Iterator[Piece]:
        """The groups that samples in `windows` belong to, each with its own samples, in order."""
        time, *plane = windows
        frames_per_sample = self.spec.grid[0] / time.size
        centres = (time.start + np.arange(time.count) + 0.5) * frames_per_sample
        numbers = self._numbers_at(centres)
        for number in np.unique(numbers):
            own = np.flatnonzero(numbers == number)
            start, stop = (float(frame) for frame in self._starts[number : number + 2])
            local = Window(
                (stop - start) / frames_per_sample,
                time.start + int(own[0]) - start / frames_per_sample,
                own.size,
            )
            where = slice(int(own[0]), int(own[-1]) + 1)
            yield Piece(self.function(int(number)), (local, *plane), where)

    def sample(self, coords: NDArray[np.floating]) -> NDArray[np.float32]:
        """Values [n, channels] at coords [n, 3] in [0, 1], on the [0, 1] scale."""
        if coords.ndim != 2 or coords.shape[1] != len(self.spec.grid):
            raise ConfigError(f"coords {coords.shape} are not [n, {len(self.spec.grid)}]")
        frames = np.clip(coords[:, 0].astype(np.float64), 0.0, 1.0) * self.spec.grid[0]
        numbers = self._numbers_at(frames)
        values = np.empty((len(coords), self.spec.channels), np.float32)
        for number in np.unique(numbers):
            own = numbers == number
            start, stop = (float(frame) for frame in self._starts[number : number + 2])
            local = coords[own].astype(np.float64)
            local[:, 0] = (frames[own] - start) / (stop - start)
            values[own] = self.function(int(number)).sample(local)
        return values

    def _numbers_at(self, frames: NDArray[np.floating]) -> NDArray[np.int64]:
        """The group of each place in time, counted in frames; NaN counts as the first."""
        numbers = np.searchsorted(self._starts, np.nan_to_num(frames), side="right") - 1
        clipped: NDArray[np.int64] = np.clip(numbers, 0, len(self._groups) - 1)
        return clipped

    @property
    def n_tiles(self) -> int:
        """Films have no tiles."""
        return 1

    def tile_name(self, number: int) -> str:
        """The number of a part."""
        return str(number)

    def damaged_in(self, windows: tuple[Window, ...]) -> tuple[int, ...]:
        """No tiles."""
        return ()

    def cost(self) -> Cost:
        """Of the first group's function; the stored numbers are those of that group."""
        return self.function(0).cost()

    @property
    def symbols(self) -> tuple[NDArray[np.int64], ...]:
        """The coded integers of all groups, tensor by tensor."""
        return tuple(
            run for number in range(len(self._groups)) for run in self.function(number).symbols
        )
