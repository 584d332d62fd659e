"""PNG, JPEG, WebP, TIFF and AVIF -> Signal and back.

Pillow does what it does without loss: `pillow.py`. PNG of 16 bits, and what any PNG holds beside
its pixels: `png.py`; PNG out: `png_write.py`. Plain TIFF: `tiff.py`; TIFF out: `tiff_write.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.media import formats, pillow, png, png_write, tiff, tiff_write
from inrcodec.media.formats import MediaFormat
from inrcodec.media.guard import guarded
from inrcodec.media.metadata import oriented, swaps_axes, writable
from inrcodec.signal import Kind, Metadata, SampleFormat, Signal, SignalSpec

__all__ = ["check_holds", "probe", "read", "to_bytes"]


@dataclass(frozen=True, slots=True)
class _Opened:
    """An image whose header is read: its layout as stored, and how to get its samples."""

    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    metadata: Metadata
    orientation: int
    load: Callable[[], NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a format takes: sample formats, counts of channels, the longest side, metadata."""

    sample_formats: frozenset[SampleFormat]
    channels: tuple[int, ...]
    longest: int
    fields: frozenset[str]


_U8 = frozenset({SampleFormat.U8})
_BLOBS = frozenset({"icc", "exif", "xmp"})
_LIMITS = {
    formats.PNG: _Limits(_U8 | {SampleFormat.U16}, (1, 2, 3, 4), (1 << 31) - 1, _BLOBS | {"dpi"}),
    formats.JPEG: _Limits(_U8, (1, 3), 65500, _BLOBS | {"dpi"}),
    formats.WEBP: _Limits(_U8, (1, 3, 4), 16383, _BLOBS),
    formats.AVIF: _Limits(_U8, (1, 3, 4), 65536, _BLOBS),
    formats.TIFF: _Limits(
        frozenset(SampleFormat), tuple(range(1, 65536)), (1 << 32) - 1, _BLOBS | {"dpi"}
    ),
}


def read(data: bytes, media_format: MediaFormat, notes: list[str]) -> Signal:
    """An image from the bytes of a file of a known format. Raises SignalError."""
    with guarded(media_format, notes):
        image = _open(data, media_format, notes)
        samples = oriented(image.load(), image.orientation)
    return Signal.image(samples, metadata=image.metadata)


def probe(data: bytes, media_format: MediaFormat) -> SignalSpec | None:
    """The spec from the header alone, or None if it takes the samples, as the range of floats."""
    with guarded(media_format, []):
        image = _open(data, media_format, [])
    sample_format = {"uint8": SampleFormat.U8, "uint16": SampleFormat.U16}.get(image.dtype.name)
    if sample_format is None:
        return None
    height, width, channels = image.shape
    return SignalSpec(
        kind=Kind.IMAGE,
        sample_format=sample_format,
        grid=(width, height) if swaps_axes(image.orientation) else (height, width),
        channels=channels,
        value_range=sample_format.nominal_range,
    )


def to_bytes(signal: Signal, media_format: MediaFormat, notes: list[str]) -> bytes:
    """A whole image file. Raises ConfigError if the format cannot hold the samples."""
    check_holds(signal.spec, media_format)
    metadata = writable(signal.metadata, _LIMITS[media_format].fields, notes)
    if media_format is formats.PNG:
        return png_write.encode(signal.samples, metadata)
    if media_format is formats.TIFF:
        return tiff_write.encode(signal.samples, metadata)
    return pillow.encode(signal.samples, metadata, media_format, notes)


def check_holds(spec: SignalSpec, media_format: MediaFormat) -> None:
    """Raise ConfigError if a format cannot hold images of that spec."""
    if _fits(spec, _LIMITS[media_format]):
        return
    height, width = spec.grid
    what = f"{width} x {height} pixels of {spec.channels} {spec.sample_format.name} channels"
    able = " ".join(other.suffixes[-1] for other in _LIMITS if _fits(spec, _LIMITS[other]))
    raise ConfigError(f"{media_format.name} cannot hold {what}; these can: {able}")


def _fits(spec: SignalSpec, limits: _Limits) -> bool:
    fits = spec.sample_format in limits.sample_formats and spec.channels in limits.channels
    return fits and max(spec.grid) <= limits.longest


def _open(data: bytes, media_format: MediaFormat, notes: list[str]) -> _Opened:
    if media_format is formats.PNG:
        return _open_png(data, notes)
    return (
        _open_tiff(data, notes)
        if media_format is formats.TIFF
        else _open_other(data, media_format, notes)
    )


def _open_png(data: bytes, notes: list[str]) -> _Opened:
    file = png.parse(data, notes)
    header = file.header
    shape = (header.height, header.width, file.channels)
    dtype = np.dtype(np.uint16 if header.depth == 16 else np.uint8)

    def load() -> NDArray[np.generic]:
        if header.depth == 16:
            return png.decode_16_bit(file)
        return _by_pillow(png.without_metadata(data), formats.PNG, notes)

    return _Opened(shape, dtype, file.metadata, file.orientation, load)


def _open_tiff(data: bytes, notes: list[str]) -> _Opened:
    file = tiff.parse(data, notes)
    if file.plain:
        return _Opened(
            file.shape, file.dtype, file.metadata, file.orientation, lambda: file.samples(notes)
        )
    with pillow.opened(data, formats.TIFF) as image:
        shape, dtype = pillow.layout(image)
    # Pillow turns TIFF pixels itself; its size before that is the one as they are to be seen.
    return _Opened(shape, dtype, file.metadata, 1, lambda: _by_pillow(data, formats.TIFF, notes))


def _open_other(data: bytes, media_format: MediaFormat, notes: list[str]) -> _Opened:
    with pillow.opened(data, media_format) as image:
        shape, dtype = pillow.layout(image)
        metadata, orientation = pillow.metadata_of(image, data, notes)
    return _Opened(
        shape, dtype, metadata, orientation, lambda: _by_pillow(data, media_format, notes)
    )


def _by_pillow(data: bytes, media_format: MediaFormat, notes: list[str]) -> NDArray[np.generic]:
    with pillow.opened(data, media_format) as image:
        return pillow.samples_of(image, notes)
