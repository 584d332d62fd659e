"""Bytes <-> sections: tag, length, payload, checksum. Knows ids, not meanings."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from inrcodec.errors import CorruptError, TruncatedError, UnsupportedError
from inrcodec.fields import ByteReader, ByteWriter

__all__ = [
    "MAGIC",
    "VERSION",
    "DecodeLimits",
    "Section",
    "SectionId",
    "breakdown",
    "frame",
    "id_of_key",
    "number_of_tile",
    "read_sections",
    "require_section",
    "tile_key",
]

MAGIC = b"\x89INR"
VERSION = 0

_ID_MASK = 0x3F
_OPTIONAL = 0x40
_LAST = 0x80


class SectionId(IntEnum):
    """What a section holds. The numbers stand in streams: append only, never reuse."""

    HEAD = 1
    MODEL = 2
    SYMBOLS = 3
    GROUP = 4
    MASK = 5
    TILE = 6
    ICC = 16
    EXIF = 17
    XMP = 18
    DPI = 19
    PART = 20
    TIMES = 21
    COLOUR = 22
    LABELS = 23

    @property
    def optional(self) -> bool:
        """Whether a decoder that does not know the section may skip it."""
        return self >= SectionId.ICC


_KNOWN = frozenset(SectionId)
_REPEATED = frozenset({SectionId.GROUP, SectionId.TILE})


def tile_key(number: int) -> int:
    """Under what the payload of TILE section `number`, from 0 on, stands among payloads by id."""
    return number << 6 | SectionId.TILE


def number_of_tile(key: int) -> int | None:
    """The inverse of `tile_key`; None for a key that is of no tile."""
    return key >> 6 if key & _ID_MASK == SectionId.TILE else None


def id_of_key(key: int) -> SectionId:
    """The section that a key of payloads by id is of: a `tile_key`, or an id."""
    return SectionId(key & _ID_MASK)


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeLimits:
    """The most that a stream may ask of its decoder; more raises LimitError before any allocation.

    `max_bytes`: length of the file. `max_samples`: grid points x channels that are computed at
    once. `max_frames`: of a film. `max_sound_samples`: of a whole sound, all channels.
    `max_parameters`: stored numbers, of each group of a film. `max_metadata_bytes`: all metadata
    and times, inflated. `max_macs`: multiplications of what is computed at once, and
    of a whole sound.
    """

    max_bytes: int = 1 << 30
    max_samples: int = 1 << 28
    max_channels: int = 64
    max_frames: int = 1 << 22
    max_sound_samples: int = 1 << 32
    max_parameters: int = 1 << 26
    max_metadata_bytes: int = 1 << 24
    max_macs: int = 1 << 44


class Section(NamedTuple):
    """A section of a file. `start`: offset of its payload; `n_bytes`: with framing.

    Its checksum holds, but that of a tile that is to be salvaged may not: it is not `sound` then.
    """

    tag: int
    start: int
    payload: bytes
    n_bytes: int
    sound: bool = True

    @property
    def key(self) -> int:
        """The id, known or not."""
        return self.tag & _ID_MASK

    @property
    def name(self) -> str:
        """The name of the id for people."""
        return SectionId(self.key).name if self.key in _KNOWN else f"section {self.key}"

    @property
    def optional(self) -> bool:
        """Whether a decoder may skip it."""
        return bool(self.tag & _OPTIONAL)

    def reader(self) -> ByteReader:
        """The payload, with offsets that count from the start of the file."""
        return ByteReader(self.payload, name=self.name, base=self.start)


def frame(section: SectionId, payload: bytes, *, last: bool) -> bytes:
    """The bytes of one section."""
    writer = ByteWriter()
    writer.u8(section | (_OPTIONAL if section.optional else 0) | (_LAST if last else 0))
    writer.varint(len(payload))
    writer.raw(payload)
    writer.u32(zlib.crc32(writer.to_bytes()))
    return writer.to_bytes()


def read_sections(data: bytes, *, salvage: bool = False) -> list[Section]:
    """All sections in the order of the file, unknown optional ones included.

    Ids are there once, but GROUP and TILE. With `salvage`, tiles may have wrong checksums,
    and a file may end within its tiles. Raises BitstreamError.
    """
    reader = ByteReader(data)
    _check_magic(reader)
    sections: list[Section] = []
    seen: set[int] = set()
    for section in _walk(data, reader, salvage=salvage):
        key = section.key
        if key in seen and key not in _REPEATED:
            raise CorruptError(f"section {key} is there twice", offset=section.start)
        if key not in _KNOWN and not section.optional:
            raise UnsupportedError(f"required section {key} is unknown", offset=section.start)
        if key in _KNOWN and SectionId(key).optional != section.optional:
            raise CorruptError(f"section {key} has the wrong optional bit", offset=section.start)
        seen.add(key)
        sections.append(section)
    if not salvage:
        reader.finish()
    return sections


def breakdown(data: bytes, *, salvage: bool = False) -> dict[str, int]:
    """Bytes of a file by section, framing included; they sum to its length.

    "header" is magic, version and HEAD; the others have the lower-case names of `SectionId`, or
    "section N" for ids that are not in it; all groups of a film are one, and so are all tiles. With
    `salvage`, of a file that ends early, what is whole. Raises BitstreamError.
    """
    sizes = {"header": len(MAGIC) + 1}
    for section in read_sections(data, salvage=salvage):
        name = "header" if section.key == SectionId.HEAD else section.name.lower()
        sizes[name] = sizes.get(name, 0) + section.n_bytes
    return sizes


def require_section(sections: Mapping[int, bytes], section: SectionId) -> bytes:
    """The payload of a section. Raises CorruptError if it is not there."""
    if section not in sections:
        raise CorruptError(f"the stream has no {section.name} section")
    return sections[section]


def _check_magic(reader: ByteReader) -> None:
    magic = reader.take(min(reader.bytes_left, len(MAGIC)))
    if magic != MAGIC[: len(magic)]:
        raise CorruptError("not an inrcodec stream: it does not begin with 89 49 4e 52", offset=0)
    if len(magic) < len(MAGIC):
        raise TruncatedError(f"stream ends after {len(magic)} bytes", offset=len(magic))
    version = reader.u8()
    if version != VERSION:
        raise UnsupportedError(f"stream version {version} is not {VERSION}", offset=len(MAGIC))


def _walk(data: bytes, reader: ByteReader, *, salvage: bool) -> Iterator[Section]:
    tag, n_tiles = 0, 0
    while not tag & _LAST:
        begin = reader.offset
        try:
            tag = reader.u8()
            payload = reader.take(reader.varint())
            stop = reader.offset
            checksum = reader.u32()
        except TruncatedError:
            if salvage and n_tiles:
                return
            raise
        start = stop - len(payload)
        is_tile = tag & _ID_MASK == SectionId.TILE
        sound = checksum == zlib.crc32(memoryview(data)[begin:stop])
        if not sound and not (salvage and is_tile):
            what = f"tile {n_tiles}" if is_tile else f"section {tag & _ID_MASK}"
            raise CorruptError(f"checksum of {what} is wrong", offset=begin)
        n_tiles += is_tile
        yield Section(tag, start, payload, reader.offset - begin, sound)
