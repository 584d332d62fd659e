"""Signal samples -> TIFF, every sample format and any count of channels.

EXIF bytes are themselves a TIFF file without a picture. So the file starts as the EXIF blob, in
which all offsets stay true; the pixels are appended, and a directory with the old entries and ours.
Source: TIFF 6.0; Exif 3.0.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.media.metadata import parse_ifd
from inrcodec.media.tiff import STRUCTURAL_TAGS
from inrcodec.signal import Metadata

__all__ = ["encode"]

_SHORT, _LONG, _RATIONAL, _UNDEFINED = 3, 4, 5, 7
_WIDTH = {_SHORT: "H", _LONG: "I", _RATIONAL: "I", _UNDEFINED: "B"}
_STRIP_BYTES = 1 << 18
_DEFLATE, _HORIZONTAL, _INCH = 8, 2, 2
_LARGEST = (1 << 32) - 1
_EMPTY = b"II*\0" + struct.pack("<IHI", 8, 0, 0)

Field = tuple[int, list[int]]
"""Type of a tag's numbers, and the numbers."""


def encode(samples: NDArray[np.generic], metadata: Metadata) -> bytes:
    """A TIFF file of samples [height, width, channels]: deflate, differences for integers."""
    head = metadata.exif or _EMPTY
    ifd = parse_ifd(head)
    assert ifd is not None, "metadata has passed metadata.writable"
    rows_per_strip = max(1, _STRIP_BYTES // samples[0].nbytes)
    strips = [
        _strip(samples[y : y + rows_per_strip], ifd.order)
        for y in range(0, len(samples), rows_per_strip)
    ]
    ends = np.cumsum([len(head), *(len(strip) for strip in strips)])
    fields = _picture_fields(samples, rows_per_strip) | _metadata_fields(metadata)
    fields[273] = (_LONG, [int(end) for end in ends[:-1]])
    fields[279] = (_LONG, [len(strip) for strip in strips])
    kept = {tag: entry for tag, entry in ifd.entries if tag not in STRUCTURAL_TAGS}
    start = int(ends[-1]) + int(ends[-1]) % 2
    directory = _directory(fields, kept, ifd.order, start)
    if start + len(directory) > _LARGEST:
        raise ConfigError(f"TIFF cannot hold {start + len(directory)} bytes")
    pointer = struct.pack(ifd.order + "I", start)
    padding = bytes(start - int(ends[-1]))
    return b"".join([head[:4], pointer, head[8:], *strips, padding, directory])


def _strip(rows: NDArray[np.generic], order: str) -> bytes:
    """Rows as deflated bytes; integers as differences to the left neighbour."""
    if rows.dtype.kind in "ui":
        unsigned = rows.view(f"u{rows.dtype.itemsize}")
        first = np.zeros_like(unsigned[:, :1])
        rows = np.diff(unsigned, axis=1, prepend=first)
    return zlib.compress(rows.astype(np.dtype(f"{order}{rows.dtype.str[1:]}")).tobytes())


def _picture_fields(samples: NDArray[np.generic], rows_per_strip: int) -> dict[int, Field]:
    height, width, channels = samples.shape
    n_colours = 3 if channels in (3, 4) else 1
    fields = {
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [8 * samples.dtype.itemsize] * channels),
        259: (_SHORT, [_DEFLATE]),
        262: (_SHORT, [2 if n_colours == 3 else 1]),
        277: (_SHORT, [channels]),
        278: (_LONG, [rows_per_strip]),
        284: (_SHORT, [1]),
        317: (_SHORT, [1 if samples.dtype.kind == "f" else _HORIZONTAL]),
        339: (_SHORT, [{"u": 1, "i": 2, "f": 3}[samples.dtype.kind]] * channels),
    }
    if channels > n_colours:
        meaning = 2 if channels in (2, 4) else 0  # straight alpha, or unknown
        fields[338] = (_SHORT, [meaning] * (channels - n_colours))
    return fields


def _metadata_fields(metadata: Metadata) -> dict[int, Field]:
    fields: dict[int, Field] = {}
    if metadata.dpi is not None:
        x, y = (min(round(1000 * value), _LARGEST) for value in metadata.dpi)
        fields |= {282: (_RATIONAL, [x, 1000]), 283: (_RATIONAL, [y, 1000]), 296: (_SHORT, [_INCH])}
    if metadata.icc is not None:
        fields[34675] = (_UNDEFINED, list(metadata.icc))
    if metadata.xmp is not None:
        fields[700] = (_UNDEFINED, list(metadata.xmp))
    return fields


def _directory(fields: dict[int, Field], kept: dict[int, bytes], order: str, start: int) -> bytes:
    """The IFD at byte `start`, sorted by tag; numbers over four bytes follow it."""
    entries, numbers_after = dict(kept), b""
    after = start + 2 + 12 * len(fields.keys() | kept.keys()) + 4
    for tag, (kind, numbers) in fields.items():
        packed = struct.pack(f"{order}{len(numbers)}{_WIDTH[kind]}", *numbers)
        count = len(numbers) // (2 if kind == _RATIONAL else 1)
        if len(packed) > 4:
            value = struct.pack(order + "I", after + len(numbers_after))
            numbers_after += packed + bytes(len(packed) % 2)
        else:
            value = packed.ljust(4, b"\0")
        entries[tag] = struct.pack(order + "HHI", tag, kind, count) + value
    rows = [entries[tag] for tag in sorted(entries)]
    return struct.pack(order + "H", len(rows)) + b"".join(rows) + bytes(4) + numbers_after
