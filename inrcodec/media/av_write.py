"""Frames -> MKV and MP4, as FFV1 or H.264, through PyAV."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.media import formats
from inrcodec.media.av_pixels import Target, frame_of, target_of
from inrcodec.media.film import Codec, Put
from inrcodec.media.film_times import DEFAULT_RATE, is_plain_rate
from inrcodec.media.formats import MediaFormat
from inrcodec.media.guard import one_line
from inrcodec.signal import Metadata, SignalSpec

__all__ = ["composer"]

_MUXERS = {formats.MKV: "matroska", formats.MP4: "mp4"}
_MAX_TERM = (1 << 31) - 1
_MAX_SIDE = 16384
_MAX_CRF = 51


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that is decided before the first frame."""

    media_format: MediaFormat
    encoder: str
    options: dict[str, str]
    target: Target
    spec: SignalSpec
    time_base: Fraction


def composer(
    media_format: MediaFormat,
    spec: SignalSpec,
    metadata: Metadata,
    *,
    codec: Codec,
    crf: int,
    notes: list[str],
) -> Callable[[BinaryIO], AbstractContextManager[Put]]:
    """What writes frames into an open file. Raises ConfigError for what cannot be written."""
    if not 0 <= crf <= _MAX_CRF:
        raise ConfigError(f"crf {crf} is not in [0, {_MAX_CRF}]")
    lossless = codec == "ffv1"
    if not lossless and max(spec.grid[1:]) > _MAX_SIDE:
        raise ConfigError(f"H.264 cannot hold frames of {spec.grid[2]} x {spec.grid[1]} pixels")
    time_base = spec.time_base
    assert time_base is not None
    if max(time_base.numerator, time_base.denominator) > _MAX_TERM:
        raise ConfigError(f"{media_format.name} cannot hold a time base of {time_base} s")
    options = {"level": "3", "slicecrc": "1", "g": "1"} if lossless else {"crf": str(crf)}
    target = target_of(spec, metadata.colour, lossless=lossless)
    if target.pixels.endswith("10le"):
        notes.append("samples of 16 bits are written as 10")
    encoder = "ffv1" if lossless else "libx264"
    plan = _Plan(media_format, encoder, options, target, spec, time_base)
    return lambda file: _composing(plan, file, notes)


@contextmanager
def _composing(plan: _Plan, file: BinaryIO, notes: list[str]) -> Iterator[Put]:
    container = av.open(
        file, "w", format=_MUXERS[plan.media_format], container_options={"fflags": "+bitexact"}
    )
    encoder = _Encoder(plan, container, notes)
    try:
        yield encoder.put
        encoder.finish()
    except BaseException:
        with suppress(av.FFmpegError, OSError, ValueError):  # the file is thrown away
            container.close()
        raise


class _Encoder:
    """A container with one stream, begun with the first frames, whose times tell the rate."""

    def __init__(self, plan: _Plan, container: OutputContainer, notes: list[str]) -> None:
        self._plan, self._container, self._notes = plan, container, notes
        self._stream: VideoStream | None = None
        self._reformatter = VideoReformatter()
        self._n_frames, self._first_time, self._milliseconds = 0, 0, -1

    def put(self, samples: NDArray[np.generic], times: NDArray[np.int64] | None) -> None:
        """Encode frames; times are counted from that of the first."""
        with self._refusing():
            if self._stream is None:
                self._stream = self._begun(times)
            for number, plane in enumerate(samples):
                frame = frame_of(plane, self._plan.target, self._reformatter)
                frame.time_base = self._plan.time_base
                frame.pts = self._n_frames
                if times is not None:
                    frame.pts = int(times[number]) - self._first_time
                if self._plan.media_format is formats.MKV:
                    self._check_milliseconds(
                        frame.pts * self._plan.time_base, timed=times is not None
                    )
                self._container.mux(self._stream.encode(frame))
                self._n_frames += 1

    def finish(self) -> None:
        """Encode what the encoder still holds back and end the file."""
        with self._refusing():
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()

    def _begun(self, times: NDArray[np.int64] | None) -> VideoStream:
        plan = self._plan
        rate = 1 / plan.time_base
        if times is not None:
            self._first_time = int(times[0])
            rate = _typical_rate(times, plan.time_base)
        elif plan.media_format is formats.MKV and not is_plain_rate(rate):
            self._notes.append(f"the rate of {rate} frames per second is rounded; .mp4 keeps it")
        stream = self._container.add_stream(
            plan.encoder, rate=rate, options=plan.options, time_base=plan.time_base
        )
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = plan.spec.grid[1:]
        stream.pix_fmt = plan.target.pixels
        context, colour = stream.codec_context, plan.target.colour
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        context.colorspace, context.color_range = colour.matrix, 1 + colour.full_range
        return stream

    def _check_milliseconds(self, time: Fraction, *, timed: bool) -> None:
        """MKV rounds times to milliseconds; readers restore those of frames of an even rate."""
        milliseconds = math.floor(1000 * time + Fraction(1, 2))
        if milliseconds <= self._milliseconds:
            number = self._n_frames
            raise ConfigError(
                f"MKV cannot hold frames {number - 1} and {number}, less than 1 ms apart; .mp4 can"
            )
        self._milliseconds = milliseconds
        note = "times are rounded to milliseconds; .mp4 keeps them"
        if timed and milliseconds != 1000 * time and note not in self._notes:
            self._notes.append(note)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            text = one_line(str(error.strerror))
            raise ConfigError(f"{self._plan.media_format.name} cannot be written: {text}") from None


def _typical_rate(times: NDArray[np.int64], time_base: Fraction) -> Fraction:
    """Frames per second as players are told it, which show frames by their times."""
    if len(times) < 2:
        return DEFAULT_RATE
    rate = 1 / (int(np.median(np.diff(times))) * time_base)
    return rate.limit_denominator(1001) or DEFAULT_RATE
