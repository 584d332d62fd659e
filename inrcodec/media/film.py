"""Films in and out, some frames at a time: what a source and a writer of frames are.

FFmpeg, through PyAV, reads (`av_read.py`) and writes (`av_write.py`) what is one file; `y4m.py`
writes raw frames, `sequence.py` a film whose frames are images.
"""

from __future__ import annotations

import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

import numpy as np
from numpy.typing import NDArray

from inrcodec import files
from inrcodec.errors import ConfigError, MissingExtraError, SignalError
from inrcodec.media import formats
from inrcodec.media.film_data import FilmData
from inrcodec.media.formats import HEAD_BYTES, MediaFormat
from inrcodec.media.guard import MAX_SAMPLES, named
from inrcodec.signal import Kind, Metadata, Signal, SignalSpec

__all__ = [
    "Codec",
    "FilmSource",
    "FilmWriter",
    "Frames",
    "Put",
    "create_film",
    "is_film",
    "open_film",
    "to_bytes",
]

Codec = Literal["ffv1", "x264"]
Frames = Generator[NDArray[np.generic], None, None]
"""Frames of a film, each [height, width, channels]."""
Put = Callable[[NDArray[np.generic], NDArray[np.int64] | None], None]
"""Takes the next frames [frames, height, width, channels] of a film and their times."""


