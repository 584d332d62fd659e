"""TIFF -> samples and metadata, of any sample type, through tifffile.

Palettes, YCbCr, CMYK and bit depths below 8 are left to Pillow, which can make RGB of them.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import SignalError
from inrcodec.media import tiff_segments
from inrcodec.media.guard import PARSER_ERRORS, check_size
from inrcodec.media.metadata import collect, parse_ifd
from inrcodec.signal import Metadata

if TYPE_CHECKING:
    from PIL import Image
    from tifffile import TiffPage

__all__ = ["STRUCTURAL_TAGS", "Tiff", "parse"]

_XMP, _ICC, _ORIENTATION = 700, 34675, 274
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_PHOTOSHOP = (34377, 37724)
STRUCTURAL_TAGS = frozenset(
    {*range(254, 260), 262, 263, 264, 265, 266, 273, *range(277, 282), *range(282, 284)}
    | {284, 290, 291, 292, 293, 296, 301, 317, 318, 319, 320, 321, *range(322, 326), 330, 332}
    | {338, 339, 340, 341, 342, 347, *range(512, 522), *range(529, 533), _XMP, _ICC, _ORIENTATION}
)
"""Tags that say how the pixels are stored, or that have a field of their own in Metadata."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_SIZE_OF_TYPE = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_PLAIN_BITS = (8, 16, 32, 64)
_JPEG_COMPRESSIONS = (6, 7, 33003, 33004, 33005, 34712, 50001)
_OF_TIFFFILE = (1, 8, 32946, 34925)


@dataclass(frozen=True, slots=True)
class Tiff:
    """The first page of a TIFF file. `plain`: its samples are read here, else by Pillow."""

    page: TiffPage
    data: bytes
    plain: bool
    metadata: Metadata
    orientation: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels as stored."""
        return self.page.imagelength, self.page.imagewidth, self.page.samplesperpixel

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Sample type as stored, in native byte order."""
        dtype = self.page.dtype
        if dtype is None:
            raise SignalError("TIFF of an unknown sample type")
        return np.dtype(dtype).newbyteorder("=")

    def samples(self, notes: list[str]) -> NDArray[np.generic]:
        """Samples [height, width, channels] as stored; black is zero, floats have 16 or 32 bits."""
        page = self.page
        if page.compression in _OF_TIFFFILE and page.predictor in (1, 2):
            samples = page.asarray(out=np.zeros(page.shape, self.dtype))  # never old memory
            if page.axes == "SYX":
                samples = np.moveaxis(samples, 0, -1)
        else:
            samples = tiff_segments.decode(self.data, page)
        samples = samples.reshape(self.shape).astype(self.dtype, copy=False)
        if page.photometric == _WHITE_IS_ZERO and samples.dtype.kind == "u":
            samples = np.iinfo(samples.dtype).max - samples
        if samples.dtype == np.float64:
            notes.append("64-bit floats are read as 32-bit")
            samples = samples.astype(np.float32)
        return samples


def parse(data: bytes, notes: list[str]) -> Tiff:
    """Tags and metadata of the first page; the samples come later."""
    from tifffile import TiffFile

    _check_whole(data)
    file = TiffFile(io.BytesIO(data))  # stays open for the samples; there is no file to close
    n_pages, page = len(file.pages), file.pages.first
    if n_pages > 1:
        notes.append(f"only the first of {n_pages} pages is read")
    check_size(page.imagewidth, page.imagelength, page.samplesperpixel)
    if page.imagedepth != 1:
        raise SignalError(f"TIFF volume of {page.imagedepth} slices is not an image")
    plain = _is_plain(page, notes)
    if plain:
        _check_segments(page)
    metadata, _ = collect(
        notes,
        icc=_bytes_of(page, _ICC),
        exif=_exif_of(data, notes),
        xmp=_bytes_of(page, _XMP),
        dpi=_dpi_of(page),
    )
    return Tiff(page, data, plain, metadata, _orientation_of(page))


def _check_whole(data: bytes) -> None:
    """Raise ValueError if a tag that says how pixels are stored lies beyond the end."""
    ifd = parse_ifd(data)
    if ifd is None:
        return
    for tag, entry in ifd.entries:
        kind, count, offset = struct.unpack_from(ifd.order + "HII", entry, 2)
        size = count * _SIZE_OF_TYPE.get(kind, 1)
        if tag in STRUCTURAL_TAGS and size > 4 and offset + size > len(data):
            raise ValueError(f"file ends early, at byte {len(data)}")


def _check_segments(page: TiffPage) -> None:
    """Raise ValueError if there are fewer strips or tiles than the picture takes."""
    if page.planarconfig not in (1, 2):
        raise ValueError(f"planar configuration {int(page.planarconfig)} is not 1 or 2")
    width, height = page.imagewidth, page.imagelength
    if page.is_tiled:
        width, height = page.tilewidth, page.tilelength
    elif page.rowsperstrip:
        height = min(height, page.rowsperstrip)
    needed = -(-page.imagewidth // width) * -(-page.imagelength // height)
    needed *= page.samplesperpixel if page.planarconfig == 2 else 1
    if not page.is_contiguous and len(page.dataoffsets) < needed:
        raise ValueError(f"{len(page.dataoffsets)} of {needed} strips or tiles")


def _is_plain(page: TiffPage, notes: list[str]) -> bool:
    """Whether the stored numbers are the samples of grey or RGB, with or without more channels."""
    if page.extrasamples and page.extrasamples[0] == 1:
        notes.append("colours stay multiplied by alpha")
    return (
        page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
        and page.bitspersample in _PLAIN_BITS
        and page.compression not in _JPEG_COMPRESSIONS
        and not (page.photometric == _WHITE_IS_ZERO and page.samplesperpixel > 1)
    )


def _bytes_of(page: TiffPage, tag: int) -> bytes | None:
    value = page.tags.valueof(tag)
    return value if isinstance(value, bytes) else None


def _orientation_of(page: TiffPage) -> int:
    value = page.tags.valueof(_ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _dpi_of(page: TiffPage) -> tuple[float, float] | None:
    x, y = page.tags.valueof(_X_RESOLUTION), page.tags.valueof(_Y_RESOLUTION)
    scale = {2: 1.0, 3: 2.54}.get(page.tags.valueof(_RESOLUTION_UNIT, default=2))
    if scale is None or not isinstance(x, tuple) or not isinstance(y, tuple) or 0 in (x[1], y[1]):
        return None
    return scale * x[0] / x[1], scale * y[0] / y[1]


def _exif_of(data: bytes, notes: list[str]) -> bytes | None:
    """The descriptive tags, the EXIF and the GPS directory as an EXIF blob of their own."""
    from PIL.Image import Exif

    exif = Exif()
    try:
        _load(exif, data)
        if any(exif.pop(tag, None) for tag in _PHOTOSHOP):
            notes.append("Photoshop's own data is dropped")
        for tag in STRUCTURAL_TAGS.intersection(exif):
            del exif[tag]
        return exif.tobytes() if exif else None
    except PARSER_ERRORS:
        notes.append("malformed EXIF is dropped")
        return None


def _load(exif: Image.Exif, data: bytes) -> None:
    """Fill from a TIFF file; from a BigTIFF too, though EXIF itself is never one."""
    if b"+" not in data[2:4]:
        exif.load(data)
        return
    exif.endian, exif.bigtiff = ("<" if data[:2] == b"II" else ">"), True
    (offset,) = struct.unpack_from(exif.endian + "Q", data, 8)
    exif.load_from_fp(io.BytesIO(data), offset)
    exif.bigtiff = False
