"""Signal samples -> PNG, 8 and 16 bit, one to four channels.

Source: W3C, Portable Network Graphics (third edition), sections 9 and 12.7.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inrcodec.media.png import SIGNATURE, XMP_KEYWORD, paeth
from inrcodec.signal import Metadata

__all__ = ["encode"]

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_ROWS_AT_ONCE = 64
_METRES_PER_INCH = 0.0254


def encode(samples: NDArray[np.generic], metadata: Metadata) -> bytes:
    """A PNG file of uint8 or uint16 samples [height, width, 1 to 4 channels]."""
    height, width, channels = samples.shape
    depth = 8 * samples.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPE[channels], 0, 0, 0)
    packer = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_FILTERED)
    pixels = [packer.compress(block) for block in _filtered_blocks(samples)]
    chunks = [(b"IHDR", header), *_metadata_chunks(metadata)]
    chunks += [(b"IDAT", block) for block in (*pixels, packer.flush()) if block]
    return b"".join([SIGNATURE, *(_framed(*chunk) for chunk in chunks), _framed(b"IEND", b"")])


def _framed(name: bytes, payload: bytes) -> bytes:
    body = name + payload
    return struct.pack(">I", len(payload)) + body + struct.pack(">I", zlib.crc32(body))


def _metadata_chunks(metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    if metadata.icc is not None:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)
    if metadata.dpi is not None:
        x, y = (min(round(value / _METRES_PER_INCH), (1 << 31) - 1) for value in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", x, y, 1)
    if metadata.exif is not None:
        yield b"eXIf", metadata.exif
    if metadata.xmp is not None:
        yield b"iTXt", XMP_KEYWORD + bytes(5) + metadata.xmp


def _filtered_blocks(samples: NDArray[np.generic]) -> Iterator[bytes]:
    """The rows, filtered, some at a time; each with the filter whose differences are smallest."""
    height, _, channels = samples.shape
    step = channels * samples.dtype.itemsize
    above = np.zeros((1, samples[0].size * samples.dtype.itemsize), np.uint8)
    for start in range(0, height, _ROWS_AT_ONCE):
        block = samples[start : start + _ROWS_AT_ONCE]
        big_endian = np.ascontiguousarray(block, block.dtype.newbyteorder(">"))
        lines = big_endian.view(np.uint8).reshape(block.shape[0], -1)
        yield _filter(lines, np.concatenate([above, lines[:-1]]), step).tobytes()
        above = lines[-1:]


def _filter(lines: NDArray[np.uint8], up: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Lines [rows, bytes] -> [rows, 1 + bytes], the filter's number first."""
    left, corner = np.zeros_like(lines), np.zeros_like(lines)
    left[:, step:], corner[:, step:] = lines[:, :-step], up[:, :-step]
    average = ((left.astype(np.uint16) + up) >> 1).astype(np.uint8)
    predictions = (0, left, up, average, paeth(left, up, corner))
    options = np.stack([lines - prediction for prediction in predictions])
    sizes = np.abs(options.view(np.int8).astype(np.int16)).sum(axis=2, dtype=np.int64)
    best = sizes.argmin(axis=0)
    chosen = options[best, np.arange(len(lines))]
    return np.concatenate([best[:, None].astype(np.uint8), chosen], axis=1)
