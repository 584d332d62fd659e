"""Reader: an `.inr` file as an array, of which only the samples that are asked for are computed.

Stands beside `codec.decode`, which computes all of them once.
"""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from types import EllipsisType
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inrcodec import codec
from inrcodec.container import DecodeLimits, breakdown
from inrcodec.errors import ConfigError
from inrcodec.mask import nearest
from inrcodec.representations.base import Cost, Window
from inrcodec.signal import Kind, Metadata, Signal, SignalSpec

__all__ = ["Reader", "Region", "frames_of"]

Region = tuple[int, int, int, int]
"""x, y, width and height in samples."""

_LONGEST = (1 << 32) - 1
"""Samples of an axis: as many as a stream can have."""

_Index = SupportsIndex | slice | EllipsisType


class Reader:
    """Slices, resampled signals and single values of what a stream holds.

    `part_start` is the first coded sample of the source when only a part of it was coded.
    """

    def __init__(self, data: bytes, *, limits: DecodeLimits | None = None) -> None:
        """Read the stream's numbers, not yet its samples. Raises BitstreamError."""
        self._limits = limits or DecodeLimits()
        self._stream, self._representation = codec.unpack(data, self._limits)
        self.n_bytes = len(data)
        self.breakdown = breakdown(data)

    @property
    def spec(self) -> SignalSpec:
        """What is coded, all but the samples."""
        return self._stream.spec

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the samples: [*grid, channels]."""
        return (*self.spec.grid, self.spec.channels)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of the samples."""
        return self.spec.sample_format.dtype

    @property
    def meta(self) -> Metadata:
        """What the source carried beside its samples."""
        return self._stream.metadata

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """True where an array holds no number, of `shape`; None where all samples are numbers."""
        return self._stream.mask

    @property
    def model(self) -> str:
        """The name of the representation."""
        return self._representation.name

    @property
    def cost(self) -> Cost:
        """Of one point, and the count of stored numbers."""
        return self._representation.cost()

    @property
    def part_start(self) -> int | None:
        """First coded sample in the source, None when all of it was coded."""
        return self._stream.part_start

    def __getitem__(self, index: _Index | tuple[_Index, ...]) -> NDArray[np.generic]:
        """Samples as from an array of `shape`, by integers and slices."""
        keys = _full_index(index, len(self.shape))
        windows, rest = [], []
        for key, size in zip(keys[:-1], self.spec.grid, strict=True):
            window, inner = _window_of(key, size)
            windows.append(window)
            rest.append(inner)
        if not all(len(window) for window in windows):
            return np.empty(self.shape, self.dtype)[keys]
        return self._signal(tuple(windows)).samples[(*rest, keys[-1])]

    def sample(self, coords: ArrayLike) -> NDArray[np.floating]:
        """Values [n, channels] at coords [n, axes] in [0, 1], in units of the samples, not rounded.

        Sample i of n on an axis lies at (i + 0.5) / n. float32, of arrays float64; NaN where the
        nearest sample is no number. Raises ConfigError for another shape, and
        for a representation that cannot be evaluated between its samples.
        """
        n_axes = len(self.spec.grid)
        try:
            points = np.asarray(coords, np.float32)
        except (TypeError, ValueError):
            raise ConfigError(f"coords are not numbers [n, {n_axes}]") from None
        if points.ndim != 2 or points.shape[1] != n_axes:
            raise ConfigError(f"coords have shape {points.shape}, not [n, {n_axes}]")
        low, high = self.spec.value_range
        values = self._representation.sample(points)
        if self.spec.kind is not Kind.ARRAY:
            return values * np.float32(high - low) + np.float32(low)
        wide = values.astype(np.float64) * (high - low) + low
        if self.mask is not None:
            wide[self.mask[nearest(points, self.spec.grid)]] = np.nan
        return wide

    def read(
        self,
        *,
        scale: float | None = None,
        region: Region | None = None,
        rate: int | None = None,
        seconds: tuple[float, float | None] | None = None,
    ) -> Signal:
        """A signal evaluated at other coordinates than the coded ones.

        Images: `scale` resamples, `region` is in samples of the scaled image. Sound: `rate` in Hz
        resamples, `seconds` (start, stop or None) count from the coded start. Raises ConfigError
        for what does not fit the signal.
        """
        self._refuse(Kind.IMAGE, scale=scale, region=region)
        self._refuse(Kind.AUDIO, rate=rate, seconds=seconds)
        if self.spec.kind is Kind.AUDIO:
            windows: tuple[Window, ...] = self._time_window(rate, seconds)
        elif self.spec.kind is Kind.IMAGE:
            windows = self._image_windows(1.0 if scale is None else scale, region)
        else:
            windows = tuple(Window.whole(size) for size in self.spec.grid)
        signal = self._signal(windows)
        if rate is not None:
            signal = replace(signal, spec=replace(signal.spec, sample_rate=rate))
        partly = (scale, region, rate, seconds) != (None,) * 4
        return replace(signal, part=None) if partly else signal

    def _refuse(self, kind: Kind, **options: object) -> None:
        """Raise ConfigError for an option that only signals of another kind take."""
        given = [name for name, value in options.items() if value is not None]
        if given and self.spec.kind is not kind:
            holds = self.spec.kind.name.lower()
            raise ConfigError(
                f"{given[0]} is for {kind.name.lower()}, and the stream holds {holds}"
            )

    def _image_windows(self, scale: float, region: Region | None) -> tuple[Window, Window]:
        if not 0 < scale < math.inf:
            raise ConfigError(f"scale {scale} is not above 0")
        if max(self.spec.grid) * scale > _LONGEST:
            raise ConfigError(f"scale {scale:g} makes an axis of over {_LONGEST} samples")
        height, width = (max(1, round(size * scale)) for size in self.spec.grid)
        x, y, w, h = region or (0, 0, width, height)
        if not (0 <= x < x + w <= width and 0 <= y < y + h <= height):
            raise ConfigError(f"region {x},{y},{w},{h} is not within {width} x {height} samples")
        return Window(height, y, y + h), Window(width, x, x + w)

    def _time_window(
        self, rate: int | None, seconds: tuple[float, float | None] | None
    ) -> tuple[Window]:
        (frames,), coded_rate = self.spec.grid, self.spec.sample_rate
        assert coded_rate is not None
        rate = coded_rate if rate is None else rate
        if not 1 <= rate < 1 << 32:
            raise ConfigError(f"rate {rate} Hz is not in [1, {(1 << 32) - 1}]")
        size = max(1, round(frames * rate / coded_rate))
        if seconds is None:
            return (Window.whole(size),)
        return (Window(size, *frames_of(seconds, rate, size)),)

    def _signal(self, windows: tuple[Window, ...]) -> Signal:
        n_samples = math.prod(len(window) for window in windows) * self.spec.channels
        if n_samples > self._limits.max_samples:
            raise ConfigError(f"{n_samples} samples are over {self._limits.max_samples}")
        return codec.render(
            self._stream, self._representation, windows=windows, limits=self._limits
        )


