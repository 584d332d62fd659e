"""HEAD: what is coded (a SignalSpec) and by which representation, <-> bytes."""

from __future__ import annotations

import math
from fractions import Fraction

from inrcodec.container.sections import DecodeLimits
from inrcodec.errors import CorruptError, LimitError, SignalError, UnsupportedError
from inrcodec.fields import MAX_VARINT, ByteReader, ByteWriter
from inrcodec.signal import Kind, SampleFormat, SignalSpec

__all__ = ["MAX_RANK", "head_to_bytes", "read_head"]

MAX_RANK = 4

_RANKS = {Kind.IMAGE: 2, Kind.AUDIO: 1, Kind.VIDEO: 3}


def head_to_bytes(spec: SignalSpec, representation_id: int) -> bytes:
    """The payload of HEAD. Raises SignalError for a time base that cannot be stored."""
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
    if spec.kind is Kind.VIDEO:
        for part in _time_base_of(spec):
            writer.varint(part)
    if spec.kind is Kind.ARRAY or spec.sample_format.is_float:
        for bound in spec.value_range:
            (writer.f64 if spec.kind is Kind.ARRAY else writer.f32)(bound)
    return writer.to_bytes()


def read_head(reader: ByteReader, limits: DecodeLimits) -> tuple[SignalSpec, int]:
    """What a HEAD says, and the wire id of the representation. Raises BitstreamError."""
    kind, sample_format = _read_kind(reader)
    representation_id = reader.u8()
    rank = _read_rank(reader) if kind is Kind.ARRAY else _RANKS[kind]
    sizes = tuple(_read_positive(reader, "size") for _ in range(rank))
    channels = _read_positive(reader, "channel count")
    sample_rate = _read_positive(reader, "sample rate") if kind is Kind.AUDIO else None
    time_base = _read_time_base(reader) if kind is Kind.VIDEO else None
    value_range = _read_range(reader, kind, sample_format)
    reader.finish()
    spec = SignalSpec(
        kind=kind,
        sample_format=sample_format,
        grid=sizes,
        channels=channels,
        value_range=value_range,
        sample_rate=sample_rate,
        time_base=time_base,
    )
    _check_size(spec, limits)
    return spec, representation_id


def _time_base_of(spec: SignalSpec) -> tuple[int, int]:
    assert spec.time_base is not None
    parts = spec.time_base.as_integer_ratio()
    if not all(1 <= part <= MAX_VARINT for part in parts):
        raise SignalError(f"time base {spec.time_base} s is not of numbers in [1, {MAX_VARINT}]")
    return parts


def _read_time_base(reader: ByteReader) -> Fraction:
    numerator = _read_positive(reader, "time base")
    return Fraction(numerator, _read_positive(reader, "time base"))


def _check_size(spec: SignalSpec, limits: DecodeLimits) -> None:
    if spec.channels > limits.max_channels:
        raise LimitError(f"{spec.channels} channels are over the limit of {limits.max_channels}")
    is_film = spec.kind is Kind.VIDEO
    if is_film and spec.grid[0] > limits.max_frames:
        raise LimitError(f"{spec.grid[0]} frames are over the limit of {limits.max_frames}")
    n_points = math.prod(spec.grid[1:]) if is_film else spec.n_points
    n_samples = n_points * spec.channels  # of a film: a frame's; its groups are checked one by one
    most = limits.max_sound_samples if spec.kind is Kind.AUDIO else limits.max_samples
    if n_samples > most:
        raise LimitError(f"{n_samples} samples are over the limit of {most}")


def _read_kind(reader: ByteReader) -> tuple[Kind, SampleFormat]:
    offset = reader.offset
    kind, sample_format = divmod(reader.u8(), 16)
    if kind not in frozenset(Kind):
        raise UnsupportedError(f"signal kind {kind} is unknown", offset=offset)
    known = sample_format in frozenset(SampleFormat)
    if not known or (SampleFormat(sample_format).arrays_only and kind != Kind.ARRAY):
        what = Kind(kind).name.lower()
        raise UnsupportedError(f"sample format {sample_format} of {what} is unknown", offset=offset)
    return Kind(kind), SampleFormat(sample_format)


def _read_rank(reader: ByteReader) -> int:
    offset = reader.offset
    rank = reader.u8()
    if not 1 <= rank <= MAX_RANK:
        raise UnsupportedError(f"array rank {rank} is not in [1, {MAX_RANK}]", offset=offset)
    return rank


def _read_range(reader: ByteReader, kind: Kind, sample_format: SampleFormat) -> tuple[float, float]:
    if kind is not Kind.ARRAY and not sample_format.is_float:
        return sample_format.nominal_range
    offset = reader.offset
    read = reader.f64 if kind is Kind.ARRAY else reader.f32
    low, high = read(), read()
    least, greatest = sample_format.widest_range
    whole = sample_format.is_float or (low.is_integer() and high.is_integer())
    if not (least <= low <= high <= greatest and whole and math.isfinite(high - low)):
        raise CorruptError(f"HEAD has the value range {low:g} to {high:g}", offset=offset)
    return low, high


def _read_positive(reader: ByteReader, what: str) -> int:
    offset = reader.offset
    value = reader.varint()
    if value == 0:
        raise CorruptError(f"HEAD has a {what} of 0", offset=offset)
    return value
