"""Cosine: a sound as a sum of windowed cosines of time, in integers that a context model codes.

Choose it for sounds: it is fitted in seconds, and no other representation makes files as small.
It is linear in coefficients that are orthonormal, so that nothing has to be trained: a modified
discrete cosine transform (MDCT), read as a function of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import (
    ByteReader,
    DecodeLimits,
    SectionId,
    id_of_key,
    number_of_tile,
    require_section,
    tile_key,
)
from inrcodec.errors import BitstreamError, ConfigError, CorruptError
from inrcodec.representations.base import Budget, Cost, FitGoal, Representation, Watch, Window
from inrcodec.representations.cosine.config import CosineConfig
from inrcodec.representations.cosine.fit import Fitted, fit_sound, silence_of
from inrcodec.representations.cosine.pack import CosineModel, Segment
from inrcodec.representations.cosine.transform import Blocks, evaluate, inverse
from inrcodec.signal import Kind, Signal, SignalSpec

__all__ = ["Cosine"]

Floats = NDArray[np.float64]

_KEPT_VALUES = 1 << 24
_AT_ONCE = 1 << 20  # values that are rendered together
_MACS_OF_MODEL = 64.0
_MACS_OF_SEGMENT = 7.5e5  # to begin one takes as long as some ten thousand values


@dataclass(frozen=True, slots=True)
class Cosine(Representation):
    """Segments of frames; those of a stream are decoded when their samples are asked for."""

    name = "cosine"
    Config = CosineConfig
    sized_by_goal = False
    holds_exactly = True

    spec: SignalSpec
    model: CosineModel
    payloads: Mapping[int, bytes] = field(default_factory=dict)
    starts: Mapping[int, int] = field(default_factory=dict)
    fitted: Fitted | None = None
    salvage: bool = False
    _decoded: dict[int, Segment] = field(default_factory=dict, repr=False)

    @classmethod
    def fit(
        cls,
        signal: Signal,
        config: object,
        goal: FitGoal,
        budget: Budget,
        *,
        start: Self | None = None,
        base: Self | None = None,
        watch: Watch | None = None,
    ) -> Self:
        """Fit to a sound. Raises ConfigError for anything else."""
        if signal.spec.kind is not Kind.AUDIO:
            raise ConfigError(f"cosine takes sounds, not {signal.spec.kind.name.lower()}")
        if not isinstance(config, CosineConfig):
            raise ConfigError(f"cosine takes a CosineConfig, got {config!r}")
        assert base is None, "no film is coded this way"
        fitted = fit_sound(signal, config, goal, budget=budget, watch=watch)
        return cls(signal.spec, fitted.model, fitted=fitted)

    def pack(self) -> dict[int, bytes]:
        """MODEL and a TILE for each segment."""
        sections: dict[int, bytes] = {SectionId.MODEL: self.model.to_bytes()}
        for number, frames in enumerate(self.model.segments(self.spec)):
            shape = self.model.shape(frames, self.spec)
            sections[tile_key(number)] = self._segment(number).to_bytes(shape)
        return sections

    @classmethod
    def unpack(
        cls,
        sections: Mapping[int, bytes],
        spec: SignalSpec,
        limits: DecodeLimits,
        *,
        base: Self | None = None,
        salvage: bool = False,
        starts: Mapping[int, int] | None = None,
    ) -> Self:
        """The inverse of `pack`; segments are decoded when used. Raises BitstreamError."""
        reader = ByteReader(require_section(sections, SectionId.MODEL), name="MODEL")
        model = CosineModel.read(reader, spec, limits)
        n_segments = model.n_segments(spec)  # of a header: there may be far fewer sections
        payloads, strange = {}, []
        for key, payload in sections.items():
            number = number_of_tile(key)
            if number is not None and number < n_segments:
                payloads[number] = payload
            elif key != SectionId.MODEL:
                strange.append(key)
        if strange:
            what = id_of_key(min(strange)).name
            raise CorruptError(f"{what} beside the {n_segments} segments of cosine")
        if len(payloads) < n_segments and not salvage:
            missing = next(number for number in range(n_segments) if number not in payloads)
            raise CorruptError(f"segment {missing} of {n_segments} is missing")
        return cls(spec, model, payloads, starts or {}, salvage=salvage)

    # --- segments --------------------------------------------------------------------------------

    def _segment(self, number: int) -> Segment:
        """The integers of a segment. Raises BitstreamError if its bytes are damaged."""
        if self.fitted is not None:
            return self.fitted.segments[number]
        known = self._decoded.get(number)
        if known is not None:
            return known
        payload, frames = self.payloads.get(number), self.model.segment(number, self.spec)
        if payload is None:
            raise CorruptError(f"segment {self.tile_name(number)} is damaged")
        start = self.starts.get(tile_key(number), 0)
        try:
            decoded = Segment.from_bytes(payload, self.model.shape(frames, self.spec), start=start)
        except BitstreamError as error:
            where = start if error.offset is None else error.offset
            message = f"segment {self.tile_name(number)} is damaged: {error.reason}"
            raise CorruptError(message, offset=where) from None
        self._decoded[number] = decoded
        while len(self._decoded) > 3 and _sizes(self._decoded) > _KEPT_VALUES:
            del self._decoded[next(iter(self._decoded))]  # the oldest
        return decoded

    def _when(self, frames: range) -> str:
        rate = self.spec.sample_rate or 1
        first, last = (at * self.model.frame / rate for at in (frames.start, frames.stop))
        return f"{first:.2f} to {last:.2f} s"

    def _integers(self, number: int) -> Segment:
        """Those of a segment; silence for a damaged one if it is to be salvaged."""
        try:
            return self._segment(number)
        except BitstreamError:
            if not self.salvage:
                raise
        n_frames = len(self.model.segment(number, self.spec))
        n_values = n_frames * self.model.frame * self.spec.channels
        angles = (0,) * (self.spec.channels // 2)
        return Segment(np.zeros(n_frames, np.uint8), angles, np.zeros(n_values, np.int32))

    @property
    def n_tiles(self) -> int:
        """Segments of the whole sound."""
        return self.model.n_segments(self.spec)

    def tile_name(self, number: int) -> str:
        """The number of a segment, and when it is."""
        return f"{number} ({self._when(self.model.segment(number, self.spec))})"

    def damaged_in(self, windows: tuple[Window, ...]) -> tuple[int, ...]:
        """The numbers of the segments that windows touch and that cannot be decoded."""
        return tuple(number for number in self._touched(windows[0]) if not self._is_sound(number))

    def _is_sound(self, number: int) -> bool:
        try:
            self._segment(number)
        except BitstreamError:
            return False
        return True

    # --- samples ---------------------------------------------------------------------------------

    def render(self, windows: tuple[Window, ...]) -> NDArray[np.float32]:
        """Samples [length, channels] on the [0, 1] scale, about a segment at a time.

        Segments beside those of the windows are not decoded.
        """
        window, frame = windows[0], self.model.frame
        values = np.empty((window.count, self.spec.channels), np.float32)
        share = window.size / self.spec.grid[0]
        n_samples = min(self.model.segment_frames * frame, _AT_ONCE // self.spec.channels)
        n_at_once = max(1, int(max(n_samples, frame) * share))
        for first in range(0, window.count, n_at_once):
            count = min(n_at_once, window.count - first)
            part = Window(window.size, window.start + first, count)
            values[first : first + count] = self._rendered(part)
        return values

    def _rendered(self, window: Window) -> NDArray[np.float32]:
        size, frames = self.spec.grid[0], self._frames(window)
        first = frames.start * self.model.frame
        blocks, coefficients = self._coefficients(frames)
        if window.size == size and float(window.start).is_integer():
            start = int(window.start) - first
            values = inverse(coefficients, blocks)[start : start + window.count]
        else:
            values = self._resampled(window, blocks, coefficients, first=first)
        return (values + silence_of(self.spec)).astype(np.float32)

    def sample(self, coords: NDArray[np.floating]) -> NDArray[np.float32]:
        """Values [n, channels] at coords [n, 1] in [0, 1], on the [0, 1] scale."""
        size = self.spec.grid[0]
        places = np.nan_to_num(coords[:, 0].astype(np.float64), nan=0.0)
        times = np.clip(places, 0.0, 1.0) * size
        values = np.empty((len(times), self.spec.channels))
        frame = self.model.frame
        own = np.minimum(times // frame, self.model.n_frames(self.spec) - 1).astype(np.int64)
        for number in np.unique(own):
            mine = own == number
            frames = self._around(range(int(number), int(number) + 1))
            blocks, coefficients = self._coefficients(frames)
            values[mine] = evaluate(coefficients, blocks, times[mine] - frames.start * frame)
        return (values + silence_of(self.spec)).astype(np.float32)

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

    def _touched(self, window: Window) -> range:
        """The segments of the frames of a window."""
        frames, n = self._frames(window), self.model.segment_frames
        return range(frames.start // n, -(-frames.stop // n))

    def _coefficients(self, frames: range) -> tuple[Blocks, Floats]:
        """Of a run of frames: blocks and coefficients [samples, channels]."""
        n, parts, splits = self.model.segment_frames, [], []
        for number in range(frames.start // n, -(-frames.stop // n)):
            segment = self._integers(number)
            first = number * n
            mine = slice(max(frames.start - first, 0), frames.stop - first)
            parts.append(self.model.coefficients(segment, self.spec.channels, mine))
            splits.append(segment.splits[mine])
        return Blocks.of_splits(self.model.frame, np.concatenate(splits)), np.concatenate(parts)

    # --- what is known of it ---------------------------------------------------------------------

    def cost(self) -> Cost:
        """Multiplications per sample of all channels, transform and context model, and integers."""
        per_value = 2.0 * np.log2(self.model.frame) + _MACS_OF_MODEL
        n_values = self.model.n_frames(self.spec) * self.model.frame * self.spec.channels
        of_segments = _MACS_OF_SEGMENT * self.n_tiles / self.spec.grid[0]
        macs = self.spec.channels * per_value + of_segments
        return Cost(macs_per_point=macs, n_parameters=n_values)

    @property
    def symbols(self) -> tuple[NDArray[np.int64], ...]:
        """The coded integers of all segments: splits, then coefficients."""
        numbers = range(self.n_tiles)
        return tuple(
            run.astype(np.int64)
            for number in numbers
            for run in (self._segment(number).splits, self._segment(number).values)
        )

    @property
    def lam(self) -> float | None:
        """The price of a bit that its step is right for; None after `unpack`."""
        return None if self.fitted is None else self.fitted.lam

    @property
    def iterations(self) -> int:
        """Steps that its fit tried; 0 after `unpack`."""
        return 0 if self.fitted is None else self.fitted.iterations


def _sizes(segments: Mapping[int, Segment]) -> int:
    return sum(segment.values.size for segment in segments.values())
