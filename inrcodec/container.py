"""Stream: the frame of a file, between the sections of a representation and bytes.

`docs/format.md` is the norm; names and order here are its own. Knows what a signal's header says
and what metadata it carries, and nothing of what stands in the sections of a representation.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from inrcodec.errors import (
    CorruptError,
    LimitError,
    SignalError,
    TruncatedError,
    UnsupportedError,
)
from inrcodec.fields import MAX_VARINT, ByteReader, ByteWriter
from inrcodec.signal import Kind, Metadata, SampleFormat, SignalSpec

__all__ = [
    "ByteReader",
    "ByteWriter",
    "DecodeLimits",
    "SectionId",
    "Stream",
    "breakdown",
    "require_section",
]

MAGIC = b"\x89INR"
VERSION = 0
MAX_RANK = 4

_ID_MASK = 0x3F
_OPTIONAL = 0x40
_LAST = 0x80
_LARGEST_HALF = 65504.0
_RANKS = {Kind.IMAGE: 2, Kind.AUDIO: 1, Kind.VIDEO: 3}


class SectionId(IntEnum):
    """What a section holds. The numbers stand in streams: append only, never reuse."""

    HEAD = 1
    MODEL = 2
    SYMBOLS = 3
    ICC = 16
    EXIF = 17
    XMP = 18
    DPI = 19
    PART = 20

    @property
    def optional(self) -> bool:
        """Whether a decoder that does not know the section may skip it."""
        return self >= SectionId.ICC


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeLimits:
    """The most that a stream may ask of its decoder; more raises LimitError before any allocation.

    `max_bytes`: length of the file. `max_samples`: grid points x channels. `max_parameters`:
    stored numbers. `max_metadata_bytes`: all metadata, inflated. `max_macs`: multiplications of
    one decode.
    """

    max_bytes: int = 1 << 30
    max_samples: int = 1 << 28
    max_channels: int = 64
    max_parameters: int = 1 << 26
    max_metadata_bytes: int = 1 << 24
    max_macs: int = 1 << 44


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One file: what was coded (`spec`), by what (`representation_id`), and its sections.

    `sections`: payloads of the representation by id, in the order of the file. `part_start`: first
    coded sample of the source, if only a part was coded.
    """

    spec: SignalSpec
    representation_id: int
    sections: Mapping[int, bytes]
    metadata: Metadata = field(default_factory=Metadata)
    part_start: int | None = None

    def to_bytes(self) -> bytes:
        """The file. Raises SignalError for a resolution that cannot be stored."""
        payloads = {SectionId.HEAD: _head_to_bytes(self.spec, self.representation_id)}
        for key, payload in self.sections.items():
            assert key != SectionId.HEAD, "a representation does not write the header"
            assert not SectionId(key).optional, f"section {key} is not a representation's"
            payloads[SectionId(key)] = payload
        payloads |= _metadata_to_payloads(self.metadata)
        if self.part_start is not None:
            payloads[SectionId.PART] = _varints_to_bytes(self.part_start)
        last = list(payloads)[-1]
        frames = [_frame(key, data, last=key is last) for key, data in payloads.items()]
        return b"".join([MAGIC, bytes([VERSION]), *frames])

    @staticmethod
    def from_bytes(data: bytes, limits: DecodeLimits | None = None) -> Stream:
        """The stream that a file holds. Raises BitstreamError, and nothing else, for others."""
        limits = limits or DecodeLimits()
        if len(data) > limits.max_bytes:
            raise LimitError(f"file of {len(data)} bytes is over the limit of {limits.max_bytes}")
        sections = _read_sections(data)
        head = next(iter(sections.values()))
        if head.tag & _ID_MASK != SectionId.HEAD:
            raise CorruptError("the first section is not the header", offset=head.reader().offset)
        spec, representation_id = _read_head(head.reader(), limits)
        part = sections.get(SectionId.PART)
        return Stream(
            spec=spec,
            representation_id=representation_id,
            sections={
                key: section.payload
                for key, section in sections.items()
                if key != SectionId.HEAD and not section.optional
            },
            metadata=_read_metadata(sections, limits),
            part_start=None if part is None else _read_varints(part, 1)[0],
        )


def breakdown(data: bytes) -> dict[str, int]:
    """Bytes of a file by section, framing included; they sum to its length.

    "header" is magic, version and HEAD; the others have the lower-case names of `SectionId`, or
    "section N" for ids that are not in it. Raises BitstreamError.
    """
    sizes = {"header": len(MAGIC) + 1}
    for key, section in _read_sections(data).items():
        name = SectionId(key).name.lower() if key in _KNOWN else f"section {key}"
        name = "header" if key == SectionId.HEAD else name
        sizes[name] = sizes.get(name, 0) + section.n_bytes
    return sizes


