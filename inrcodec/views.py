"""Views: which samples of a function are asked for, at which size and rate.

A View is what a person asks for; `resolve` makes of it, for one stream, the windows to evaluate and
what the samples in them are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import Stream
from inrcodec.errors import ConfigError
from inrcodec.representations import by_id
from inrcodec.representations.base import Window
from inrcodec.signal import Kind, SignalSpec

__all__ = ["Region", "Scene", "Span", "View", "film_parts", "frames_of", "resolve", "sound_parts"]

Region = tuple[int, int, int, int]
"""x, y, width and height in samples."""

Span = tuple[float, float | None]
"""Start and stop in seconds; None is the end."""

_LONGEST = (1 << 32) - 1
"""Samples of an axis: as many as a stream can have."""

_MOST_FRAMES_PER_SECOND = 100_000
_MOST_FRAMES = 1 << 22

_KINDS = {
    "scale": (Kind.IMAGE, Kind.VIDEO, Kind.ARRAY),
    "region": (Kind.IMAGE, Kind.VIDEO),
    "frames": (Kind.VIDEO,),
    "seconds": (Kind.AUDIO,),
    "rate": (Kind.AUDIO, Kind.VIDEO),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What to evaluate; None: as coded.

    `scale`: F times as many rows and columns, or samples of every axis of an array; below 1 each
    sample is the mean over its area. `region` is in samples of the scaled picture. `frames`: start
    and stop (None: end) of a film, in coded frames. `seconds`: the same of a sound. `rate`: in Hz
    of a sound, whole, or frames per second of a film.
    """

    scale: float | None = None
    region: Region | None = None
    frames: tuple[int, int | None] | None = None
    seconds: Span | None = None
    rate: Fraction | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing but what is coded is asked for."""
        return self == View()


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """The samples of a view: `windows` to evaluate, and the `spec` and `times` of the result.

    Each sample is the mean of `factors` finer ones along each axis. `places`, of a film alone:
    where its frames lie among the coded ones, of which frame i lies at i + 0.5; they need not be
    even, so that only `film_parts` gives windows in time that hold.
    """

    windows: tuple[Window, ...]
    factors: tuple[int, ...]
    spec: SignalSpec
    times: NDArray[np.int64] | None = None
    places: NDArray[np.float64] | None = None


def resolve(view: View, stream: Stream) -> Scene:
    """The samples that a view shows of a stream. Raises ConfigError for what it cannot show."""
    spec = stream.spec
    _refuse_other_kinds(view, spec)
    family = by_id(stream.representation_id)
    if view.scale not in (None, 1.0) and not family.continuous:
        raise ConfigError(f"scale {view.scale:g} of {family.name}, which has one size only: 1")
    if spec.kind is Kind.AUDIO:
        return _sound(view, spec)
    windows, factors = _plane(view, spec)
    grid = tuple(len(window) for window in windows)
    if spec.kind is not Kind.VIDEO:
        return Scene(windows=windows, factors=factors, spec=replace(spec, grid=grid))
    return _film(view, stream, Scene(windows=windows, factors=factors, spec=spec))


def film_parts(scene: Scene, n_coded: int, n_frames: int) -> Iterator[Scene]:
    """A scene of a film of `n_coded` frames, in runs of at most `n_frames`."""
    assert scene.places is not None
    for start in range(0, len(scene.places), n_frames):
        run = scene.places[start : start + n_frames]
        for first, last in _even_runs(run):
            times = scene.times
            yield replace(
                scene,
                windows=(_window_of(run[first:last], n_coded), *scene.windows[1:]),
                spec=replace(scene.spec, grid=(last - first, *scene.spec.grid[1:])),
                times=None if times is None else times[start + first : start + last],
                places=run[first:last],
            )


def sound_parts(scene: Scene, n_frames: int) -> Iterator[Scene]:
    """A scene of a sound, in runs of at most `n_frames`."""
    (whole,) = scene.windows
    for first in range(0, whole.count, n_frames):
        count = min(n_frames, whole.count - first)
        window, spec = Window(whole.size, whole.start + first, count), scene.spec
        yield replace(scene, windows=(window,), spec=replace(spec, grid=(count,)))


# --- films in time -------------------------------------------------------------------------------


def _film(view: View, stream: Stream, plane: Scene) -> Scene:
    """The frames of a view of a film, whose pictures are those of `plane`."""
    spec = stream.spec
    times = stream.times
    start, stop = _frames_within(view.frames, spec.grid[0])
    places: NDArray[np.float64] = np.arange(start, stop, dtype=np.float64) + 0.5
    if times is not None:
        times = times[start:stop]
    if view.rate is not None:
        places, times = _places_at(view.rate, start, stop, stream), None
        spec = replace(spec, time_base=1 / view.rate)
    grid = (len(places), *(len(window) for window in plane.windows))
    return Scene(
        windows=(Window.span(spec.grid[0], start, stop), *plane.windows),
        factors=(1, *plane.factors),
        spec=replace(spec, grid=grid),
        times=times,
        places=places,
    )


def _frames_within(frames: tuple[int, int | None] | None, n_frames: int) -> tuple[int, int]:
    start, stop = frames or (0, None)
    stop = n_frames if stop is None else stop
    if not 0 <= start < stop <= n_frames:
        raise ConfigError(f"frames {start}:{stop} are not within 0:{n_frames}")
    return start, stop


def _places_at(rate: Fraction, start: int, stop: int, stream: Stream) -> NDArray[np.float64]:
    """Where frames at another rate lie among coded ones from `start` to `stop`.

    A coded frame stands for the time until the next one is shown.
    """
    spec = stream.spec
    assert spec.time_base is not None
    if not 0 < rate <= _MOST_FRAMES_PER_SECOND:
        raise ConfigError(f"rate {float(rate):g} is not in (0, {_MOST_FRAMES_PER_SECOND}]")
    shown = np.arange(spec.grid[0] + 1, dtype=np.float64)
    if stream.times is not None:
        end = spec.seconds_of(stream.times) / float(spec.time_base)
        shown = np.append(stream.times.astype(np.float64), end)
    shown *= float(spec.time_base)
    seconds = shown[stop] - shown[start]
    n_frames = round(seconds * float(rate))
    if n_frames > _MOST_FRAMES:
        raise ConfigError(f"rate {float(rate):g} makes over {_MOST_FRAMES} frames")
    moments = shown[start] + (np.arange(n_frames) + 0.5) / float(rate)
    if n_frames == 0:  # one at least: that of the middle
        moments = np.array([(shown[start] + shown[stop]) / 2])
    places: NDArray[np.float64] = np.interp(moments, shown, np.arange(shown.size, dtype=np.float64))
    return places


def _even_runs(places: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The whole run if its places are evenly spaced, else each place on its own."""
    steps = np.diff(places)
    if steps.size == 0 or float(np.abs(steps - steps[0]).max()) <= 1e-9 * abs(float(steps[0])):
        return [(0, len(places))]
    return [(i, i + 1) for i in range(len(places))]


