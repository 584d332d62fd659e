"""Arrays through the pipeline: what is exact, what a part shows, how it is measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

import inrcodec
from inrcodec import codec, metrics
from inrcodec.container import DecodeLimits
from inrcodec.errors import ConfigError, LimitError
from inrcodec.representations.base import Window
from inrcodec.signal import Labels, Metadata, Signal

pytest.importorskip("torch")
SMALL = {"model": "siren", "iterations": 20, "options": {"width": 8, "depth": 1}}


def wavy(*grid: int) -> np.ndarray:
    """Smooth doubles of any grid."""
    axes = np.meshgrid(*(np.linspace(0, 1, n) for n in grid), indexing="ij")
    return np.sin(4 * sum(axes)) * 300 + 20


def gappy() -> Signal:
    """An array with gaps and with labels."""
    samples = wavy(9, 12)
    samples[2:5, 3:7] = np.nan
    samples[8, 11] = np.nan
    metadata = Metadata(labels=Labels("t", "K", ("y", "x")))
    return Signal.array(samples, metadata=metadata)


@pytest.fixture(scope="module")
def stream() -> bytes:
    return inrcodec.encode(gappy(), **SMALL)


def test_mask_labels_and_range_come_back_exactly(stream: bytes) -> None:
    signal, decoded = gappy(), inrcodec.decode(stream)
    assert decoded.spec == signal.spec
    assert decoded.metadata == signal.metadata
    np.testing.assert_array_equal(decoded.mask, signal.mask)
    np.testing.assert_array_equal(np.isnan(decoded.samples), signal.mask)


def test_parts_and_other_sizes_have_the_mask_too(stream: bytes) -> None:
    reader, decoded = inrcodec.open(stream), inrcodec.decode(stream)
    np.testing.assert_array_equal(reader.mask, decoded.mask)
    for key in (np.s_[1:4, ::-2], np.s_[3, 4], np.s_[-1], np.s_[5:7]):
        np.testing.assert_allclose(reader[key], decoded.samples[key], atol=1e-3)
    unpacked = codec.unpack(stream)
    doubled = codec.mask_at(unpacked[0], (Window(18, 2, 10), Window.whole(24)))
    wide = np.repeat(np.repeat(gappy().mask, 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(doubled, wide[2:12])
    assert codec.mask_at(unpacked[0], (Window(9, 6, 1), Window.whole(12))) is None
    assert np.isnan(reader.read(scale=2.0).samples[wide]).all()


def test_single_points_are_doubles_and_nan_in_gaps(stream: bytes) -> None:
    reader, decoded = inrcodec.open(stream), inrcodec.decode(stream)
    values = reader.sample([[3.5 / 9, 4.5 / 12], [0.5 / 9, 0.5 / 12], [1.0, 1.0], [0.0, 0.0]])
    assert values.dtype == np.float64
    assert np.isnan(values[:, 0]).tolist() == [True, False, True, False]
    assert values[1, 0] == pytest.approx(decoded.samples[0, 0, 0], abs=1e-3)


def test_limits_hold_for_masked_arrays(stream: bytes) -> None:
    with pytest.raises(LimitError):
        inrcodec.decode(stream, limits=DecodeLimits(max_samples=100))


@pytest.mark.parametrize(
    "samples",
    [
        wavy(30).astype(np.int8),
        (wavy(5, 6) * 1e16).astype(np.int64),
        (wavy(5, 6) + 400).astype(np.uint64),
        wavy(2, 3, 4, 3).astype(np.float16),
        wavy(4, 5, 3),
        np.full((3, 4), 2.5),
        np.full((3, 4), 7, np.uint32),
    ],
    ids=lambda samples: f"{samples.dtype}-{samples.ndim}",
)
def test_arrays_come_back_in_their_type_and_range(samples: np.ndarray) -> None:
    for channels_last in {False, samples.ndim in (2, 3)}:
        signal = Signal.array(samples, channels_last=channels_last)
        decoded = inrcodec.decode(inrcodec.encode(signal, **SMALL))
        assert decoded.samples.dtype == samples.dtype
        assert decoded.spec == signal.spec
        assert samples.min() <= decoded.samples.min() <= decoded.samples.max() <= samples.max()


@pytest.mark.parametrize("target", [{"psnr": 25}, {"snr": 12}, {"bpp": 4}, {"lam": 1e-4}])
def test_targets_take_arrays_of_any_scale(target: dict[str, float]) -> None:
    samples = wavy(16, 16) * 1e200
    samples[3] = np.nan
    signal = Signal.array(samples)
    data = inrcodec.encode(signal, model="siren", iterations=60, **target)
    assert math.isfinite(metrics.psnr_db(signal, inrcodec.decode(data)))


# --- measures ------------------------------------------------------------------------------------


def test_measures_take_the_samples_that_are_numbers() -> None:
    true = Signal.array(np.array([1.0, np.nan, 5.0, 3.0]))
    other = Signal.array(np.array([1.0, np.nan, 4.0, 3.0]))
    assert metrics.peak_of(true) == 4.0
    assert metrics.mse(true, other) == pytest.approx(1 / 3)
    assert metrics.max_abs_error(true, other) == 1.0
    assert metrics.psnr_db(true, other) == pytest.approx(10 * math.log10(16 * 3))
    assert metrics.snr_db(true, other) == pytest.approx(10 * math.log10(35))
    assert metrics.psnr_db(true, true) == math.inf


def test_the_peak_of_integers_is_their_range() -> None:
    assert metrics.peak_of(Signal.array(np.array([-100, 100], np.int8))) == 200.0


def test_measures_of_huge_samples_do_not_overflow() -> None:
    true, other = (Signal.array(np.array([0.0, 1e200, x])) for x in (5e199, 6e199))
    assert metrics.psnr_db(true, other) == pytest.approx(10 * math.log10(300))
    assert math.isfinite(metrics.snr_db(true, other))


def test_gaps_in_other_places_are_refused() -> None:
    true = Signal.array(np.array([1.0, np.nan, 5.0]))
    for samples in ([1.0, 2.0, np.nan], [1.0, 2.0, 3.0]):
        with pytest.raises(ConfigError, match="differ in where they hold no number"):
            metrics.mse(true, Signal.array(np.array(samples)))


def test_options_of_files_are_refused_for_arrays_in_memory() -> None:
    for source in (np.zeros((4, 4), np.uint8), gappy()):
        with pytest.raises(ConfigError, match=r"Signal\.array takes an array"):
            inrcodec.encode(source, channels_last=True)