def frames_of(seconds: tuple[float, float | None], rate: int, frames: int) -> tuple[int, int]:
    """The frames [start, stop) of a sound of `frames` at `rate` Hz that a span of seconds covers.

    Raises ConfigError for a span that is empty or not within the sound.
    """
    start, stop = seconds[0], frames / rate if seconds[1] is None else seconds[1]
    within = -1 < start * rate <= stop * rate < frames + 1  # not so of infinity and NaN
    first, last = (round(start * rate), min(round(stop * rate), frames)) if within else (0, 0)
    if not 0 <= first < last:
        raise ConfigError(f"seconds {start:g}:{stop:g} are not within 0:{frames / rate:g}")
    return first, last


def _full_index(index: _Index | tuple[_Index, ...], n_axes: int) -> tuple[int | slice, ...]:
    """One integer or slice for each axis. Raises IndexError as numpy does."""
    keys = tuple(_key_of(key) for key in (index if isinstance(index, tuple) else (index,)))
    dots = [i for i, key in enumerate(keys) if key is ...]
    named = len(keys) - len(dots)
    if named > n_axes or len(dots) > 1:
        raise IndexError(f"index {index!r} is too long for {n_axes} axes")
    at = dots[0] if dots else len(keys)
    fill = (slice(None),) * (n_axes - named)
    return tuple(key for key in (*keys[:at], *fill, *keys[at + 1 :]) if key is not ...)


def _key_of(key: _Index) -> int | slice | EllipsisType:
    """An integer of any kind as Python's own; to numpy a truth value is a mask, here an error."""
    if isinstance(key, (slice, EllipsisType)):
        return key
    try:
        if not isinstance(key, bool):
            return operator.index(key)
    except TypeError:
        pass
    raise IndexError(f"index {key!r} is not an integer, a slice or '...'")


def _window_of(key: int | slice, size: int) -> tuple[Window, int | slice]:
    """The samples of an axis that a key touches, and the key within them."""
    if isinstance(key, int):
        if not -size <= key < size:
            raise IndexError(f"index {key} is out of bounds for an axis of {size}")
        start = key % size
        return Window(size, start, start + 1), 0
    touched = range(size)[key]
    if not touched:
        return Window(size, 0, 0), key
    low, high = min(touched[0], touched[-1]), max(touched[0], touched[-1])
    return Window(size, low, high + 1), slice(None, None, key.step)
