"""The frame of a file: what it costs, what it carries, and what it refuses."""

import math
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from inrcodec.container import (
    ByteReader,
    ByteWriter,
    DecodeLimits,
    Group,
    SectionId,
    Stream,
    breakdown,
    require_section,
)
from inrcodec.errors import (
    CorruptError,
    LimitError,
    SignalError,
    TruncatedError,
    UnsupportedError,
)
from inrcodec.signal import Kind, Labels, Metadata, SampleFormat, Signal, SignalSpec

MAGIC = b"\x89INR\x00"
HEAD = bytes([0x00, 7, 2, 3, 1])  # 8-bit grey image of 2 rows and 3 columns, representation 7
LAST, OPTIONAL = 0x80, 0x40


def frame(tag: int, payload: bytes) -> bytes:
    body = bytes([tag, len(payload)]) + payload
    return body + struct.pack("<I", zlib.crc32(body))


def image_stream(**changes: object) -> Stream:
    spec = Signal.image(np.zeros((2, 3), np.uint8)).spec
    return replace(Stream(spec=spec, representation_id=7, sections={2: b"m", 3: b""}), **changes)


def spec_of(kind: Kind, sample_format: SampleFormat, grid: tuple[int, ...]) -> SignalSpec:
    return SignalSpec(
        kind=kind,
        sample_format=sample_format,
        grid=grid,
        channels=2,
        value_range=range_of(kind, sample_format),
        sample_rate=44100 if kind is Kind.AUDIO else None,
        time_base=Fraction(1001, 30000) if kind is Kind.VIDEO else None,
    )


def range_of(kind: Kind, sample_format: SampleFormat) -> tuple[float, float]:
    if sample_format.is_float:
        return -1.5, 2.25
    return (3.0, 120.0) if kind is Kind.ARRAY else sample_format.nominal_range


# --- what is written -----------------------------------------------------------------------------


def test_a_small_stream_is_these_bytes_exactly() -> None:
    expected = MAGIC + frame(1, HEAD) + frame(2, b"m") + frame(3 | LAST, b"")
    assert image_stream().to_bytes() == expected


def test_a_plain_photograph_costs_at_most_32_bytes_beside_its_payloads() -> None:
    spec = Signal.image(np.zeros((512, 768, 3), np.uint8)).spec
    stream = Stream(spec=spec, representation_id=1, sections={2: bytes(60), 3: bytes(25000)})
    assert len(stream.to_bytes()) - 60 - 25000 <= 32


@pytest.mark.parametrize("sample_format", SampleFormat)
@pytest.mark.parametrize(
    ("kind", "grid"),
    [
        (Kind.IMAGE, (1, 70000)),
        (Kind.AUDIO, (123456,)),
        (Kind.ARRAY, (9,)),
        (Kind.ARRAY, (2, 3, 4, 5)),
    ],
)
def test_every_kind_and_format_comes_back(
    kind: Kind, grid: tuple[int, ...], sample_format: SampleFormat
) -> None:
    stream = image_stream(spec=spec_of(kind, sample_format, grid))
    if kind is Kind.VIDEO:
        groups = (Group(1, False, {2: b"m", 3: b""}), Group(2, True, {2: b"", 3: b"words"}))
        stream = replace(stream, sections={}, groups=groups)
    if sample_format.arrays_only and kind is not Kind.ARRAY:
        with pytest.raises(
            UnsupportedError, match=f"sample format {sample_format:d} of {kind.name.lower()}"
        ):
            Stream.from_bytes(stream.to_bytes())
    else:
        assert Stream.from_bytes(stream.to_bytes()) == stream


@pytest.mark.parametrize("name", ["S64", "U64", "F64"])
def test_the_widest_ranges_come_back(name: str) -> None:
    sample_format = SampleFormat[name]
    low, high = sample_format.widest_range
    ends = (low / 4, high / 4) if sample_format.is_float else (low, high)
    spec = replace(spec_of(Kind.ARRAY, sample_format, (3,)), value_range=ends)
    assert Stream.from_bytes(image_stream(spec=spec).to_bytes()).spec.value_range == ends


ARRAY = bytes([0x3B, 7, 2, 2, 5, 1]) + struct.pack("<dd", 0.0, 1.0)  # doubles of 2 rows, 5 columns


def array_stream(**changes: object) -> Stream:
    spec = spec_of(Kind.ARRAY, SampleFormat.F64, (2, 5))
    stream = Stream(spec=replace(spec, channels=1), representation_id=7, sections={2: b"m"})
    return replace(stream, **changes)