def _window_of(places: NDArray[np.float64], n_frames: int) -> Window:
    """The window of evenly spaced places among so many coded frames."""
    step = float(places[1] - places[0]) if len(places) > 1 else 1.0
    if abs(step - 1.0) < 1e-9:
        return Window(n_frames, float(places[0]) - 0.5, len(places))
    return Window(n_frames / step, float(places[0]) / step - 0.5, len(places))


# --- planes and sounds ---------------------------------------------------------------------------


def _refuse_other_kinds(view: View, spec: SignalSpec) -> None:
    """Raise ConfigError for an option that only signals of another kind take."""
    for name, kinds in _KINDS.items():
        if getattr(view, name) is not None and spec.kind not in kinds:
            wanted = " and ".join(kind.name.lower() for kind in kinds)
            holds = spec.kind.name.lower()
            raise ConfigError(f"{name} is for {wanted}, and the stream holds {holds}")


def _plane(view: View, spec: SignalSpec) -> tuple[tuple[Window, ...], tuple[int, ...]]:
    """Windows and factors of all axes but the time of a film."""
    coded = spec.grid[1:] if spec.kind is Kind.VIDEO else spec.grid
    scale = 1.0 if view.scale is None else view.scale
    if not 0 < scale < math.inf:
        raise ConfigError(f"scale {scale} is not above 0")
    if max(coded) * scale > _LONGEST:
        raise ConfigError(f"scale {scale:g} makes an axis of over {_LONGEST} samples")
    sizes = tuple(max(1, round(size * scale)) for size in coded)
    factors = tuple(max(1, math.ceil(a / b)) for a, b in zip(coded, sizes, strict=True))
    if view.region is None:
        return tuple(Window.whole(size) for size in sizes), factors
    height, width = sizes
    x, y, w, h = view.region
    if not (0 <= x < x + w <= width and 0 <= y < y + h <= height):
        raise ConfigError(f"region {x},{y},{w},{h} is not within {width} x {height} samples")
    return (Window.span(height, y, y + h), Window.span(width, x, x + w)), factors


def _sound(view: View, spec: SignalSpec) -> Scene:
    (frames,), coded_rate = spec.grid, spec.sample_rate
    assert coded_rate is not None
    rate = Fraction(coded_rate) if view.rate is None else view.rate
    if rate.denominator != 1 or not 1 <= rate < 1 << 32:
        raise ConfigError(f"rate {float(rate):g} Hz is not a whole number in [1, {(1 << 32) - 1}]")
    size = max(1, round(frames * rate / coded_rate))
    if size > _LONGEST:
        raise ConfigError(f"rate {int(rate)} Hz makes a sound of over {_LONGEST} samples")
    window = Window.whole(size)
    if view.seconds is not None:
        window = Window.span(size, *frames_of(view.seconds, int(rate), size))
    spec = replace(spec, grid=(len(window),), sample_rate=int(rate))
    return Scene(windows=(window,), factors=(1,), spec=spec)


def frames_of(seconds: Span, rate: int, frames: int) -> tuple[int, int]:
    """The frames [start, stop) of a sound of `frames` at `rate` Hz that a span of seconds covers.

    Raises ConfigError for a span that is empty or not within the sound.
    """
    start, stop = seconds[0], frames / rate if seconds[1] is None else seconds[1]
    within = -1 < start * rate <= stop * rate < frames + 1  # not so of infinity and NaN
    first, last = (round(start * rate), min(round(stop * rate), frames)) if within else (0, 0)
    if not 0 <= first < last:
        raise ConfigError(f"seconds {start:g}:{stop:g} are not within 0:{frames / rate:g}")
    return first, last
