"""Sounds that are tuned for hearing: steps that follow the sound, noise in place of zeros."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import inrcodec
from inrcodec import kernels, media, metrics
from inrcodec.errors import CorruptError
from inrcodec.fields import ByteReader, ByteWriter
from inrcodec.reader import Reader
from inrcodec.representations.cosine.context import CoefficientShape, encode_coefficients
from inrcodec.representations.cosine.hearing import (
    HEARING,
    Cells,
    Hearing,
    Shades,
    gains_of,
    levels_of,
)
from inrcodec.representations.cosine.transform import Blocks
from inrcodec.signal import Signal

SPEECH = Path("data/samples/speech-male.wav")
RATE = 16000
SPLITS = np.array([0, 2, 4, 1], np.uint8)
N_GROUPS = 1 + 4 + 4 + 2


def noise(seconds: float, *, channels: int = 1, rate: int = RATE) -> Signal:
    rng = np.random.default_rng(1)
    n = int(seconds * rate)
    loudness = 300.0 * np.exp2(2.0 * np.sin(np.arange(n) * 40.0 / rate))[:, None]
    samples = np.rint(loudness * rng.standard_normal((n, channels)))
    return Signal.audio(samples.astype(np.int16), rate)


def tuned(signal: Signal, kbps: float, tune: Any = "perceptual", **options: Any) -> bytes:
    return inrcodec.encode(signal, model="cosine", kbps=kbps, tune=tune, options=options)


def band_powers(signal: Signal) -> NDArray[np.float64]:
    """Of frames of 64 ms and 16 bands of 500 Hz, in dB."""
    samples = signal.samples[:, 0].astype(np.float64)
    frames = samples[: len(samples) // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024)
    powers = np.square(np.abs(np.fft.rfft(frames)))[:, :512].reshape(-1, 16, 32).mean(axis=2)
    levels: NDArray[np.float64] = 10.0 * np.log10(powers + 1.0)
    return levels


def shades(seed: int = 1, channels: int = 2) -> Shades:
    rng = np.random.default_rng(seed)
    gains = rng.integers(-64, 64, len(SPLITS))
    return Shades(gains, rng.integers(0, 9, (N_GROUPS, channels, 18)))


# --- what is heard -------------------------------------------------------------------------------


def test_the_power_of_what_is_rounded_to_0_is_kept() -> None:
    signal = noise(3.0)
    errors = {}
    for tune in ("mse", "perceptual"):
        decoded = inrcodec.decode(tuned(signal, 3.0, tune))
        errors[tune] = np.abs(band_powers(decoded) - band_powers(signal))
    assert np.quantile(errors["mse"], 0.75) > 40.0
    assert np.quantile(errors["perceptual"], 0.75) < 7.0


def test_speech_is_nearer_to_what_it_was_by_the_measure_of_ears() -> None:
    speech = media.read(SPEECH)
    scores = {}
    for tune in ("mse", "perceptual"):
        decoded = inrcodec.decode(tuned(speech, 8.0, tune))
        scores[tune] = metrics.pesq_wb(speech, decoded)
    assert scores["perceptual"] > 3.2
    assert scores["perceptual"] > scores["mse"] + 1.0


def test_an_error_may_be_held() -> None:
    signal = noise(1.0)
    data = inrcodec.encode(signal, model="cosine", snr=12.0, tune="perceptual")
    assert metrics.snr_db(signal, inrcodec.decode(data)) == pytest.approx(12.0, abs=0.15)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros((5000, 2), np.int16), 44100),
        (np.array([[100]], np.int16), 8000),
        (np.full((999, 1), 30000, np.int16), 192000),
        (np.zeros((777, 8), np.float32), 8000),
        (noise(0.3, channels=3, rate=11025).samples, 11025),
        (np.where(np.arange(4000) % 1000 < 3, 32767, 0).astype(np.int16)[:, None], 48000),
        (np.arange(300, dtype=np.uint8)[:, None], 1),
    ],
    ids=["silence", "one sample", "DC", "8 channels", "3 channels", "clicks", "1 Hz"],
)
def test_any_sound(samples: NDArray[Any], rate: int) -> None:
    signal = Signal.audio(samples, rate)
    decoded = inrcodec.decode(inrcodec.encode(signal, tune="perceptual"))
    assert decoded.spec == signal.spec
    if not samples.any():
        assert not decoded.samples.any()


def test_silence_beside_sound_stays_silent() -> None:
    samples = noise(4.0).samples.copy()
    samples[RATE : 3 * RATE] = 0
    decoded = inrcodec.decode(tuned(Signal.audio(samples, RATE), 12.0))
    assert not decoded.samples[RATE + 2048 : 3 * RATE - 2048].any()


def test_parts_are_as_in_the_whole() -> None:
    signal = noise(2.0, channels=2)
    data = tuned(signal, 24.0, segment_seconds=0.5)
    whole = inrcodec.decode(data).samples
    reader = Reader(data)
    for first, stop in ((0, 100), (7000, 9001), (31000, 32000)):
        np.testing.assert_array_equal(reader[first:stop], whole[first:stop])


def test_native_code_and_the_reference_write_the_same(native: None) -> None:
    signal, files = noise(0.4, channels=2), []
    for backend in ("native", "torch"):
        kernels.set_backend(backend)  # type: ignore[arg-type]
        files.append(tuned(signal, 16.0))
    assert files[0] == files[1]


# --- steps ---------------------------------------------------------------------------------------


def test_steps_follow_gain_and_frequency() -> None:
    blocks = Blocks.of_splits(1024, np.array([0, 1]))
    steps = Hearing(64, 32).steps(blocks, np.array([0, 8]), RATE)
    hertz = (np.arange(1024) + 0.5) * RATE / 2048
    np.testing.assert_allclose(steps[:1024], np.sqrt(hertz.clip(100, 4000) / 1000))
    np.testing.assert_allclose(steps[1024:1536], 4.0 * np.sqrt(steps[:1024:2] * steps[1:1024:2]),
                               rtol=0.02)  # fmt: skip
    np.testing.assert_array_equal(Hearing(64, 0).steps(blocks, np.array([0, -4]), RATE)[1024:], 0.5)


def test_powers() -> None:
    sizes = np.array([-16.0, -1.0, 0.0, 0.2, 1.0, 81.0])
    raised = Hearing(32, 0).raised(sizes)
    np.testing.assert_allclose(raised, [-4.0, -1.0, 0.0, np.sqrt(0.2), 1.0, 9.0])
    np.testing.assert_allclose(Hearing(48, 0).lowered(HEARING.raised(sizes[2:])), sizes[2:])


def test_gains_rise_with_the_power_of_frames() -> None:
    sizes = np.repeat([2.0**-7, 2.0**-2, 0.0], 256)[:, None] * np.ones((1, 2))
    assert gains_of(sizes, 256).tolist() == [0, 8, -13]


def test_levels_are_of_what_is_0() -> None:
    cells = Cells.of(256, np.array([0, 2], np.uint8), RATE)
    assert cells.groups.tolist() == [0] * 256 + [1] * 64 + [2] * 64 + [3] * 64 + [4] * 64
    assert np.bincount(cells.bands[:256]).tolist()[:3] == [6, 7, 6]  # of 31.25 Hz
    sizes, whole = np.full((512, 1), 0.3125), np.zeros((512, 1), np.int32)
    assert set(levels_of(sizes, whole, cells)[:, 0, :15].ravel()) == {6}
    whole[:3], sizes[:3] = 1, 5.0
    assert levels_of(sizes, whole, cells)[0, 0, :2].tolist() == [5, 6]  # 5 among others
    whole[256:320] = 1
    levels = levels_of(sizes, whole, cells)
    assert levels[1].tolist() == levels[0].tolist()  # as before where nothing is 0
    assert levels_of(sizes / 2048, np.zeros_like(whole), cells).max() == 0
    assert levels_of(sizes, np.ones_like(whole), cells).max() == 0


# --- bytes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_shades_come_back(channels: int) -> None:
    wanted = shades(channels=channels)
    data = wanted.to_bytes(SPLITS)
    assert 0 <= 8 * len(data) - wanted.bits(SPLITS) <= 64
    got = Shades.from_bytes(data, SPLITS, channels)
    np.testing.assert_array_equal(got.gains, wanted.gains)
    np.testing.assert_array_equal(got.levels, wanted.levels)


@pytest.mark.parametrize(
    ("group", "place", "value"),
    [
        (0, 0, 9),  # a level
        (1, 18, 128),  # gains, added up
        (0, 18, 129),
        (2, 18, 1),  # in a group that is not the first of its frame
        (0, 19, 1),
        (11, 0, 1),  # after the last group
    ],
)
def test_shades_that_none_writes(group: int, place: int, value: int) -> None:
    rows = np.zeros((12, 1, 32), np.int32)
    shape = CoefficientShape(3, 128, 1, 2, has_signs=False)
    twos = np.full(3, 2, np.uint8)
    Shades.from_bytes(encode_coefficients(twos, rows.ravel(), shape), SPLITS, 1)
    rows[group, 0, place] = value
    with pytest.raises(CorruptError):
        Shades.from_bytes(encode_coefficients(twos, rows.ravel(), shape), SPLITS, 1)


def test_rows_that_are_not_cut_in_four_are_refused() -> None:
    shape = CoefficientShape(3, 128, 1, 2, has_signs=False)
    data = encode_coefficients(np.array([2, 1, 2], np.uint8), np.zeros(384, np.int32), shape)
    with pytest.raises(CorruptError):
        Shades.from_bytes(data, SPLITS, 1)


def test_hearing_comes_back() -> None:
    for hearing in (HEARING, Hearing(16, 0), Hearing(64, 64)):
        writer = ByteWriter()
        hearing.write(writer)
        assert Hearing.read(ByteReader(writer.to_bytes(), name="MODEL")) == hearing
    for odd in (b"\0\0", b"\x0f\0", b"\x41\0", b"\x40\x41"):
        with pytest.raises(CorruptError, match="of hearing is not in"):
            Hearing.read(ByteReader(odd, name="MODEL"))
