"""Signal: what lies between a media file and a representation.

Samples keep the type of their source; `to_unit` and `from_unit` are the only road to and from the
[0, 1] scale on which representations are fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import IntEnum
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrcodec import mask as masks
from inrcodec import sample_format as formats
from inrcodec.errors import SignalError
from inrcodec.mapped import runs
from inrcodec.sample_format import SampleFormat

__all__ = ["Axis", "Colour", "Kind", "Labels", "Metadata", "SampleFormat", "Signal", "SignalSpec"]


class Kind(IntEnum):
    """What a signal is. The numbers stand in streams: append only, never reuse."""

    IMAGE = 0
    AUDIO = 1
    VIDEO = 2
    ARRAY = 3


_FORMAT_OF_DTYPE = {
    "uint8": SampleFormat.U8,
    "uint16": SampleFormat.U16,
    "int16": SampleFormat.S16,
    "int32": SampleFormat.S32,
    "float16": SampleFormat.F16,
    "float32": SampleFormat.F32,
}
_FORMAT_IN_ARRAYS = _FORMAT_OF_DTYPE | {
    "int8": SampleFormat.S8,
    "uint32": SampleFormat.U32,
    "int64": SampleFormat.S64,
    "uint64": SampleFormat.U64,
    "float64": SampleFormat.F64,
}
_MAX_RANK, _MAX_CHANNELS = 4, 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One grid axis: its name, its unit and the spacing of samples in that unit."""

    name: str
    unit: str
    spacing: float


