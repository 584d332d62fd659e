"""PNG: chunks, what they carry beside pixels, and the 16-bit pixels that Pillow would make 8-bit.

Source: W3C, Portable Network Graphics (third edition); section numbers below are its.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.media.guard import check_size
from inrcodec.media.metadata import MAX_BYTES, collect
from inrcodec.signal import Metadata

__all__ = [
    "ADAM7",
    "SIGNATURE",
    "XMP_KEYWORD",
    "Header",
    "Png",
    "decode_16_bit",
    "paeth",
    "parse",
    "without_metadata",
]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
"""First row, first column, row step and column step of each interlace pass."""

_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_DPI_TO_METRE = 0.0254
_OF_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"})
_KEPT = _OF_PIXELS | {b"iCCP", b"eXIf", b"pHYs"}
# sRGB says what is assumed anyway; the others are hints to viewers, or dates of the file.
_HARMLESS = frozenset({b"sRGB", b"bKGD", b"hIST", b"tIME", b"sPLT", b"fcTL", b"fdAT"})
# BT.709 primaries with the sRGB curve, and the gamma near to it: what is assumed anyway.
_AS_ASSUMED = {(b"cICP", b"\x01\x0d\0\x01"), (b"gAMA", struct.pack(">I", 45455))}
_TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_TEXT_OF_THE_FILE = ("software", "source", "creation time", "date:", "exif:")


@dataclass(frozen=True, slots=True)
class Header:
    """IHDR: size in pixels, bits per sample, colour type, and whether rows are interlaced."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def channels(self) -> int:
        """Samples per pixel as stored; palettes count as RGB."""
        return _CHANNELS[self.colour]


@dataclass(frozen=True, slots=True)
class Png:
    """A PNG file taken apart. `transparency` is the payload of tRNS."""

    header: Header
    pixels: bytes
    transparency: bytes | None
    metadata: Metadata
    orientation: int

    @property
    def channels(self) -> int:
        """Samples per pixel, alpha included, whether stored or made of a transparent colour."""
        return self.header.channels + (
            self.transparency is not None and self.header.colour in (0, 2, 3)
        )


def parse(data: bytes, notes: list[str]) -> Png:
    """All chunks of a PNG file, checked. Raises ValueError or zlib.error for a damaged one."""
    first: dict[bytes, bytes] = {}
    pixels, xmp = [], None
    for name, payload in _chunks(data):
        if name == b"IDAT":
            pixels.append(payload)
        elif name in _TEXT:
            xmp = _xmp_of(name, payload, notes) or xmp
        else:
            first.setdefault(name, payload)
    header = _header(first.get(b"IHDR", b""))
    notes += _dropped(first)
    metadata, orientation = collect(
        notes,
        icc=_icc_of(first.get(b"iCCP")),
        exif=first.get(b"eXIf"),
        xmp=xmp,
        dpi=_dpi_of(first.get(b"pHYs"), notes),
    )
    return Png(header, b"".join(pixels), first.get(b"tRNS"), metadata, orientation)


def without_metadata(data: bytes) -> bytes:
    """The same file with nothing but what its pixels are made of: others limit what else it has."""
    position, kept = len(SIGNATURE), [SIGNATURE]
    for name, payload in _chunks(data):
        end = position + 12 + len(payload)
        if name in _OF_PIXELS:
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def decode_16_bit(png: Png) -> NDArray[np.uint16]:
    """Samples [height, width, channels] of a 16-bit file."""
    header = png.header
    samples = np.empty((header.height, header.width, header.channels), np.uint16)
    passes = ADAM7 if header.interlaced else ((0, 0, 1, 1),)
    targets = [samples[y::dy, x::dx] for y, x, dy, dx in passes]
    targets = [target for target in targets if target.size]
    n_bytes = sum(target.shape[0] * (1 + target[0].size * 2) for target in targets)
    raw = zlib.decompressobj().decompress(png.pixels, n_bytes)
    if len(raw) < n_bytes:
        raise ValueError(f"image data ends after {len(raw)} of {n_bytes} bytes")
    start = 0
    for target in targets:
        rows, columns, channels = target.shape
        stop = start + rows * (1 + columns * channels * 2)
        lines = np.frombuffer(raw[start:stop], np.uint8).reshape(rows, -1)
        target[:] = _unfilter(lines, 2 * channels).view(">u2").reshape(target.shape)
        start = stop
    return _with_colour_key(samples, png.transparency)


def _with_colour_key(samples: NDArray[np.uint16], key: bytes | None) -> NDArray[np.uint16]:
    """tRNS of grey and RGB: one colour is transparent, the rest is not (11.3.1.1)."""
    if key is None or samples.shape[2] not in (1, 3):
        return samples
    colour = np.frombuffer(key[: 2 * samples.shape[2]], ">u2")
    alpha = np.where((samples == colour).all(axis=2, keepdims=True), 0, 65535).astype(np.uint16)
    return np.concatenate([samples, alpha], axis=2)


