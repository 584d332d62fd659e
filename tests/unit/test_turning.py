"""Two channels that are turned so that the first has most, by one angle or one for each band."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inrcodec.errors import CorruptError
from inrcodec.fields import ByteReader
from inrcodec.rate import EncodeResult, encode_to_target
from inrcodec.representations.cosine.pack import Segment, from_coded_order
from inrcodec.representations.cosine.transform import Blocks
from inrcodec.representations.cosine.turning import angles_to_bytes, read_angles, turned
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import Signal

RATE = 8000


def encoded(signal: Signal, snr_db: float) -> EncodeResult:
    return encode_to_target(signal, EncodeRequest(model="cosine", target=Target("snr", snr_db)))


def test_what_each_band_has_in_common_is_coded_once() -> None:
    times = np.arange(5 * RATE) / RATE
    low, high = np.sin(1000.0 * times), np.sin(15000.0 * times)
    both = 8000 * np.stack([low + 0.7 * high, 0.6 * low - high], axis=1)
    sizes = {}
    for seconds in (3, 5):  # by one angle, by one for each band
        samples = np.rint(both[: seconds * RATE]).astype(np.int16)
        result = encoded(Signal.audio(samples, RATE), 40.0)
        (segment,) = (result.function._segment(number) for number in range(1))
        sizes[seconds] = len(segment.angles[0])
        values = segment.values.reshape(len(segment.splits), -1)
        assert result.reached
        if seconds == 5:
            second = model_second(result.function, segment)
            assert np.abs(second).max() < 0.1 * np.abs(values).max()
    assert sizes == {3: 1, 5: 18}


def model_second(function: Any, segment: Segment) -> Any:
    """What is coded of the second channel."""
    blocks = Blocks.of_splits(function.model.frame, segment.splits)
    return from_coded_order(segment.values.astype(float), blocks, 2)[:, 1]


@pytest.mark.parametrize("loudness", [0.0, 3000.0])
def test_bands_that_are_alike_have_one_angle(loudness: float) -> None:
    left = np.random.default_rng(6).standard_normal(5 * RATE) * loudness
    samples = np.rint(np.stack([left, left], axis=1)).astype(np.int16)
    function = encoded(Signal.audio(samples, RATE), 10.0).function
    assert function._segment(0).angles == ((16,),)


def test_angles_come_back() -> None:
    for angles in (((5,),), (tuple(range(18)), (63,)), ((0,), tuple(range(40, 58)))):
        data = angles_to_bytes(angles)
        assert len(data) == sum(1 if len(own) == 1 else 19 for own in angles)
        reader = ByteReader(data, name="it")
        assert read_angles(reader, 2 * len(angles), start=0) == angles
    for wrong in (b"\x40", b"\xfe", b"\xff" + bytes(17) + b"\x40"):
        with pytest.raises(CorruptError, match="not all below 64"):
            read_angles(ByteReader(wrong, name="it"), 2, start=9)


def test_turning_back_is_the_inverse() -> None:
    blocks = Blocks.of_splits(512, np.array([0, 2, 4]))
    values = np.random.default_rng(4).standard_normal((1536, 5))
    angles = (tuple(range(0, 54, 3)), (17,))
    there = turned(values, angles, blocks, 44100)
    np.testing.assert_allclose(turned(there, angles, blocks, 44100, back=True), values)
    np.testing.assert_array_equal(there[:, 4], values[:, 4])
    assert np.abs(there[:, :4] - values[:, :4]).max() > 0.5
