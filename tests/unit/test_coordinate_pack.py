"""What is stored of a coordinate network: exact integers in, the same integers out."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import fields, replace

import numpy as np
import pytest

from inrcodec.container import ByteWriter, DecodeLimits, SectionId
from inrcodec.entropy import Shape, Table
from inrcodec.errors import CorruptError, LimitError, TruncatedError
from inrcodec.quantize import step_size
from inrcodec.representations.coordinate.hashgrid import HashGridNetwork
from inrcodec.representations.coordinate.network import Network
from inrcodec.representations.coordinate.pack import Packed
from inrcodec.representations.coordinate.simplexgrid import SimplexGridNetwork
from inrcodec.representations.coordinate.siren import SirenNetwork
from inrcodec.representations.output import OutputScale
from inrcodec.signal import Signal

MODEL, SYMBOLS = SectionId.MODEL, SectionId.SYMBOLS
LIMITS = DecodeLimits()
SPEC = Signal.image(np.zeros((5, 7, 3), np.uint8)).spec
MIB = 1 << 20


def siren(**changes: int) -> SirenNetwork:
    return SirenNetwork(
        **({"n_dims": 2, "n_channels": 3, "width": 9, "depth": 2, "frequencies": 1} | changes)
    )


def hashgrid(n_dims: int = 2, **changes: int) -> HashGridNetwork:
    shape = {"levels": 3, "log2_features": 1, "log2_table_size": 6, "base_resolution": 4}
    shape |= {"growth_units": 2 * 4096, "width_units": 1, "depth": 1} | changes
    extents = (4096, 3000, 1, 4096)[:n_dims]
    return HashGridNetwork(n_dims=n_dims, n_channels=3, extents=extents, **shape)


def simplexgrid() -> SimplexGridNetwork:
    shape = {item.name: getattr(hashgrid(), item.name) for item in fields(HashGridNetwork)}
    return SimplexGridNetwork(**shape, skewed=1)


def packed(network: Network, largest: int = 20) -> Packed:
    """Random symbols; the second tensor is all zero."""
    rng = np.random.default_rng(1)
    symbols = [rng.integers(-largest, largest + 1, spec.shape) for spec in network.tensors()]
    symbols[1][:] = 0
    indices = tuple(int(index) for index in rng.integers(0, 256, len(symbols)))
    return Packed(network, OutputScale((0, 65535, 30000), 12345), indices, tuple(symbols))


def unpacked(sections: dict[int, bytes], family: type[Network], limits=LIMITS) -> Packed:
    return Packed.from_sections(sections, family, SPEC, limits)


def model_of(network: Network, table: Table) -> bytes:
    """MODEL of a network whose tensors all have this table."""
    writer = ByteWriter()
    for value in network.stored_values():
        writer.varint(value)
    for _ in range(network.n_channels + 1):
        writer.u16(1)
    for _ in network.tensors():
        writer.u8(100)
        table.write(writer)
    return writer.to_bytes()


# --- output scale --------------------------------------------------------------------------------


def test_targets_and_values_are_inverse() -> None:
    values = np.random.default_rng(2).random((50, 3), np.float32)
    scale = OutputScale.of(values)
    np.testing.assert_allclose(scale.to_values(scale.to_targets(values)), values, atol=1e-6)


def test_targets_are_centred_and_of_unit_spread() -> None:
    values = 0.3 + 0.2 * np.random.default_rng(2).random((999, 2), np.float32)
    targets = OutputScale.of(values).to_targets(values)
    assert np.abs(targets.mean(axis=0)).max() < 1e-3
    assert targets.std() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_constant_values_have_a_scale_above_0(value: float) -> None:
    scale = OutputScale.of(np.full((9, 1), value, np.float32))
    assert scale.scale >= 1
    assert np.abs(scale.to_values(np.zeros((1, 1), np.float32)) - value) <= 1 / 65536


# --- there and back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network", [siren(), hashgrid(), simplexgrid()], ids=lambda n: type(n).__name__
)
@pytest.mark.parametrize("largest", [0, 1, 32767])
def test_everything_comes_back_exactly(network: Network, largest: int) -> None:
    before = packed(network, largest)
    after = unpacked(before.to_sections(), type(network))
    assert (after.network, after.output) == (before.network, before.output)
    assert after.step_indices == before.step_indices
    assert len(after.symbols) == len(before.symbols)
    assert all(map(np.array_equal, after.symbols, before.symbols))


def test_values_are_symbols_times_steps() -> None:
    before = packed(siren())
    for tensor, symbols, index in zip(
        before.tensors(), before.symbols, before.step_indices, strict=True
    ):
        assert np.array_equal(tensor, (symbols * step_size(index)).astype(np.float32))


def test_a_network_of_zeros_takes_no_words() -> None:
    assert packed(siren(), 0).to_sections()[SYMBOLS] == b""


def test_a_tensor_takes_three_bytes_of_the_model() -> None:
    sizes = [len(packed(siren(depth=depth)).to_sections()[MODEL]) for depth in (2, 3, 7)]
    assert sizes == [sizes[0], sizes[0] + 2 * 3, sizes[0] + 10 * 3]
    assert sizes[0] == 3 + (3 + 1) * 2 + 6 * 3


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", [MODEL, SYMBOLS])
def test_a_section_that_is_not_there_is_named(section: SectionId) -> None:
    sections = packed(siren()).to_sections()
    del sections[section]
    with pytest.raises(CorruptError, match=f"no {section.name} section"):
        unpacked(sections, SirenNetwork)


def test_every_end_of_the_model_is_checked() -> None:
    sections = packed(siren()).to_sections()
    model = sections[MODEL]
    for length in range(len(model)):
        with pytest.raises(TruncatedError):
            unpacked(sections | {MODEL: model[:length]}, SirenNetwork)
    with pytest.raises(CorruptError, match="MODEL has 1 bytes left"):
        unpacked(sections | {MODEL: model + b"\0"}, SirenNetwork)


def test_parameters_are_counted_before_they_are_made() -> None:
    before = packed(siren())
    limits = replace(LIMITS, max_parameters=before.network.n_parameters)
    assert unpacked(before.to_sections(), SirenNetwork, limits).symbols
    limits = replace(LIMITS, max_parameters=before.network.n_parameters - 1)
    with pytest.raises(LimitError, match=r"parameters are over the limit of \d+"):
        unpacked(before.to_sections(), SirenNetwork, limits)


ABSURD = {
    "32 tables of 2^24": hashgrid(
        levels=32, log2_features=3, log2_table_size=24, base_resolution=1 << 22, growth_units=4096
    ),
    "1 dim": hashgrid(
        n_dims=1,
        levels=32,
        log2_features=3,
        log2_table_size=24,
        base_resolution=1 << 22,
        growth_units=4096,
    ),
    "4 dims": hashgrid(
        n_dims=4, levels=32, log2_table_size=24, base_resolution=1 << 22, growth_units=4096
    ),
    "1024 by 32": siren(width=1024, depth=32),
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_networks_are_refused_at_once(name: str) -> None:
    network = ABSURD[name]
    spec = replace(SPEC, grid=(5,) * network.n_dims)
    sections = {MODEL: model_of(network, Table(Shape.LAPLACE, 200, 32767)), SYMBOLS: bytes(8)}
    limits = replace(LIMITS, max_parameters=1 << 24)
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="parameters are over"):
            Packed.from_sections(sections, type(network), spec, limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MIB
    assert time.process_time() - began < 1.0


def test_symbols_that_no_words_can_hold_are_refused_early() -> None:
    network = hashgrid(
        levels=3, log2_table_size=24, base_resolution=1 << 22, growth_units=4096, log2_features=0
    )
    assert 1 << 25 < network.n_parameters <= LIMITS.max_parameters
    sections = {MODEL: model_of(network, Table(Shape.LAPLACE, 200, 32767)), SYMBOLS: bytes(8)}
    began = time.process_time()
    with pytest.raises(CorruptError, match="do not end with the last symbol"):
        unpacked(sections, HashGridNetwork)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("change", [b"\xff" * 400, bytes(400)])
def test_other_words_are_corrupt(change: bytes) -> None:
    sections = packed(siren()).to_sections()
    with pytest.raises(CorruptError):
        unpacked(sections | {SYMBOLS: change}, SirenNetwork)