class Colour(NamedTuple):
    """How a film's source wrote colours: code points of ITU-T H.273, 2 where it did not say.

    Samples are RGB; `matrix` and `full_range` (0 or 1) are what their source had and what a
    writer of YUV goes back to.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: int = 0


class Labels(NamedTuple):
    """What an array's source calls it, the unit of its samples, its grid axes. Empty: unknown."""

    name: str
    units: str
    axes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """What a source carries beside its samples, restored on writing. None: absent.

    `icc`, `exif` (TIFF structure, orientation already applied and removed) and `xmp` are the
    source's own bytes; `dpi` is horizontal, vertical in dots per inch; `colour` is of films and
    `labels` of arrays.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    colour: Colour | None = None
    labels: Labels | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignalSpec:
    """Everything about a signal but its samples: what a stream's header states.

    `grid`: samples per axis, slowest first (image: height, width; audio: frames; video: frames,
    height, width). `value_range`: what maps to 0 and 1; of images, sounds and films of integers the
    format's own, of arrays the least and the greatest sample, those of 64-bit integers rounded to a
    float.
    `sample_rate` in Hz, for audio only. `time_base` in seconds, for video only: frames follow one
    another at this distance unless the signal has their times.
    """

    kind: Kind
    sample_format: SampleFormat
    grid: tuple[int, ...]
    channels: int
    value_range: tuple[float, float]
    sample_rate: int | None = None
    time_base: Fraction | None = None

    @property
    def n_points(self) -> int:
        """Number of grid points: pixels of an image or of a whole film, frames of a sound."""
        return math.prod(self.grid)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Names and units of the grid axes, in the order of `grid`."""
        if self.kind is Kind.AUDIO and self.sample_rate is not None:
            return (Axis(name="time", unit="s", spacing=1.0 / self.sample_rate),)
        plane = tuple(Axis(name=name, unit="sample", spacing=1.0) for name in ("y", "x"))
        if self.kind is Kind.VIDEO and self.time_base is not None:
            return (Axis(name="time", unit="s", spacing=float(self.time_base)), *plane)
        if self.kind is Kind.IMAGE:
            return plane
        names = (f"axis{i}" for i in range(len(self.grid)))
        return tuple(Axis(name=name, unit="sample", spacing=1.0) for name in names)

    @property
    def seconds(self) -> float | None:
        """Duration of a sound, or of a film of evenly spaced frames, else None."""
        if self.time_base is not None:
            return self.grid[0] * float(self.time_base)
        return None if self.sample_rate is None else self.grid[0] / self.sample_rate

    def seconds_of(self, times: NDArray[np.int64]) -> float:
        """Duration of a film whose frames are shown at `times`; the last one lasts as the mean."""
        assert self.time_base is not None
        last = int(times[-1] - times[0]) / max(len(times) - 1, 1) if len(times) > 1 else 1.0
        return (int(times[-1] - times[0]) + last) * float(self.time_base)

    def to_unit(self, samples: NDArray[np.generic]) -> NDArray[np.float32]:
        """Samples of this spec's format -> float32 in [0, 1]; NaN stays NaN."""
        return formats.to_unit(samples, self.sample_format, self.value_range)

    def from_unit(self, values: NDArray[np.floating]) -> NDArray[np.generic]:
        """Values on the [0, 1] scale -> samples of this spec's format, clipped and rounded.

        What is not a number counts as 0.
        """
        return formats.from_unit(values, self.sample_format, self.value_range)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Signal:
    """Samples [*grid, channels] with their spec, metadata and, for a cut, the part of the source.

    `part` is (start, stop) in samples of the first axis when only a part of the source was taken.
    `times` [frames] says when each frame of a film is shown, in units of the spec's time base and
    rising; None: frame i at i. `mask` [*grid, channels] is True where an array of floats holds no
    number; its samples are NaN there.
    """

    samples: NDArray[np.generic]
    spec: SignalSpec
    metadata: Metadata = field(default_factory=Metadata)
    part: tuple[int, int] | None = None
    times: NDArray[np.int64] | None = None
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        spec = self.spec
        if spec.n_points == 0 or spec.channels == 0:
            raise SignalError(f"empty signal: shape {self.samples.shape}")
        if self.samples.shape != (*spec.grid, spec.channels):
            raise SignalError(f"samples {self.samples.shape} are not {(*spec.grid, spec.channels)}")
        if self.samples.dtype != spec.sample_format.dtype:
            raise SignalError(f"samples of {self.samples.dtype} are not {spec.sample_format.name}")
        if (spec.kind is Kind.VIDEO) is not (spec.time_base is not None):
            raise SignalError(f"time base {spec.time_base} of {spec.kind.name.lower()}")
        _check_times(self.times, spec)
        _check_mask(self.mask, spec)
        if self.metadata.colour is not None and spec.kind is not Kind.VIDEO:
            raise SignalError(f"colour of a film on {spec.kind.name.lower()}")
        labels = self.metadata.labels
        if labels is not None and (spec.kind, len(labels.axes)) != (Kind.ARRAY, len(spec.grid)):
            raise SignalError(f"labels of {len(labels.axes)} axes for a grid of {spec.grid}")

    @staticmethod
    def image(samples: NDArray[np.generic], *, metadata: Metadata | None = None) -> Signal:
        """An image from [height, width] or [height, width, channels]; SignalError for others."""
        if samples.ndim == 2:
            samples = samples[:, :, None]
        if samples.ndim != 3:
            raise SignalError(f"an image has 2 or 3 dimensions, got {samples.ndim}")
        return _checked(Kind.IMAGE, samples, metadata=metadata)

    @staticmethod
    def audio(
        samples: NDArray[np.generic], sample_rate: int, *, sample_format: SampleFormat | None = None
    ) -> Signal:
        """A sound from [frames] or [frames, channels] at `sample_rate` Hz.

        int32 samples are 32-bit unless `sample_format` says S24. Floats are nominally in [-1, 1].
        """
        if samples.ndim == 1:
            samples = samples[:, None]
        if samples.ndim != 2:
            raise SignalError(f"a sound has 1 or 2 dimensions, got {samples.ndim}")
        if not 1 <= sample_rate < 1 << 32:
            raise SignalError(f"sample rate {sample_rate} Hz is not in [1, {(1 << 32) - 1}]")
        return _checked(Kind.AUDIO, samples, sample_rate=sample_rate, sample_format=sample_format)

    @staticmethod
    def video(
        samples: NDArray[np.generic],
        time_base: Fraction,
        *,
        times: NDArray[np.int64] | None = None,
        metadata: Metadata | None = None,
    ) -> Signal:
        """A film from [frames, height, width] or [frames, height, width, channels].

        Frames are `time_base` seconds apart, or shown at `times` in units of it.
        """
        if samples.ndim == 3:
            samples = samples[..., None]
        if samples.ndim != 4:
            raise SignalError(f"a film has 3 or 4 dimensions, got {samples.ndim}")
        if not time_base > 0:
            raise SignalError(f"time base {time_base} s is not above 0")
        film = _checked(Kind.VIDEO, samples, time_base=time_base, metadata=metadata)
        return replace(film, times=times)

    @property
    def seconds(self) -> float | None:
        """Duration of a sound or a film, else None."""
        return self.spec.seconds if self.times is None else self.spec.seconds_of(self.times)

    @staticmethod
    def array(
        samples: NDArray[np.generic],
        *,
        channels_last: bool = False,
        metadata: Metadata | None = None,
    ) -> Signal:
        """An array of 1 to 4 grid axes, of integers of 8 to 64 bits or of floats of 16, 32 or 64.

        With `channels_last` the last axis is 2 to 64 channels, not an axis of the grid. NaN means
        that there is no number, and comes back as such. Raises SignalError for other shapes and
        types, for infinities, and without any number.
        """
        rank, sample_format = samples.ndim, _FORMAT_IN_ARRAYS.get(samples.dtype.name)
        if sample_format is None:
            raise SignalError(f"an array holds integers or floats, not {samples.dtype}")
        if channels_last:
            if rank < 2 or not 2 <= samples.shape[-1] <= _MAX_CHANNELS:
                raise SignalError(f"no axis of 2 to {_MAX_CHANNELS} channels: {samples.shape}")
            rank -= 1
        if not 1 <= rank <= _MAX_RANK:
            raise SignalError(f"an array has 1 to {_MAX_RANK} grid axes, got {rank}")
        mask, value_range = _valid_range(samples, sample_format)
        with_channels = samples.shape if channels_last else (*samples.shape, 1)
        spec = SignalSpec(
            kind=Kind.ARRAY,
            sample_format=sample_format,
            grid=with_channels[:-1],
            channels=with_channels[-1],
            value_range=value_range,
        )
        return Signal(
            samples=samples.reshape(with_channels).astype(sample_format.dtype, copy=False),
            spec=spec,
            metadata=metadata or Metadata(),
            mask=None if mask is None else mask.reshape(with_channels),
        )

    def filled(self) -> Signal:
        """The signal without a mask: what lies under it made up from around it, for a fit to see.

        See `mask.filled`.
        """
        if self.mask is None:
            return self
        unit = masks.filled(self.spec.to_unit(self.samples), self.mask)
        samples = np.where(self.mask, self.spec.from_unit(unit), self.samples)
        return replace(self, samples=samples, mask=None)

    def cut(self, start: int, stop: int) -> Signal:
        """The samples [start, stop) of the first axis, remembering where they came from."""
        if not 0 <= start < stop <= self.spec.grid[0]:
            raise SignalError(f"part {start}:{stop} is not within 0:{self.spec.grid[0]}")
        grid = (stop - start, *self.spec.grid[1:])
        spec = replace(self.spec, grid=grid)
        times = None if self.times is None else self.times[start:stop]
        mask = None if self.mask is None else self.mask[start:stop]
        samples, part = self.samples[start:stop], (start, stop)
        return replace(self, samples=samples, spec=spec, part=part, times=times, mask=mask)


