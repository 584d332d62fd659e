"""What a file carries beside its samples, <-> the payloads of its optional sections."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inrcodec.container.sections import DecodeLimits, Section, SectionId
from inrcodec.errors import CorruptError, LimitError, SignalError
from inrcodec.fields import MAX_VARINT, ByteReader, ByteWriter
from inrcodec.signal import Colour, Kind, Labels, Metadata, SignalSpec

__all__ = [
    "metadata_to_payloads",
    "read_metadata",
    "read_times",
    "read_varints",
    "times_to_payload",
    "varints_to_bytes",
]

_MAX_DPI = MAX_VARINT // 1000
_MAX_LABEL = 1024
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def metadata_to_payloads(metadata: Metadata) -> dict[SectionId, bytes]:
    """Section id -> payload. Raises SignalError for what cannot be stored."""
    carried = (
        (SectionId.ICC, metadata.icc),
        (SectionId.EXIF, metadata.exif),
        (SectionId.XMP, metadata.xmp),
    )
    payloads = {key: zlib.compress(data, 9) for key, data in carried if data is not None}
    if metadata.dpi is not None:
        if not all(0 <= dots <= _MAX_DPI for dots in metadata.dpi):
            raise SignalError(f"resolution {metadata.dpi} dpi is not in [0, {_MAX_DPI}]")
        payloads[SectionId.DPI] = varints_to_bytes(*(round(dots * 1000) for dots in metadata.dpi))
    if metadata.colour is not None:
        payloads[SectionId.COLOUR] = bytes(metadata.colour)
    if metadata.labels is not None:
        payloads[SectionId.LABELS] = _labels_to_payload(metadata.labels)
    return payloads


def read_metadata(
    sections: Mapping[int, Section], spec: SignalSpec, limits: DecodeLimits
) -> Metadata:
    """The inverse of `metadata_to_payloads`. Raises BitstreamError."""
    budget = limits.max_metadata_bytes
    carried: dict[SectionId, bytes] = {}
    for key in (SectionId.ICC, SectionId.EXIF, SectionId.XMP):
        if key in sections:
            carried[key] = _inflate(sections[key], budget)
            budget -= len(carried[key])
    dpi = None
    if SectionId.DPI in sections:
        horizontal, vertical = read_varints(sections[SectionId.DPI], 2)
        dpi = horizontal / 1000, vertical / 1000
    return Metadata(
        icc=carried.get(SectionId.ICC),
        exif=carried.get(SectionId.EXIF),
        xmp=carried.get(SectionId.XMP),
        dpi=dpi,
        colour=(
            _read_colour(sections[SectionId.COLOUR], spec) if SectionId.COLOUR in sections else None
        ),
        labels=(
            _read_labels(sections[SectionId.LABELS], spec) if SectionId.LABELS in sections else None
        ),
    )


def times_to_payload(times: NDArray[np.int64]) -> bytes:
    """When each frame of a film is shown, from the first on. Raises SignalError unless it rises."""
    steps = np.diff(times)
    if steps.size and not (steps.min() >= 1 and steps.max() <= MAX_VARINT):
        raise SignalError(f"times of frames do not rise by steps in [1, {MAX_VARINT}]")
    return zlib.compress(steps.astype("<u4").tobytes(), 9)


def read_times(section: Section, spec: SignalSpec, budget: int) -> NDArray[np.int64]:
    """The times of frames, the first at 0, from at most `budget` bytes. Raises BitstreamError."""
    _check_kind(section, spec, Kind.VIDEO)
    n_frames = spec.grid[0]
    data = _inflate(section, budget)
    if len(data) != 4 * (n_frames - 1):
        raise CorruptError(
            f"TIMES of {len(data)} bytes for {n_frames} frames", offset=section.start
        )
    steps = np.frombuffer(data, "<u4").astype(np.int64)
    if steps.size and steps.min() == 0:
        late = int(steps.argmin()) + 1
        raise CorruptError(f"TIMES shows frame {late} with the one before it", offset=section.start)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(steps)])


def _check_kind(section: Section, spec: SignalSpec, kind: Kind) -> None:
    """Raise CorruptError for a section in a stream of another kind than its own."""
    if spec.kind is not kind:
        what = spec.kind.name.lower()
        raise CorruptError(f"{section.name} in a stream of {what}", offset=section.start)


def _read_colour(section: Section, spec: SignalSpec) -> Colour:
    _check_kind(section, spec, Kind.VIDEO)
    reader = section.reader()
    values = [reader.u8() for _ in range(4)]
    reader.finish()
    if values[3] > 1:
        raise CorruptError(f"COLOUR has the range {values[3]}", offset=section.start)
    return Colour(*values)


def _labels_to_payload(labels: Labels) -> bytes:
    writer = ByteWriter()
    for text in (labels.name, labels.units, *labels.axes):
        data = text.encode("utf-8", "replace")
        if len(data) > _MAX_LABEL or data.decode() != text or _CONTROLS.search(text):
            raise SignalError(f"label {text[:40]!r} is not text of at most {_MAX_LABEL} bytes")
        writer.varint(len(data))
        writer.raw(data)
    return writer.to_bytes()


def _read_labels(section: Section, spec: SignalSpec) -> Labels:
    _check_kind(section, spec, Kind.ARRAY)
    reader = section.reader()
    name, units, *axes = (_read_label(reader) for _ in range(2 + len(spec.grid)))
    reader.finish()
    return Labels(name, units, tuple(axes))


def _read_label(reader: ByteReader) -> str:
    offset = reader.offset
    data = reader.take(reader.varint(_MAX_LABEL))
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise CorruptError("LABELS holds what is not UTF-8", offset=offset) from None
    if _CONTROLS.search(text):
        raise CorruptError("LABELS holds control characters", offset=offset)
    return text


def _inflate(section: Section, budget: int) -> bytes:
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


def varints_to_bytes(*values: int) -> bytes:
    """Numbers one after the other."""
    writer = ByteWriter()
    for value in values:
        writer.varint(value)
    return writer.to_bytes()


def read_varints(section: Section, n: int) -> list[int]:
    """The n numbers that a section holds. Raises BitstreamError."""
    reader = section.reader()
    values = [reader.varint() for _ in range(n)]
    reader.finish()
    return values
