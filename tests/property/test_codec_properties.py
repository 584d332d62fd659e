"""What holds for every signal, every network and every cut of a file."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inrcodec
from inrcodec import codec, kernels
from inrcodec.container import DecodeLimits, Group, Stream
from inrcodec.errors import BitstreamError
from inrcodec.representations import NAMES, by_name, id_of
from inrcodec.representations.base import Budget, FitGoal, Window
from inrcodec.representations.coordinate.family import CoordinateRepresentation
from inrcodec.representations.coordinate.network import Network
from inrcodec.representations.coordinate.pack import Packed
from inrcodec.representations.output import OutputScale
from inrcodec.signal import Kind, Metadata, SampleFormat, Signal, SignalSpec

steady = settings(deadline=None, database=None, derandomize=True, max_examples=30)
FAMILIES = [by_name(name) for name in NAMES if issubclass(by_name(name), CoordinateRepresentation)]
LARGEST = {"depth": 8, "frequencies": 24, "log2_table_size": 8, "levels": 6, "width_units": 2}
LARGEST |= {
    "base_resolution": 1000,
    "growth_units": 4 * 4096,
    "n_channels": 4,
}  # of others 20 more than the least

sizes = st.integers(1, 12) | st.sampled_from([13, 17, 31])
names = st.sampled_from([family.name for family in FAMILIES])
seeds = st.integers(0, 1 << 30)
ranks = st.integers(1, 4)
largest_symbols = st.sampled_from([0, 1, 40, 32767])
WHOLE = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
ARRAY_TYPES = [*WHOLE, np.float16, np.float32, np.float64]


def samples_of(seed: int, shape: tuple[int, ...], sample_format: SampleFormat) -> np.ndarray:
    """Random samples of a format; floats of a random size and place."""
    rng = np.random.default_rng(seed)
    if not sample_format.is_float:
        low, high = sample_format.nominal_range
        drawn = rng.integers(int(low), int(high) + 1, shape)
    else:
        drawn = (rng.random(shape) + rng.integers(-2, 3)) * 10.0 ** rng.integers(-4, 5)
        drawn = np.clip(drawn, -65504, 65504)
    return drawn.astype(sample_format.dtype)


def array_of(seed: int, grid: tuple[int, ...], channels: int, dtype: type) -> Signal:
    """Random samples of any type that arrays have; of floats some are no numbers."""
    rng = np.random.default_rng(seed)
    shape = (*grid, channels) if channels > 1 else grid
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        drawn = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    else:
        drawn = (rng.normal(size=shape) * 10.0 ** rng.integers(-3, 4)).astype(dtype)
        gaps = rng.random(shape) < rng.choice([0.0, 0.4])
        gaps.flat[0] = False
        drawn[gaps] = np.nan
    return Signal.array(drawn, channels_last=channels > 1)


@st.composite
def signals(draw: st.DrawFn) -> Signal:
    channels, seed = draw(st.integers(1, 4)), draw(seeds)
    if draw(st.booleans()):
        grid = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
        return array_of(seed, grid, channels, draw(st.sampled_from(ARRAY_TYPES)))
    if draw(st.booleans()):
        unsigned = [SampleFormat.U8, SampleFormat.U16, SampleFormat.F16, SampleFormat.F32]
        shape = (draw(sizes), draw(sizes), channels)
        metadata = Metadata(icc=draw(st.none() | st.binary(max_size=9)))
        samples = samples_of(seed, shape, draw(st.sampled_from(unsigned)))
        return Signal.image(samples, metadata=metadata)
    signed = [SampleFormat.S16, SampleFormat.S24, SampleFormat.S32, SampleFormat.F32]
    sample_format = draw(st.sampled_from(signed))
    frames = draw(st.integers(1, 150))
    samples = samples_of(seed, (frames, channels), sample_format)
    sound = Signal.audio(samples, draw(st.integers(1, 192_000)), sample_format=sample_format)
    start = draw(st.integers(0, frames - 1))
    return sound.cut(start, draw(st.integers(start + 1, frames))) if draw(st.booleans()) else sound


def encode(signal: Signal, name: str, *, iterations: int = 2) -> bytes:
    pytest.importorskip("torch")
    family = by_name(name)
    goal, budget = FitGoal(lam=1e-3, n_bytes=100.0), Budget(iterations=iterations)
    return codec.encode(signal, family, family.Config(), goal, budget=budget).data


@steady
@given(signal=signals(), name=names)
def test_a_signal_comes_back_in_its_kind_shape_and_range(signal: Signal, name: str) -> None:
    decoded = codec.decode(encode(signal, name))
    assert decoded.spec == signal.spec
    assert decoded.metadata == signal.metadata
    assert (decoded.part or (0,))[0] == (signal.part or (0,))[0]
    assert decoded.samples.dtype == signal.samples.dtype
    low, high = signal.spec.value_range
    samples = decoded.samples.astype(np.float64)
    assert low <= np.nanmin(samples) <= np.nanmax(samples) <= high
    if signal.spec.kind is Kind.ARRAY:
        np.testing.assert_array_equal(np.isnan(decoded.samples), np.isnan(signal.samples))


@steady
@given(signal=signals(), name=names, data=st.data())
def test_a_window_holds_the_samples_of_the_whole(signal: Signal, name: str, data) -> None:
    _, representation = codec.unpack(encode(signal, name))
    windows = []
    for size in signal.spec.grid:
        start = data.draw(st.integers(0, size - 1))
        windows.append(Window(size, start, data.draw(st.integers(1, size - start))))
    whole = representation.render(tuple(Window.whole(size) for size in signal.spec.grid))
    part = whole[tuple(slice(window.start, window.start + window.count) for window in windows)]
    np.testing.assert_allclose(representation.render(tuple(windows)), part, atol=1e-5)


# --- any network at all --------------------------------------------------------------------------


@st.composite
def networks(draw: st.DrawFn, axes: st.SearchStrategy[int] = ranks) -> Network:
    family = draw(st.sampled_from(FAMILIES)).network_family
    shape: dict[str, object] = {}
    for item in fields(family):
        low, high = item.metadata["range"]
        one = st.integers(low, min(high, LARGEST.get(item.name, low + 20)))
        n_dims = shape.get("n_dims")
        each = st.tuples(*[one] * n_dims) if item.metadata["per_axis"] else one
        shape[item.name] = draw(axes if item.name == "n_dims" else each)
    return family(**shape)


def any_symbols(network: Network, rng: np.random.Generator, largest: int) -> tuple:
    """Symbols of all tensors, of sizes up to the largest."""
    return tuple(
        np.sign(rng.integers(-9, 10, spec.shape)) * rng.integers(0, largest + 1, spec.shape)
        for spec in network.tensors()
    )


def any_packed(draw: st.DrawFn, network: Network) -> Packed:
    """A network with any steps and any symbols, the most extreme ones too."""
    rng = np.random.default_rng(draw(seeds))
    symbols = any_symbols(network, rng, draw(largest_symbols))
    steps = rng.integers(draw(st.sampled_from([0, 120, 255])), 256, len(symbols))
    offsets = tuple(int(offset) for offset in rng.integers(0, 65536, network.n_channels))
    scale = OutputScale(offsets, int(rng.integers(0, 65536)))
    return Packed(network, scale, tuple(int(step) for step in steps), symbols)


def id_of_network(network: Network) -> int:
    return id_of(next(one for one in FAMILIES if isinstance(network, one.network_family)))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """An array's stream of any network."""
    packed = any_packed(draw, draw(networks()))
    network = packed.network
    sample_format = draw(st.sampled_from(SampleFormat))
    spec = SignalSpec(
        kind=Kind.ARRAY,
        sample_format=sample_format,
        grid=tuple(draw(st.integers(1, 4)) for _ in range(network.n_dims)),
        channels=network.n_channels,
        value_range=(-2.0, 9.5) if sample_format.is_float else sample_format.nominal_range,
    )
    return Stream(
        spec=spec, representation_id=id_of_network(network), sections=packed.to_sections()
    ).to_bytes()


