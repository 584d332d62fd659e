"""Log spectral distances of sounds, and SNR in a band."""

from __future__ import annotations

import numpy as np
import pytest

from inrcodec.errors import ConfigError
from inrcodec.metrics import band_snr_db, log_spectral_distance_db, snr_db
from inrcodec.signal import Signal

RATE = 8000


def noise(seed: int, *, n: int = 4 * RATE, channels: int = 1, scale: float = 0.1) -> Signal:
    samples = scale * np.random.default_rng(seed).standard_normal((n, channels))
    return Signal.audio(samples.astype(np.float32), RATE)


def test_a_sound_is_not_away_from_itself() -> None:
    assert log_spectral_distance_db(noise(1), noise(1)) == 0.0


def test_a_gain_is_a_distance() -> None:
    assert log_spectral_distance_db(noise(1), noise(1, scale=0.2)) == pytest.approx(6.02, abs=0.02)
    both = noise(2, channels=2)
    one = Signal.audio(both.samples * np.array([1.0, 2.0], np.float32), RATE)
    assert log_spectral_distance_db(both, one) == pytest.approx(3.01, abs=0.02)


def test_like_noise_is_nearer_than_silence() -> None:
    other = log_spectral_distance_db(noise(1), noise(2))
    assert 6.0 < other < 9.0
    nothing = Signal.audio(np.zeros((4 * RATE, 1), np.float32), RATE)
    assert log_spectral_distance_db(noise(1), nothing) > 5.0 * other
    assert log_spectral_distance_db(nothing, nothing) == 0.0


def test_a_sine_of_full_scale_has_0_db() -> None:
    sine = np.sin(np.pi / 4 * np.arange(RATE))[:, None]
    loud = Signal.audio(np.rint(32767.5 * sine).clip(-32768, 32767).astype(np.int16), RATE)
    quiet = Signal.audio(np.zeros((RATE, 1), np.int16), RATE)
    # Three of 129 frequencies under a Hann window: 0 dB and two of -6 dB above -90.
    expected = np.sqrt((90.0**2 + 2 * 84.0**2) / 129)
    assert log_spectral_distance_db(loud, quiet) == pytest.approx(expected, abs=0.3)


def test_one_loud_sample_changes_one_frame_or_two() -> None:
    signal = noise(1)
    samples = signal.samples.copy()
    samples[RATE] = 20.0
    distance = log_spectral_distance_db(signal, Signal.audio(samples, RATE))
    assert distance == pytest.approx(4 / 497 * 30.0, rel=0.5)


def test_what_is_short_is_one_frame() -> None:
    assert log_spectral_distance_db(noise(1, n=1), noise(1, n=1)) == 0.0
    assert log_spectral_distance_db(noise(1, n=100), noise(2, n=100)) > 1.0


def test_what_is_not_alike_is_refused() -> None:
    with pytest.raises(ConfigError):
        log_spectral_distance_db(noise(1), noise(1, n=RATE))
    with pytest.raises(ConfigError, match="F32 and S16 are not alike"):
        log_spectral_distance_db(noise(1), Signal.audio(np.zeros((4 * RATE, 1), np.int16), RATE))
    image = Signal.image(np.zeros((4, 4), np.uint8))
    with pytest.raises(ConfigError, match="image has no spectrum"):
        log_spectral_distance_db(image, image)


def test_errors_below_and_above_the_band_do_not_count() -> None:
    times = np.arange(2 * RATE)[:, None] / RATE
    tone = 0.5 * np.sin(2 * np.pi * 1000 * times)

    def snr_with(hertz: float) -> float:
        other = tone + 0.05 * np.sin(2 * np.pi * hertz * times)
        return band_snr_db(*(Signal.audio(x.astype(np.float32), RATE) for x in (tone, other)))

    assert snr_with(20.0) > 100.0
    assert snr_with(3700.0) > 100.0
    assert snr_with(60.0) == pytest.approx(20.0, abs=0.01)
    assert snr_with(3400.0) == pytest.approx(20.0, abs=0.01)


def test_the_snr_in_the_band_is_about_the_snr_of_what_is_in_it() -> None:
    signal = noise(1, channels=2)
    other = Signal.audio(signal.samples + noise(2, channels=2, scale=0.01).samples, RATE)
    assert band_snr_db(signal, other) == pytest.approx(snr_db(signal, other), abs=0.1)
    assert band_snr_db(signal, signal) == np.inf
