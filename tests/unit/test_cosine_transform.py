"""The transform of sounds: samples come back, squares stay, and it is a function of time."""

from __future__ import annotations

import numpy as np
import pytest

from inrcodec.representations.cosine.transform import Blocks, evaluate, forward, inverse

SPLITS = {
    "one": np.zeros(1, np.uint8),
    "long": np.zeros(5, np.uint8),
    "short": np.full(3, 4, np.uint8),
    "mixed": np.array([0, 4, 1, 0, 0, 2, 3, 0], np.uint8),
}


def blocks_of(name: str, frame: int = 256) -> Blocks:
    return Blocks.of_splits(frame, SPLITS[name])


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("n_missing", [0, 1, 200])
def test_samples_come_back_and_squares_stay(name: str, n_missing: int) -> None:
    blocks = blocks_of(name)
    samples = np.random.default_rng(0).standard_normal((blocks.n_samples - n_missing, 3))
    coefficients = forward(samples, blocks)
    assert coefficients.shape == (blocks.n_samples, 3)
    back = inverse(coefficients, blocks)
    np.testing.assert_allclose(back[: len(samples)], samples, rtol=0, atol=1e-12)
    np.testing.assert_allclose(back[len(samples) :], 0.0, rtol=0, atol=1e-12)
    assert np.square(coefficients).sum() == pytest.approx(np.square(samples).sum(), rel=1e-12)


def test_a_block_alone_is_a_sum_of_cosines() -> None:
    blocks, n = blocks_of("one", 128), 128
    samples = np.random.default_rng(1).standard_normal((n, 1))
    places = np.arange(n) + 0.5
    matrix = np.sqrt(2.0 / n) * np.cos(np.pi / n * places[:, None] * places)
    np.testing.assert_allclose(forward(samples, blocks), matrix @ samples, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SPLITS)
def test_the_function_of_time_goes_through_the_samples(name: str) -> None:
    blocks = blocks_of(name)
    coefficients = np.random.default_rng(2).standard_normal((blocks.n_samples, 2))
    order = np.random.default_rng(3).permutation(blocks.n_samples)
    values = evaluate(coefficients, blocks, order + 0.5)
    np.testing.assert_allclose(values, inverse(coefficients, blocks)[order], rtol=0, atol=1e-10)


def test_a_tone_is_the_same_tone_between_the_samples() -> None:
    blocks = blocks_of("long", 1024)
    times = np.arange(blocks.n_samples) + 0.5
    coefficients = forward(np.sin(0.05 * times)[:, None], blocks)
    between = np.linspace(1500.0, 3500.0, 997)
    values = evaluate(coefficients, blocks, between)[:, 0]
    np.testing.assert_allclose(values, np.sin(0.05 * between), rtol=0, atol=1e-3)


def test_a_short_block_keeps_a_click_to_itself() -> None:
    blocks = blocks_of("mixed")
    samples = np.zeros((blocks.n_samples, 1))
    samples[256 + 100] = 1.0  # in a frame of 16 blocks
    touched = np.flatnonzero(np.abs(forward(samples, blocks)[:, 0]) > 1e-12)
    assert touched.min() >= 256
    assert touched.max() < 512
    assert len(touched) <= 32


def test_runs_and_crossings_cover_all_blocks() -> None:
    blocks = blocks_of("mixed")
    assert blocks.n_samples == 8 * 256
    spans = [span for _, span in blocks.runs()]
    assert [span.start for span in spans[1:]] == [span.stop for span in spans[:-1]]
    assert (spans[0].start, spans[-1].stop) == (0, blocks.n_samples)
    centres = np.sort(np.concatenate([where for _, where in blocks.crossings()]))
    assert np.array_equal(centres, blocks.starts[1:])