def test_mask_and_labels_come_back() -> None:
    mask = np.arange(10).reshape(2, 5, 1) % 3 == 0
    metadata = Metadata(labels=Labels("θ", "K", ("", "längs")))
    data = array_stream(mask=mask, metadata=metadata).to_bytes()
    stream = Stream.from_bytes(data)
    np.testing.assert_array_equal(stream.mask, mask)
    assert (stream.metadata, dict(stream.sections)) == (metadata, {2: b"m"})
    assert list(breakdown(data)) == ["header", "model", "mask", "labels"]
    assert stream.to_bytes() == data


@pytest.mark.parametrize("text", ["x" * 1025, "a\nb", "\ud800", "\x9b1m"])
def test_a_label_that_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(SignalError, match="is not text of at most 1024 bytes"):
        array_stream(metadata=Metadata(labels=Labels("", text, ("", "")))).to_bytes()


def bits(*values: int) -> bytes:
    return zlib.compress(bytes(values))


@pytest.mark.parametrize(
    ("head", "tag", "payload", "message"),
    [
        (HEAD, 5, bits(0x80), "MASK in a stream of image of U8"),
        (b"\x30" + ARRAY[1:], 5, bits(0x80, 0), "MASK in a stream of array of U8"),
        (ARRAY, 5, bits(0x80), "does not hold 2 bytes"),
        (ARRAY, 5, bits(0x80, 0, 0), "does not hold 2 bytes"),
        (ARRAY, 5, bits(0x80, 0) + b"\0", "does not hold 2 bytes"),
        (ARRAY, 5, bits(0x80, 0)[:-1], "does not hold 2 bytes"),
        (ARRAY, 5, zlib.compress(bytes(1 << 24)), "does not hold 2 bytes"),
        (ARRAY, 5, b"\x80\0", "not zlib data"),
        (ARRAY, 5, bits(0x80, 0x20), "bits after its last sample"),
        (ARRAY, 5, bits(0, 0), "covers all samples or none"),
        (ARRAY, 5, bits(0xFF, 0xC0), "covers all samples or none"),
        (HEAD, 23 | OPTIONAL, bytes(4), "LABELS in a stream of image"),
        (ARRAY, 23 | OPTIONAL, bytes(5), "LABELS has 1 bytes left"),
        (ARRAY, 23 | OPTIONAL, b"\1\xff\0\0\0", "not UTF-8"),
        (ARRAY, 23 | OPTIONAL, b"\1\n\0\0\0", "control characters"),
        (ARRAY, 23 | OPTIONAL, b"\x81\x08", r"1025, not in \[0, 1024\]"),
    ],
)
def test_a_bad_mask_and_bad_labels_are_corrupt(
    head: bytes, tag: int, payload: bytes, message: str
) -> None:
    length = ByteWriter()
    length.varint(len(payload))
    body = bytes([tag | LAST]) + length.to_bytes() + payload
    data = MAGIC + frame(1, head) + body + struct.pack("<I", zlib.crc32(body))
    with pytest.raises(CorruptError, match=message):
        Stream.from_bytes(data)


def test_metadata_and_part_come_back() -> None:
    metadata = Metadata(icc=b"", exif=b"II*\0" * 50, xmp=bytes(range(256)), dpi=(72.009, 300.0))
    stream = image_stream(metadata=metadata, part_start=48000)
    assert Stream.from_bytes(stream.to_bytes()) == stream


def test_breakdown_sums_to_the_file_and_names_its_parts() -> None:
    stream = image_stream(metadata=Metadata(icc=b"profile", dpi=(72, 72)), part_start=0)
    sizes = breakdown(stream.to_bytes())
    assert list(sizes) == ["header", "model", "symbols", "icc", "dpi", "part"]
    assert sizes["header"] == len(MAGIC + frame(1, HEAD))
    assert sum(sizes.values()) == len(stream.to_bytes())


def test_breakdown_counts_sections_that_it_does_not_know() -> None:
    data = MAGIC + frame(1, HEAD) + frame(60 | OPTIONAL | LAST, b"later")
    assert breakdown(data) == {"header": len(MAGIC + frame(1, HEAD)), "section 60": 11}


@pytest.mark.parametrize("dots", [-1.0, 5e6, math.inf, math.nan])
def test_a_resolution_that_cannot_be_stored_is_refused(dots: float) -> None:
    with pytest.raises(SignalError, match="dpi is not in"):
        image_stream(metadata=Metadata(dpi=(72.0, dots))).to_bytes()


