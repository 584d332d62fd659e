"""The similarity that a fit maximises: what `metrics` measures, and its gradient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inrcodec import media, metrics

torch = pytest.importorskip("torch")

from inrcodec.kernels.torch_similarity import MultiscaleSimilarity  # noqa: E402

SAMPLES = Path(__file__).parents[2] / "data" / "samples"


def similarity(true: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of images [height, width, channels], for each channel."""
    planes = (torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in (true, other))
    first, second = planes
    return MultiscaleSimilarity(first)(second).numpy()


@pytest.mark.parametrize("size", [(161, 161), (190, 170), (203, 161)])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1, 1.0])
def test_it_is_what_is_measured(size: tuple[int, int], noise: float) -> None:
    rows, columns = size
    true = media.read(SAMPLES / "kodim23.png").samples[100 : 100 + rows, 300 : 300 + columns]
    true = (true / 255).astype(np.float32)
    random = np.random.default_rng(3).normal(size=true.shape)
    other = (true + noise * random).astype(np.float32)
    values = similarity(true, other)
    for channel in range(3):
        measured = metrics.ms_ssim(true[..., channel], other[..., channel], peak=1.0)
        assert values[channel] == pytest.approx(measured, abs=1e-4)
    assert values.mean() == pytest.approx(metrics.ms_ssim(true, other, peak=1.0), abs=1e-4)


def test_an_image_is_equal_to_itself_and_its_negative_counts_nothing() -> None:
    image = np.random.default_rng(0).random((170, 170, 2))
    np.testing.assert_allclose(similarity(image, image), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(similarity(image, 1.0 - image), 0.0)


@pytest.mark.parametrize("side", [11, 13, 20])
def test_a_small_image_is_seen_at_the_scales_that_have_a_window(side: int) -> None:
    rng = np.random.default_rng(1)
    true = rng.random((side, 30, 1))
    other = true + 0.1 * rng.normal(size=true.shape)
    measured = metrics.ssim(true, other, peak=1.0)
    assert similarity(true, other)[0] == pytest.approx(measured, abs=1e-4)


def test_weights_of_fewer_scales_are_scaled_alike() -> None:
    rng = np.random.default_rng(2)
    true = rng.random((21, 40, 1))
    other = true + 0.1 * rng.normal(size=true.shape)
    fine, coarse = (
        metrics.distortion._similarity(*pair, 1.0)
        for pair in (
            (true[..., 0], other[..., 0]),
            [metrics.distortion._halved(image[..., 0]) for image in (true, other)],
        )
    )
    first, second = 0.0448 / (0.0448 + 0.2856), 0.2856 / (0.0448 + 0.2856)
    expected = fine[1] ** first * coarse[0] ** second
    assert similarity(true, other)[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 12), (10, 10)])
def test_sides_shorter_than_a_window_are_no_error(size: tuple[int, int]) -> None:
    true = np.random.default_rng(4).random((*size, 1))
    np.testing.assert_allclose(similarity(true, true), 1.0)
    assert similarity(true, true + 0.2)[0] < 1.0


@pytest.mark.parametrize("size", [(2, 5, 7), (1, 23, 22), (1, 44, 41)])
def test_its_gradient_is_right(size: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(5)
    true = torch.rand(size, dtype=torch.float64, generator=generator)
    other = true + 0.2 * torch.rand(size, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(MultiscaleSimilarity(true), other.requires_grad_())


def test_its_gradient_is_finite_where_a_term_is_negative() -> None:
    true = torch.rand((1, 30, 30), generator=torch.Generator().manual_seed(6))
    other = (1.0 - true).requires_grad_()
    (slope,) = torch.autograd.grad(MultiscaleSimilarity(true)(other).sum(), other)
    assert torch.isfinite(slope).all()
