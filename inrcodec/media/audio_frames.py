"""The outer structure of sound files: whether they are whole, and what they hold beside samples.

libsndfile reads what is left of a cut file without complaint and passes over what it does not know.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from inrcodec.errors import SignalError
from inrcodec.mapped import Mapped
from inrcodec.media import formats
from inrcodec.media.formats import MediaFormat
from inrcodec.media.wav import SPEAKERS

__all__ = ["check_whole", "dropped_parts"]

_UNKNOWN_LENGTH = 0xFFFFFFFF
"""What programs that write to a pipe put for the length of the data."""
_WAV_KEPT = frozenset(
    {b"fmt ", b"data", b"fact", b"ds64", b"PEAK", b"LIST", b"JUNK", b"junk", b"PAD ", b"FLLR"}
)
_FLAC_DROPPED = {2: "application data", 5: "cue sheet", 6: "picture"}
_OGG_LAST_PAGE = 4
_EXTENSIBLE = 0xFFFE


def check_whole(data: bytes | Mapped, media_format: MediaFormat) -> None:
    """Raise SignalError if a WAV or OGG file ends early. FLAC and MP3 count their frames."""
    if media_format is formats.WAV:
        for name, start, size in _riff_chunks(data):
            if name == b"data" and size != _UNKNOWN_LENGTH and start + size > len(data):
                raise SignalError(f"sound ends after {len(data) - start} of {size} bytes")
    if media_format is formats.OGG:
        _check_last_page(data)


def dropped_parts(data: bytes | Mapped, media_format: MediaFormat) -> list[str]:
    """What stands in a file beside samples and text tags, in words for the warning."""
    if media_format is formats.WAV:
        return [*_dropped_chunks(data)]
    if media_format is formats.FLAC:
        kinds = dict.fromkeys(_flac_blocks(data))
        return [f"{_FLAC_DROPPED[kind]} is dropped" for kind in kinds if kind in _FLAC_DROPPED]
    return []


def _dropped_chunks(data: bytes | Mapped) -> Iterator[str]:
    for name, start, size in _riff_chunks(data):
        if name not in _WAV_KEPT:
            yield f"WAV chunk {name.decode('ascii', 'backslashreplace').strip()} is dropped"
        if name == b"fmt " and size >= 24:
            tag, channels = struct.unpack_from("<HH", data, start)
            (speakers,) = struct.unpack_from("<I", data, start + 20)
            if tag == _EXTENSIBLE and channels > 2 and speakers not in (0, SPEAKERS.get(channels)):
                yield f"speaker layout {speakers:#x} is dropped"


def _riff_chunks(data: bytes | Mapped) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and length of each chunk; the last may reach beyond the end."""
    position = 12
    while position + 8 <= len(data):
        name, size = (
            data[position : position + 4],
            int.from_bytes(data[position + 4 : position + 8], "little"),
        )
        yield name, position + 8, size
        if name == b"data" and size == _UNKNOWN_LENGTH:
            return
        position += 8 + size + size % 2


def _flac_blocks(data: bytes | Mapped) -> Iterator[int]:
    """The type of each metadata block. Source: RFC 9639, section 8."""
    position = data.find(b"fLaC") + 4
    while position + 4 <= len(data):
        head = data[position]
        yield head & 0x7F
        if head & 0x80:
            return
        position += 4 + int.from_bytes(data[position + 1 : position + 4], "big")


def _check_last_page(data: bytes | Mapped) -> None:
    """The last page must be whole and say that it is the last. Source: RFC 3533, section 6."""
    start = data.rfind(b"OggS")
    page = data[start:]
    lacing = page[27 : 27 + page[26]] if len(page) > 26 else b""
    whole = len(page) > 26 and len(page) >= 27 + page[26] + sum(lacing)
    if not whole or not page[5] & _OGG_LAST_PAGE:
        raise SignalError(f"sound ends early, at byte {len(data)}")
