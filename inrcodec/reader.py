"""Reader: an `.inr` file as an array, of which only the samples that are asked for are computed.

Stands beside `codec.decode`, which computes all of them once.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from fractions import Fraction
from types import EllipsisType
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inrcodec import codec
from inrcodec.container import DecodeLimits, breakdown
from inrcodec.errors import BitstreamError, ConfigError
from inrcodec.mask import nearest
from inrcodec.representations.base import Cost, Window
from inrcodec.signal import Kind, Metadata, Signal, SignalSpec
from inrcodec.views import Region, Scene, Span, View, film_parts, resolve, sound_parts

__all__ = ["Reader"]

_Index = SupportsIndex | slice | EllipsisType


class Reader:
    """Slices, resampled signals and single values of what a stream holds.

    `flaw` says what is wrong with the bytes of a stream that was salvaged, None: nothing was found.
    """

    def __init__(
        self, data: bytes, *, limits: DecodeLimits | None = None, salvage: bool = False
    ) -> None:
        """Read the stream's numbers, not yet its samples. Raises BitstreamError.

        With `salvage`, damaged and missing tiles are grey, those of a sound silent.
        """
        self._limits = limits or DecodeLimits()
        self._stream, self._function = codec.unpack(data, self._limits, salvage=salvage)
        self.n_bytes = len(data)
        self.flaw: str | None = None
        try:
            self.breakdown = breakdown(data)
        except BitstreamError as error:
            assert salvage, "it was read just now"
            self.flaw = str(error)
            self.breakdown = breakdown(data, salvage=True)

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
        return self._function.name

    @property
    def times(self) -> NDArray[np.int64] | None:
        """When each frame of a film is shown, in units of the time base; None if evenly."""
        return self._stream.times

    @property
    def seconds(self) -> float | None:
        """Duration of a sound or a film, else None."""
        return self._stream.seconds

    @property
    def n_groups(self) -> int:
        """Groups of frames of a film, 0 of anything else."""
        return len(self._stream.groups)

    @property
    def n_tiles(self) -> int:
        """Parts of an image or a sound that are coded apart, 1 where there are none."""
        return self._function.n_tiles

    def tile_name(self, number: int) -> str:
        """The number of a tile, of a segment of a sound with its time."""
        return self._function.tile_name(number)

    def damaged(self, view: View | None = None) -> tuple[int, ...]:
        """The numbers of the tiles of a view that cannot be decoded; raises as `read` does."""
        return self._function.damaged_in(self.scene(view or View()).windows)

    @property
    def cost(self) -> Cost:
        """Of one point, and the count of stored numbers."""
        return self._function.cost()

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
        samples = codec.evaluate(self._function, self.spec, tuple(windows), limits=self._limits)
        codec.put_mask(samples, self._stream, tuple(windows))
        return samples[(*rest, keys[-1])]

    def sample(self, coords: ArrayLike) -> NDArray[np.floating]:
        """Values [n, channels] at coords [n, axes] in [0, 1], in units of the samples, not rounded.

        Sample i of n on an axis lies at (i + 0.5) / n; give float64 on long axes. Values are
        float32, of arrays float64; NaN where the nearest sample is no number. Raises ConfigError
        for another shape, and for a representation that cannot be evaluated between its samples.
        """
        n_axes = len(self.spec.grid)
        try:
            points = np.asarray(coords, np.float64)
        except (TypeError, ValueError):
            raise ConfigError(f"coords are not numbers [n, {n_axes}]") from None
        if points.ndim != 2 or points.shape[1] != n_axes:
            raise ConfigError(f"coords have shape {points.shape}, not [n, {n_axes}]")
        low, high = self.spec.value_range
        values = self._function.sample(points)
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
        frames: tuple[int, int | None] | None = None,
        seconds: Span | None = None,
        rate: float | Fraction | None = None,
    ) -> Signal:
        """A signal evaluated at other coordinates than the coded ones.

        Images, films and arrays: `scale` resamples; below 1 each sample is the mean over its area.
        Images and films: `region` is in samples of the scaled picture. Films: `frames` (start, stop
        or None) in coded frames, `rate` in frames per second. Sound: `rate` in Hz, `seconds`
        (start, stop or None) from the coded start. Raises ConfigError for what does not fit.
        """
        view = View(
            scale=scale,
            region=region,
            frames=frames,
            seconds=seconds,
            rate=None if rate is None else _fraction(rate),
        )
        return self.show(view)

    def show(self, view: View) -> Signal:
        """The signal of a view, as `read` gives it."""
        if view.is_whole:
            return codec.render(self._stream, self._function, limits=self._limits)
        if self.spec.kind is not Kind.VIDEO:
            return self._signal(resolve(view, self._stream))
        scene = self._within_limit(self.scene(view))
        shape = (*scene.spec.grid, scene.spec.channels)
        samples, done = np.empty(shape, self.dtype), 0
        for part in self.film(view):
            samples[done : done + len(part.samples)] = part.samples
            done += len(part.samples)
        return Signal(samples=samples, spec=scene.spec, metadata=self.meta, times=scene.times)

    def scene(self, view: View) -> Scene:
        """What a view shows, all but the samples; raises as `read` does."""
        return resolve(view, self._stream)

    def film(self, view: View | None = None, *, n_frames: int = 8) -> Iterator[Signal]:
        """What a view shows of a film, at most `n_frames` at once; raises as `read` does.

        Large frames come in fewer at once, so that they stay within the limit of samples.
        """
        if self.spec.kind is not Kind.VIDEO:
            raise ConfigError(f"frames of a stream that holds {self.spec.kind.name.lower()}")
        whole = self.scene(view or View())
        most = self._limits.max_samples // (math.prod(whole.spec.grid[1:]) * whole.spec.channels)
        for scene in film_parts(whole, self.spec.grid[0], min(n_frames, max(most, 1))):
            yield self._signal(scene)

    def sound(self, view: View | None = None, *, n_frames: int = 1 << 18) -> Iterator[Signal]:
        """What a view shows of a sound, at most `n_frames` at once; raises as `read` does.

        Never more samples come at once than the limit allows. Raises LimitError for one that takes
        more multiplications in all, ConfigError for `n_frames` below 1.
        """
        if n_frames < 1:
            raise ConfigError(f"n_frames {n_frames} is below 1")
        if self.spec.kind is not Kind.AUDIO:
            raise ConfigError(f"parts of a stream that holds {self.spec.kind.name.lower()}")
        whole, most = self.scene(view or View()), self._limits.max_samples // self.spec.channels
        codec.check_work(whole.spec.n_points * self.cost.macs_per_point, self._limits)
        for scene in sound_parts(whole, min(n_frames, max(most, 1))):
            yield self._signal(scene)

    def _within_limit(self, scene: Scene) -> Scene:
        """The scene. Raises ConfigError if it has more samples than may be computed at once."""
        n_samples = scene.spec.n_points * scene.spec.channels
        if n_samples > self._limits.max_samples:
            raise ConfigError(f"{n_samples} samples are over {self._limits.max_samples}")
        return scene

    def _signal(self, scene: Scene) -> Signal:
        scene = self._within_limit(scene)
        samples = codec.evaluate(
            self._function,
            scene.spec,
            scene.windows,
            factors=scene.factors,
            limits=self._limits,
        )
        return Signal(
            samples=samples,
            spec=scene.spec,
            metadata=self.meta,
            times=scene.times,
            mask=codec.put_mask(samples, self._stream, scene.windows),
        )


def _fraction(rate: float | Fraction) -> Fraction:
    """A rate as it was meant: 29.97 is 2997/100."""
    if isinstance(rate, float) and not math.isfinite(rate):
        raise ConfigError(f"rate {rate} is not a number")
    return Fraction(str(rate)) if isinstance(rate, float) else Fraction(rate)


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
        return Window(size, start, 1), 0
    touched = range(size)[key]
    if not touched:
        return Window(size, 0, 0), key
    low, high = min(touched[0], touched[-1]), max(touched[0], touched[-1])
    return Window.span(size, low, high + 1), slice(None, None, key.step)