def _unfilter(lines: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Undo the five row filters (9.2) of lines [rows, 1 + bytes], pixels of `step` bytes.

    A byte depends on its left, upper and upper left neighbour, so that all pixels on one
    antidiagonal can be restored together; in a padded image they lie `columns` apart.
    """
    rows, columns = lines.shape[0], (lines.shape[1] - 1) // step
    kinds = lines[:, 0]
    if kinds.max(initial=0) > 4:
        raise ValueError(f"row filter {kinds.max()} is not in 0..4")
    padded = np.zeros((rows + 1, columns + 1, step), np.uint8)
    padded[1:, 1:] = lines[:, 1:].reshape(rows, columns, step)
    flat, pitch = padded.reshape(-1, step), columns + 1
    for diagonal in range(rows + columns - 1):
        top, bottom = max(0, diagonal - columns + 1), min(rows - 1, diagonal)
        first = (top + 1) * pitch + diagonal - top + 1
        last = (bottom + 1) * pitch + diagonal - bottom + 1
        here, left, up, corner = (
            flat[first - back : last - back + 1 : columns] for back in (0, 1, pitch, pitch + 1)
        )
        here += _predictions(kinds[top : bottom + 1], left, up, corner)
    return np.ascontiguousarray(padded[1:, 1:])


def _predictions(
    kinds: NDArray[np.uint8],
    left: NDArray[np.uint8],
    up: NDArray[np.uint8],
    corner: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """What the filter of each pixel's row predicts from its neighbours [pixels, bytes]."""
    average = (left.astype(np.int16) + up) >> 1
    options = [np.zeros_like(left), left, up, average.astype(np.uint8), paeth(left, up, corner)]
    return np.choose(kinds[:, None], options)


def paeth(
    left: NDArray[np.uint8], up: NDArray[np.uint8], corner: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The neighbour that is nearest to left + up - corner; ties go in that order (9.4)."""
    towards_left = np.abs(up.astype(np.int16) - corner)
    towards_up = np.abs(left.astype(np.int16) - corner)
    towards_corner = np.abs(left.astype(np.int16) + up - 2 * corner.astype(np.int16))
    nearest = np.where(towards_up <= towards_corner, up, corner)
    use_left = (towards_left <= towards_up) & (towards_left <= towards_corner)
    return np.where(use_left, left, nearest)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and payload of each chunk up to IEND; what follows is not PNG (5.3)."""
    position = len(SIGNATURE)
    while True:
        head = data[position : position + 8]
        length = int.from_bytes(head[:4], "big")
        if len(head) < 8 or position + 12 + length > len(data):
            raise ValueError(f"PNG ends early, at byte {len(data)}")
        name, end = head[4:], position + 8 + length
        (stored,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(data[position + 4 : end]) != stored:
            raise ValueError(f"PNG chunk at byte {position} has a wrong checksum")
        yield name, data[position + 8 : end]
        if name == b"IEND":
            return
        position = end + 4


def _header(payload: bytes) -> Header:
    if len(payload) != 13:
        raise ValueError("PNG without a header")
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", payload)
    if colour not in _CHANNELS or depth not in (1, 2, 4, 8, 16) or 0 in (width, height):
        raise ValueError(f"PNG of {width} x {height} pixels, {depth} bits and colour type {colour}")
    header = Header(width, height, depth, colour, interlace == 1)
    check_size(width, height, header.channels)
    return header


def _dropped(chunks: dict[bytes, bytes]) -> Iterator[str]:
    """What no later step makes use of, in words. sRGB and iCCP overrule gAMA and cHRM (4.3)."""
    overruled = {b"gAMA", b"cHRM"} if chunks.keys() & {b"sRGB", b"iCCP"} else set()
    for name, payload in chunks.items():
        if name == b"acTL":
            yield f"only the first of {int.from_bytes(payload[:4], 'big')} frames is read"
        elif name not in _KEPT | _HARMLESS | overruled and (name, payload) not in _AS_ASSUMED:
            yield f"PNG chunk {name.decode('ascii', 'backslashreplace')} is dropped"


def _xmp_of(name: bytes, payload: bytes, notes: list[str]) -> bytes | None:
    """The XMP packet if the chunk holds one; any other text is noted (11.3.3)."""
    keyword, _, rest = payload.partition(b"\0")
    if name == b"iTXt" and keyword == XMP_KEYWORD:
        text = rest[2:].split(b"\0", 2)[-1]
        return _inflate(text) if rest[:1] == b"\1" else text
    label = keyword.decode("latin-1")
    if not label.lower().startswith(_TEXT_OF_THE_FILE):
        notes.append(f"PNG text '{label[:79]}' is dropped")
    return None


def _icc_of(payload: bytes | None) -> bytes | None:
    return None if payload is None else _inflate(payload.partition(b"\0")[2][1:])


def _inflate(packed: bytes) -> bytes:
    """What is packed, or as much of it as shows that it is too long."""
    inflater = zlib.decompressobj()
    blob = inflater.decompress(packed, MAX_BYTES + 1)
    if not inflater.eof and len(blob) <= MAX_BYTES:
        raise ValueError("compressed metadata ends early")
    return blob


def _dpi_of(payload: bytes | None, notes: list[str]) -> tuple[float, float] | None:
    if payload is None or len(payload) != 9:
        return None
    x, y, unit = struct.unpack(">IIB", payload)
    if unit == 1:
        return x * _DPI_TO_METRE, y * _DPI_TO_METRE
    if x != y and x and y:  # a zero means that nothing is known
        notes.append(f"pixel aspect ratio {x}:{y} is dropped")
    return None