def _check_times(times: NDArray[np.int64] | None, spec: SignalSpec) -> None:
    """Raise SignalError unless times belong to a film, one for each frame, and rise."""
    if times is None:
        return
    if spec.kind is not Kind.VIDEO or times.shape != spec.grid[:1]:
        raise SignalError(f"times of shape {times.shape} for a grid of {spec.grid}")
    falls = np.flatnonzero(np.diff(times) <= 0)
    if falls.size:
        raise SignalError(f"frame {int(falls[0]) + 1} is not shown after the one before it")


def _check_mask(mask: NDArray[np.bool_] | None, spec: SignalSpec) -> None:
    """Raise SignalError unless a mask is of an array of floats, one truth value for each sample."""
    if mask is None:
        return
    if spec.kind is not Kind.ARRAY or not spec.sample_format.is_float:
        raise SignalError(f"mask of {spec.kind.name.lower()} of {spec.sample_format.name}")
    if mask.shape != (*spec.grid, spec.channels) or mask.dtype != np.bool_:
        raise SignalError(f"mask {mask.shape} of {mask.dtype} for a grid of {spec.grid}")


def _valid_range(
    samples: NDArray[np.generic], sample_format: SampleFormat
) -> tuple[NDArray[np.bool_] | None, tuple[float, float]]:
    """Where an array is NaN (None: nowhere), and the least and the greatest of its numbers."""
    if samples.size == 0:
        raise SignalError(f"empty signal: shape {samples.shape}")
    if not sample_format.is_float:
        return None, (float(samples.min()), float(samples.max()))
    mask = np.isnan(samples)
    if mask.all():
        raise SignalError("no sample is a number")
    infinite = np.isinf(samples)
    if infinite.any():
        where = tuple(int(i) for i in np.argwhere(infinite)[0])
        raise SignalError(f"sample {where} is {samples[where]}; samples must be finite")
    low, high = float(np.nanmin(samples)), float(np.nanmax(samples))
    if math.isinf(high - low):
        raise SignalError(f"samples from {low:g} to {high:g} span more than a float can hold")
    return mask if mask.any() else None, (low, high)


def _checked(
    kind: Kind,
    samples: NDArray[np.generic],
    *,
    sample_rate: int | None = None,
    time_base: Fraction | None = None,
    sample_format: SampleFormat | None = None,
    metadata: Metadata | None = None,
) -> Signal:
    sample_format = sample_format or _FORMAT_OF_DTYPE.get(samples.dtype.name)
    if sample_format is None:
        raise SignalError(
            f"samples of {samples.dtype} are not one of {', '.join(_FORMAT_OF_DTYPE)}"
        )
    if 0 in samples.shape:
        raise SignalError(f"empty signal: shape {samples.shape}")
    spec = SignalSpec(
        kind=kind,
        sample_format=sample_format,
        grid=samples.shape[:-1],
        channels=samples.shape[-1],
        value_range=_range_of(kind, samples, sample_format),
        sample_rate=sample_rate,
        time_base=time_base,
    )
    return Signal(samples=samples, spec=spec, metadata=metadata or Metadata())


def _range_of(
    kind: Kind, samples: NDArray[np.generic], sample_format: SampleFormat
) -> tuple[float, float]:
    if not sample_format.is_float:
        return sample_format.nominal_range
    ends = [(part.min(), part.max()) for part in runs(samples)]
    low, high = float(np.min(ends)), float(np.max(ends))
    if not math.isfinite(high - low):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(samples))[0])
        raise SignalError(f"sample {where} is {samples[where]}; samples must be finite")
    if kind is Kind.AUDIO:
        peak = max(1.0, -low, high)
        return -peak, peak
    return low, high
