"""Cosine: a sound as a sum of windowed cosines of time, in integers that a context model codes.

Choose it for sounds: it is fitted in seconds, and no other representation makes files as small.
It is linear in coefficients that are orthonormal, so that nothing has to be trained: a modified
discrete cosine transform (MDCT), read as a function of time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from inrcodec.representations.cosine.fit import Fitted, fit_sound
from inrcodec.representations.cosine.kept import Kept
from inrcodec.representations.cosine.pack import CosineModel, Segment
from inrcodec.representations.cosine.rendering import Rendering
from inrcodec.signal import Kind, Signal, SignalSpec

__all__ = ["Cosine"]

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
    honours = frozenset({"perceptual"})

    spec: SignalSpec
    model: CosineModel
    payloads: Mapping[int, bytes] = field(default_factory=dict)
    starts: Mapping[int, int] = field(default_factory=dict)
    fitted: Fitted | None = None
    salvage: bool = False
    _decoded: Kept[Segment] = field(default_factory=lambda: Kept(Segment.size), repr=False)
    _failed: dict[int, CorruptError] = field(default_factory=dict, repr=False)

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
            return self.fitted.segment(number)
        failure = self._failed.get(number)
        if failure is not None:
            raise CorruptError(failure.reason, offset=failure.offset)  # a new one
        return self._decoded.get(number, self._decode)

    def _decode(self, number: int) -> Segment:
        payload, frames = self.payloads.get(number), self.model.segment(number, self.spec)
        if payload is None:
            raise CorruptError(f"segment {self.tile_name(number)} is damaged")
        start = self.starts.get(tile_key(number), 0)
        try:
            shape, is_heard = self.model.shape(frames, self.spec), self.model.hearing is not None
            return Segment.from_bytes(payload, shape, is_heard=is_heard, start=start)
        except BitstreamError as error:
            where = start if error.offset is None else error.offset
            message = f"segment {self.tile_name(number)} is damaged: {error.reason}"
            failed = self._failed[number] = CorruptError(message, offset=where)
            raise failed from None

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
        angles = ((0,),) * (self.spec.channels // 2)
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
        touched = self._rendering.touched(windows[0])
        return tuple(number for number in touched if not self._is_sound(number))

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
            values[first : first + count] = self._rendering.values(part)
        return values

    def sample(self, coords: NDArray[np.floating]) -> NDArray[np.float32]:
        """Values [n, channels] at coords [n, 1] in [0, 1], on the [0, 1] scale."""
        places = np.nan_to_num(coords[:, 0].astype(np.float64), nan=0.0)
        return self._rendering.values_at(np.clip(places, 0.0, 1.0) * self.spec.grid[0])

    @property
    def _rendering(self) -> Rendering:
        return Rendering(self.spec, self.model, self._integers)

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
        """The coded integers of all segments: splits, then coefficients, then shades."""
        return tuple(self.runs())

    def runs(self) -> Iterator[NDArray[np.int64]]:
        """As `symbols`, segment after segment."""
        for number in range(self.n_tiles):
            segment = self._segment(number)
            yield segment.splits.astype(np.int64)
            yield segment.values.astype(np.int64)
            if segment.shades is not None:
                yield segment.shades.gains
                yield segment.shades.levels

    @property
    def lam(self) -> float | None:
        """The price of a bit that its step is right for; None after `unpack`."""
        return None if self.fitted is None else self.fitted.lam

    @property
    def iterations(self) -> int:
        """Steps that its fit tried; 0 after `unpack`."""
        return 0 if self.fitted is None else self.fitted.iterations
