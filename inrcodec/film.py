"""A film, group of frames by group: read, fitted, coded and let go, in the memory of one group.

Each group is a search of `rate.py` of its own, for its share of the film's target and budget. Its
function begins at that of the group before, and is stored as the difference, unless the picture
has changed altogether.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inrcodec import metrics
from inrcodec.container import Group, Stream
from inrcodec.errors import ConfigError, InrcodecError
from inrcodec.fields import ByteReader
from inrcodec.rate import EncodeResult, encode_to_target
from inrcodec.representations import id_of
from inrcodec.representations.base import Step, Watch
from inrcodec.request import EncodeRequest, Target, clamped
from inrcodec.signal import Metadata, Signal, SignalSpec

__all__ = ["FilmResult", "Frames", "FramesOfSignal", "encode_film"]

_GROUP_POINTS = 1 << 24
_MOST_FRAMES = 32
_GROUPS_PER_KEY = 16
_CUT = 0.5  # of the variance of a frame: a frame that misses the one before by more is a new scene
_SECTION_BYTES = 9  # around a group: tag, length, checksum
_LEAST_SECONDS = 0.1
_DB_TOLERANCE = 0.1
_MOST_AMENDS_DB = 2.0
_SIZE_TOLERANCE = 0.02


class Frames(Protocol):
    """A film that gives its frames group by group; `media.open_film` makes one of a file.

    `part_start`: of a part of a longer film, where it begins there.
    """

    spec: SignalSpec
    metadata: Metadata
    times: NDArray[np.int64] | None
    part_start: int | None

    def groups(self, n_frames: int, *, start: int = 0, stop: int | None = None) -> Iterator[Signal]:
        """The frames [start, stop) as signals of at most `n_frames`, each with its `part`."""


class FramesOfSignal:
    """A film in memory as `Frames`; of a part of another film, these are still its frames."""

    def __init__(self, signal: Signal) -> None:
        self._signal = replace(signal, part=None)
        self.part_start = None if signal.part is None else signal.part[0]
        self.spec, self.metadata, self.times = signal.spec, signal.metadata, signal.times

    def groups(self, n_frames: int, *, start: int = 0, stop: int | None = None) -> Iterator[Signal]:
        """Cuts of the signal."""
        stop = self.spec.grid[0] if stop is None else stop
        for first in range(start, stop, n_frames):
            yield self._signal.cut(first, min(first + n_frames, stop))


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmResult:
    """A film's file with what is known of it. `spec` is of the frames that it holds.

    `seconds`: that the work took; `film_seconds`: that the film lasts.
    """

    data: bytes
    spec: SignalSpec
    film_seconds: float
    psnr_db: float
    reached: bool
    cancelled: bool
    iterations: int
    seconds: float
    model: str


def encode_film(
    source: Frames,
    request: EncodeRequest,
    *,
    span: tuple[int, int | None] | None = None,
    started: float | None = None,
    watch: Watch | None = None,
    cancel: threading.Event | None = None,
) -> FilmResult:
    """Encode the frames [start, stop) of a film to a target.

    `started`: time.monotonic() when the command began. A target that is missed is no error:
    `reached` is False. When it is cancelled, the film ends after the group at hand. Raises
    ConfigError for a span that is not within the film, and as `encode_to_target` does.
    """
    started = time.monotonic() if started is None else started
    work = _Film(source, request, span, started, watch=watch, cancel=cancel or threading.Event())
    work.run()
    return work.result()


@dataclass(frozen=True, slots=True)
class _Done:
    """What is kept of a group."""

    data: bytes
    n_frames: int
    decibels: NDArray[np.float64]
    reached: bool
    iterations: int


class _Film:
    """The groups of one film, done and to do."""

    def __init__(
        self,
        source: Frames,
        request: EncodeRequest,
        span: tuple[int, int | None] | None,
        started: float,
        *,
        watch: Watch | None,
        cancel: threading.Event,
    ) -> None:
        self._source, self._request, self._watch = source, request, watch
        self._span = _span_within(span, source.spec.grid[0])
        self._is_part = span is not None
        self._started, self._cancel = started, cancel
        self._n_frames = self._span[1] - self._span[0]
        self._spec = replace(source.spec, grid=(self._n_frames, *source.spec.grid[1:]))
        self._done: list[_Done] = []
        self._last: EncodeResult | None = None
        self._budget = _budget_of(request.target, self._head(self._n_frames))

    # --- all groups ------------------------------------------------------------------------------

    def run(self) -> None:
        """Encode group after group."""
        start, stop = self._span
        for group in self._source.groups(self._frames_per_group(), start=start, stop=stop):
            self._encode(group)
            if self._cancel.is_set():
                break

    def result(self) -> FilmResult:
        """The file, read back."""
        frames = self._frames_done
        groups = tuple(Group.read(ByteReader(one.data)) for one in self._done)
        stream = replace(self._head(frames), groups=groups)
        data = stream.to_bytes()
        if Stream.from_bytes(data).groups != groups:
            raise InrcodecError("the encoded stream does not hold the groups that were encoded")
        decibels = np.concatenate([one.decibels for one in self._done])
        psnr_db = metrics.mean_psnr_db(decibels)
        return FilmResult(
            data=data,
            spec=stream.spec,
            film_seconds=stream.seconds or 0.0,
            psnr_db=psnr_db,
            reached=self._reached(len(data), psnr_db),
            cancelled=frames < self._n_frames,
            iterations=sum(one.iterations for one in self._done),
            seconds=time.monotonic() - self._started,
            model=self._request.representation(self._spec).name,
        )

    def _reached(self, n_bytes: int, psnr_db: float) -> bool:
        target = self._request.target
        if target.measure == "psnr":
            return psnr_db == math.inf or abs(psnr_db - target.value) <= _DB_TOLERANCE
        if self._budget is None:
            return all(one.reached for one in self._done)
        over = 0.0 if target.measure == "size" else _SIZE_TOLERANCE
        return (1.0 - _SIZE_TOLERANCE) * self._budget <= n_bytes <= (1.0 + over) * self._budget

    def _head(self, n_frames: int) -> Stream:
        """The stream of the first `n_frames`, but for its groups."""
        start, whole, before = self._span[0], self._source.spec.grid[0], self._source.part_start
        is_part = self._is_part or n_frames < whole or before is not None
        times = self._source.times
        return Stream(
            spec=replace(self._source.spec, grid=(n_frames, *self._source.spec.grid[1:])),
            representation_id=id_of(self._request.representation(self._spec)),
            metadata=self._source.metadata,
            times=None if times is None else times[start : start + n_frames] - times[start],
            part_start=start + (before or 0) if is_part else None,
        )

    @property
    def _frames_done(self) -> int:
        return sum(one.n_frames for one in self._done)

    # --- one group -------------------------------------------------------------------------------

    def _encode(self, group: Signal) -> None:
        before = self._last
        result = encode_to_target(
            group,
            self._request_for(group),
            base=before.function if before and self._continues(group, before) else None,
            lam=before.lam if before else None,
            watch=self._overall,
            cancel=self._cancel,
        )
        self._last = result
        done = _Done(
            data=result.data,
            n_frames=group.spec.grid[0],
            decibels=metrics.frame_psnrs_db(group, result.signal),
            reached=result.reached,
            iterations=result.iterations,
        )
        self._done.append(done)

    def _continues(self, group: Signal, before: EncodeResult) -> bool:
        """Whether the function before is a good beginning for this group."""
        if len(self._done) % _GROUPS_PER_KEY == 0:
            return False
        first = group.samples[0].astype(np.float64)
        change = float(np.square(first - before.signal.samples[-1]).mean())
        return change <= _CUT * float(first.var(axis=(0, 1)).mean())

    def _request_for(self, group: Signal) -> EncodeRequest:
        """The group's share of what is left of the film's bytes and seconds.

        Of a PSNR: what the frames to come have to reach for the mean to be right, within reason.
        """
        request, left_frames = self._request, self._n_frames - self._frames_done
        share = group.spec.grid[0] / left_frames
        if request.target.measure == "psnr":
            wanted = request.target.value
            counted = (np.minimum(one.decibels, metrics.MOST_FRAME_DB) for one in self._done)
            missed = sum(float((wanted - decibels).sum()) for decibels in counted)
            most = min(max(missed / left_frames, -_MOST_AMENDS_DB), _MOST_AMENDS_DB)
            request = replace(request, target=Target("psnr", clamped("psnr", wanted + most)))
        if self._budget is not None:
            spent = len(self._head(self._n_frames).to_bytes()) + self._bytes_done
            n_bytes = (self._budget - spent) * share - _SECTION_BYTES
            request = replace(request, target=Target("size", clamped("size", n_bytes)))
        if request.seconds is not None:
            left = self._started + request.seconds - time.monotonic()
            request = replace(request, seconds=max(left * share, _LEAST_SECONDS))
        return request

    @property
    def _bytes_done(self) -> int:
        return sum(len(one.data) + _SECTION_BYTES for one in self._done)

    def _overall(self, step: Step) -> None:
        """Report a step of one group as one of the whole film."""
        if self._watch is None:
            return
        frames = min(self._frames_per_group(), self._n_frames - self._frames_done)
        fraction = (self._frames_done + frames * step.fraction) / self._n_frames
        passed = time.monotonic() - self._started
        whole = replace(
            step,
            iteration=step.iteration + sum(one.iterations for one in self._done),
            fraction=fraction,
            n_bytes=step.n_bytes + self._bytes_done,
            seconds_left=passed * (1.0 - fraction) / max(fraction, 1e-6),
        )
        self._watch(whole)

    def _frames_per_group(self) -> int:
        """As many as a group may have, but all groups nearly equal."""
        most = self._request.group_frames
        if most is None:
            frame_points = self._spec.n_points // self._n_frames
            most = min(max(_GROUP_POINTS // frame_points, 1), _MOST_FRAMES)
        n_groups = math.ceil(self._n_frames / most)
        return math.ceil(self._n_frames / n_groups)


def _span_within(span: tuple[int, int | None] | None, n_frames: int) -> tuple[int, int]:
    start, stop = span or (0, None)
    stop = n_frames if stop is None else stop
    if not 0 <= start < stop <= n_frames:
        raise ConfigError(f"frames {start}:{stop} are not within 0:{n_frames}")
    return start, stop


def _budget_of(target: Target, head: Stream) -> float | None:
    """The bytes of the whole film that a target stands for; None for one that is not of bytes."""
    if target.measure == "bpp":
        return target.value * head.spec.n_points / 8.0
    if target.measure == "kbps":
        return target.value * 1000.0 * (head.seconds or 0.0) / 8.0
    return target.value if target.measure == "size" else None
