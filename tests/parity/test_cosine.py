"""Coefficients of sound by native code and by the reference: the same words both ways."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.errors import ConfigError, CorruptError
from inrcodec.kernels import native_cosine
from inrcodec.representations.cosine import mixing
from inrcodec.representations.cosine.context import (
    LARGEST_COEFFICIENT,
    CoefficientShape,
    coefficient_bits,
    decode_coefficients,
    encode_coefficients,
)

GOLDEN = "9b276902f89fbd16a175e6c5def2c4bb"  # of the words of `hashed`


class Case(NamedTuple):
    """Coefficients, and the words that code them."""

    shape: CoefficientShape
    splits: NDArray[np.uint8]
    values: NDArray[np.int32]
    data: bytes


def case_of(shape: CoefficientShape, values: NDArray[np.integer], seed: int = 1) -> Case:
    """Values with random splits, coded by what is chosen now."""
    splits = np.random.default_rng(seed).integers(0, shape.most_splits + 1, shape.n_frames)
    splits, values = splits.astype(np.uint8), values.astype(np.int32)
    return Case(shape, splits, values, encode_coefficients(splits, values, shape))


def like_sound(shape: CoefficientShape, *, loudness: float, seed: int = 2) -> NDArray[np.int32]:
    """Integers that are small at high frequencies, in frames of changing loudness."""
    rng = np.random.default_rng(seed)
    size = (shape.n_frames, shape.n_channels, shape.frame)
    slope = np.exp2(-12.0 * np.arange(shape.frame) / shape.frame)
    frames = np.exp2(rng.integers(-3, 2, size[:2]))[..., None]
    signs = rng.choice([-1, 1], size)
    sizes = rng.random(size) ** 3 * loudness * slope * frames
    return (signs * np.floor(sizes)).astype(np.int32).ravel()


def assert_same(case: Case) -> None:
    """Both backends write the words of the case and read them, and neither is far from its bits."""
    before = case.splits.copy(), case.values.copy()
    for backend in ("torch", "native"):
        kernels.set_backend(backend)
        assert encode_coefficients(case.splits, case.values, case.shape) == case.data
        splits, values = decode_coefficients(case.data, case.shape)
        assert (splits.dtype, values.dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(splits, case.splits)
        np.testing.assert_array_equal(values, case.values)
        bits = coefficient_bits(case.splits, case.values, case.shape)
        assert abs(bits - 8 * len(case.data)) <= 64 + bits / 1000
    np.testing.assert_array_equal(before[0], case.splits)
    np.testing.assert_array_equal(before[1], case.values)


# --- the same words ------------------------------------------------------------------------------

SHAPES = [
    CoefficientShape(3, 128, 1, 0),
    CoefficientShape(5, 128, 2, 2),
    CoefficientShape(4, 256, 3, 3),
    CoefficientShape(1, 512, 2, 4),
    CoefficientShape(6, 512, 1, 4),
    CoefficientShape(2, 1024, 3, 1),
    CoefficientShape(2, 2048, 2, 4),
]


@pytest.mark.parametrize("loudness", [2.0, 40.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("native")
def test_values_like_those_of_sound(shape: CoefficientShape, loudness: float) -> None:
    assert_same(case_of(shape, like_sound(shape, loudness=loudness)))


FILLS: dict[str, Callable[[np.random.Generator, int], NDArray[np.integer]]] = {
    "silence": lambda _, n: np.zeros(n, int),
    "few": lambda rng, n: np.where(rng.random(n) < 0.005, rng.integers(-3, 4, n), 0),
    "dense": lambda rng, n: rng.integers(-9, 10, n),
    "ones": lambda _, n: np.ones(n, int),
    "around the end of unary": lambda rng, n: rng.integers(10, 17, n),
    "every size": lambda rng, n: np.floor(np.exp2(rng.random(n) * 20)) * rng.choice([-1, 1], n),
    "largest": lambda rng, n: rng.choice([-LARGEST_COEFFICIENT, LARGEST_COEFFICIENT], n),
    "last alone": lambda _, n: np.arange(n) // (n - 1) * -7,
    "changing": lambda rng, n: rng.integers(-400, 400, n) * (np.arange(n) // 100 % 2),
}


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(
    "shape", [CoefficientShape(4, 128, 1, 2), CoefficientShape(3, 256, 3, 3)], ids=str
)
@pytest.mark.usefixtures("native")
def test_every_kind_of_values(shape: CoefficientShape, fill: str) -> None:
    values = FILLS[fill](np.random.default_rng(3), shape.n_values)
    assert_same(case_of(shape, values))


@pytest.mark.usefixtures("native")
def test_the_longest_frame_and_the_most_channels() -> None:
    few = FILLS["few"](np.random.default_rng(4), 2 * 16384)
    assert_same(case_of(CoefficientShape(2, 16384, 1, 4), few // 2))
    few = FILLS["few"](np.random.default_rng(5), 2 * 255 * 128)
    assert_same(case_of(CoefficientShape(2, 128, 255, 2), few))


@pytest.mark.usefixtures("native")
def test_no_frames_take_no_bytes() -> None:
    shape = CoefficientShape(0, 2048, 2, 3)
    case = case_of(shape, np.zeros(0, np.int32))
    assert case.data == b""
    assert_same(case)
    for backend in ("torch", "native"):
        kernels.set_backend(backend)
        assert coefficient_bits(case.splits, case.values, shape) == 0.0
        with pytest.raises(CorruptError, match="do not end with the last symbol"):
            decode_coefficients(bytes(4), shape)


@pytest.mark.usefixtures("native")
def test_many_values_come_back() -> None:
    shape = CoefficientShape(60, 2048, 2, 3)
    case = case_of(shape, like_sound(shape, loudness=40.0))
    splits, values = decode_coefficients(case.data, shape)
    np.testing.assert_array_equal(splits, case.splits)
    np.testing.assert_array_equal(values, case.values)
    bits = coefficient_bits(case.splits, case.values, shape)
    assert 0 <= 8 * len(case.data) - bits <= 64 + bits / 1000


def hashed(shape: CoefficientShape) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Splits and values from a hash, which are the same everywhere; smaller at high frequencies."""
    stream = hashlib.shake_128(b"coefficients").digest(shape.n_frames + 2 * shape.n_values)
    splits = np.frombuffer(stream[: shape.n_frames], np.uint8) % (shape.most_splits + 1)
    values = np.frombuffer(stream[shape.n_frames :], "<i2").astype(np.int32)
    shifts = 8 + np.arange(shape.n_values) % shape.frame * 16 // shape.frame
    return splits, np.sign(values) * (np.abs(values) >> np.minimum(shifts, 16))