def require_section(sections: Mapping[int, bytes], section: SectionId) -> bytes:
    """The payload of a section. Raises CorruptError if it is not there."""
    if section not in sections:
        raise CorruptError(f"the stream has no {section.name} section")
    return sections[section]


# --- sections: tag, length, payload, checksum ----------------------------------------------------

_KNOWN = frozenset(SectionId)


class _Section(NamedTuple):
    """A section whose checksum holds. `start`: offset of its payload; `n_bytes`: with framing."""

    tag: int
    start: int
    payload: bytes
    n_bytes: int

    @property
    def optional(self) -> bool:
        return bool(self.tag & _OPTIONAL)

    def reader(self) -> ByteReader:
        key = self.tag & _ID_MASK
        name = SectionId(key).name if key in _KNOWN else f"section {key}"
        return ByteReader(self.payload, name=name, base=self.start)


def _frame(section: SectionId, payload: bytes, *, last: bool) -> bytes:
    writer = ByteWriter()
    writer.u8(section | (_OPTIONAL if section.optional else 0) | (_LAST if last else 0))
    writer.varint(len(payload))
    writer.raw(payload)
    writer.u32(zlib.crc32(writer.to_bytes()))
    return writer.to_bytes()


def _read_sections(data: bytes) -> dict[int, _Section]:
    """Id -> section, in the order of the file, unknown optional ones included."""
    reader = ByteReader(data)
    _check_magic(reader)
    sections: dict[int, _Section] = {}
    for section in _walk(data, reader):
        key = section.tag & _ID_MASK
        if key in sections:
            raise CorruptError(f"section {key} is there twice", offset=section.start)
        if key not in _KNOWN and not section.optional:
            raise UnsupportedError(f"required section {key} is unknown", offset=section.start)
        if key in _KNOWN and SectionId(key).optional != section.optional:
            raise CorruptError(f"section {key} has the wrong optional bit", offset=section.start)
        sections[key] = section
    reader.finish()
    return sections


def _check_magic(reader: ByteReader) -> None:
    magic = reader.take(min(reader.bytes_left, len(MAGIC)))
    if magic != MAGIC[: len(magic)]:
        raise CorruptError("not an inrcodec stream: it does not begin with 89 49 4e 52", offset=0)
    if len(magic) < len(MAGIC):
        raise TruncatedError(f"stream ends after {len(magic)} bytes", offset=len(magic))
    version = reader.u8()
    if version != VERSION:
        raise UnsupportedError(f"stream version {version} is not {VERSION}", offset=len(MAGIC))


def _walk(data: bytes, reader: ByteReader) -> Iterator[_Section]:
    tag = 0
    while not tag & _LAST:
        begin = reader.offset
        tag = reader.u8()
        length = reader.varint()
        start = reader.offset
        payload = reader.take(length)
        stop = reader.offset
        if reader.u32() != zlib.crc32(memoryview(data)[begin:stop]):
            raise CorruptError(f"checksum of section {tag & _ID_MASK} is wrong", offset=begin)
        yield _Section(tag, start, payload, reader.offset - begin)


# --- HEAD ----------------------------------------------------------------------------------------


def _head_to_bytes(spec: SignalSpec, representation_id: int) -> bytes:
    writer = ByteWriter()
    writer.u8(spec.kind << 4 | spec.sample_format)
    writer.u8(representation_id)
    if spec.kind is Kind.ARRAY:
        writer.u8(len(spec.grid))
    for size in (*spec.grid, spec.channels):
        writer.varint(size)
    if spec.kind is Kind.AUDIO:
        assert spec.sample_rate is not None
        writer.varint(spec.sample_rate)
    if spec.sample_format.is_float:
        for bound in spec.value_range:
            writer.f32(bound)
    return writer.to_bytes()


def _read_head(reader: ByteReader, limits: DecodeLimits) -> tuple[SignalSpec, int]:
    kind, sample_format = _read_kind(reader)
    representation_id = reader.u8()
    rank = _read_rank(reader) if kind is Kind.ARRAY else _RANKS[kind]
    sizes = tuple(_read_positive(reader, "size") for _ in range(rank))
    channels = _read_positive(reader, "channel count")
    sample_rate = _read_positive(reader, "sample rate") if kind is Kind.AUDIO else None
    value_range = _read_range(reader, sample_format)
    reader.finish()
    spec = SignalSpec(
        kind=kind,
        sample_format=sample_format,
        grid=sizes,
        channels=channels,
        value_range=value_range,
        sample_rate=sample_rate,
    )
    _check_size(spec, limits)
    return spec, representation_id


