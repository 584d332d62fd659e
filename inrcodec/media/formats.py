"""Which media formats there are, and which of them some bytes or a file name are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from inrcodec.errors import ConfigError
from inrcodec.signal import Kind

__all__ = [
    "AVIF",
    "FILM",
    "FLAC",
    "FORMATS",
    "HEAD_BYTES",
    "JPEG",
    "MKV",
    "MP3",
    "MP4",
    "NETCDF",
    "NPY",
    "NPZ",
    "OGG",
    "PNG",
    "TIFF",
    "WAV",
    "WEBM",
    "WEBP",
    "Y4M",
    "MediaFormat",
    "of_content",
    "of_suffix",
]


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """A media format: its name for people, what it holds, its suffixes, and whether we write it."""

    name: str
    kind: Kind
    suffixes: tuple[str, ...]
    writable: bool = True


PNG = MediaFormat("PNG", Kind.IMAGE, (".png",))
JPEG = MediaFormat("JPEG", Kind.IMAGE, (".jpg", ".jpeg"))
WEBP = MediaFormat("WebP", Kind.IMAGE, (".webp",))
TIFF = MediaFormat("TIFF", Kind.IMAGE, (".tif", ".tiff"))
AVIF = MediaFormat("AVIF", Kind.IMAGE, (".avif",))
WAV = MediaFormat("WAV", Kind.AUDIO, (".wav",))
FLAC = MediaFormat("FLAC", Kind.AUDIO, (".flac",))
OGG = MediaFormat("OGG", Kind.AUDIO, (".ogg", ".oga", ".opus"), writable=False)
MP3 = MediaFormat("MP3", Kind.AUDIO, (".mp3",), writable=False)
MP4 = MediaFormat("MP4", Kind.VIDEO, (".mp4", ".m4v", ".mov"))
MKV = MediaFormat("MKV", Kind.VIDEO, (".mkv",))
WEBM = MediaFormat("WebM", Kind.VIDEO, (".webm",), writable=False)
Y4M = MediaFormat("Y4M", Kind.VIDEO, (".y4m",))
FILM = MediaFormat(
    "film",
    Kind.VIDEO,
    (".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".ogv", ".flv", ".wmv", ".3gp"),
    writable=False,
)
"""Films in older containers."""

NPY = MediaFormat("NPY", Kind.ARRAY, (".npy",))
NPZ = MediaFormat("NPZ", Kind.ARRAY, (".npz",))
NETCDF = MediaFormat("netCDF", Kind.ARRAY, (".nc",), writable=False)

FORMATS = (
    *(PNG, JPEG, WEBP, TIFF, AVIF),
    *(WAV, FLAC, OGG, MP3),
    *(MP4, MKV, WEBM, Y4M, FILM),
    *(NPY, NPZ, NETCDF),
)

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
    (b"fLaC", FLAC),
    (b"OggS", OGG),
    (b"YUV4MPEG2 ", Y4M),
    (b"FLV\x01", FILM),
    (b"\0\0\x01\xba", FILM),
    (bytes.fromhex("3026b2758e66cf11"), FILM),
    (b"\x93NUMPY", NPY),
    (b"CDF\x01", NETCDF),
    (b"CDF\x02", NETCDF),
    (b"CDF\x05", NETCDF),
    (b"\x89HDF\r\n\x1a\n", NETCDF),
)
_AVIF_BRANDS = (b"avif", b"avis")
_STILL_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"jxl ")
_QUICKTIME_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_EBML = b"\x1a\x45\xdf\xa3"

HEAD_BYTES = 1 << 12
"""As many bytes as it takes to know a file."""

_TS_PACKET = 188


def of_content(data: bytes, name: str) -> MediaFormat | None:
    """The format that the bytes begin like, else None; the first 4 KiB decide between films.

    MP3 and the older films may begin with anything (a decoder looks for the first frame), so that
    there, and nowhere else, the suffix of `name` is believed.
    """
    if data[:3] == b"ID3":
        return FLAC if data[_id3_length(data) :][:4] == b"fLaC" else MP3
    for magic, media_format in _MAGIC:
        if data.startswith(magic):
            return _of_ogg(data) if media_format is OGG else media_format
    if data[:4] in (b"RIFF", b"RF64"):
        return {b"WAVE": WAV, b"WEBP": WEBP, b"AVI ": FILM}.get(data[8:12])
    if data[:4] == b"PK\x03\x04":
        return NPZ if _first_member(data).endswith(b".npy") else None
    if data[:4] == _EBML:
        return WEBM if b"webm" in data[:64] else MKV
    return _of_boxes(data) or _of_frames(data) or _of_name(data, name)


def _of_ogg(data: bytes) -> MediaFormat:
    return FILM if b"\x80theora" in data[:HEAD_BYTES] else OGG


def _of_boxes(data: bytes) -> MediaFormat | None:
    """AVIF or MP4, both of boxes: length, name, content. Source: ISO/IEC 14496-12, section 4."""
    if data[4:8] in _QUICKTIME_BOXES:
        return MP4
    if data[4:8] != b"ftyp":
        return None
    brands = data[8 : int.from_bytes(data[:4], "big")][:256]
    if any(brand in brands for brand in _AVIF_BRANDS):
        return AVIF
    return None if brands[:4] in _STILL_BRANDS else MP4


def _of_frames(data: bytes) -> MediaFormat | None:
    """MP3 and MPEG transport streams, which have no start of their own."""
    if _is_mp3_frame(data):
        return MP3
    packets = data[: 3 * _TS_PACKET : _TS_PACKET], data[4 : 3 * (_TS_PACKET + 4) : _TS_PACKET + 4]
    return FILM if b"\x47\x47\x47" in packets else None


def _of_name(data: bytes, name: str) -> MediaFormat | None:
    suffix = PurePath(name).suffix.lower()
    believed = (f for f in (MP3, FILM) if data and suffix in f.suffixes)
    return next(believed, None)


def of_suffix(path: str | PurePath) -> MediaFormat:
    """The format that a file of this name is to be written in. Raises ConfigError for any other."""
    suffix = PurePath(path).suffix.lower() or str(path).lower()
    for media_format in FORMATS:
        if media_format.writable and suffix in media_format.suffixes:
            return media_format
    known = " ".join(s for f in FORMATS if f.writable for s in f.suffixes)
    raise ConfigError(f"output suffix '{PurePath(path).suffix or path}' is not one of {known}")


def _id3_length(data: bytes) -> int:
    """Bytes of the ID3v2 tag at the start: a header of 10 and a size in four 7-bit bytes."""
    size = 0
    for byte in data[6:10]:
        size = size << 7 | (byte & 0x7F)
    return size + 10


def _first_member(data: bytes) -> bytes:
    """The name of the first file in a ZIP archive."""
    return data[30 : 30 + int.from_bytes(data[26:28], "little")]


def _is_mp3_frame(data: bytes) -> bool:
    """Whether the header of an MPEG audio layer III frame stands at the start."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return False
    version, layer, rates = data[1] >> 3 & 3, data[1] >> 1 & 3, data[2]
    return version != 1 and layer == 1 and rates >> 4 != 15 and rates >> 2 & 3 != 3
