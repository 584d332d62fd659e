"""Frames of PyAV <-> samples: RGB, grey or RGBA, by the colour matrix and range of the film.

What a film does not say is taken as swscale takes it: BT.601 and limited range for YUV, full range
for grey and RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from inrcodec.errors import ConfigError, SignalError
from inrcodec.signal import Colour, SampleFormat, SignalSpec

__all__ = ["FRAME_FORMATS", "Layout", "Target", "colour_of", "frame_of", "samples_of", "target_of"]

FRAME_FORMATS = {
    (1, SampleFormat.U8): "gray",
    (3, SampleFormat.U8): "rgb24",
    (4, SampleFormat.U8): "rgba",
    (1, SampleFormat.U16): "gray16le",
    (3, SampleFormat.U16): "rgb48le",
    (4, SampleFormat.U16): "rgba64le",
}
"""Channels and sample format -> the pixel format that holds such samples as they are."""

_FFV1 = {
    "gray": "gray",
    "rgb24": "bgr0",
    "rgba": "bgra",
    "gray16le": "gray16le",
    "rgb48le": "gbrp16le",
    "rgba64le": "gbrap16le",
}
_SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
"""Matrix of H.273 -> swscale's number for it."""
_BT709, _BT601, _UNKNOWN, _IDENTITY = 1, 5, 2, 0
_UNSAID = frozenset({_IDENTITY, _UNKNOWN, 3})
_LIMITED, _FULL = 1, 2
_THREADS = 1  # with more, libswscale now and then leaves rows of 16-bit frames wrong
_FINE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
_FINE_INPUT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True, slots=True)
class Layout:
    """What the frames of a film become: `matrix` is swscale's, None for its own choice.

    `grey_bits` is the depth of grey of limited range, which swscale does not widen; else 0.
    """

    channels: int
    sample_format: SampleFormat
    matrix: int | None
    grey_bits: int

    @staticmethod
    def of(frame: av.VideoFrame) -> Layout:
        """The layout for a film with this first frame. Raises SignalError for what is not read."""
        pixels = frame.format
        bits = max(component.bits for component in pixels.components)
        if "f16" in pixels.name or "f32" in pixels.name:
            raise SignalError(f"pixel format {pixels.name} is not supported")
        alpha = any(component.is_alpha for component in pixels.components)
        grey = len(pixels.components) == 1 and not pixels.has_palette and not pixels.is_bayer
        limited_grey = grey and frame.color_range == _LIMITED
        return Layout(
            channels=1 if grey else 4 if alpha else 3,
            sample_format=SampleFormat.U8 if bits <= 8 else SampleFormat.U16,
            matrix=None if grey or pixels.is_rgb else _matrix_of(frame.colorspace),
            grey_bits=bits if limited_grey else 0,
        )


@dataclass(frozen=True, slots=True)
class Target:
    """What frames become for an encoder: its pixel format and what it is to say of colour."""

    pixels: str
    colour: Colour


def colour_of(frame: av.VideoFrame) -> Colour | None:
    """What a film says of its colour, None if nothing."""
    name, is_rgb = frame.format.name, frame.format.is_rgb
    full = frame.color_range == _FULL or is_rgb or name.startswith("yuvj")
    matrix = _IDENTITY if is_rgb else frame.colorspace
    said = Colour(frame.color_primaries, frame.color_trc, matrix, int(full))
    return None if said == Colour() else said


def samples_of(
    frame: av.VideoFrame, layout: Layout, reformatter: VideoReformatter
) -> NDArray[np.generic]:
    """Samples [height, width, channels]; more than 8 bits fill all 16."""
    wide = layout.sample_format is SampleFormat.U16
    plain = reformatter.reformat(
        frame,
        format=FRAME_FORMATS[layout.channels, layout.sample_format],
        src_colorspace=layout.matrix,
        interpolation=_FINE_INPUT if wide else None,
        threads=_THREADS,
    )
    samples: NDArray[np.generic] = plain.to_ndarray()
    if layout.grey_bits:
        samples = _widened(samples, layout.grey_bits)
    return samples[:, :, None] if samples.ndim == 2 else samples


