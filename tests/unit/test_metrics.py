"""Metrics against closed forms, and against figures computed once with scipy."""

import math

import numpy as np
import pytest

from inrcodec import metrics
from inrcodec.errors import ConfigError
from inrcodec.signal import SampleFormat, Signal

TONE = np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000).astype(np.float32)


def waves(height: int, width: int) -> np.ndarray:
    """A smooth grey image that any implementation can rebuild."""
    y, x = np.mgrid[:height, :width]
    values = 127.5 + 80 * np.sin(x / 7) * np.cos(y / 11) + 40 * np.sin((x * y) / 900)
    return np.rint(values).clip(0, 255).astype(np.uint8)


def with_pattern(image: np.ndarray) -> np.ndarray:
    """The image with differences of up to 8, the same on every machine."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return (image.astype(int) + (x * 7 + y * 13) % 17 - 8).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("dtype", "difference", "expected_db"),
    [
        (np.uint8, 1, 20 * math.log10(255)),
        (np.uint8, 5, 20 * math.log10(255 / 5)),
        (np.uint16, 256, 20 * math.log10(65535 / 256)),
    ],
)
def test_psnr_of_a_constant_difference_is_the_closed_form(dtype, difference, expected_db):
    image = np.full((7, 5, 3), 100, dtype)
    reference, decoded = Signal.image(image), Signal.image(image + dtype(difference))
    assert metrics.psnr_db(reference, decoded) == pytest.approx(expected_db, abs=1e-9)


def test_a_difference_of_unsigned_samples_does_not_wrap_around():
    low, high = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert metrics.mse(low, high) == metrics.mse(high, low) == 255**2


def test_equal_signals_have_infinite_ratios_and_full_similarity():
    image = Signal.image(waves(170, 170))
    assert metrics.psnr_db(image, image) == math.inf
    assert metrics.ssim(image, image) == pytest.approx(1)
    assert metrics.ms_ssim(image, image) == pytest.approx(1)
    sound = Signal.audio(TONE, 48000)
    assert metrics.snr_db(sound, sound) == math.inf
    assert metrics.si_sdr_db(sound, sound) == math.inf


def test_the_peak_of_a_float_image_is_the_span_of_the_reference():
    reference = Signal.image(np.linspace(-3, 5, 64, dtype=np.float32).reshape(8, 8))
    decoded = Signal.image(reference.samples + np.float32(0.5))
    assert metrics.peak_of(reference) == 8
    assert metrics.psnr_db(reference, decoded) == pytest.approx(20 * math.log10(16), abs=1e-5)


@pytest.mark.parametrize(
    ("sound", "peak"),
    [
        (Signal.audio(np.zeros(4, np.int16), 8000), 65536),
        (Signal.audio(np.zeros(4, np.int32), 8000, sample_format=SampleFormat.S24), 1 << 24),
        (Signal.audio(np.zeros(4, np.float32), 8000), 2),
    ],
)
def test_the_peak_of_a_sound_spans_minus_one_to_one(sound, peak):
    assert metrics.peak_of(sound) == peak


def test_plain_samples_need_a_peak():
    with pytest.raises(ConfigError, match="explicit peak"):
        metrics.psnr_db(np.zeros(3), np.ones(3))


def test_samples_of_different_shapes_are_refused():
    with pytest.raises(ConfigError, match=r"\(3, 4\) and \(4, 3\)"):
        metrics.mse(np.zeros((3, 4)), np.zeros((4, 3)))


def test_snr_of_a_scaled_sound_is_the_closed_form():
    assert metrics.snr_db(TONE, TONE * np.float32(0.9)) == pytest.approx(20, abs=1e-4)


def test_snr_of_a_silent_reference_is_minus_infinity():
    assert metrics.snr_db(np.zeros(9), np.ones(9)) == -math.inf


def test_8_bit_sound_is_measured_about_its_silence_of_128():
    tone = np.rint(100 * np.sin(np.arange(800) * 2 * np.pi / 80)).astype(int)
    noise = np.arange(800) % 3 - 1
    narrow = [Signal.audio((x + 128).astype(np.uint8), 8000) for x in (tone, tone + noise)]
    wide = [Signal.audio(x.astype(np.int16), 8000) for x in (tone, tone + noise)]
    assert metrics.signal_power(narrow[0]) == metrics.signal_power(wide[0])
    assert metrics.snr_db(*narrow) == metrics.snr_db(*wide)
    assert metrics.si_sdr_db(*narrow) == pytest.approx(metrics.si_sdr_db(*wide), abs=1e-9)


def test_the_power_of_a_signal_is_its_mean_square_with_any_offset():
    assert metrics.signal_power(np.array([3.0, -3.0, 4.0, -4.0])) == 12.5
    assert metrics.signal_power(Signal.audio(np.full(9, 5, np.int16), 8000)) == 25
    assert metrics.signal_power(Signal.image(np.full((3, 3), 5, np.uint8))) == 25
    assert metrics.signal_power(Signal.audio(np.full(9, 32768, np.uint16), 8000)) == 0


def test_si_sdr_forgives_a_gain_and_counts_what_is_orthogonal():
    n = np.arange(4800)
    tone, other = np.sin(2 * np.pi * n / 48), np.cos(2 * np.pi * n / 48)
    decoded = 0.3 * (tone + 0.1 * other)
    assert metrics.si_sdr_db(tone, decoded) == pytest.approx(20, abs=1e-9)
    assert metrics.snr_db(tone, decoded) < 4


def test_si_sdr_is_a_mean_over_the_channels_that_have_sound():
    n = np.arange(4800)
    tone, other = np.sin(2 * np.pi * n / 48), np.cos(2 * np.pi * n / 48)
    silence = np.zeros_like(tone)
    reference = np.stack([tone, tone, silence], axis=1)
    decoded = np.stack([tone + 0.1 * other, tone + 0.01 * other, silence], axis=1)
    assert metrics.si_sdr_db(reference, decoded) == pytest.approx((20 + 40) / 2, abs=1e-9)


def test_si_sdr_of_silence_is_not_a_number():
    assert math.isnan(metrics.si_sdr_db(np.zeros(9), np.ones(9)))


def test_ssim_of_flat_images_is_the_luminance_term():
    a, b = 100.0, 120.0
    c1 = (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    flat = np.full((20, 30), 100, np.uint8)
    assert metrics.ssim(flat, flat + np.uint8(20), peak=255) == pytest.approx(expected, abs=1e-9)


def test_similarity_without_a_peak_is_full_for_equal_images_and_else_unknown():
    flat = Signal.image(np.full((170, 170), 0.5, np.float32))
    other = Signal.image(flat.samples + np.float32(0.25))
    assert metrics.peak_of(flat) == 0
    assert metrics.ms_ssim(flat, flat) == metrics.ssim(flat, flat) == 1
    assert metrics.ms_ssim(flat, other) is None
    assert math.isnan(metrics.ssim(flat, other))


def test_similarities_match_scipys_convolution_over_an_odd_size():
    image = waves(177, 203)
    noisy = with_pattern(image)
    assert (int(image.sum()), int(noisy.sum())) == (4730520, 4730522)
    assert metrics.ssim(image, noisy, peak=255) == pytest.approx(0.9131628850236558, abs=1e-12)
    assert metrics.ms_ssim(image, noisy, peak=255) == pytest.approx(0.9951417257100362, abs=1e-12)


def test_similarity_of_channels_is_their_mean():
    image = waves(170, 170)
    noisy = with_pattern(image)
    pair = np.stack([image, image], axis=2), np.stack([noisy, image], axis=2)
    alone = metrics.ms_ssim(image, noisy, peak=255)
    assert metrics.ms_ssim(*pair, peak=255) == pytest.approx((alone + 1) / 2, abs=1e-12)


def test_ms_ssim_needs_161_pixels_on_every_side():
    assert metrics.ms_ssim(waves(160, 400), waves(160, 400), peak=255) is None
    assert metrics.ms_ssim(waves(161, 400), waves(161, 400), peak=255) == pytest.approx(1)


def test_ssim_of_a_tiny_image_is_refused():
    with pytest.raises(ConfigError, match="10 pixels"):
        metrics.ssim(waves(10, 50), waves(10, 50), peak=255)


def test_rates_are_bits_per_pixel_and_kilobits_per_second():
    image = Signal.image(np.zeros((10, 20, 3), np.uint8))
    assert metrics.bpp(50, image.spec) == 2.0
    assert metrics.kbps(1000, 2.0) == 4.0


ANCHOR = [(0.2, 27.0), (0.5, 30.5), (1.0, 33.9), (2.0, 37.2)]


def test_half_the_rate_everywhere_is_a_bd_rate_of_minus_50_percent():
    halved = [(rate / 2, quality) for rate, quality in ANCHOR]
    result = metrics.bd_rate(ANCHOR, halved)
    assert result.percent == pytest.approx(-50, abs=1e-9)
    assert (result.low_db, result.high_db, result.overlap) == (27.0, 37.2, 1.0)


def test_bd_rate_matches_scipys_pchip_and_states_the_overlap():
    test = [(0.9, 34.4), (0.15, 26.1), (1.6, 36.8), (0.4, 30.4)]
    result = metrics.bd_rate(ANCHOR, test)
    assert result.percent == pytest.approx(-16.6278213343811, abs=1e-9)
    assert (result.low_db, result.high_db) == (27.0, 36.8)
    assert result.overlap == pytest.approx(9.8 / 11.1)


def test_bd_rate_of_straight_lines_is_the_ratio_of_rates():
    result = metrics.bd_rate([(1, 30), (2, 40)], [(3, 32), (6, 42)])
    shift = 2 ** (-2 / 10) * 3  # the test needs 3 / 2^0.2 times the anchor's rate at any quality
    assert result.percent == pytest.approx(100 * (shift - 1))


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ([(1, 40), (2, 41)], "do not overlap"),
        ([(1, 30)], "1 points"),
        ([(1, 30), (2, 29)], "does not rise"),
        ([(1, 30), (1, 31)], "does not rise"),
        ([(0, 30), (1, 31)], "not finite and positive"),
        ([(1, 30), (2, math.inf)], "not finite and positive"),
    ],
)
def test_curves_that_cannot_be_compared_are_refused(test, message):
    with pytest.raises(ConfigError, match=message):
        metrics.bd_rate(ANCHOR, test)