class FilmSource(ABC):
    """A film that is open for reading; a context manager.

    `spec.grid` is (frames, height, width); `times` of all frames are in units of `spec.time_base`,
    the first is 0, None: evenly. `notes` says what of the source is lost; reading may add to it.
    """

    name: str
    format_name: str
    spec: SignalSpec
    metadata: Metadata
    times: NDArray[np.int64] | None
    notes: list[str]
    part_start: int | None = None
    n_told = 0

    def groups(self, n_frames: int, *, start: int = 0, stop: int | None = None) -> Iterator[Signal]:
        """The frames [start, stop) in Signals of at most `n_frames`, each with its `part`.

        Raises SignalError where a frame cannot be read.
        """
        stop = self.spec.grid[0] if stop is None else stop
        if not (0 <= start < stop <= self.spec.grid[0] and n_frames > 0):
            raise ConfigError(
                f"frames {start}:{stop} by {n_frames} are not within 0:{self.spec.grid[0]}"
            )
        with named(self.name), closing(self._frames(start, stop)) as frames:
            for first in range(start, stop, n_frames):
                yield self._group(frames, first, min(first + n_frames, stop))

    def read(self) -> Signal:
        """The whole film. Raises SignalError for one of too many samples."""
        n_samples = self.spec.n_points * self.spec.channels
        if n_samples > MAX_SAMPLES:
            raise SignalError(
                f"cannot read {self.name}: film of {n_samples} samples is over {MAX_SAMPLES}"
            )
        (whole,) = self.groups(self.spec.grid[0])
        return replace(whole, part=None)

    def tell(self) -> None:
        """Warn of what is lost, each loss once: on opening, and of what showed up while reading."""
        notes = list(dict.fromkeys(self.notes))
        if len(notes) > self.n_told:
            new = "; ".join(notes[self.n_told :])
            warnings.warn(f"{self.name}: {new}", stacklevel=3)
            self.n_told = len(notes)

    @abstractmethod
    def close(self) -> None:
        """Let go of what the source holds."""

    @abstractmethod
    def _frames(self, start: int, stop: int) -> Frames:
        """The frames [start, stop), each [height, width, channels]."""

    def _group(self, frames: Iterator[NDArray[np.generic]], first: int, last: int) -> Signal:
        n_frames, spec = last - first, self.spec
        samples = np.empty((n_frames, *spec.grid[1:], spec.channels), spec.sample_format.dtype)
        for into in samples:
            into[:] = next(frames)
        return Signal(
            samples=samples,
            spec=replace(spec, grid=(n_frames, *spec.grid[1:])),
            metadata=self.metadata,
            part=(first, last),
            times=None if self.times is None else self.times[first:last],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is None:
            self.tell()


class FilmWriter:
    """A film that is being written; a context manager.

    Leaving it without an error finishes the file and gives it its name; after an error nothing is
    left behind. `notes` says what is lost.
    """

    def __init__(
        self, target: AbstractContextManager[Put], spec: SignalSpec, notes: list[str]
    ) -> None:
        self.spec, self.notes, self.n_frames = spec, notes, 0
        self._target = target
        self._put: Put | None = None
        self._last: int | None = None

    def write(self, samples: NDArray[np.generic], times: NDArray[np.int64] | None = None) -> None:
        """Append frames [frames, height, width, channels] of the spec's sample format.

        `times` are in units of the spec's time base and rise; None: evenly. Raises SignalError
        for samples or times that do not go with the spec or the frames before.
        """
        spec = self.spec
        expected = (*spec.grid[1:], spec.channels)
        if samples.shape[1:] != expected or samples.dtype != spec.sample_format.dtype:
            raise SignalError(
                f"frames {samples.shape} of {samples.dtype} are not [n, "
                f"{', '.join(map(str, expected))}] of {spec.sample_format.dtype}"
            )
        if self.n_frames and (times is None) is not (self._last is None):
            raise SignalError(f"frame {self.n_frames} has times where others have not")
        if times is not None:
            self._check_times(times, len(samples))
        assert self._put is not None, "a FilmWriter is used in a with statement"
        if len(samples):
            self._put(samples, times)
        self.n_frames += len(samples)

    def _check_times(self, times: NDArray[np.int64], n_frames: int) -> None:
        if times.shape != (n_frames,):
            raise SignalError(f"times of shape {times.shape} for {n_frames} frames")
        for number, time in enumerate(times.tolist(), self.n_frames):
            if self._last is not None and time <= self._last:
                raise SignalError(f"frame {number} is not shown after the one before it")
            self._last = time

    def __enter__(self) -> Self:
        self._put = self._target.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and not self.n_frames:
            empty = SignalError("no frames were written")
            self._target.__exit__(SignalError, empty, None)
            raise empty
        self._target.__exit__(kind, error, traceback)


def open_film(source: str | Path | bytes, *, rate: Fraction | None = None) -> FilmSource:
    """A film: a file, `-` for standard input, the bytes of one, or `folder/%04d.png`.

    `rate` is the frames per second of images, which have none of their own; 25 by default. Raises
    SignalError for what is not a film, MissingExtraError for a file without the extra 'video'.
    """
    from inrcodec.media import sequence

    name = "input" if isinstance(source, bytes) else str(source)
    with named(name):
        if not isinstance(source, bytes) and sequence.is_pattern(source):
            return sequence.ImageSequence(source, rate=rate)
        if rate is not None:
            raise ConfigError(f"rate {rate} is for images; {name} has its own")
        data = FilmData.of(source)
        try:
            return _open_data(data, name)
        except BaseException:
            data.close()
            raise


def create_film(
    path: str | Path,
    spec: SignalSpec,
    metadata: Metadata,
    *,
    suffix: str | None = None,
    codec: Codec | None = None,
    crf: int = 18,
    force: bool = True,
) -> FilmWriter:
    """A writer of the film file, or of the images `folder/%04d.png`, that `path` names.

    `suffix` (".mkv") is believed instead of the path's. `codec` is "ffv1", without loss, or "x264",
    H.264 at quality `crf` (0 to 51, lower is better); None: FFV1 for .mkv, H.264 for .mp4. Of
    `spec.grid` the count of frames is not binding. Raises ConfigError for what the format cannot
    hold and as `files.check_writable` does.
    """
    from inrcodec.media import sequence

    notes: list[str] = []
    if str(path) == "-":
        raise ConfigError("a film is not written to standard output, only to a file")
    if sequence.is_pattern(path):
        if codec is not None:
            raise ConfigError(f"a sequence of images has no codec, got {codec}")
        target = sequence.writing(path, spec, metadata, suffix=suffix, force=force, notes=notes)
        return FilmWriter(target, spec, notes)
    files.check_writable(path, force=force)
    media_format = _film_of_suffix(suffix or Path(path).suffix)
    compose = _composer(media_format, spec, metadata, codec=codec, crf=crf, notes=notes)

    @contextmanager
    def to_file() -> Iterator[Put]:
        with files.replacing(path) as file, compose(file) as put:
            yield put

    return FilmWriter(to_file(), spec, notes)


def to_bytes(signal: Signal, suffix: str, notes: list[str]) -> bytes:
    """The bytes of the film file that `suffix` (".mp4") names. Raises ConfigError."""
    media_format = _film_of_suffix(suffix)
    sink = io.BytesIO()
    compose = _composer(media_format, signal.spec, signal.metadata, codec=None, crf=18, notes=notes)
    with FilmWriter(compose(sink), signal.spec, notes) as writer:
        writer.write(signal.samples, signal.times)
    return sink.getvalue()


def is_film(source: str | Path | bytes) -> bool:
    """Whether that is a film: a pattern of images, or a file or bytes that begin like a film."""
    from inrcodec.media import sequence

    if isinstance(source, bytes):
        found = formats.of_content(source, "")
    elif sequence.is_pattern(source):
        return True
    elif str(source) == "-" or not Path(source).is_file():
        return False
    else:
        with Path(source).open("rb") as file:
            found = formats.of_content(file.read(HEAD_BYTES), str(source))
    return found is not None and found.kind is Kind.VIDEO


def _open_data(data: FilmData, name: str) -> FilmSource:
    with data.open() as file:
        media_format = formats.of_content(file.read(HEAD_BYTES), name)
    if media_format is None:
        raise SignalError("not a film that inrcodec reads")
    if media_format.kind is not Kind.VIDEO:
        raise SignalError(f"{media_format.name} holds {media_format.kind.name.lower()}, not a film")

    _need_av("reading film")
    from inrcodec.media.av_read import AvFilm

    return AvFilm(data, name, media_format)


def _film_of_suffix(suffix: str) -> MediaFormat:
    media_format = formats.of_suffix(suffix)
    if media_format.kind is not Kind.VIDEO:
        raise ConfigError(f"{media_format.name} cannot hold video")
    return media_format


def _composer(
    media_format: MediaFormat,
    spec: SignalSpec,
    metadata: Metadata,
    *,
    codec: Codec | None,
    crf: int,
    notes: list[str],
) -> Callable[[BinaryIO], AbstractContextManager[Put]]:
    """What writes frames into an open file of that format; all that can be refused is so here."""
    _need_av("writing film")
    if media_format is formats.Y4M:
        if codec is not None:
            raise ConfigError(f"Y4M has no codec, got {codec}")
        from inrcodec.media import y4m

        return y4m.composer(spec, metadata, notes)
    from inrcodec.media import av_write

    chosen = codec or ("ffv1" if media_format is formats.MKV else "x264")
    return av_write.composer(media_format, spec, metadata, codec=chosen, crf=crf, notes=notes)


def _need_av(what: str) -> None:
    try:
        import av  # noqa: F401
    except ImportError:
        raise MissingExtraError(what, extra="video") from None