def target_of(spec: SignalSpec, colour: Colour | None, *, lossless: bool) -> Target:
    """What FFV1 (`lossless`) or H.264 is given. Raises ConfigError for samples it cannot hold."""
    name = FRAME_FORMATS.get((spec.channels, spec.sample_format))
    said = colour or Colour()
    codec = "FFV1" if lossless else "H.264"
    if name is None or (spec.channels == 4 and not lossless):
        raise ConfigError(f"{codec} cannot hold {spec.channels} {spec.sample_format.name} channels")
    if lossless:
        matrix = _UNKNOWN if spec.channels == 1 else _IDENTITY
        return Target(_FFV1[name], said._replace(matrix=matrix, full_range=1))
    depth = "" if spec.sample_format is SampleFormat.U8 else "10le"
    if spec.channels == 1:
        return Target("gray" + depth, said._replace(matrix=_UNKNOWN, full_range=1))
    odd = spec.grid[1] % 2 or spec.grid[2] % 2
    return Target(("yuv444p" if odd else "yuv420p") + depth, _for_yuv(said))


def frame_of(
    samples: NDArray[np.generic], target: Target, reformatter: VideoReformatter
) -> av.VideoFrame:
    """A frame of samples [height, width, channels] in the pixel format of an encoder."""
    sample_format = SampleFormat.U8 if samples.dtype == np.uint8 else SampleFormat.U16
    name = FRAME_FORMATS[samples.shape[2], sample_format]
    plain = av.VideoFrame.from_ndarray(_contiguous(samples), format=name)
    yuv = target.pixels.startswith("yuv")
    frame = reformatter.reformat(
        plain,
        format=target.pixels,
        dst_colorspace=_SWSCALE.get(target.colour.matrix, _BT601) if yuv else None,
        dst_color_range=_FULL if target.colour.full_range else _LIMITED,
        interpolation=_FINE,
        threads=_THREADS,
    )
    frame.color_primaries, frame.color_trc, frame.colorspace, _ = target.colour
    frame.color_range = _FULL if target.colour.full_range else _LIMITED
    return frame


def _contiguous(samples: NDArray[np.generic]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """As PyAV takes them: little-endian, without an axis for the channel of grey."""
    plane = samples[:, :, 0] if samples.shape[2] == 1 else samples
    if plane.dtype == np.uint8:
        return np.ascontiguousarray(plane, np.uint8)
    return np.ascontiguousarray(plane, "<u2")


def _for_yuv(said: Colour) -> Colour:
    """What to say of YUV: what the source said; BT.709, of limited range, where it did not."""
    if said.matrix in _SWSCALE:
        return said
    full = said.full_range if said.matrix == _UNKNOWN else 0
    if said.primaries == said.transfer == _UNKNOWN:
        return Colour(_BT709, _BT709, _BT709, full)
    return said._replace(matrix=_BT709, full_range=full)


def _matrix_of(colorspace: int) -> int | None:
    if colorspace == _UNKNOWN:
        return None
    if colorspace in _UNSAID:
        return _BT601
    if colorspace not in _SWSCALE:
        raise SignalError(f"colour matrix {colorspace} is not supported")
    return _SWSCALE[colorspace]


def _widened(samples: NDArray[np.generic], bits: int) -> NDArray[np.generic]:
    """Grey of limited range (16 to 235 of 8 bits), to all of the range of its type."""
    full = (1 << 8 * samples.dtype.itemsize) - 1
    low, high = (value * 2.0 ** (bits - 8) * full / (2.0**bits - 1) for value in (16, 235))
    wide = np.rint((samples.astype(np.float32) - low) * (full / (high - low)))
    widened: NDArray[np.generic] = np.clip(wide, 0, full).astype(samples.dtype)
    return widened
