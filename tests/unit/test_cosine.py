"""Sounds as sums of cosines: what is held, what comes back, parts, other rates, damage."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec import codec, metrics
from inrcodec.errors import BitstreamError, ConfigError
from inrcodec.rate import EncodeResult, encode_to_target
from inrcodec.reader import Reader
from inrcodec.representations.cosine.config import CosineConfig, frame_of
from inrcodec.representations.cosine.context import CoefficientShape, coefficient_bits
from inrcodec.representations.cosine.family import Cosine
from inrcodec.representations.cosine.pack import (
    CosineModel,
    Segment,
    from_coded_order,
    in_coded_order,
)
from inrcodec.representations.cosine.rendering import silence_of
from inrcodec.representations.cosine.rounding import rounded
from inrcodec.representations.cosine.transform import Blocks
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import SampleFormat, Signal

RATE = 8000


def tones(n: int, channels: int = 1, *, level: float = 0.3) -> NDArray[np.float64]:
    """Two tones that fade, a click and some noise, each channel a little otherwise."""
    t = np.arange(n)[:, None] / RATE
    phase = 0.3 * np.arange(channels)
    x = np.sin(2 * np.pi * 440.0 * t + phase) + 0.5 * np.sin(2 * np.pi * 1310.0 * t)
    x = x * np.exp(-3.0 * (t % 0.5)) + 0.02 * np.random.default_rng(0).standard_normal(x.shape)
    x[n // 3] += 1.0
    return level * x


def sound(n: int = RATE, channels: int = 1, rate: int = RATE, **options: Any) -> Signal:
    samples = np.rint(32767.0 * np.clip(tones(n, channels, **options), -1.0, 1.0))
    return Signal.audio(samples.astype(np.int16), rate)


def encoded(signal: Signal, measure: Any = "quality", value: float = 75.0, **options: Any) -> Any:
    request = EncodeRequest(model="cosine", target=Target(measure, value), options=options)
    result: EncodeResult = encode_to_target(signal, request)
    return result


def snr_of(signal: Signal, result: EncodeResult) -> float:
    return metrics.snr_db(signal, codec.decode(result.data))


@pytest.mark.parametrize("value", [4.0, 16.0, 48.0])
def test_kbps_are_held(value: float) -> None:
    signal = sound(3 * RATE)
    result = encoded(signal, "kbps", value)
    assert result.reached
    assert 8 * len(result.data) / 3 / 1000 == pytest.approx(value, rel=0.03)


@pytest.mark.parametrize("value", [5.0, 20.0, 40.0, 60.0])
def test_an_snr_is_held(value: float) -> None:
    signal = sound()
    result = encoded(signal, "snr", value)
    assert result.reached
    assert snr_of(signal, result) == pytest.approx(value, abs=0.15)


def test_more_bits_are_better_and_quality_is_monotone() -> None:
    signal = sound()
    results = [encoded(signal, "quality", value) for value in (20.0, 50.0, 75.0, 95.0)]
    sizes = [len(result.data) for result in results]
    snrs = [snr_of(signal, result) for result in results]
    assert sizes == sorted(sizes)
    assert snrs == sorted(snrs)


def test_it_takes_a_fifth_of_the_bits_of_a_network() -> None:
    signal = sound()
    request = EncodeRequest(model="siren", target=Target("snr", 20.0), iterations=300)
    other = encode_to_target(signal, request)
    result = encoded(signal, "snr", min(20.0, snr_of(signal, other)))
    assert len(result.data) < len(other.data) / 5


@pytest.mark.parametrize(
    ("sample_format", "scale", "tolerance"),
    [
        (SampleFormat.U8, 127.0, 1.0),
        (SampleFormat.S16, 32767.0, 1.0),
        (SampleFormat.S24, 8388607.0, 40.0),
        (SampleFormat.F32, 1.0, 5e-6),
    ],
)
def test_every_sample_format_comes_near(
    sample_format: SampleFormat, scale: float, tolerance: float
) -> None:
    dtype = sample_format.dtype
    values = tones(2000) * scale + (128.0 if dtype == np.uint8 else 0.0)
    values = values if dtype.kind == "f" else np.rint(values)
    signal = Signal.audio(values.astype(dtype), RATE, sample_format=sample_format)
    decoded = codec.decode(encoded(signal, "snr", 119.0).data)
    assert decoded.samples.dtype == signal.samples.dtype
    off = np.abs(decoded.samples.astype(np.float64) - signal.samples.astype(np.float64))
    assert off.max() <= tolerance


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_any_number_of_channels(channels: int) -> None:
    signal = sound(3000, channels)
    result = encoded(signal, "snr", 25.0)
    assert snr_of(signal, result) == pytest.approx(25.0, abs=0.2)
    assert codec.decode(result.data).samples.shape == (3000, channels)


def test_two_channels_that_are_alike_cost_little_more_than_one() -> None:
    one = sound()
    both = Signal.audio(np.repeat(one.samples, 2, axis=1), RATE)
    opposite = Signal.audio(np.concatenate([one.samples, -one.samples], axis=1), RATE)
    alone = len(encoded(one, "snr", 20.0).data)
    for signal in (both, opposite):
        assert len(encoded(signal, "snr", 20.0).data) < 1.1 * alone


@pytest.mark.parametrize("reports", [1, 2, 3, 4])
def test_an_error_is_held_by_a_fit_that_is_cancelled(reports: int) -> None:
    signal, cancel, steps = sound(), threading.Event(), []

    def watch(step: Any) -> None:
        steps.append(step)
        if len(steps) >= reports:
            cancel.set()

    request = EncodeRequest(model="cosine", target=Target("snr", 20.0))
    result = encode_to_target(signal, request, watch=watch, cancel=cancel)
    assert result.cancelled
    assert snr_of(signal, result) >= 19.9


@pytest.mark.parametrize("n", [1, 2, 127, 320, 321])
def test_short_sounds(n: int) -> None:
    signal = sound(n)
    result = encoded(signal, "snr", 30.0)
    assert codec.decode(result.data).samples.shape == (n, 1)
    assert snr_of(signal, result) >= 29.0


def test_silence_and_constants() -> None:
    silent = Signal.audio(np.zeros((5000, 2), np.int16), RATE)
    result = encoded(silent)
    assert not codec.decode(result.data).samples.any()
    assert len(result.data) < 100
    constant = Signal.audio(np.full((5000, 1), 12345, np.int16), RATE)
    assert snr_of(constant, encoded(constant, "snr", 60.0)) == pytest.approx(60.0, abs=0.5)


def test_clipped_sounds_stay_within_the_format() -> None:
    signal = sound(level=3.0)
    result = encoded(signal, "snr", 15.0)
    assert snr_of(signal, result) >= 14.9
    assert (np.abs(codec.decode(result.data).samples.astype(int)) >= 32767).any()


@pytest.mark.parametrize(
    ("rate", "frame"), [(8000, 512), (16000, 1024), (44100, 2048), (192000, 8192), (100, 128)]
)
def test_frames_are_at_least_40_ms(rate: int, frame: int) -> None:
    assert frame_of(rate) == frame
    signal = sound(3 * frame, rate=rate)
    assert snr_of(signal, encoded(signal, "snr", 20.0)) == pytest.approx(20.0, abs=0.6)


def test_slices_are_those_of_the_whole() -> None:
    signal = sound(4 * RATE, 2)
    reader = Reader(encoded(signal, segment_seconds=0.5).data)
    assert reader.n_tiles == 8
    whole = reader[:]
    for part in (slice(0, 10), slice(1000, 1001), slice(3900, 9000), slice(31990, 32000)):
        assert np.array_equal(reader[part], whole[part])


def test_a_part_reads_no_more_segments_than_it_touches() -> None:
    result = encoded(sound(4 * RATE), segment_seconds=0.5)
    reader = Reader(result.data)
    _ = reader[2 * RATE : 2 * RATE + 100]
    function = reader._function
    assert isinstance(function, Cosine)
    assert len(function._decoded) <= 2


def test_segments_cost_little() -> None:
    signal = sound(4 * RATE)
    whole = encoded(signal, "lambda", 1e-6)
    parts = encoded(signal, "lambda", 1e-6, segment_seconds=1.0)
    assert snr_of(signal, parts) == pytest.approx(snr_of(signal, whole), abs=0.1)
    assert len(whole.data) < len(parts.data) < 1.2 * len(whole.data)


def test_other_rates_show_the_same_tone() -> None:
    t = np.arange(2 * RATE)[:, None] / RATE
    signal = Signal.audio(0.4 * np.sin(2 * np.pi * 440.0 * t).astype(np.float32), RATE)
    reader = Reader(encoded(signal, "snr", 50.0).data)
    for rate in (4000, 11025, 16000):
        shown = reader.read(rate=rate).samples[:, 0]
        n = len(shown)
        assert n == 2 * rate
        places = (np.arange(n) + 0.5) / rate - 0.5 / RATE
        expected = 0.4 * np.sin(2 * np.pi * 440.0 * places)
        inner = slice(n // 10, -n // 10)
        assert np.abs(shown - expected)[inner].max() < 0.01


def test_a_lower_rate_leaves_out_what_is_too_high_for_it() -> None:
    t = np.arange(RATE)[:, None] / RATE
    signal = Signal.audio(0.4 * np.sin(2 * np.pi * 3000.0 * t).astype(np.float32), RATE)
    shown = Reader(encoded(signal, "snr", 40.0).data).read(rate=4000).samples
    assert np.abs(shown[400:-400]).max() < 0.02


def test_samples_lie_on_the_function() -> None:
    reader = Reader(encoded(sound()).data)
    whole, n = reader[:].astype(np.float64), RATE
    places = np.array([0, 1, 511, 512, 4000, n - 1])
    values = reader.sample((places[:, None] + 0.5) / n)
    assert np.abs(values - whole[places]).max() <= 2.0  # coordinates are of float32


# --- damage --------------------------------------------------------------------------------------


def damaged(data: bytes, number: int, n_tiles: int) -> bytes:
    """A byte of a segment turned over, at about its middle."""
    at = len(data) * (2 * number + 1) // (2 * n_tiles)
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def test_a_damaged_segment_is_an_error_with_its_place() -> None:
    result = encoded(sound(4 * RATE), segment_seconds=1.0)
    with pytest.raises(BitstreamError):
        codec.decode(damaged(result.data, 2, 4))


def test_a_damaged_segment_is_silent_when_salvaged() -> None:
    result = encoded(sound(4 * RATE), segment_seconds=1.0)
    whole = codec.decode(result.data).samples
    reader = Reader(damaged(result.data, 2, 4), salvage=True)
    (number,) = reader.damaged()
    assert reader.tile_name(number).startswith(f"{number} (")
    shown = reader[:]
    span = 1024
    assert number in (1, 2, 3)
    frames = reader._function.model.segment_frames  # type: ignore[union-attr]
    first, last = (at * frames * 512 for at in (number, number + 1))
    assert not shown[first + span : last - span].any()
    assert np.array_equal(shown[: first - span], whole[: first - span])
    assert np.array_equal(shown[last + span :], whole[last + span :])


def test_a_stream_that_ends_early_is_salvaged_up_to_there() -> None:
    result = encoded(sound(4 * RATE), segment_seconds=1.0)
    cut = result.data[: len(result.data) * 5 // 8]
    with pytest.raises(BitstreamError):
        codec.decode(cut)
    reader = Reader(cut, salvage=True)
    whole = codec.decode(result.data).samples
    assert np.array_equal(reader[: RATE // 2], whole[: RATE // 2])
    assert reader.damaged()


def test_streams_of_other_kinds_and_models_are_refused() -> None:
    with pytest.raises(ConfigError, match="cosine takes sounds, not image"):
        encoded(Signal.image(np.zeros((8, 8, 3), np.uint8)))
    for options in ({"frame": 100}, {"frame": 1 << 15}, {"splits": 5}, {"segment_seconds": 0.0}):
        with pytest.raises(ConfigError):
            CosineConfig(**options)  # type: ignore[arg-type]


# --- the parts -----------------------------------------------------------------------------------


def test_the_coded_order_goes_by_block_then_channel() -> None:
    blocks = Blocks.of_splits(128, np.array([0, 1]))
    values = np.arange(512.0).reshape(256, 2)
    coded = in_coded_order(values, blocks)
    assert coded[:3].tolist() == [0.0, 2.0, 4.0]
    assert coded[128:130].tolist() == [1.0, 3.0]
    assert coded[256 + 64] == values[128, 1]
    assert np.array_equal(from_coded_order(coded, blocks, 2), values)


def test_steps_are_128_to_an_octave() -> None:
    model = CosineModel(512, 4, 10, 0, (0, 0))
    assert model.step == 4.0
    assert CosineModel.index_of(4.0 * 2.0**-0.5) == 64
    assert CosineModel.index_of(1e9) == 0
    model, symbols = CosineModel(512, 4, 10, 128, (51, 26)), np.zeros(512, np.int32)
    symbols[:3] = 0, 1, -2
    values = model.coefficients(Segment(np.zeros(1, np.uint8), (), symbols), sound(10).spec)[:3, 0]
    assert values.tolist() == [0.0, 2.0 * (1 - 51 / 512), -2.0 * (2 - 26 / 512)]


def test_silence_is_where_zero_lies() -> None:
    whole = sound(10).spec
    assert whole.from_unit(np.full((1, 1), silence_of(whole), np.float32)).item() == 0
    assert math.isclose(silence_of(whole), 32768 / 65535)


def test_numbers_are_rounded_down_where_all_around_is_small() -> None:
    blocks = Blocks.of_splits(256, np.zeros(3, np.uint8))
    quiet, loud = np.zeros((768, 1)), np.full((768, 1), 5.0)
    for values in (quiet, loud):
        values[300] = 0.8
        values[400] = -1.6
    assert rounded(quiet, blocks)[[300, 400], 0].tolist() == [0, -1]
    assert rounded(loud, blocks)[[300, 400, 500], 0].tolist() == [1, -2, 5]
    assert not rounded(np.full((768, 1), 0.49), blocks).any()


def test_rounding_saves_bits_at_equal_errors() -> None:
    rng = np.random.default_rng(0)
    blocks = Blocks.of_splits(256, np.zeros(40, np.uint8))
    shape = CoefficientShape(40, 256, 1, 0)
    fall = np.tile(3.0 * np.exp(-np.arange(256) / 30.0), 40)[:, None]
    exact = rng.laplace(0.0, 1.0, (40 * 256, 1)) * fall

    def costs(step: float, values: Any) -> tuple[float, float]:
        bits = coefficient_bits(np.zeros(40, np.uint8), in_coded_order(values, blocks), shape)
        return bits, float(np.square(exact - step * values).sum())

    bits, errors = costs(1.0, rounded(exact, blocks))
    plain = [costs(step, np.rint(exact / step).astype(np.int32)) for step in (1.0, 1.2, 1.4, 1.7)]
    at_equal_errors = np.interp(errors, [e for _, e in plain], [b for b, _ in plain])
    assert bits < 0.97 * at_equal_errors


def test_places_in_a_long_sound_are_exact() -> None:
    n = 1 << 22
    samples = np.zeros((n, 1), np.int16)
    samples[-4096:, 0] = np.random.default_rng(3).integers(-9000, 9000, 4096)
    reader = Reader(encoded(Signal.audio(samples, RATE), "snr", 30.0).data)
    places = np.array([n - 4000, n - 3999, n - 1000, n - 1])
    values = reader.sample((places[:, None] + 0.5) / n)
    np.testing.assert_allclose(values, reader[n - 4096 :][places - n + 4096], atol=0.6)