def _check_size(spec: SignalSpec, limits: DecodeLimits) -> None:
    if spec.channels > limits.max_channels:
        raise LimitError(f"{spec.channels} channels are over the limit of {limits.max_channels}")
    n_samples = spec.n_points * spec.channels
    if n_samples > limits.max_samples:
        raise LimitError(f"{n_samples} samples are over the limit of {limits.max_samples}")


def _read_kind(reader: ByteReader) -> tuple[Kind, SampleFormat]:
    offset = reader.offset
    kind, sample_format = divmod(reader.u8(), 16)
    if kind not in frozenset(Kind):
        raise UnsupportedError(f"signal kind {kind} is unknown", offset=offset)
    if sample_format not in frozenset(SampleFormat):
        raise UnsupportedError(f"sample format {sample_format} is unknown", offset=offset)
    return Kind(kind), SampleFormat(sample_format)


def _read_rank(reader: ByteReader) -> int:
    offset = reader.offset
    rank = reader.u8()
    if not 1 <= rank <= MAX_RANK:
        raise UnsupportedError(f"array rank {rank} is not in [1, {MAX_RANK}]", offset=offset)
    return rank


def _read_range(reader: ByteReader, sample_format: SampleFormat) -> tuple[float, float]:
    if not sample_format.is_float:
        return sample_format.nominal_range
    offset = reader.offset
    low, high = reader.f32(), reader.f32()
    largest = _LARGEST_HALF if sample_format is SampleFormat.F16 else math.inf
    if not -largest <= low <= high <= largest:
        raise CorruptError(f"HEAD has the value range {low:g} to {high:g}", offset=offset)
    return low, high


def _read_positive(reader: ByteReader, what: str) -> int:
    offset = reader.offset
    value = reader.varint()
    if value == 0:
        raise CorruptError(f"HEAD has a {what} of 0", offset=offset)
    return value


# --- metadata ------------------------------------------------------------------------------------

_MAX_DPI = MAX_VARINT // 1000


def _metadata_to_payloads(metadata: Metadata) -> dict[SectionId, bytes]:
    carried = (
        (SectionId.ICC, metadata.icc),
        (SectionId.EXIF, metadata.exif),
        (SectionId.XMP, metadata.xmp),
    )
    payloads = {key: zlib.compress(data, 9) for key, data in carried if data is not None}
    if metadata.dpi is not None:
        if not all(0 <= dots <= _MAX_DPI for dots in metadata.dpi):
            raise SignalError(f"resolution {metadata.dpi} dpi is not in [0, {_MAX_DPI}]")
        payloads[SectionId.DPI] = _varints_to_bytes(*(round(dots * 1000) for dots in metadata.dpi))
    return payloads


def _read_metadata(sections: Mapping[int, _Section], limits: DecodeLimits) -> Metadata:
    budget = limits.max_metadata_bytes
    carried: dict[SectionId, bytes] = {}
    for key in (SectionId.ICC, SectionId.EXIF, SectionId.XMP):
        if key in sections:
            carried[key] = _inflate(sections[key], budget)
            budget -= len(carried[key])
    dpi = None
    if SectionId.DPI in sections:
        horizontal, vertical = _read_varints(sections[SectionId.DPI], 2)
        dpi = horizontal / 1000, vertical / 1000
    return Metadata(
        icc=carried.get(SectionId.ICC),
        exif=carried.get(SectionId.EXIF),
        xmp=carried.get(SectionId.XMP),
        dpi=dpi,
    )


def _inflate(section: _Section, budget: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(section.payload, budget + 1)
    except zlib.error:
        raise CorruptError("metadata is not zlib data", offset=section.start) from None
    if len(data) > budget:
        raise LimitError(f"metadata is over its limit by at least {len(data) - budget} bytes")
    if not inflater.eof or inflater.unused_data:
        raise CorruptError("metadata is cut off or too long", offset=section.start)
    return data


def _varints_to_bytes(*values: int) -> bytes:
    writer = ByteWriter()
    for value in values:
        writer.varint(value)
    return writer.to_bytes()


def _read_varints(section: _Section, n: int) -> list[int]:
    reader = section.reader()
    values = [reader.varint() for _ in range(n)]
    reader.finish()
    return values
