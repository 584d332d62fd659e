"""Frames -> Y4M: raw YUV 4:4:4 or grey behind one line of text.

Source: FFmpeg's libavformat/yuv4mpegenc.c; the format states range but no matrix, so that readers
presume BT.601 and so does this writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO

import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.media.av_pixels import Target, frame_of
from inrcodec.media.film import Put
from inrcodec.signal import Colour, Metadata, SampleFormat, SignalSpec

__all__ = ["composer"]

_LAYOUTS = {
    (1, SampleFormat.U8): ("gray", "mono"),
    (3, SampleFormat.U8): ("yuv444p", "444"),
    (1, SampleFormat.U16): ("gray16le", "mono16"),
    (3, SampleFormat.U16): ("yuv444p16le", "444p16 XYSCSS=444P16"),
}
_BT601 = 5


def composer(
    spec: SignalSpec, metadata: Metadata, notes: list[str]
) -> Callable[[BinaryIO], AbstractContextManager[Put]]:
    """What writes frames into an open file. Raises ConfigError for what Y4M cannot hold."""
    layout = _LAYOUTS.get((spec.channels, spec.sample_format))
    if layout is None:
        raise ConfigError(f"Y4M cannot hold {spec.channels} {spec.sample_format.name} channels")
    pixels, chroma = layout
    full = spec.channels == 1 or (metadata.colour or Colour()).full_range == 1
    target = Target(pixels, Colour(matrix=_BT601, full_range=int(full)))
    return lambda file: _composing(file, spec, target, chroma=chroma, notes=notes)


@contextmanager
def _composing(
    file: BinaryIO, spec: SignalSpec, target: Target, *, chroma: str, notes: list[str]
) -> Iterator[Put]:
    assert spec.time_base is not None
    _, height, width = spec.grid
    rate, range_ = 1 / spec.time_base, "FULL" if target.colour.full_range else "LIMITED"
    size = f"W{width} H{height} F{rate.numerator}:{rate.denominator}"
    head = f"YUV4MPEG2 {size} Ip A1:1 C{chroma} XCOLORRANGE={range_}\n"
    file.write(head.encode("ascii"))
    reformatter = VideoReformatter()

    def put(samples: NDArray[np.generic], times: NDArray[np.int64] | None) -> None:
        if times is not None and "times of frames are dropped" not in notes:
            notes.append("times of frames are dropped")
        for plane in samples:
            frame = frame_of(plane, target, reformatter)
            planes = (_rows_of(part, width * plane.dtype.itemsize) for part in frame.planes)
            file.write(b"FRAME\n" + b"".join(planes))

    yield put


def _rows_of(plane: VideoPlane, n_bytes: int) -> bytes:
    """A plane without what pads its rows of `n_bytes`."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, :n_bytes].tobytes()
