"""Segments -> samples: of frames and their neighbours, at the coded rate or another.

Takes integers from wherever they come, so that a fit measures what a decoder will give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.representations.base import Window
from inrcodec.representations.cosine.pack import CosineModel, Segment
from inrcodec.representations.cosine.transform import Blocks, evaluate, inverse
from inrcodec.signal import SignalSpec

__all__ = ["Rendering", "silence_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rendering:
    """The samples of a sound of `spec`; `segment` gives the integers of a segment by its number."""

    spec: SignalSpec
    model: CosineModel
    segment: Callable[[int], Segment]

    def values(self, window: Window) -> NDArray[np.float32]:
        """Values [length, channels] on the [0, 1] scale."""
        size, frames = self.spec.grid[0], self._frames(window)
        first = frames.start * self.model.frame
        blocks, coefficients = self._coefficients(frames)
        if window.size == size and float(window.start).is_integer():
            start = int(window.start) - first
            values = inverse(coefficients, blocks)[start : start + window.count]
        else:
            values = self._resampled(window, blocks, coefficients, first=first)
        return (values + silence_of(self.spec)).astype(np.float32)

    def values_at(self, times: Floats) -> NDArray[np.float32]:
        """Values [n, channels] on the [0, 1] scale at times [n], in samples."""
        values = np.empty((len(times), self.spec.channels))
        frame = self.model.frame
        own = np.minimum(times // frame, self.model.n_frames(self.spec) - 1).astype(np.int64)
        for number in np.unique(own):
            mine = own == number
            frames = self._around(range(int(number), int(number) + 1))
            blocks, coefficients = self._coefficients(frames)
            values[mine] = evaluate(coefficients, blocks, times[mine] - frames.start * frame)
        return (values + silence_of(self.spec)).astype(np.float32)

    def touched(self, window: Window) -> range:
        """The segments of the frames of a window."""
        frames, n = self._frames(window), self.model.segment_frames
        return range(frames.start // n, -(-frames.stop // n))

    def _resampled(
        self, window: Window, blocks: Blocks, coefficients: Floats, *, first: int
    ) -> Floats:
        """At another rate; below the coded one, without what is too high for it."""
        share = window.size / self.spec.grid[0]
        if share < 1.0:
            lengths = np.repeat(blocks.lengths, blocks.lengths)
            number = np.arange(len(lengths)) - np.repeat(blocks.starts, blocks.lengths)
            coefficients = np.where((number + 0.5 < share * lengths)[:, None], coefficients, 0.0)
        times = np.arange(window.count, dtype=np.float64) + (window.start + 0.5)
        return evaluate(coefficients, blocks, times / share - float(first))

    def _frames(self, window: Window) -> range:
        """The frames that the samples of a window depend on."""
        scale = self.spec.grid[0] / window.size
        start, stop = window.start * scale, (window.start + window.count) * scale
        frame, n_frames = self.model.frame, self.model.n_frames(self.spec)
        first = min(max(int(start // frame), 0), n_frames - 1)
        last = min(max(int(-(-stop // frame)), first + 1), n_frames)
        return self._around(range(first, last))

    def _around(self, frames: range) -> range:
        """With the neighbours that they cross over to."""
        return range(max(frames.start - 1, 0), min(frames.stop + 1, self.model.n_frames(self.spec)))

    def _coefficients(self, frames: range) -> tuple[Blocks, Floats]:
        """Of a run of frames: blocks and coefficients [samples, channels]."""
        n, parts, splits = self.model.segment_frames, [], []
        for number in range(frames.start // n, -(-frames.stop // n)):
            segment = self.segment(number)
            first = number * n
            mine = slice(max(frames.start - first, 0), frames.stop - first)
            parts.append(self.model.coefficients(segment, self.spec.channels, mine))
            splits.append(segment.splits[mine])
        return Blocks.of_splits(self.model.frame, np.concatenate(splits)), np.concatenate(parts)


def silence_of(spec: SignalSpec) -> float:
    """Where a sample of 0 lies on the [0, 1] scale; half where there is none."""
    low, high = spec.value_range
    return -low / (high - low) if low < 0.0 < high else 0.5
