"""Images through Pillow: JPEG, WebP and AVIF both ways, and the PNG and TIFF that are not ours."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import SignalError
from inrcodec.media import formats
from inrcodec.media.formats import MediaFormat
from inrcodec.media.guard import check_size
from inrcodec.media.metadata import collect, take_orientation
from inrcodec.signal import Metadata

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["encode", "layout", "metadata_of", "opened", "samples_of"]

_MODE_OF_CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}
_CHANNELS_OF_MODE = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_TO_RGB = ("P", "RGBX", "YCbCr", "CMYK")
_TO_ALPHA = {"PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
_JPEG_BLOB = 65502
"""Bytes that a JPEG segment has for EXIF or XMP, beside their own labels."""
_SETTINGS: dict[MediaFormat, dict[str, bool | int | str]] = {
    formats.JPEG: {"quality": 95, "subsampling": 0},
    formats.WEBP: {"lossless": True, "exact": True},
    formats.AVIF: {"quality": 100, "subsampling": "4:4:4"},
}
_SRGB_NCLX = (b"\0\x01\0\x0d", b"\0\x02\0\x02", b"\0\x01\0\x02", b"\0\x02\0\x0d")


def opened(data: bytes, media_format: MediaFormat) -> AbstractContextManager[Image.Image]:
    """The file's header read by that format's plugin alone; samples follow on demand."""
    from PIL import Image

    return Image.open(io.BytesIO(data), formats=[media_format.name.upper()])


def layout(image: Image.Image) -> tuple[tuple[int, int, int], np.dtype[np.generic]]:
    """Height, width, channels and sample type that `samples_of` gives, without samples."""
    if image.mode.startswith("I;16"):
        return (image.height, image.width, 1), np.dtype(np.uint16)
    return (image.height, image.width, _CHANNELS_OF_MODE[_plain_mode(image)]), np.dtype(np.uint8)


def samples_of(image: Image.Image, notes: list[str]) -> NDArray[np.generic]:
    """Samples [height, width, channels]: grey or RGB, with alpha where anything is transparent."""
    (height, width, channels), dtype = layout(image)
    check_size(width, height, channels)
    if image.mode == "CMYK":
        notes.append("CMYK is read as RGB, without its profile")
    if dtype == np.uint8 and image.mode != (mode := _plain_mode(image)):
        image = image.convert(mode)
    samples = np.array(image)  # a copy: what Pillow shares cannot be written to
    return samples.reshape(*samples.shape[:2], channels).astype(dtype, copy=False)


def _plain_mode(image: Image.Image) -> str:
    """The mode of grey or RGB, with or without alpha, that holds all that a mode can show."""
    mode = image.mode
    if mode in _TO_ALPHA:
        return _TO_ALPHA[mode]
    plain = {"1": "L", **dict.fromkeys(_TO_RGB, "RGB")}.get(mode, mode)
    if plain not in _CHANNELS_OF_MODE:
        raise SignalError(f"image of colour mode {mode} is not grey or RGB")
    return plain + "A" if plain in ("L", "RGB") and image.has_transparency_data else plain


def metadata_of(image: Image.Image, data: bytes, notes: list[str]) -> tuple[Metadata, int]:
    """Metadata and orientation of an open JPEG, WebP or AVIF; what is dropped joins the notes."""
    info = image.info
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"only the first of {frames} frames is read")
    notes += [f"JPEG {name} is dropped" for name in ("comment", "photoshop") if info.get(name)]
    if any(b"ns.adobe.com/xmp/extension" in blob[:40] for _, blob in getattr(image, "applist", ())):
        notes.append("extended XMP is dropped")
    if image.format == "AVIF":
        notes += _beyond_8_bit_srgb(data)
    exif = info.get("exif")
    metadata, orientation = collect(
        notes,
        icc=None if image.mode == "CMYK" else info.get("icc_profile"),
        exif=exif,
        xmp=info.get("xmp"),
        dpi=info.get("dpi") if image.format in ("WEBP", "AVIF") or info.get("jfif_unit") else None,
    )
    if exif and take_orientation(exif) == (None, 1):
        notes.append("malformed EXIF is dropped")
    return metadata, orientation


def _beyond_8_bit_srgb(data: bytes) -> list[str]:
    """What Pillow's AVIF reader leaves out, found in the boxes av1C and colr (nclx)."""
    notes = []
    at = data.find(b"av1C")
    if at >= 0 and len(data) > at + 6 and data[at + 6] & 0x40:
        notes.append(f"{12 if data[at + 6] & 0x20 else 10}-bit samples are read as 8-bit")
    at = data.find(b"colrnclx")
    if at >= 0 and data[at + 8 : at + 12] not in _SRGB_NCLX:
        notes.append("colour code points (CICP) are dropped")
    return notes


def encode(
    samples: NDArray[np.generic], metadata: Metadata, media_format: MediaFormat, notes: list[str]
) -> bytes:
    """A JPEG (quality 95, 4:4:4), WebP (lossless) or AVIF (quality 100) file of uint8 samples."""
    from PIL import Image

    channels = samples.shape[2]
    if channels == 4 and samples[:, :, 3].min() == 255:
        notes.append("fully opaque alpha is dropped")
    if channels == 1 and media_format is formats.WEBP:
        notes.append("grey is stored as RGB")
    settings: dict[str, object] = dict(_SETTINGS[media_format])
    if channels == 1 and media_format is formats.AVIF:
        settings["subsampling"] = "4:0:0"
    settings |= _metadata_settings(metadata, media_format, notes)
    plain = np.ascontiguousarray(samples[:, :, 0] if channels == 1 else samples)
    image = Image.frombytes(_MODE_OF_CHANNELS[channels], plain.shape[1::-1], plain.tobytes())
    sink = io.BytesIO()
    image.save(sink, format=media_format.name.upper(), **settings)
    return sink.getvalue()


def _metadata_settings(
    metadata: Metadata, media_format: MediaFormat, notes: list[str]
) -> dict[str, object]:
    """Metadata as arguments of Pillow's save."""
    blobs = {"icc_profile": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp}
    if media_format is formats.JPEG:
        for name in ("exif", "xmp"):
            if len(blobs[name] or b"") > _JPEG_BLOB:
                notes.append(f"{name.upper()} of over {_JPEG_BLOB} bytes is dropped")
                blobs[name] = None
    if blobs["exif"] is not None:
        blobs["exif"] = b"Exif\0\0" + blobs["exif"]
    settings: dict[str, object] = {name: blob for name, blob in blobs.items() if blob is not None}
    if metadata.dpi is not None:
        settings["dpi"] = tuple(min(max(1, round(value)), 65535) for value in metadata.dpi)
    return settings
