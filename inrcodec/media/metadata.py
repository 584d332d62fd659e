"""ICC, EXIF, XMP and DPI: what a source's blobs become in a Signal, and which may be written.

Orientation is applied to the samples once, here, and taken out of the blobs, so that no reader of
our output turns the picture a second time.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inrcodec.signal import Metadata

__all__ = [
    "MAX_BYTES",
    "MAX_DPI",
    "Ifd",
    "collect",
    "oriented",
    "parse_ifd",
    "swaps_axes",
    "take_orientation",
    "writable",
]

MAX_BYTES = 1 << 24
"""Most bytes of ICC, EXIF and XMP together: as many as a decoder allows by default."""

MAX_DPI = 4294967
"""The finest resolution that a stream has a number for."""

_ORIENTATION = 0x0112
_EXIF_PREFIX = b"Exif\0\0"
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>\s*))[2-8]""")


@dataclass(frozen=True, slots=True)
class Ifd:
    """The first directory of a TIFF structure: its byte order for struct, its place and entries.

    Each entry is (tag, its 12 bytes).
    """

    order: str
    offset: int
    entries: tuple[tuple[int, bytes], ...]


def collect(
    notes: list[str],
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> tuple[Metadata, int]:
    """Metadata from a source's blobs, and the orientation (1 to 8) that is to be applied.

    What a stream could not hold is dropped, with a note.
    """
    exif, orientation = take_orientation(exif)
    if xmp:
        xmp = _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)
    blobs = _within_limit({"icc": icc or None, "exif": exif, "xmp": xmp or None}, notes)
    kept = Metadata(
        icc=blobs.get("icc"),
        exif=blobs.get("exif"),
        xmp=blobs.get("xmp"),
        dpi=_plausible(dpi, notes),
    )
    return kept, orientation


def _within_limit(blobs: dict[str, bytes | None], notes: list[str]) -> dict[str, bytes | None]:
    """The blobs, in their order, for which there is room."""
    left = MAX_BYTES
    kept = dict(blobs)
    for name, blob in blobs.items():
        if blob is not None and len(blob) > left:
            notes.append(f"{name.upper()} is dropped: metadata of over {MAX_BYTES} bytes")
            kept[name] = None
        left -= len(kept[name] or b"")
    return kept


def _plausible(dpi: tuple[float, float] | None, notes: list[str]) -> tuple[float, float] | None:
    """A resolution above 0; what is not says that there is none."""
    if dpi is None:
        return None
    x, y = float(dpi[0]), float(dpi[1])
    if not (0 < x < math.inf and 0 < y < math.inf):
        return None
    if max(x, y) > MAX_DPI:
        notes.append(f"resolution of {x:g} x {y:g} dpi is dropped: it is over {MAX_DPI}")
        return None
    return x, y


def take_orientation(exif: bytes | None) -> tuple[bytes | None, int]:
    """EXIF without its orientation entry, and the orientation; 1 if there is none or it is wrong.

    The directory closes up in place, so that every offset in the blob stays true. A blob that is
    not EXIF, or that held nothing else, becomes None.
    """
    exif = (exif or b"").removeprefix(_EXIF_PREFIX)
    ifd = parse_ifd(exif)
    if ifd is None:
        return None, 1
    kept = [entry for tag, entry in ifd.entries if tag != _ORIENTATION]
    if len(kept) == len(ifd.entries):
        return exif, 1
    turned = next(entry for tag, entry in ifd.entries if tag == _ORIENTATION)
    (orientation,) = struct.unpack_from(ifd.order + "H", turned, 8)
    end = ifd.offset + 2 + 12 * len(ifd.entries)
    directory = struct.pack(ifd.order + "H", len(kept)) + b"".join(kept) + exif[end : end + 4]
    padding = bytes(end + 4 - ifd.offset - len(directory))
    blob = exif[: ifd.offset] + directory + padding + exif[end + 4 :]
    return blob if kept else None, orientation if 1 <= orientation <= 8 else 1


def parse_ifd(blob: bytes) -> Ifd | None:
    """The first directory of EXIF bytes, or None if they have no well-formed one."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(blob[:4])
    if order is None or len(blob) < 8:
        return None
    (offset,) = struct.unpack_from(order + "I", blob, 4)
    if offset < 8 or offset + 2 > len(blob):
        return None
    (count,) = struct.unpack_from(order + "H", blob, offset)
    start, end = offset + 2, offset + 2 + 12 * count
    if end + 4 > len(blob):
        return None
    rows = (blob[i : i + 12] for i in range(start, end, 12))
    return Ifd(order, offset, tuple((struct.unpack_from(order + "H", r)[0], r) for r in rows))


def oriented(samples: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """Samples [height, width, ...] as they are to be seen. Source: Exif 3.0, tag 274."""
    if swaps_axes(orientation):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)


def swaps_axes(orientation: int) -> bool:
    """Whether an orientation makes width of height."""
    return orientation >= 5


def writable(metadata: Metadata, fields: frozenset[str], notes: list[str]) -> Metadata:
    """Metadata without what a format has no place for, or what is not what it claims to be."""
    sound = {
        "icc": metadata.icc is not None and metadata.icc[36:40] == b"acsp",
        "exif": metadata.exif is not None and parse_ifd(metadata.exif) is not None,
        "xmp": metadata.xmp is not None and _is_xml(metadata.xmp),
        "dpi": metadata.dpi is not None,
    }
    absent = {name for name in sound if getattr(metadata, name) is None}
    malformed = {name for name in sound if not sound[name]} - absent
    homeless = sound.keys() - fields - absent - malformed
    notes += [f"malformed {name.upper()} is dropped" for name in sorted(malformed)]
    notes += [f"{name.upper()} has no place in this format" for name in sorted(homeless)]
    return replace(metadata, **dict.fromkeys(malformed | homeless))


def _is_xml(xmp: bytes) -> bool:
    try:
        return "\0" not in xmp.decode("utf-8")
    except UnicodeDecodeError:
        return False