@st.composite
def films(draw: st.DrawFn) -> bytes:
    """A film of any network in groups, some of which are stored as differences."""
    packed = any_packed(draw, draw(networks(axes=st.just(3))))
    network, rng = packed.network, np.random.default_rng(draw(seeds))
    groups = []
    for number in range(draw(st.integers(1, 4))):
        predicted = number > 0 and draw(st.booleans())
        if number > 0:
            symbols = any_symbols(network, rng, draw(largest_symbols))
            packed = replace(packed, symbols=symbols, base=packed.alone() if predicted else None)
        groups.append(Group(draw(st.integers(1, 3)), predicted, packed.to_sections()))
    n_frames = sum(group.n_frames for group in groups)
    spec = SignalSpec(
        kind=Kind.VIDEO,
        sample_format=SampleFormat.U8,
        grid=(n_frames, draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        channels=network.n_channels,
        value_range=(0.0, 255.0),
        time_base=Fraction(1, 25),
    )
    return Stream(
        spec=spec, representation_id=id_of_network(network), groups=tuple(groups)
    ).to_bytes()


@settings(steady, max_examples=60)
@given(data=films(), draws=st.data())
def test_the_frames_of_any_film_are_read_in_any_order(data: bytes, draws) -> None:
    whole = codec.decode(data).samples
    reader = inrcodec.open(data)
    for frame in draws.draw(st.lists(st.integers(0, len(whole) - 1), max_size=6)):
        assert np.abs(reader[frame].astype(int) - whole[frame]).max() <= 1
    parts = list(reader.film(n_frames=draws.draw(st.integers(1, 5))))
    joined = np.concatenate([part.samples for part in parts]).astype(int)
    assert np.abs(joined - whole).max() <= 1
    rate = draws.draw(st.fractions(1, 99, max_denominator=9))
    n_frames = max(1, round(len(whole) * rate / 25))
    assert len(inrcodec.open(data).read(rate=rate).samples) == n_frames


@settings(steady, max_examples=60)
@given(data=films(), at=st.integers(0, 1 << 20), value=st.integers(0, 255))
def test_a_changed_byte_of_any_film_is_refused(data: bytes, at: int, value: int) -> None:
    changed = bytearray(data)
    changed[at % len(data)] = value
    limits = DecodeLimits(max_parameters=1 << 18, max_samples=1 << 12)
    if bytes(changed) != data:
        with pytest.raises(BitstreamError):
            codec.decode(bytes(changed), limits=limits)


@settings(steady, max_examples=60)
@given(data=streams())
def test_any_network_decodes_to_finite_samples_and_to_its_own_bytes(data: bytes) -> None:
    stream, representation = codec.unpack(data)
    decoded = codec.render(stream, representation)
    assert np.isfinite(decoded.samples).all()
    low, high = decoded.spec.value_range
    samples = decoded.samples.astype(np.float64)
    assert low <= samples.min() <= samples.max() <= high
    assert replace(stream, sections=representation.pack()).to_bytes() == data


@pytest.mark.usefixtures("native")
@steady
@given(data=streams())
def test_native_code_and_the_reference_read_the_same_symbols(data: bytes) -> None:
    runs = []
    for choice in ("native", "torch"):
        kernels.set_backend(choice)  # type: ignore[arg-type]
        runs.append(codec.unpack(data)[1].symbols)
    assert all(map(np.array_equal, *runs))


@settings(steady, max_examples=80)
@given(data=streams(), at=st.integers(0, 1 << 20), value=st.integers(0, 255))
def test_a_changed_byte_of_any_stream_is_refused(data: bytes, at: int, value: int) -> None:
    changed = bytearray(data)
    changed[at % len(data)] = value
    limits = DecodeLimits(max_parameters=1 << 18, max_samples=1 << 12)
    if bytes(changed) == data:
        return
    with pytest.raises(BitstreamError):
        codec.decode(bytes(changed), limits=limits)
