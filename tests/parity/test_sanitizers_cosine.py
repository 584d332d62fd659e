"""Coefficients of sound under the sanitizers: calls that `cuda_ext/sanitize` states."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec.representations.cosine.context import (
    CoefficientShape,
    coefficient_bits,
    encode_coefficients,
)

SHAPE = CoefficientShape(3, 256, 3, 3)
REFUSED = 3
DECODE, ENCODE, BITS = range(3)


def content_of(
    shape: CoefficientShape, largest: float
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Random splits, and values of every magnitude up to 2^largest."""
    rng = np.random.default_rng(7)
    splits = rng.integers(0, shape.most_splits + 1, shape.n_frames).astype(np.uint8)
    sizes = np.floor(np.exp2(rng.random(shape.n_values) ** 2 * largest)) - 1
    return splits, (sizes * rng.choice([-1, 1], shape.n_values)).astype(np.int32)


def start(op: int, shape: CoefficientShape) -> bytes:
    numbers = shape.n_frames, shape.frame, shape.n_channels, shape.most_splits
    return struct.pack("<4s3B2I2B", b"INRC", op, 1, 0, *numbers)


def decode_bytes(shape: CoefficientShape, data: bytes) -> bytes:
    """A call to decode words."""
    return start(DECODE, shape) + struct.pack("<I", len(data) // 4) + data


def content_bytes(op: int, shape: CoefficientShape, largest: float) -> bytes:
    """A call to encode, or to count bits."""
    splits, values = content_of(shape, largest)
    return start(op, shape) + splits.tobytes() + values.astype("<i4").tobytes()


def assert_refused(driver: Any, data: bytes) -> None:
    code, message = driver.outcome(data)
    assert code == REFUSED, message
    assert message.count("\n") == 1
    assert ", got " in message


def results_of(driver: Any, data: bytes) -> NDArray[np.float32]:
    """What the driver writes."""
    result = driver.folder / "result"
    assert driver.outcome(data, result) == (0, "")
    return np.frombuffer(result.read_bytes(), "<f4")


@pytest.mark.parametrize("largest", [0.9, 5.0, 20.0])
@pytest.mark.parametrize(
    "shape",
    [
        SHAPE,
        CoefficientShape(0, 128, 1, 0),
        CoefficientShape(1, 16384, 2, 4),
        CoefficientShape(2, 128, 255, 2),
        CoefficientShape(9, 512, 1, 4),
    ],
    ids=str,
)
def test_valid_calls_run_clean_and_right(
    driver: Any, shape: CoefficientShape, largest: float
) -> None:
    splits, values = content_of(shape, largest)
    data = encode_coefficients(splits, values, shape)
    n_words, *halves = results_of(driver, content_bytes(ENCODE, shape, largest))
    assert n_words == len(data) // 4
    assert np.array(halves).astype("<u2").tobytes() == data
    got = results_of(driver, decode_bytes(shape, data))
    np.testing.assert_array_equal(got.astype(np.int64), [0, *splits, *values])
    (bits,) = results_of(driver, content_bytes(BITS, shape, largest))
    np.testing.assert_allclose(bits, coefficient_bits(splits, values, shape), rtol=1e-6)


def test_damaged_words_run_clean(driver: Any) -> None:
    data = encode_coefficients(*content_of(SHAPE, 6.0), SHAPE)
    rng, ends = np.random.default_rng(4), set()
    for number in range(30):
        words = np.frombuffer(data, "<u4").copy()
        words[rng.integers(len(words))] = rng.integers(1 << 32)
        changed = b"\xff" * 40 if number == 0 else words[: rng.integers(len(words) + 1)].tobytes()
        ends.add(int(results_of(driver, decode_bytes(SHAPE, changed))[0]))
    assert {1, 2} <= ends


@pytest.mark.parametrize("op", [DECODE, ENCODE, BITS])
@pytest.mark.parametrize(
    ("at", "patch"),
    [
        (4, b"\x03"),  # op
        (5, b"\x00"),  # threads
        (7, b"\xff\xff\xff\xff"),  # frames
        (11, b"\x00\x00\x00\x00"),  # values of a frame
        (11, b"\x01\x01\x00\x00"),
        (11, b"\x40\x00\x00\x00"),
        (11, b"\x00\x00\x00\x80"),
        (15, b"\x00"),  # channels
        (16, b"\x04"),  # splits
        (16, b"\xff"),
        (17, b"\xff\xff\xff\xf0"),  # words, or splits
        (-4, b"\x01\x00\x10\x00"),  # the last value
    ],
)
def test_hostile_calls_are_refused(driver: Any, op: int, at: int, patch: bytes) -> None:
    data = decode_bytes(SHAPE, encode_coefficients(*content_of(SHAPE, 3.0), SHAPE))
    if op != DECODE:
        data = content_bytes(op, SHAPE, 3.0)
    at %= len(data)
    if op != DECODE or at < len(data) - 4:
        assert_refused(driver, data[:at] + patch + data[at + len(patch) :])
    assert_refused(driver, data[:-1])
    assert_refused(driver, data + b"\0")


def test_random_changes_run_or_are_refused(driver: Any) -> None:
    decode = decode_bytes(SHAPE, encode_coefficients(*content_of(SHAPE, 3.0), SHAPE))
    rng = np.random.default_rng(5)
    for data in [decode, content_bytes(ENCODE, SHAPE, 3.0)] * 30:
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            changed[rng.integers(4, 60)] = int(rng.integers(256))
        code, message = driver.outcome(bytes(changed))
        assert code in (0, REFUSED), message