def test_the_container_and_the_coder_need_no_torch() -> None:
    code = "import sys, inrcodec.container, inrcodec.entropy, inrcodec.quantize; "
    subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"], check=True)


# --- what is refused: the frame ------------------------------------------------------------------


def test_other_files_are_not_streams() -> None:
    with pytest.raises(CorruptError, match="not an inrcodec stream"):
        Stream.from_bytes(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("n", range(5))
def test_a_cut_magic_is_truncated(n: int) -> None:
    with pytest.raises(TruncatedError):
        Stream.from_bytes(MAGIC[:n])


def test_another_version_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="version 1 "):
        Stream.from_bytes(b"\x89INR\x01")


def test_an_unknown_required_section_is_named() -> None:
    with pytest.raises(UnsupportedError, match="required section 9"):
        Stream.from_bytes(MAGIC + frame(1, HEAD) + frame(9 | LAST, b""))


def test_an_unknown_optional_section_is_skipped() -> None:
    known = Stream.from_bytes(MAGIC + frame(1 | LAST, HEAD))
    assert Stream.from_bytes(MAGIC + frame(1, HEAD) + frame(9 | OPTIONAL | LAST, b"?")) == known


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (frame(1, HEAD) + frame(2, b"") + frame(2 | LAST, b""), "section 2 is there twice"),
        (frame(1, HEAD) + frame(16 | LAST, b""), "section 16 has the wrong optional bit"),
        (frame(1, HEAD) + frame(2 | OPTIONAL | LAST, b""), "section 2 has the wrong optional bit"),
        (frame(1 | LAST, HEAD) + b"\0", "1 bytes left"),
        (frame(2, b"") + frame(1 | LAST, HEAD), "first section is not the header"),
        (frame(1 | LAST, HEAD)[:-1] + b"\0", "checksum of section 1"),
        (b"\x81\x85\x00" + HEAD, "idle bytes"),
        (b"\x81\xff\xff\xff\xff\xff\x01", "over 5 bytes"),
        (b"\x81\xff\xff\xff\xff\x1f", "not in"),
    ],
)
def test_a_frame_that_contradicts_the_format_is_corrupt(sections: bytes, message: str) -> None:
    with pytest.raises(CorruptError, match=message):
        Stream.from_bytes(MAGIC + sections)


def test_a_length_beyond_the_file_is_truncated_and_allocates_nothing() -> None:
    with pytest.raises(TruncatedError, match="needs 4294967295 more bytes, has 2") as caught:
        Stream.from_bytes(MAGIC + b"\x81\xff\xff\xff\xff\x0fab")
    assert caught.value.offset == 11


def test_a_missing_section_is_corrupt() -> None:
    with pytest.raises(CorruptError, match="no SYMBOLS section"):
        require_section({2: b""}, SectionId.SYMBOLS)


