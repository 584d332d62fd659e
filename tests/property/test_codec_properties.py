"""What holds for every signal, every network and every cut of a file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inrcodec import codec, kernels
from inrcodec.container import DecodeLimits, Stream
from inrcodec.errors import BitstreamError
from inrcodec.representations import NAMES, by_name, id_of
from inrcodec.representations.base import Budget, FitGoal, Window
from inrcodec.representations.coordinate.hashgrid import HashGrid, HashGridNetwork
from inrcodec.representations.coordinate.network import Network
from inrcodec.representations.coordinate.pack import OutputScale, Packed
from inrcodec.representations.coordinate.simplexgrid import SimplexGrid, SimplexGridNetwork
from inrcodec.representations.coordinate.siren import Siren, SirenNetwork
from inrcodec.signal import Kind, Metadata, SampleFormat, Signal, SignalSpec

steady = settings(deadline=None, database=None, derandomize=True, max_examples=30)
GRID = {"levels": 2, "finest_resolution": 6}
SMALL = {"siren": {"width": 4, "depth": 1}, "hashgrid": GRID, "simplexgrid": GRID}
FAMILIES = {SirenNetwork: Siren, HashGridNetwork: HashGrid, SimplexGridNetwork: SimplexGrid}

sizes = st.integers(1, 12) | st.sampled_from([13, 17, 31])
names = st.sampled_from(NAMES)
seeds = st.integers(0, 1 << 30)
INTEGERS = [SampleFormat.U8, SampleFormat.U16, SampleFormat.S16, SampleFormat.S24, SampleFormat.S32]


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


@st.composite
def signals(draw: st.DrawFn) -> Signal:
    channels, seed = draw(st.integers(1, 4)), draw(seeds)
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
    goal, budget = FitGoal(lam=1e-3, n_bytes=200.0), Budget(iterations=iterations)
    return codec.encode(signal, family, family.Config(**SMALL[name]), goal, budget=budget).data


@steady
@given(signal=signals(), name=names)
def test_a_signal_comes_back_in_its_kind_shape_and_range(signal: Signal, name: str) -> None:
    decoded = codec.decode(encode(signal, name))
    assert decoded.spec == signal.spec
    assert decoded.metadata == signal.metadata
    assert (decoded.part or (0,))[0] == (signal.part or (0,))[0]
    assert decoded.samples.dtype == signal.samples.dtype
    low, high = signal.spec.value_range
    assert low <= decoded.samples.min() <= decoded.samples.max() <= high


@steady
@given(signal=signals(), name=names, data=st.data())
def test_a_window_holds_the_samples_of_the_whole(signal: Signal, name: str, data) -> None:
    _, representation = codec.unpack(encode(signal, name))
    windows = []
    for size in signal.spec.grid:
        start = data.draw(st.integers(0, size - 1))
        windows.append(Window(size, start, data.draw(st.integers(start + 1, size))))
    whole = representation.render(tuple(Window.whole(size) for size in signal.spec.grid))
    part = whole[tuple(slice(window.start, window.stop) for window in windows)]
    np.testing.assert_allclose(representation.render(tuple(windows)), part, atol=1e-5)


# --- any network at all --------------------------------------------------------------------------


@st.composite
def networks(draw: st.DrawFn) -> Network:
    common = {"n_dims": draw(st.integers(1, 4)), "n_channels": draw(st.integers(1, 4))}
    depth = draw(st.integers(1, 8))
    if draw(st.booleans()):
        width, frequencies = draw(st.integers(1, 20)), draw(st.integers(0, 24))
        return SirenNetwork(**common, depth=depth, width=width, frequencies=frequencies)
    n_dims = common["n_dims"]
    extents = draw(st.lists(st.integers(1, 4096), min_size=n_dims, max_size=n_dims))
    shape = dict(
        common,
        extents=tuple(extents),
        depth=depth,
        levels=draw(st.integers(1, 6)),
        log2_features=draw(st.integers(0, 3)),
        log2_table_size=draw(st.integers(3, 8)),
        base_resolution=draw(st.integers(1, 1000)),
        growth_units=draw(st.integers(4096, 4 * 4096)),
        width_units=draw(st.integers(1, 2)),
    )
    if draw(st.booleans()):
        return HashGridNetwork(**shape)
    return SimplexGridNetwork(**shape, skewed=draw(st.integers(0, 1)))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A stream of a network with any steps and any symbols, the most extreme ones too."""
    network = draw(networks())
    rng = np.random.default_rng(draw(seeds))
    largest = draw(st.sampled_from([0, 1, 40, 32767]))
    symbols = tuple(
        np.sign(rng.integers(-9, 10, spec.shape)) * rng.integers(0, largest + 1, spec.shape)
        for spec in network.tensors()
    )
    steps = rng.integers(draw(st.sampled_from([0, 120, 255])), 256, len(symbols))
    offsets = tuple(int(offset) for offset in rng.integers(0, 65536, network.n_channels))
    scale = OutputScale(offsets, int(rng.integers(0, 65536)))
    packed = Packed(network, scale, tuple(int(step) for step in steps), symbols)
    sample_format = draw(st.sampled_from(SampleFormat))
    spec = SignalSpec(
        kind=Kind.ARRAY,
        sample_format=sample_format,
        grid=tuple(draw(st.integers(1, 4)) for _ in range(network.n_dims)),
        channels=network.n_channels,
        value_range=(-2.0, 9.5) if sample_format.is_float else sample_format.nominal_range,
    )
    representation_id = id_of(FAMILIES[type(network)])
    sections = packed.to_sections()
    return Stream(spec=spec, representation_id=representation_id, sections=sections).to_bytes()


@settings(steady, max_examples=60)
@given(data=streams())
def test_any_network_decodes_to_finite_samples_and_to_its_own_bytes(data: bytes) -> None:
    stream, representation = codec.unpack(data)
    decoded = codec.render(stream, representation)
    assert np.isfinite(decoded.samples).all()
    low, high = decoded.spec.value_range
    assert low <= decoded.samples.min() <= decoded.samples.max() <= high
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
