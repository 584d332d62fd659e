"""The checksums of FFV1, which FFmpeg computes but whose failure it does not report.

Source: RFC 9043, sections 4.9 (slice footer) and 4.9.3 (slice_crc_parity).
"""

from __future__ import annotations

import zlib

__all__ = ["is_sound"]

_FOOTER_BYTES = 8
_ONES = 0xFFFFFFFF
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def is_sound(frame: bytes) -> bool:
    """Whether a coded frame is a chain of slices, each with a checksum that is right.

    A slice ends with its length (3 bytes), a status and its checksum; over all of it the CRC of
    polynomial 0x04C11DB7, highest bit first, begun at 0, is 0. zlib's goes lowest bit first.
    """
    end = len(frame)
    while end > _FOOTER_BYTES:
        size = int.from_bytes(frame[end - _FOOTER_BYTES : end - _FOOTER_BYTES + 3], "big")
        start = end - _FOOTER_BYTES - size
        if size == 0 or start < 0:
            return False
        if zlib.crc32(frame[start:end].translate(_MIRRORED), _ONES) != _ONES:
            return False
        end = start
    return end == 0
