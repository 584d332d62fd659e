"""Latent grids under the sanitizers: calls of the driver that `cuda_ext/sanitize` states."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec import codec, kernels
from inrcodec.container import ByteReader, Stream
from inrcodec.entropy import SymbolDecoder, Table
from inrcodec.entropy.coder import words_of
from inrcodec.entropy.laplace import decays, powers
from inrcodec.errors import BitstreamError
from inrcodec.kernels import LatentShape
from inrcodec.representations.latentgrid.context import decode_latents, encode_latents
from inrcodec.representations.latentgrid.family import LatentGrid
from inrcodec.representations.latentgrid.fixed import Fixed, fixed_weights
from inrcodec.representations.latentgrid.synthesis import synthesize

SHAPE = LatentShape(23, 39, 3, 1, 5, 1)
OFFSETS, SCALE = [3000, 70, 40000], 30000
REFUSED = 3
CONTEXT = ("mix", "head", "direct", "feature")


def weights_of(shape: LatentShape, size: int) -> dict[str, Fixed]:
    rng = np.random.default_rng(7)
    counts = [sum(weight.size for weight in group) for group in shape.groups]
    symbols = [rng.integers(-size, size + 1, count) for count in counts]
    for group, run in zip(shape.groups, symbols, strict=True):
        if group[0].group == "head_bias":
            run[:] = 100, 2400
    return fixed_weights(shape, symbols, [120] * len(symbols))


def grids_of(shape: LatentShape, scale: float) -> tuple[NDArray[np.int32], ...]:
    rng = np.random.default_rng(8)
    return tuple(
        np.rint(rng.laplace(0, scale, (grid.height, grid.width))).clip(-2047, 2047).astype(np.int32)
        for grid in shape.grids
    )


def start(op: int, shape: LatentShape, instruction_set: int) -> bytes:
    return struct.pack("<4s3B2I", b"INRL", op, 2, instruction_set, shape.height, shape.width)


def joined(shape: LatentShape, weights: dict[str, Fixed], *, context: bool) -> bytes:
    names = [weight.name for weight in shape.weights]
    return b"".join(
        weights[name].tobytes() for name in names if name.startswith(CONTEXT) == context
    )


def decode_bytes(
    shape: LatentShape,
    weights: dict[str, Fixed],
    coded: tuple[bytes, tuple[int, ...]],
    instruction_set: int = 0,
) -> bytes:
    """A call to decode words."""
    data, maxima = coded
    sizes = (len(shape.grids), len(shape.neighbours), shape.networks.n_features, shape.slope)
    levels = [grid.level for grid in shape.grids]
    inputs = [grid.feature_inputs for grid in shape.grids]
    neighbours = [offset for neighbour in shape.neighbours for offset in neighbour]
    integers = np.array([*levels, *inputs, *maxima, *neighbours], "<i4").tobytes()
    words = struct.pack("<I", len(data) // 4) + data
    tables = decays().tobytes() + powers().tobytes()
    head = start(0, shape, instruction_set) + struct.pack("<4B", *sizes)
    return head + integers + words + joined(shape, weights, context=True) + tables


def synthesis_bytes(
    shape: LatentShape,
    weights: dict[str, Fixed],
    grids: tuple[NDArray[np.int32], ...],
    instruction_set: int = 0,
) -> bytes:
    """A call to synthesize pixels."""
    size = shape.networks
    sizes = struct.pack("<4B", shape.channels, shape.n_levels, size.n_hidden, size.n_tail)
    pairs = zip(shape.grids, grids, strict=True)
    latents = b"".join(values.tobytes() for grid, values in pairs if not grid.is_hyper)
    output = np.array([*OFFSETS, SCALE], "<i4").tobytes()
    head = start(1, shape, instruction_set) + sizes
    return head + latents + joined(shape, weights, context=False) + output


def assert_refused(driver: Any, data: bytes) -> None:
    code, message = driver.outcome(data)
    assert code == REFUSED, message
    assert message.count("\n") == 1
    assert ", got " in message


def results_of(driver: Any, data: bytes) -> NDArray[np.int64] | None:
    """What the driver writes, or None where this machine lacks the instruction set."""
    result = driver.folder / "result"
    code, message = driver.outcome(data, result)
    if code == REFUSED and "instruction set must exist" in message:
        return None
    assert (code, message) == (0, "")
    return np.frombuffer(result.read_bytes(), "<f4").astype(np.int64)


@pytest.mark.usefixtures("_backend_is_put_back")
@pytest.mark.parametrize("instruction_set", range(3))
@pytest.mark.parametrize(("scale", "size"), [(0.5, 60), (3000.0, 32767)])
@pytest.mark.parametrize(
    "shape",
    [
        SHAPE,
        LatentShape(1, 1, 3, 3, 1, 0),
        LatentShape(1, 70, 3, 2, 4, 0),
        LatentShape(70, 1, 3, 0, 9, 5),
    ],
    ids=str,
)
def test_valid_calls_run_clean_and_right(
    driver: Any, shape: LatentShape, scale: float, size: int, instruction_set: int
) -> None:
    weights, grids = weights_of(shape, size), grids_of(shape, scale)
    coded = encode_latents(grids, shape, weights)
    got = results_of(driver, decode_bytes(shape, weights, coded, instruction_set))
    if got is not None:
        np.testing.assert_array_equal(got, [0, *np.concatenate([g.ravel() for g in grids])])
    kernels.set_backend("torch")
    latents = [g for grid, g in zip(shape.grids, grids, strict=True) if not grid.is_hyper]
    expected = synthesize(latents, shape, weights, (OFFSETS, SCALE))
    got = results_of(driver, synthesis_bytes(shape, weights, grids, instruction_set))
    if got is not None:
        np.testing.assert_array_equal(got, expected.ravel())


def test_strips_of_several_threads_run_clean(driver: Any) -> None:
    shape = LatentShape(200, 300, 3, 1, 6, 0)
    data = synthesis_bytes(shape, weights_of(shape, 60), grids_of(shape, 0.5))
    assert driver.outcome(data) == (0, "")


@pytest.mark.parametrize("instruction_set", range(3))
def test_damaged_words_run_clean(driver: Any, instruction_set: int) -> None:
    weights = weights_of(SHAPE, 60)
    data, maxima = encode_latents(grids_of(SHAPE, 1.0), SHAPE, weights)
    rng, ends = np.random.default_rng(4), set()
    for number in range(20):
        words = np.frombuffer(data, "<u4").copy()
        words[rng.integers(len(words))] = rng.integers(1 << 32)
        changed = b"\xff" * 40 if number == 0 else words[: rng.integers(len(words) + 1)].tobytes()
        got = results_of(driver, decode_bytes(SHAPE, weights, (changed, maxima), instruction_set))
        if got is None:
            return
        ends.add(int(got[0]))
    assert {1, 2} <= ends


AT_LISTS = 19  # where the levels of the grids begin
N_GRIDS = len(SHAPE.grids)


@pytest.mark.parametrize(
    ("at", "patch"),
    [
        (4, b"\x02"),  # op
        (5, b"\x00"),  # threads
        (7, b"\x00\x00\x00\x00"),  # height
        (7, b"\xff\xff\xff\xff"),
        (11, b"\xff\xff\xff\x7f"),  # width
        (15, b"\x00"),  # grids
        (15, b"\x19"),
        (16, b"\x00"),  # neighbours
        (16, b"\x21"),
        (17, b"\x09"),  # features
        (18, b"\x00"),  # slope
        (18, b"\x01"),
        (AT_LISTS, struct.pack("<i", 12)),  # levels
        (AT_LISTS, struct.pack("<i", -1)),
        (AT_LISTS + 4 * N_GRIDS, struct.pack("<i", 1)),  # inputs
        (AT_LISTS + 8 * N_GRIDS, struct.pack("<i", 2048)),  # largest values
        (AT_LISTS + 12 * N_GRIDS, struct.pack("<2i", 0, 0)),  # neighbours
        (AT_LISTS + 12 * N_GRIDS, struct.pack("<2i", -8, 0)),
        (AT_LISTS + 12 * N_GRIDS + 80, struct.pack("<I", 1 << 30)),  # words
        (-8 * 1025 - 8 * 242, struct.pack("<d", float("nan"))),  # the last bias
        (-8 * 1025 - 8 * 242, struct.pack("<d", 0.5)),
        (-8 * 1025 - 8 * 241, struct.pack("<q", -1)),  # decays
        (-8 * 1025, struct.pack("<q", 1 << 40)),  # powers
        (-8, struct.pack("<q", 0)),
    ],
)
def test_hostile_calls_of_the_decoder_are_refused(driver: Any, at: int, patch: bytes) -> None:
    weights = weights_of(SHAPE, 60)
    data = decode_bytes(SHAPE, weights, encode_latents(grids_of(SHAPE, 1.0), SHAPE, weights))
    at %= len(data)
    assert_refused(driver, data[:at] + patch + data[at + len(patch) :])
    assert_refused(driver, data[:-1])
    assert_refused(driver, data + b"\0")


@pytest.mark.parametrize(
    ("at", "patch"),
    [
        (7, b"\x00\x00\x00\x00"),  # height
        (7, b"\xff\xff\xff\xff"),
        (11, b"\xff\xff\xff\x7f"),  # width
        (15, b"\x00"),  # channels
        (15, b"\x11"),
        (16, b"\x00"),  # levels
        (16, b"\x0d"),
        (17, b"\x00"),  # hidden values
        (17, b"\x41"),
        (18, b"\x03"),  # layers of the tail
        (19, struct.pack("<i", 2048)),  # latents
        (19, struct.pack("<i", -(1 << 31))),
        (-24, struct.pack("<d", float("inf"))),  # the last bias
        (-24, struct.pack("<d", 2.0**43)),
        (-16, struct.pack("<i", 1 << 20)),  # offsets
        (-4, b"\xff\xff\xff\xff"),  # scale
    ],
)
def test_hostile_calls_of_the_synthesis_are_refused(driver: Any, at: int, patch: bytes) -> None:
    data = synthesis_bytes(SHAPE, weights_of(SHAPE, 60), grids_of(SHAPE, 1.0))
    at %= len(data)
    assert_refused(driver, data[:at] + patch + data[at + len(patch) :])
    assert_refused(driver, data[:-1])
    assert_refused(driver, data + b"\0")


def test_random_changes_run_or_are_refused(driver: Any) -> None:
    weights, grids = weights_of(SHAPE, 60), grids_of(SHAPE, 1.0)
    decode = decode_bytes(SHAPE, weights, encode_latents(grids, SHAPE, weights))
    rng = np.random.default_rng(5)
    for data in [decode, synthesis_bytes(SHAPE, weights, grids)] * 30:
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            changed[rng.integers(4, 160)] = int(rng.integers(256))
        code, message = driver.outcome(bytes(changed))
        assert code in (0, REFUSED), message


# --- whole streams: what their tiles ask of native code ------------------------------------------

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "vectors" / "v0"
STREAMS = [
    *sorted(GOLDEN.glob("valid/latentgrid_*.inr")),
    *sorted([*GOLDEN.glob("invalid/latent_*.inr"), *GOLDEN.glob("invalid/tile_*.inr")]),
]
N_DAMAGED = 5


def with_damage(stream: Stream, rng: np.random.Generator) -> bytes:
    """The stream with a few other bytes in one section, its checksum right again."""
    sections = dict(stream.sections)
    key = list(sections)[rng.integers(len(sections))]
    payload = bytearray(sections[key])
    for _ in range(int(rng.integers(1, 4))):
        payload[rng.integers(len(payload))] = int(rng.integers(256))
    return replace(stream, sections={**sections, key: bytes(payload)}).to_bytes()


def tiles_of(data: bytes) -> Iterator[tuple[LatentShape, bytes]]:
    """The shape and the payload of each tile; none of a stream that is refused before."""
    try:
        function = codec.unpack(data)[1]
    except BitstreamError:
        return
    if isinstance(function, LatentGrid):
        for tile, payload in zip(function.model.tiling.tiles(), function.payloads, strict=True):
            assert payload is not None
            yield function.model.shape_of(tile), payload


def read_tile(
    shape: LatentShape, payload: bytes
) -> tuple[dict[str, Fixed], tuple[bytes, tuple[int, ...]]]:
    """The weights of a tile, and the words and largest values of its latents."""
    reader = ByteReader(payload)
    heads = [(reader.u8(), Table.read(reader)) for _ in shape.groups]
    maxima = tuple(reader.varint(2047) for _ in shape.grids)
    decoder = SymbolDecoder(reader.take(reader.varint()))
    symbols = [
        decoder.take(sum(weight.size for weight in group), table.counts())
        for group, (_, table) in zip(shape.groups, heads, strict=True)
    ]
    decoder.finish()
    weights = fixed_weights(shape, symbols, [index for index, _ in heads])
    latents = reader.take(reader.bytes_left)
    words_of(latents)
    return weights, (latents, maxima)


def run_tile(driver: Any, shape: LatentShape, payload: bytes) -> str:
    """Decode a tile under the sanitizers and by the reference; how it ended."""
    try:
        weights, coded = read_tile(shape, payload)
    except BitstreamError:
        return "refused"
    got = results_of(driver, decode_bytes(shape, weights, coded))
    assert got is not None
    try:
        grids = decode_latents(coded[0], shape, weights, coded[1])
    except BitstreamError:
        assert got[0] in (1, 2)
        return "damaged"
    np.testing.assert_array_equal(got, [0, *np.concatenate([g.ravel() for g in grids])])
    if shape.channels == len(OFFSETS):
        assert driver.outcome(synthesis_bytes(shape, weights, grids)) == (0, "")
    return "decoded"


@pytest.mark.usefixtures("_backend_is_put_back")
def test_golden_streams_run_clean_whole_and_damaged(driver: Any) -> None:
    kernels.set_backend("torch")
    rng, ends = np.random.default_rng(6), Counter[str]()
    for path in STREAMS:
        whole = [run_tile(driver, *tile) for tile in tiles_of(path.read_bytes())]
        if path.parent.name == "valid":
            assert set(whole) == {"decoded"}, path.name
            stream = Stream.from_bytes(path.read_bytes())
            damaged = (with_damage(stream, rng) for _ in range(N_DAMAGED))
            ends.update(run_tile(driver, *tile) for data in damaged for tile in tiles_of(data))
    assert ends["damaged"] > 0
