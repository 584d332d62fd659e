"""Whether the file of a film is whole, as far as its outer structure says.

FFmpeg reads what is left of a cut file, often without complaint.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from inrcodec.errors import SignalError
from inrcodec.media import formats
from inrcodec.media.formats import MediaFormat

__all__ = ["check_last", "check_whole"]

_BOXES = frozenset(
    {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"mfra", b"uuid"}
)
_SEGMENT = bytes.fromhex("18538067")


def check_whole(file: BinaryIO, media_format: MediaFormat) -> None:
    """Raise SignalError if a box, a segment or a RIFF chunk reaches beyond the end of the file."""
    length = file.seek(0, io.SEEK_END)
    if media_format is formats.MP4:
        _check_boxes(file, length)
    elif media_format in (formats.MKV, formats.WEBM):
        _check_segment(file, length)
    elif media_format is formats.FILM:
        file.seek(0)
        head = file.read(8)
        if head[:4] == b"RIFF":
            _check_end(8 + int.from_bytes(head[4:], "little"), length)
    file.seek(0)


def check_last(file: BinaryIO, end: int) -> None:
    """Raise SignalError unless the file ends where its last frame does."""
    length = file.seek(0, io.SEEK_END)
    if length != end:
        raise SignalError(f"film ends early, at byte {length}")


def _check_end(end: int, length: int) -> None:
    if end > length:
        raise SignalError(f"film ends early, at byte {length} of {end}")


def _check_boxes(file: BinaryIO, length: int) -> None:
    """Source: ISO/IEC 14496-12, section 4.2."""
    position = 0
    while position + 8 <= length:
        file.seek(position)
        head = file.read(16)
        size, name = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:], "big")
        if size < 8 or name not in _BOXES:  # 0: to the end of the file
            return
        position += size
        _check_end(position, length)


def _check_segment(file: BinaryIO, length: int) -> None:
    """Source: RFC 8794, section 4, and RFC 9559, section 5.1."""
    file.seek(4)
    size = _vint(file)
    if size is None:
        return
    file.seek(size, io.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return
    size = _vint(file)
    if size is not None:
        _check_end(file.tell() + size, length)


def _vint(file: BinaryIO) -> int | None:
    """A size of variable length; None for an unknown one."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    width = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value