@pytest.mark.parametrize("backend", ["torch", "native"])
@pytest.mark.usefixtures("native")
def test_words_never_change(backend: kernels.dispatch.Choice) -> None:
    kernels.set_backend(backend)
    shape = CoefficientShape(8, 512, 2, 3)
    data = encode_coefficients(*hashed(shape), shape)
    assert hashlib.sha256(data).hexdigest()[:32] == GOLDEN


@pytest.mark.usefixtures("native")
def test_contexts_help() -> None:
    shape = CoefficientShape(80, 1024, 2, 0)
    values, splits = like_sound(shape, loudness=20.0), np.zeros(shape.n_frames, np.uint8)
    bits = coefficient_bits(splits, values, shape)
    mixed = np.random.default_rng(6).permutation(values)
    assert bits < 0.8 * coefficient_bits(splits, mixed, shape)
    repeated = np.repeat(values.reshape(shape.n_frames, -1)[::8], 8, axis=0)
    assert coefficient_bits(splits, repeated.ravel(), shape) < 0.8 * bits


def test_tables_of_odds() -> None:
    squashed = [mixing.squash(stretched) for stretched in range(-3000, 3001)]
    assert (squashed[0], squashed[3000], squashed[-1]) == (22, 32768, 65514)
    assert all(low <= high for low, high in pairwise(squashed))
    expected = 65536 / (1 + np.exp(-np.arange(-2000, 2001) / 256))
    np.testing.assert_allclose(squashed[1000:5001], expected, atol=14)


# --- words that no encoder writes ----------------------------------------------------------------


def outcome(shape: CoefficientShape, data: bytes) -> tuple[bytes, bytes] | str:
    try:
        splits, values = decode_coefficients(data, shape)
    except CorruptError as error:
        return str(error)
    assert encode_coefficients(splits, values, shape) == data
    return splits.tobytes(), values.tobytes()