# --- what is refused: the header -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "error", "message"),
    [
        (b"\x40\x07\x01\x01\x01", UnsupportedError, "signal kind 4"),
        (b"\x07\x07\x01\x01\x01", UnsupportedError, "sample format 7"),
        (b"\x30\x07\x00", UnsupportedError, "array rank 0"),
        (b"\x30\x07\x05", UnsupportedError, "array rank 5"),
        (b"\x00\x07\x00\x01\x01", CorruptError, "size of 0"),
        (b"\x00\x07\x01\x01\x00", CorruptError, "channel count of 0"),
        (b"\x12\x07\x01\x01\x00", CorruptError, "sample rate of 0"),
        (b"\x00\x07\x01\x01\x01\x00", CorruptError, "HEAD has 1 bytes left"),
        (b"\x00\x07\x01\x01", TruncatedError, "HEAD needs 1 more bytes"),
        (b"\x06\x07\x01\x01\x01" + struct.pack("<ff", 1, 0), CorruptError, "range 1 to 0"),
        (b"\x06\x07\x01\x01\x01" + struct.pack("<ff", 0, math.nan), CorruptError, "nan"),
        (b"\x06\x07\x01\x01\x01" + struct.pack("<ff", -math.inf, 0), CorruptError, "-inf"),
        (b"\x05\x07\x01\x01\x01" + struct.pack("<ff", 0, 1e5), CorruptError, "0 to 100000"),
        (b"\x05\x07\x01\x01\x01" + struct.pack("<ff", -1e5, 0), CorruptError, "-100000 to 0"),
        (b"\x0b\x07\x01\x01\x01", UnsupportedError, "sample format 11 of image"),
        (b"\x3c\x07\x01\x01\x01", UnsupportedError, "sample format 12"),
        (b"\x30\x07\1\1\1" + struct.pack("<dd", 0, 256), CorruptError, "0 to 256"),
        (b"\x30\x07\1\1\1" + struct.pack("<dd", 0, 0.5), CorruptError, "0 to 0.5"),
        (b"\x37\x07\1\1\1" + struct.pack("<dd", -129, 0), CorruptError, "-129 to 0"),
        (b"\x3b\x07\1\1\1" + struct.pack("<dd", -1e308, 1e308), CorruptError, "-1e"),
        (b"\x3b\x07\1\1\1" + struct.pack("<dd", 0, math.inf), CorruptError, "inf"),
    ],
)
def test_a_bad_header_is_refused(head: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Stream.from_bytes(MAGIC + frame(1 | LAST, head))


@pytest.mark.parametrize(
    "limits",
    [
        DecodeLimits(max_bytes=33),
        DecodeLimits(max_samples=5),
        DecodeLimits(max_channels=0),
        DecodeLimits(max_metadata_bytes=9999),
    ],
)
def test_each_limit_is_kept(limits: DecodeLimits) -> None:
    metadata = Metadata(icc=bytes(5000), xmp=bytes(5000))
    with pytest.raises(LimitError, match="limit"):
        Stream.from_bytes(image_stream(metadata=metadata).to_bytes(), limits)


def test_a_product_of_sizes_beyond_64_bits_is_over_the_limit() -> None:
    huge = b"\xff\xff\xff\xff\x0f"
    with pytest.raises(LimitError, match="samples are over"):
        Stream.from_bytes(MAGIC + frame(1 | LAST, b"\x00\x07" + huge * 2 + b"\x01"))


# --- what is refused: metadata -------------------------------------------------------------------


def test_a_zlib_bomb_is_over_the_limit() -> None:
    bomb = zlib.compress(bytes(1 << 25), 9)[:40]
    with pytest.raises(LimitError, match="metadata"):
        Stream.from_bytes(
            MAGIC + frame(1, HEAD) + frame(17 | OPTIONAL | LAST, bomb),
            DecodeLimits(max_metadata_bytes=1000),
        )


@pytest.mark.parametrize(
    ("tag", "payload", "message"),
    [
        (16, b"not zlib", "not zlib data"),
        (16, zlib.compress(b"profile")[:-1], "cut off or too long"),
        (18, zlib.compress(b"profile") + b"\0", "cut off or too long"),
        (19, b"\x01\x01\x01", "DPI has 1 bytes left"),
        (20, b"\x81\x00", "PART holds a number with idle bytes"),
    ],
)
def test_bad_metadata_is_corrupt(tag: int, payload: bytes, message: str) -> None:
    with pytest.raises(CorruptError, match=message):
        Stream.from_bytes(MAGIC + frame(1, HEAD) + frame(tag | OPTIONAL | LAST, payload))


# --- fields --------------------------------------------------------------------------------------


def test_fields_come_back_in_order_and_the_offset_counts_from_the_base() -> None:
    writer = ByteWriter()
    writer.u8(255)
    writer.u16(0x1234)
    writer.u32(0xDEADBEEF)
    writer.f32(-0.5)
    writer.f64(0.1)
    writer.varint(300)
    writer.raw(b"xy")
    data = writer.to_bytes()
    assert (
        data
        == b"\xff\x34\x12\xef\xbe\xad\xde\x00\x00\x00\xbf" + struct.pack("<d", 0.1) + b"\xac\x02xy"
    )
    reader = ByteReader(data, base=100)
    fields = [reader.u8(), reader.u16(), reader.u32(), reader.f32(), reader.f64()]
    assert [*fields, reader.varint(300)] == [255, 0x1234, 0xDEADBEEF, -0.5, 0.1, 300]
    assert (reader.offset, reader.bytes_left) == (121, 2)
    assert reader.take(2) == b"xy"
    reader.finish()


def test_a_number_above_its_maximum_is_corrupt() -> None:
    with pytest.raises(CorruptError, match=r"MODEL holds 300, not in \[0, 299\] \(at byte 7\)"):
        ByteReader(b"\xac\x02", name="MODEL", base=7).varint(299)
