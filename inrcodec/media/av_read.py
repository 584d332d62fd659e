"""Film files -> frames, through PyAV.

Where the frames are and when they are shown is known before the first is decoded, from the packets
of containers that state it; of others all frames are decoded once, to count them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from inrcodec.errors import SignalError
from inrcodec.media import ffv1, formats
from inrcodec.media.av_open import lost_parts, opened
from inrcodec.media.av_pixels import Layout, colour_of, samples_of
from inrcodec.media.film import FilmSource, Frames
from inrcodec.media.film_data import FilmData
from inrcodec.media.film_times import timing
from inrcodec.media.film_whole import check_last, check_whole
from inrcodec.media.formats import MediaFormat
from inrcodec.media.guard import check_size, translated
from inrcodec.signal import Kind, Metadata, SignalSpec

__all__ = ["AvFilm"]

_STATED = (formats.MP4, formats.MKV, formats.WEBM, formats.Y4M)
"""Formats whose every packet is a frame with its time."""
_HIDDEN = frozenset({"vp8"})
"""Codecs with packets that are not shown."""

_Numbered = Generator[tuple[int, av.VideoFrame], None, None]


@dataclass(frozen=True, slots=True)
class _Index:
    """Frames in the order they are shown: their times, in ticks of the stream, and key frames.

    `by_time`: a decoded frame is known by its time; else by its number.
    """

    shown: list[int]
    keys: list[int]
    by_time: bool


class AvFilm(FilmSource):
    """A film file. Each pass over its frames opens it anew, so that passes do not disturb."""

    def __init__(self, data: FilmData, name: str, media_format: MediaFormat) -> None:
        self.name, self.format_name = name, media_format.name
        self._data, self._format = data, media_format
        with data.open() as file:
            check_whole(file, media_format)
        with self._opened() as (container, stream):
            self.notes = [*lost_parts(container, stream)]
            tick, rates = stream.time_base, (stream.average_rate, stream.guessed_rate)
        first = self._first_frame()
        self._index = self._find_frames(first.pts)
        if tick is None:
            raise SignalError("the film has no time base")
        time_base, self.times = timing(self._index.shown, tick, rates)
        self._describe(first, time_base)

    def close(self) -> None:
        self._data.close()

    def _describe(self, first: av.VideoFrame, time_base: Fraction) -> None:
        self._layout, self._size = Layout.of(first), (first.height, first.width)
        self._turn = _Turn.of(first, self.notes)
        height, width = self._size[::-1] if self._turn.swaps else self._size
        check_size(width, height, self._layout.channels)
        self.metadata = Metadata(colour=colour_of(first))
        self.spec = SignalSpec(
            kind=Kind.VIDEO,
            sample_format=self._layout.sample_format,
            grid=(len(self._index.shown), height, width),
            channels=self._layout.channels,
            value_range=self._layout.sample_format.nominal_range,
            time_base=time_base,
        )

    def _opened(self) -> AbstractContextManager[tuple[InputContainer, VideoStream]]:
        return opened(self._data.open(), self._format)

    # --- where the frames are ------------------------------------------------------------------

    def _first_frame(self) -> av.VideoFrame:
        with self._opened() as (container, stream):
            for frame in self._decoded(container, stream):
                return frame
        raise SignalError("the film has no frames")

    def _find_frames(self, first_time: int | None) -> _Index:
        with self._opened() as (container, stream):
            stated = self._format in _STATED and stream.codec_context.name not in _HIDDEN
            index = self._from_packets(container, stream) if stated else None
        if index is not None and index.shown[0] == first_time:
            return index
        return self._from_frames()

    def _from_packets(self, container: InputContainer, stream: VideoStream) -> _Index | None:
        """From the packets; None if some do not say when they are shown."""
        shown: list[int] = []
        keys: list[int] = []
        sound: list[bool] = []
        end = 0
        for packet in self._packets(container, stream):
            if packet.is_corrupt:
                raise SignalError(f"film ends early or is damaged at frame {len(shown)}")
            if packet.pts is None:
                return None
            if not packet.is_discard:
                shown.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
            if stream.codec_context.name == "ffv1":
                sound.append(ffv1.is_sound(bytes(packet)))
            end = (packet.pos or 0) + packet.size
        if any(sound) and not all(sound):  # none: a version without checksums
            raise SignalError(f"frame {sound.index(False)} is damaged: wrong checksum")
        if self._format is formats.Y4M and shown:
            with self._data.open() as file:
                check_last(file, end)
        return _Index(sorted(shown), sorted(keys), by_time=True) if shown else None

    def _packets(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[av.Packet[VideoStream]]:
        packets = container.demux(stream)
        while True:
            with translated(self._format):
                packet = next(packets, None)
            if packet is None:
                return
            if packet.size:
                yield packet

    def _from_frames(self) -> _Index:
        """From all frames, decoded. Frames without any times follow one another evenly."""
        with self._opened() as (container, stream):
            times = [frame.pts for frame in self._decoded(container, stream)]
            rate, tick = stream.average_rate or stream.guessed_rate, stream.time_base
        if not any(time is not None for time in times):
            step = 1 / (rate * tick) if rate and tick else Fraction(1)
            return _Index([round(i * step) for i in range(len(times))], [], by_time=False)
        if None in times:
            raise SignalError(f"frame {times.index(None)} does not say when it is shown")
        return _Index([time for time in times if time is not None], [], by_time=False)

    # --- frames --------------------------------------------------------------------------------

    def _frames(self, start: int, stop: int) -> Frames:
        expected, reformatter = start, VideoReformatter()
        frames = self._numbered(start)
        while (found := self._next(frames, expected)) is not None:
            number, frame = found
            if number < expected:
                continue
            if number > expected:
                break
            if (frame.height, frame.width) != self._size:
                raise SignalError(
                    f"frame {number} is {frame.width} x {frame.height} pixels, others are "
                    f"{self._size[1]} x {self._size[0]}"
                )
            if frame.is_corrupt:
                raise SignalError(f"frame {number} is damaged")
            with translated(self._format):
                samples = samples_of(frame, self._layout, reformatter)
            yield self._turn.applied(samples)
            expected += 1
            if expected == stop:
                return
        raise SignalError(f"frame {expected} of {self.spec.grid[0]} is missing or damaged")

    def _next(self, frames: _Numbered, expected: int) -> tuple[int, av.VideoFrame] | None:
        try:
            return next(frames, None)
        except SignalError as error:
            raise SignalError(f"film breaks off at frame {expected}: {error}") from None

    def _numbered(self, start: int) -> _Numbered:
        """Frames with their numbers, from a key frame at or before `start` on."""
        if (key := self._key_before(start)) is not None:
            frames = self._numbered_from(key)
            first = next(frames, None)
            if first is not None and first[0] <= start:
                yield first
                yield from frames
                return
            frames.close()
        yield from self._numbered_from(None)

    def _numbered_from(self, key: int | None) -> _Numbered:
        shown = self._index.shown
        with self._opened() as (container, stream):
            if key is not None:
                with translated(self._format):
                    container.seek(key, stream=stream)
            for count, frame in enumerate(self._decoded(container, stream)):
                number = count
                if self._index.by_time:
                    number = -1 if frame.pts is None else bisect_left(shown, frame.pts)
                    if not 0 <= number < len(shown) or shown[number] != frame.pts:
                        continue  # not one of the frames to be shown
                yield number, frame

    def _key_before(self, start: int) -> int | None:
        """The time of the last key frame that is shown no later than a frame; None: the first."""
        keys = self._index.keys if self._index.by_time else []
        place = bisect_right(keys, self._index.shown[start])
        return keys[place - 1] if place > 1 else None

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        frames = container.decode(stream)
        while True:
            with translated(self._format):
                frame = next(frames, None)
            if frame is None:
                return
            yield frame


@dataclass(frozen=True, slots=True)
class _Turn:
    """How frames are to be turned to stand upright: exchange of axes, then mirrored rows, columns.

    Source: ISO/IEC 14496-12, section 6.2.2, as FFmpeg has it in AV_FRAME_DATA_DISPLAYMATRIX.
    """

    swaps: bool = False
    flips_y: bool = False
    flips_x: bool = False

    @staticmethod
    def of(frame: av.VideoFrame, notes: list[str]) -> _Turn:
        """From the display matrix of a frame; what is not a quarter turn or a mirror is noted."""
        held = frame.side_data.get("DISPLAYMATRIX")
        if not isinstance(held, SideData):
            return _Turn()
        xx, xy, _, yx, yy = np.frombuffer(bytes(held)[:20], np.int32).tolist()
        if (xx and yy and not xy and not yx) or (xy and yx and not xx and not yy):
            swaps = not xx
            return _Turn(
                swaps, flips_y=(xy if swaps else yy) < 0, flips_x=(yx if swaps else xx) < 0
            )
        notes.append("turn by less than a quarter is dropped")
        return _Turn()

    def applied(self, samples: NDArray[np.generic]) -> NDArray[np.generic]:
        """Samples [height, width, channels] as they are to be seen."""
        if self.swaps:
            samples = samples.swapaxes(0, 1)
        return samples[:: -1 if self.flips_y else 1, :: -1 if self.flips_x else 1]
