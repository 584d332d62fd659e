"""What holds for all streams, all symbols and all bytes."""

import struct
import zlib
from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from inrcodec.container import DecodeLimits, Group, Stream, breakdown
from inrcodec.entropy import Shape, SymbolDecoder, SymbolEncoder, Table, choose_table
from inrcodec.errors import BitstreamError, CorruptError
from inrcodec.quantize import MAX_SYMBOL, dequantize, nearest_index, quantize, step_size
from inrcodec.signal import Colour, Kind, Metadata, SampleFormat, SignalSpec

MAGIC = b"\x89INR\x00"
LIMITS = DecodeLimits(max_metadata_bytes=1 << 12)

steady = settings(deadline=None, database=None, derandomize=True)
steady_few = settings(steady, max_examples=40)

sizes = st.integers(1, 70)
ranks = {Kind.IMAGE: st.just(2), Kind.AUDIO: st.just(1), Kind.VIDEO: st.just(3)}
counts = st.integers(1, (1 << 32) - 1)
time_bases = st.builds(Fraction, counts, counts)
halves = st.floats(-65504, 65504, width=16)


@st.composite
def specs(draw: st.DrawFn) -> SignalSpec:
    kind = draw(st.sampled_from(Kind))
    formats = [one for one in SampleFormat if kind is Kind.ARRAY or not one.arrays_only]
    sample_format = draw(st.sampled_from(formats))
    rank = draw(ranks.get(kind, st.integers(1, 4)))
    bounds = draw(st.tuples(halves, halves))
    return SignalSpec(
        kind=kind,
        sample_format=sample_format,
        grid=tuple(draw(st.lists(sizes, min_size=rank, max_size=rank))),
        channels=draw(st.integers(1, 4)),
        value_range=(
            (min(bounds), max(bounds)) if sample_format.is_float else sample_format.nominal_range
        ),
        sample_rate=draw(st.integers(1, (1 << 32) - 1)) if kind is Kind.AUDIO else None,
        time_base=draw(time_bases) if kind is Kind.VIDEO else None,
    )


@st.composite
def groups(draw: st.DrawFn, n_frames: int) -> tuple[Group, ...]:
    cuts = {0, n_frames, *draw(st.lists(st.integers(1, n_frames), max_size=3))}
    payloads = st.fixed_dictionaries({2: st.binary(max_size=9), 3: st.binary(max_size=9)})
    return tuple(
        Group(stop - start, start > 0 and draw(st.booleans()), draw(payloads))
        for start, stop in pairwise(sorted(cuts))
    )


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    some_bytes = st.none() | st.binary(max_size=20)
    dots = st.integers(0, 4_000_000).map(lambda thousandths: thousandths / 1000)
    spec = draw(specs())
    is_film, n_frames = spec.kind is Kind.VIDEO, spec.grid[0]
    payloads = st.dictionaries(st.sampled_from([2, 3]), st.binary(max_size=30))
    steps = st.lists(counts, min_size=n_frames - 1, max_size=n_frames - 1)
    return Stream(
        spec=spec,
        representation_id=draw(st.integers(0, 255)),
        sections={} if is_film else draw(payloads),
        groups=draw(groups(n_frames)) if is_film else (),
        times=np.cumsum([0, *draw(steps)]) if is_film and draw(st.booleans()) else None,
        metadata=Metadata(
            icc=draw(some_bytes),
            exif=draw(some_bytes),
            xmp=draw(some_bytes),
            dpi=draw(st.none() | st.tuples(dots, dots)),
            colour=draw(st.none() | st.just(Colour(1, 2, 9, 1))) if is_film else None,
        ),
        part_start=draw(st.none() | st.integers(0, (1 << 32) - 1)),
    )


def outcome(data: bytes) -> Stream | None:
    """The stream, or None for a BitstreamError; every other error comes through."""
    try:
        return Stream.from_bytes(data, LIMITS)
    except BitstreamError:
        return None


@given(streams())
@steady
def test_a_stream_comes_back_from_its_bytes(stream: Stream) -> None:
    data = stream.to_bytes()
    assert Stream.from_bytes(data) == stream
    np.testing.assert_equal(Stream.from_bytes(data).times, stream.times)
    assert Stream.from_bytes(data).to_bytes() == data
    assert sum(breakdown(data).values()) == len(data)


@given(streams())
@steady_few
def test_every_truncation_is_refused(stream: Stream) -> None:
    data = stream.to_bytes()
    assert all(outcome(data[:n]) is None for n in range(len(data)))


