"""The reference of grid_encode against loops over points and corners, and its gradients."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from inrcodec import kernels
from inrcodec.errors import ConfigError
from inrcodec.kernels import GridGeometry, grid_encode, reference
from inrcodec.kernels.geometry import GridLevel

DENSE_AND_HASHED = [
    GridGeometry(1, 3, 1, log2_table_size=3, base_resolution=5, growth=1.5),
    GridGeometry(2, 3, 2, log2_table_size=6, base_resolution=4, growth=1.75),
    GridGeometry(3, 2, 4, log2_table_size=7, base_resolution=3, growth=2.0),
    GridGeometry(4, 2, 8, log2_table_size=8, base_resolution=2, growth=2.5),
]


def arrays(geometry: GridGeometry, n_points: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(7)
    coords = rng.random((n_points, geometry.n_dims))
    table = rng.standard_normal((geometry.n_entries, geometry.n_features))
    return coords, table


def encode_point(x: Any, table: Any, level: GridLevel) -> Any:
    """One point on one level, as the formulas in geometry.py say it."""
    positions = [level.scale * min(max(float(c), 0.0), 1.0) + 0.5 for c in x]
    cell = [math.floor(p) for p in positions]
    total = 0.0
    for corner in itertools.product((0, 1), repeat=len(cell)):
        row, weight = 0, 1.0
        for d, up in enumerate(corner):
            term = ((cell[d] + up) * level.strides[d]) % 2**32
            row = row ^ term if level.hashed else row + term
            fraction = positions[d] - cell[d]
            weight *= fraction if up else 1.0 - fraction
        total = total + weight * table[level.offset + row % level.size]
    return total


@pytest.mark.parametrize("geometry", DENSE_AND_HASHED)
def test_features_are_the_weighted_rows_of_the_corners(geometry: GridGeometry) -> None:
    coords, table = arrays(geometry, 31)
    coords[0], coords[1], coords[2] = 0.0, 1.0, 7.0
    features = reference.grid_encode(coords, table, geometry)
    expected = [
        np.concatenate([encode_point(x, table, level) for level in geometry.levels]) for x in coords
    ]
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-12)


def test_not_a_number_counts_as_zero() -> None:
    geometry = DENSE_AND_HASHED[1]
    _, table = arrays(geometry, 1)
    at_nan = reference.grid_encode(np.array([[np.nan, 0.5]]), table, geometry)
    np.testing.assert_array_equal(
        at_nan, reference.grid_encode(np.array([[0.0, 0.5]]), table, geometry)
    )


def test_a_constant_table_gives_a_constant_field() -> None:
    geometry = DENSE_AND_HASHED[2]
    coords, table = arrays(geometry, 129)
    features = reference.grid_encode(coords, np.full_like(table, 3.0), geometry)
    np.testing.assert_allclose(features, 3.0, rtol=1e-14)


def test_no_points_give_no_features() -> None:
    geometry = DENSE_AND_HASHED[0]
    coords, table = arrays(geometry, 0)
    assert reference.grid_encode(coords, table, geometry).shape == (0, geometry.n_outputs)


@pytest.mark.parametrize("geometry", DENSE_AND_HASHED)
def test_numpy_and_torch_give_the_same_features(geometry: GridGeometry) -> None:
    torch = pytest.importorskip("torch")
    coords, table = (a.astype(np.float32) for a in arrays(geometry, 33))
    in_torch = reference.grid_encode(torch.from_numpy(coords), torch.from_numpy(table), geometry)
    np.testing.assert_allclose(
        in_torch.numpy(), reference.grid_encode(coords, table, geometry), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("geometry", DENSE_AND_HASHED)
def test_gradients_are_those_of_automatic_differentiation(geometry: GridGeometry) -> None:
    torch = pytest.importorskip("torch")
    coords, table = (torch.from_numpy(a).requires_grad_() for a in arrays(geometry, 33))
    features = reference.grid_encode(coords, table, geometry)
    cotangent = torch.randn_like(features)
    features.backward(cotangent)
    plain = cotangent.numpy(), coords.detach().numpy(), table.detach().numpy()
    of_table = reference.grid_encode_table_gradient(plain[0], plain[1], geometry)
    np.testing.assert_allclose(of_table, table.grad.numpy(), rtol=0, atol=1e-12)
    of_coords = reference.grid_encode_coords_gradient(*plain, geometry)
    np.testing.assert_allclose(of_coords, coords.grad.numpy(), rtol=0, atol=1e-10)


def test_shapes_that_contradict_the_geometry_are_refused() -> None:
    geometry = DENSE_AND_HASHED[1]
    coords, table = arrays(geometry, 5)
    with pytest.raises(ConfigError, match=r"coords must have shape \[n, 2\], got \[5, 1\]"):
        grid_encode(coords[:, :1], table, geometry)
    with pytest.raises(ConfigError, match=r"coords must have shape \[n, 2\], got \[10\]"):
        grid_encode(coords.reshape(-1), table, geometry)
    with pytest.raises(ConfigError, match="table must have shape"):
        grid_encode(coords, table[1:], geometry)


@pytest.mark.usefixtures("_backend_is_put_back")
def test_the_reference_can_be_chosen_and_unknown_backends_are_refused() -> None:
    kernels.set_backend("torch")
    assert kernels.backend() == "torch"
    with pytest.raises(ConfigError, match="backend gpu is not one of auto, native, torch, tcnn"):
        kernels.set_backend("gpu")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="backend tcnn is not available: "):
        kernels.set_backend("tcnn")
    assert kernels.backend() == "torch"


@pytest.mark.usefixtures("_backend_is_put_back")
def test_the_number_of_threads_is_checked() -> None:
    kernels.set_threads(3)
    assert kernels.threads() == 3
    with pytest.raises(ConfigError, match=r"threads 0 is not in \[1, 256\]"):
        kernels.set_threads(0)
    kernels.set_threads(None)
    assert kernels.threads() >= 1