@pytest.mark.parametrize("loudness", [2.0, 30.0])
@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
@pytest.mark.usefixtures("native")
def test_damaged_words_have_the_same_outcome(
    damaged: Callable[..., bytes], shape: CoefficientShape, loudness: float
) -> None:
    case = case_of(shape, like_sound(shape, loudness=loudness))
    rng, refused = np.random.default_rng(6), 0
    for _ in range(40):
        data = damaged(case.data, rng)
        outcomes = []
        for backend in ("torch", "native"):
            kernels.set_backend(backend)
            outcomes.append(outcome(shape, data))
        assert outcomes[0] == outcomes[1]
        refused += isinstance(outcomes[0], str)
    assert refused > 15


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 4, b"\xff" * 8, bytes(12), b"\xfe" * 400])
@pytest.mark.usefixtures("native")
def test_words_that_no_encoder_writes_have_the_same_outcome(data: bytes) -> None:
    messages = []
    for backend in ("torch", "native"):
        kernels.set_backend(backend)
        with pytest.raises(CorruptError) as caught:
            decode_coefficients(data, CoefficientShape(3, 128, 2, 1))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.usefixtures("native")
def test_random_words_of_many_frames_are_refused_soon() -> None:
    rng = np.random.default_rng(7)
    shape = CoefficientShape(1 << 12, 2048, 2, 3)
    for n_words in (1, 10, 100):
        with pytest.raises(CorruptError):
            decode_coefficients(rng.bytes(4 * n_words), shape)


# --- wrong calls ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "numbers",
    [
        (-1, 128, 1, 0),
        (1, 64, 1, 0),
        (1, 32768, 1, 0),
        (1, 129, 1, 0),
        (1, 0, 1, 0),
        (1, 128, 0, 0),
        (1, 128, 256, 0),
        (1, 128, 1, -1),
        (1, 128, 1, 3),
        (1, 2048, 1, 5),
    ],
)
def test_other_shapes_are_refused(native: ModuleType, numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError):
        CoefficientShape(*numbers)
    n_frames, frame, n_channels, _ = numbers
    arrays = np.zeros(max(0, n_frames), np.uint8), np.zeros(frame * n_channels, np.int32)
    with pytest.raises(ValueError, match=r"cosine: .* must .*, got "):
        native.encode_coefficients(numbers, *arrays)


@pytest.mark.parametrize("backend", ["torch", "native"])
@pytest.mark.usefixtures("native")
def test_other_values_are_refused(backend: kernels.dispatch.Choice) -> None:
    kernels.set_backend(backend)
    shape = CoefficientShape(2, 128, 1, 1)
    splits, values = np.zeros(2, np.uint8), np.zeros(256, np.int32)
    for call in (encode_coefficients, coefficient_bits):
        for wrong in (values + LARGEST_COEFFICIENT + 1, values - LARGEST_COEFFICIENT - 1):
            with pytest.raises(ConfigError, match="above 2\\^20"):
                call(splits, wrong, shape)
        with pytest.raises(ConfigError, match="splits are not all"):
            call(splits + 2, values, shape)
        with pytest.raises(ConfigError, match="are not those of"):
            call(splits, values[1:], shape)
        with pytest.raises(ConfigError, match="are not those of"):
            call(splits[1:], values, shape)


def test_wrong_native_calls_are_refused(native: ModuleType) -> None:
    shape = (2, 128, 1, 1)
    splits, values, words = np.zeros(2, np.uint8), np.zeros(256, np.int32), np.zeros(3, np.uint32)

    def refuse(message: str, *arguments: object, name: str = "encode_coefficients") -> None:
        with pytest.raises(ValueError, match=message):
            getattr(native, name)(*arguments)

    for name in ("encode_coefficients", "coefficient_bits"):
        refuse("splits must have shape", shape, splits[1:], values, name=name)
        refuse("splits must be uint8", shape, splits.astype(np.int32), values, name=name)
        refuse("values must be int32", shape, splits, values.astype(np.int64), name=name)
        refuse("values must be contiguous", shape, splits, np.zeros(512, np.int32)[::2], name=name)
        refuse("a split must be in", shape, splits + 2, values, name=name)
        refuse("a value must be in", shape, splits, values + (1 << 20) + 1, name=name)
        refuse("at most 2", (1 << 40, 128, 1, 1), splits, values, name=name)
    decode = "decode_coefficients"
    refuse("words must be uint32", words.astype(np.int32), shape, splits, values, name=decode)
    refuse("words must have 1 axis", words[None], shape, splits, values, name=decode)
    refuse("values must have shape", words, shape, splits, values[1:], name=decode)
    end, *_ = native_cosine.decode_coefficients(words, shape)
    assert end in (1, 2)
