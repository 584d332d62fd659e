"""Fourier features of coordinates."""

import numpy as np
import pytest

from inrcodec.representations.coordinate.encoding import fourier_features, n_fourier_features


def exact(coords: np.ndarray, octaves: int) -> np.ndarray:
    """The definition, in float64."""
    wide = coords.astype(np.float64)
    angles = [np.pi * 2.0**octave * wide for octave in range(octaves)]
    return np.concatenate([wide, *(f(angle) for angle in angles for f in (np.sin, np.cos))], axis=1)


@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
@pytest.mark.parametrize("octaves", [0, 1, 5, 24])
def test_features_are_the_coordinates_then_sines_and_cosines(n_dims: int, octaves: int) -> None:
    coords = np.random.default_rng(3).uniform(-1, 1, (33, n_dims)).astype(np.float32)
    features = fourier_features(coords, octaves)
    assert features.dtype == np.float32
    assert features.shape == (33, n_fourier_features(n_dims, octaves))
    np.testing.assert_allclose(features, exact(coords, octaves), atol=1e-6)


def test_no_octaves_give_the_coordinates() -> None:
    coords = np.array([[0.25, -0.5]], np.float32)
    assert np.array_equal(fourier_features(coords, 0), coords)


def test_whole_turns_are_exact_at_every_octave() -> None:
    ends = np.array([[-1.0], [0.0], [1.0]], np.float32)
    features = fourier_features(ends, 24)
    assert np.abs(features[:, 3::2]).max() < 1e-6  # sines of multiples of pi
    assert np.array_equal(features[:, 4::2], np.ones((3, 23), np.float32))


def test_torch_gives_the_same_features() -> None:
    torch = pytest.importorskip("torch")
    coords = np.random.default_rng(4).uniform(-1, 1, (50, 2)).astype(np.float32)
    theirs = fourier_features(torch.from_numpy(coords), 9).numpy()
    np.testing.assert_allclose(theirs, fourier_features(coords, 9), atol=1e-6)
