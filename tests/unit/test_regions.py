"""Regions of interest: masks, what they make errors count, and what a fit does with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import inrcodec
from inrcodec import media, metrics
from inrcodec.api import read_roi
from inrcodec.errors import ConfigError, SignalError
from inrcodec.request import EncodeRequest
from inrcodec.signal import Signal

pytest.importorskip("torch")

HEIGHT, WIDTH = 48, 96
SAMPLES = Path(__file__).parents[2] / "data" / "samples"


@pytest.fixture(scope="module")
def picture() -> Signal:
    """A part of the photograph with detail."""
    return Signal.image(media.read(SAMPLES / "kodim23.png").samples[192:240, 416:512])


@pytest.fixture(scope="module")
def left() -> np.ndarray:
    """White in the left half, black in the right one."""
    return np.repeat([[1, 0]], WIDTH // 2, axis=1).repeat(HEIGHT, axis=0).astype(np.uint8) * 255


# --- masks ---------------------------------------------------------------------------------------


def test_white_is_one_and_black_is_nothing_in_every_kind_of_mask(left: np.ndarray, tmp_path: Path):
    media.write(Signal.image(left), tmp_path / "mask.png")
    alpha = np.full_like(left, 9)
    sources = {
        "a path": tmp_path / "mask.png",
        "bytes": (tmp_path / "mask.png").read_bytes(),
        "8 bits": left,
        "16 bits": left.astype(np.uint16) * 257,
        "truth values": left > 0,
        "floats": left / 255.0,
        "a signal": Signal.image(left),
        "grey and alpha": np.stack([left, alpha], axis=2),
        "RGB": np.stack([left] * 3, axis=2),
        "RGB and alpha": np.stack([left, left, left, alpha], axis=2),
    }
    for name, source in sources.items():
        mask = read_roi(source)
        assert mask.dtype == np.float32, name
        np.testing.assert_array_equal(mask, left / 255, err_msg=name)


def test_colours_of_a_mask_are_averaged() -> None:
    blue = np.zeros((2, 3, 3), np.uint8)
    blue[..., 2] = 255
    np.testing.assert_allclose(read_roi(blue), 1 / 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.full((3, 4), 2.0), "roi from 2 to 2 is not in"),
        (Signal.audio(np.zeros(9, np.int16), 8000), "roi is an image, not audio"),
        (SAMPLES / "speech-male.wav", "roi is an image, not audio"),
        (SAMPLES / "bunny.mp4", "roi is an image, not a film"),
        ("missing.png", "cannot read missing.png"),
    ],
)
def test_what_is_no_mask_is_refused(source, message: str) -> None:
    with pytest.raises(SignalError, match=message):
        read_roi(source)


# --- weights -------------------------------------------------------------------------------------


def test_errors_in_black_count_a_16th_and_the_mean_is_1(picture: Signal, left: np.ndarray) -> None:
    weights = EncodeRequest(roi=read_roi(left)).weights(picture.spec)
    assert weights is not None
    assert weights.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(weights[:, 0] / weights[:, -1], 16.0, rtol=1e-5)


def test_a_black_mask_is_as_good_as_none(picture: Signal) -> None:
    black = np.zeros((HEIGHT, WIDTH), np.uint8)
    np.testing.assert_array_equal(EncodeRequest(roi=read_roi(black)).weights(picture.spec), 1.0)
    assert EncodeRequest().weights(picture.spec) is None
    streams = [inrcodec.encode(picture, iterations=3, roi=roi) for roi in (black, None)]
    assert streams[0] == streams[1]


def test_a_mask_of_another_size_is_refused(picture: Signal, left: np.ndarray) -> None:
    with pytest.raises(SignalError, match="roi of 48 x 96 pixels for an image of 96 x 48"):
        inrcodec.encode(picture, iterations=3, roi=left.T)


def test_models_that_cannot_weigh_regions_refuse_to(picture: Signal, left: np.ndarray) -> None:
    sound = Signal.audio(np.zeros(99, np.int16), 8000)
    for signal, model in ((picture, "hashgrid"), (picture, "siren"), (sound, "auto")):
        with pytest.raises(ConfigError, match="roi is for latentgrid, not for "):
            inrcodec.encode(signal, model=model, iterations=3, roi=left)


# --- fits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"tile": 64}])
def test_a_fit_spends_its_bits_where_the_mask_is_white(
    picture: Signal, left: np.ndarray, options: dict[str, object]
) -> None:
    options = {"macs": 500, **options}
    masks = {"left": left, "right": 255 - left}
    errors = {}
    for name, roi in masks.items():
        data = inrcodec.encode(picture, lam=2e-3, iterations=150, roi=roi, options=options)
        squares = np.square(inrcodec.decode(data).samples - picture.samples.astype(float))
        errors[name] = squares[:, : WIDTH // 2].mean(), squares[:, WIDTH // 2 :].mean()
    assert errors["left"][0] < 0.8 * errors["right"][0]
    assert errors["right"][1] < 0.8 * errors["left"][1]


def test_a_psnr_is_that_of_the_whole_picture_with_all_errors_equal(
    picture: Signal, left: np.ndarray
) -> None:
    data = inrcodec.encode(picture, psnr=26, iterations=500, roi=left, options={"macs": 500})
    decoded = inrcodec.decode(data)
    assert metrics.psnr_db(picture, decoded) == pytest.approx(26.0, abs=1.0)
