"""Strips and tiles of TIFF compressions that tifffile lacks (LZW, PackBits, ...), through libtiff.

Pillow's libtiff can undo every usual compression, but Pillow has no modes for most sample types.
So a band of strips or tiles is handed over as what it also is: a grey picture of bytes. Predictors
are undone here. Source: TIFF 6.0, sections 13 to 15; Adobe Photoshop TIFF Technical Note 3.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["decode"]

_BAND_BYTES = 1 << 26
_HORIZONTAL, _FLOATING = 2, 3


def decode(data: bytes, page: TiffPage) -> NDArray[np.generic]:
    """Samples [height, width, channels] of a page, in native byte order."""
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    n_segments = len(page.dataoffsets) // planes
    spans = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    parts = [
        _plane(data, page, spans[i * n_segments : (i + 1) * n_segments]) for i in range(planes)
    ]
    return np.concatenate(parts, axis=2)


def _plane(data: bytes, page: TiffPage, spans: list[tuple[int, int]]) -> NDArray[np.generic]:
    """Samples [height, width, channels of a plane] from (offset, length) of its segments."""
    height, width = page.imagelength, page.imagewidth
    channels = 1 if page.planarconfig == 2 else page.samplesperpixel
    tile_width = page.tilewidth if page.is_tiled else width
    tile_height = page.tilelength if page.is_tiled else min(page.rowsperstrip, height)
    across, down = -(-width // tile_width), -(-height // tile_height)
    tile_bytes = tile_width * channels * page.bitspersample // 8
    at_once = max(1, _BAND_BYTES // (tile_height * tile_bytes * across))
    bands = []
    for first in range(0, down, at_once):
        count = min(at_once, down - first)
        rows = (
            count * tile_height
            if page.is_tiled
            else min(height - first * tile_height, count * tile_height)
        )
        segments = [
            data[at : at + size] for at, size in spans[first * across : (first + count) * across]
        ]
        band = _unpack(segments, page, (rows, across * tile_bytes), (tile_height, tile_bytes))
        lines = band.reshape(rows, across, tile_bytes)
        bands.append(_undo_predictor(lines, page, channels).reshape(rows, -1, channels)[:, :width])
    return np.concatenate(bands)[:height]


def _unpack(
    segments: list[bytes], page: TiffPage, shape: tuple[int, int], segment: tuple[int, int]
) -> NDArray[np.uint8]:
    """The bytes [rows, bytes per row] of segments [rows, bytes], decompressed by libtiff."""
    from PIL import Image

    order = page.parent.byteorder
    lengths = [len(part) for part in segments]
    offsets = [8 + sum(lengths[:i]) for i in range(len(lengths))]
    fields = {
        256: [shape[1]],
        257: [shape[0]],
        258: [8],
        259: [int(page.compression)],
        262: [1],
        277: [1],
    }
    fields[266] = [int(page.fillorder)]
    if page.is_tiled:
        fields |= {322: [segment[1]], 323: [segment[0]], 324: offsets, 325: lengths}
    else:
        fields |= {273: offsets, 278: [segment[0]], 279: lengths}
    body = b"".join(segments)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8 + len(body))
    file = head + body + _directory(fields, order, 8 + len(body))
    with Image.open(io.BytesIO(file), formats=["TIFF"]) as image:
        return np.array(image)


def _directory(fields: dict[int, list[int]], order: str, start: int) -> bytes:
    """An IFD at byte `start` with fields of 32-bit numbers; lists follow it."""
    entries, lists = [], b""
    after = start + 2 + 12 * len(fields) + 4
    for tag, numbers in sorted(fields.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        inline = packed if len(numbers) == 1 else struct.pack(order + "I", after + len(lists))
        entries.append(struct.pack(order + "HHI", tag, 4, len(numbers)) + inline)
        lists += packed if len(numbers) > 1 else b""
    return struct.pack(order + "H", len(fields)) + b"".join(entries) + bytes(4) + lists


def _undo_predictor(lines: NDArray[np.uint8], page: TiffPage, channels: int) -> NDArray[np.generic]:
    """Bytes [rows, segments, bytes] -> samples [rows, segments, pixels, channels]."""
    width = page.bitspersample // 8
    stored = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    if page.predictor == _FLOATING:
        steps = lines.reshape(*lines.shape[:2], -1, channels)
        planes = np.cumsum(steps, axis=2, dtype=np.uint8).reshape(*lines.shape[:2], width, -1)
        big_endian = np.ascontiguousarray(planes.swapaxes(2, 3)).view(stored.newbyteorder(">"))
        samples = big_endian.reshape(*lines.shape[:2], -1, channels)
    else:
        samples = lines.view(stored).reshape(*lines.shape[:2], -1, channels)
    samples = samples.astype(stored.newbyteorder("="), copy=False)
    if page.predictor == _HORIZONTAL:
        unsigned = np.dtype(f"u{width}")
        samples = np.cumsum(samples.view(unsigned), axis=2, dtype=unsigned).view(samples.dtype)
    return samples