@given(streams(), st.integers(1, 255))
@steady_few
def test_every_changed_byte_is_refused(stream: Stream, mask: int) -> None:
    data = stream.to_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= mask
        assert outcome(bytes(changed)) is None, place


@given(streams(), st.binary(min_size=1, max_size=8))
@steady
def test_bytes_after_the_end_are_refused(stream: Stream, more: bytes) -> None:
    assert outcome(stream.to_bytes() + more) is None


@given(st.binary(max_size=200), st.booleans())
@steady
def test_any_bytes_are_refused_or_a_stream(data: bytes, with_magic: bool) -> None:
    outcome(MAGIC + data if with_magic else data)


@given(st.lists(st.tuples(st.integers(0, 127), st.binary(max_size=40)), min_size=1, max_size=5))
@steady
def test_any_sections_with_good_checksums_are_refused_or_a_stream_within_limits(
    sections: list[tuple[int, bytes]],
) -> None:
    data = bytearray(MAGIC)
    for place, (tag, payload) in enumerate(sections):
        last = 0x80 if place == len(sections) - 1 else 0
        body = bytes([tag | last if place else 1 | last, len(payload)]) + payload
        data += body + struct.pack("<I", zlib.crc32(body))
    stream = outcome(bytes(data))
    if stream is not None:
        is_sound = stream.spec.kind is Kind.AUDIO
        most = LIMITS.max_sound_samples if is_sound else LIMITS.max_samples
        assert stream.spec.n_points * stream.spec.channels <= most


# --- entropy -------------------------------------------------------------------------------------

tables = st.builds(
    Table,
    st.sampled_from(Shape),
    st.integers(0, 255),
    st.integers(0, 300) | st.just(MAX_SYMBOL),
)
symbol_arrays = npst.arrays(
    np.int64, st.integers(0, 60), elements=st.integers(-5, 5) | st.integers(-MAX_SYMBOL, MAX_SYMBOL)
)


@given(st.lists(symbol_arrays, max_size=4))
@steady_few
def test_symbols_come_back_by_their_chosen_tables(arrays: list[np.ndarray]) -> None:
    coder = SymbolEncoder()
    chosen = [choose_table(symbols) for symbols in arrays]
    for symbols, table in zip(arrays, chosen, strict=True):
        coder.put(symbols, table.counts())
    decoder = SymbolDecoder(coder.finish())
    for symbols, table in zip(arrays, chosen, strict=True):
        assert decoder.take(symbols.size, table.counts()).tolist() == symbols.tolist()
    decoder.finish()


@given(tables)
@steady
def test_every_table_is_positive_and_sums_to_2_24(table: Table) -> None:
    counts = table.counts()
    assert counts.min() >= 1
    assert counts.sum() == 1 << 24


@given(st.binary(max_size=64), st.lists(st.tuples(st.integers(0, 40), tables), max_size=3))
@steady
def test_any_words_decode_to_symbols_of_their_tables_or_are_corrupt(
    data: bytes, runs: list[tuple[int, Table]]
) -> None:
    coder = SymbolEncoder()
    try:
        decoder = SymbolDecoder(data)
        for n, table in runs:
            symbols = decoder.take(n, table.counts())
            assert np.abs(symbols).max(initial=0) <= table.max_symbol
            coder.put(symbols, table.counts())
        decoder.finish()
    except CorruptError:
        return
    assert coder.finish() == data


# --- quantize ------------------------------------------------------------------------------------


@given(
    npst.arrays(np.float32, 20, elements=st.floats(-1000, 1000, width=32)), st.integers(150, 255)
)
@steady
def test_a_quantized_value_is_within_half_a_step(values: np.ndarray, index: int) -> None:
    symbols = quantize(values, index)
    step = step_size(index)
    inside = np.abs(values) <= MAX_SYMBOL * step
    error = np.abs(dequantize(symbols, index).astype(np.float64) - values)
    assert (error[inside] <= step / 2).all()


@given(
    npst.arrays(np.int64, 20, elements=st.integers(-MAX_SYMBOL, MAX_SYMBOL)), st.integers(0, 255)
)
@steady
def test_symbols_survive_dequantization(symbols: np.ndarray, index: int) -> None:
    assert (quantize(dequantize(symbols, index), index) == symbols).all()


@given(st.floats(2.0**-24, 240.0))
@steady
def test_the_nearest_step_is_within_a_sixteenth(step: float) -> None:
    ratio = step_size(nearest_index(step)) / step
    assert 16 / 17 <= ratio <= 17 / 16
