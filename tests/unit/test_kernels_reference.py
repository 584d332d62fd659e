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
    GridGeometry(2, 3, 2, 6, 6, 1.75, "linear", (700, 4096)),
    GridGeometry(1, 3, 1, 4, 5, 1.5, "smoothstep"),
    GridGeometry(3, 2, 4, 7, 3, 2.0, "smoothstep", (4096, 3000, 500)),
    GridGeometry(2, 3, 2, 6, 5, 1.75, "nearest", (4096, 1000)),
    GridGeometry(1, 3, 1, 4, 5, 1.5, "kuhn"),
    GridGeometry(2, 3, 2, 6, 5, 1.75, "kuhn", (4096, 1000)),
    GridGeometry(4, 2, 8, 8, 2, 2.5, "kuhn", (1, 4096, 3000, 2048)),
    GridGeometry(1, 3, 1, 4, 5, 1.5, "simplex"),
    GridGeometry(2, 3, 2, 7, 4, 1.75, "simplex", (4096, 1000)),
    GridGeometry(3, 2, 4, 8, 3, 2.0, "simplex"),
    GridGeometry(4, 2, 8, 10, 2, 2.5, "simplex", (1, 4096, 3000, 2048)),
]


def arrays(geometry: GridGeometry, n_points: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(7)
    coords = rng.random((n_points, geometry.n_dims))
    table = rng.standard_normal((geometry.n_entries, geometry.n_features))
    return coords, table


def encode_point(x: Any, table: Any, level: GridLevel, interpolation: str) -> Any:
    """One point on one level, as the formulas in geometry.py say it."""
    positions = [
        scale * min(max(float(c), 0.0), 1.0) + 0.5 for c, scale in zip(x, level.scales, strict=True)
    ]
    if interpolation == "simplex":
        n = len(positions)
        shift = float(np.float32((math.sqrt(n + 1) - 1) / n)) * sum(positions)
        positions = [p + shift for p in positions]
    fractions = [p - math.floor(p) for p in positions]
    if interpolation == "smoothstep":
        fractions = [3.0 * f**2 - 2.0 * f**3 for f in fractions]
    total = 0.0
    for ups, weight in corners_of(interpolation, fractions):
        row = 0
        for position, up, stride in zip(positions, ups, level.strides, strict=True):
            term = ((math.floor(position) + up) * stride) % 2**32
            row = row ^ term if level.hashed else row + term
        total = total + weight * table[level.offset + row % level.size]
    return total


def corners_of(interpolation: str, fractions: list[float]) -> Any:
    if interpolation == "nearest":
        return [((0,) * len(fractions), 1.0)]
    is_cube = interpolation in ("linear", "smoothstep")
    return cube_corners(fractions) if is_cube else simplex_corners(fractions)


def cube_corners(fractions: list[float]) -> Any:
    for ups in itertools.product((0, 1), repeat=len(fractions)):
        yield ups, math.prod(f if up else 1.0 - f for f, up in zip(fractions, ups, strict=True))


def simplex_corners(fractions: list[float]) -> Any:
    """From the lowest corner, a step along one axis after the other, by falling fraction."""
    order = sorted(range(len(fractions)), key=lambda axis: -fractions[axis])
    heights = [1.0, *(fractions[axis] for axis in order), 0.0]
    for k in range(len(fractions) + 1):
        ups = tuple(int(axis in order[:k]) for axis in range(len(fractions)))
        yield ups, heights[k] - heights[k + 1]


@pytest.mark.parametrize("geometry", DENSE_AND_HASHED)
def test_features_are_the_weighted_rows_of_the_corners(geometry: GridGeometry) -> None:
    coords, table = arrays(geometry, 31)
    coords[0], coords[1], coords[2], coords[3] = 0.0, 1.0, 7.0, 0.5
    features = reference.grid_encode(coords, table, geometry)
    expected = [
        np.concatenate(
            [encode_point(x, table, level, geometry.interpolation) for level in geometry.levels]
        )
        for x in coords
    ]
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-12)


def test_not_a_number_counts_as_zero() -> None:
    geometry = DENSE_AND_HASHED[1]
    _, table = arrays(geometry, 1)
    at_nan = reference.grid_encode(np.array([[np.nan, 0.5]]), table, geometry)
    np.testing.assert_array_equal(
        at_nan, reference.grid_encode(np.array([[0.0, 0.5]]), table, geometry)
    )


@pytest.mark.parametrize("geometry", DENSE_AND_HASHED)
def test_weights_sum_to_one(geometry: GridGeometry) -> None:
    coords, table = arrays(geometry, 129)
    features = reference.grid_encode(coords, np.full_like(table, 3.0), geometry)
    np.testing.assert_allclose(features, 3.0, rtol=1e-14)


def vertex_table(geometry: GridGeometry, value: Any) -> Any:
    """The table of one dense level with value(vertex [n, dims]) at each vertex."""
    (level,) = geometry.levels
    assert not level.hashed
    axes = [np.arange(r) for r in level.resolutions]
    vertices = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, geometry.n_dims)
    table = np.zeros((geometry.n_entries, 1))
    table[vertices @ np.array(level.strides), 0] = value(vertices)
    return table


@pytest.mark.parametrize("interpolation", ["linear", "kuhn", "simplex"])
@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
def test_linear_functions_are_reproduced_exactly(n_dims: int, interpolation: Any) -> None:
    extents = (4096, 2048, 3000, 4096)[:n_dims]
    geometry = GridGeometry(n_dims, 1, 1, 20, 9, 1.0, interpolation, extents)
    slopes = np.array([1.0, -2.0, 3.0, 0.5])[:n_dims]
    table = vertex_table(geometry, lambda vertices: vertices @ slopes + 4.0)
    coords = np.random.default_rng(1).random((200, n_dims)) * 0.8  # off the border, where it wraps
    position = coords * np.array(geometry.levels[0].scales) + 0.5
    position += geometry.skew * position.sum(axis=1, keepdims=True)
    features = reference.grid_encode(coords, table, geometry)
    np.testing.assert_allclose(features[:, 0], position @ slopes + 4.0, rtol=0, atol=1e-12)
    gradient = reference.grid_encode_coords_gradient(
        np.ones_like(features), coords, table, geometry
    )
    skewing = np.eye(n_dims) + geometry.skew
    expected = (skewing @ slopes) * np.array(geometry.levels[0].scales)
    np.testing.assert_allclose(gradient, np.tile(expected, (200, 1)), rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
def test_simplices_meet_the_cells_at_their_vertices(n_dims: int) -> None:
    extents = (4096, 1024, 2048, 4096)[:n_dims]
    linear, kuhn = (
        GridGeometry(n_dims, 1, 2, 14, 9, 1.0, name, extents) for name in ("linear", "kuhn")
    )
    scales = np.array(linear.levels[0].scales)
    vertices = np.stack(np.meshgrid(*(np.arange(1, s + 1) for s in scales), indexing="ij"), axis=-1)
    coords = (vertices.reshape(-1, n_dims) - 0.5) / scales
    table = np.random.default_rng(2).random((linear.n_entries, 2))
    np.testing.assert_allclose(
        reference.grid_encode(coords, table, kuhn),
        reference.grid_encode(coords, table, linear),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("interpolation", ["linear", "smoothstep", "kuhn", "simplex"])
@pytest.mark.parametrize("log2_table_size", [4, 14])
@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
def test_features_are_continuous(n_dims: int, log2_table_size: int, interpolation: Any) -> None:
    geometry = GridGeometry(n_dims, 1, 1, log2_table_size, 6, 1.0, interpolation)
    rng = np.random.default_rng(3)
    table = rng.random((geometry.n_entries, 1))
    begin, end = rng.random(n_dims), rng.random(n_dims)
    t = np.linspace(0.0, 1.0, 200_001)[:, None]
    along = reference.grid_encode(begin + (end - begin) * t, table, geometry)
    steepest = 5.0 * 2 * n_dims * 3.0  # scale, axes, and what skewing adds
    assert np.abs(np.diff(along, axis=0)).max() <= steepest / 200_000


@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
def test_smoothed_cells_meet_linear_ones_at_vertices_and_middles_and_are_level_at_vertices(
    n_dims: int,
) -> None:
    linear, smooth = (
        GridGeometry(n_dims, 1, 2, 14, 9, 1.0, name) for name in ("linear", "smoothstep")
    )
    table = np.random.default_rng(2).random((linear.n_entries, 2))
    halves = np.random.default_rng(3).integers(2, 16, (50, n_dims)) / 2
    coords = (halves - 0.5) / 8.0
    features = reference.grid_encode(coords, table, smooth)
    expected = reference.grid_encode(coords, table, linear)
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-12)
    slopes = reference.grid_encode_coords_gradient(np.ones_like(features), coords, table, smooth)
    at_vertex = halves == np.floor(halves)
    assert np.abs(slopes[at_vertex]).max() < 1e-10
    assert np.abs(slopes[~at_vertex]).min() > 1e-6


def test_the_nearest_vertex_alone_gives_its_value() -> None:
    geometry = GridGeometry(2, 1, 1, 14, 9, 1.0, "nearest")
    table = vertex_table(geometry, lambda vertices: vertices @ np.array([1.0, 100.0]))
    coords = np.array([[0.0, 1.0], [0.49, 0.51], [3.4, 3.6], [7.6, 8.0]]) / np.array([8.0, 8.0])
    features = reference.grid_encode(coords, table, geometry)
    assert features[:, 0].tolist() == [100.0, 100.0, 403.0, 808.0]
    slopes = reference.grid_encode_coords_gradient(np.ones_like(features), coords, table, geometry)
    assert not slopes.any()


def test_equal_fractions_are_taken_in_the_order_of_the_axes() -> None:
    geometry = GridGeometry(2, 1, 1, 8, 5, 1.0, "kuhn")
    table = vertex_table(geometry, lambda vertices: np.array([0, 7])[vertices[:, 0] % 2])
    of_coords = reference.grid_encode_coords_gradient(
        np.ones((1, 1)), np.array([[0.25, 0.5]]), table, geometry
    )  # at p = (1.5, 2.5): by way of (2, 2)
    assert of_coords.tolist() == [[-4.0 * 7.0, 0.0]]
    of_table = reference.grid_encode_table_gradient(
        np.ones((1, 1)), np.array([[0.25, 0.5]]), geometry
    )
    assert np.flatnonzero(of_table).tolist() == [1 + 2 * 5, 2 + 3 * 5]


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
    assert kernels.backend() == "torch"


@pytest.mark.usefixtures("_backend_is_put_back")
def test_the_number_of_threads_is_checked() -> None:
    kernels.set_threads(3)
    assert kernels.threads() == 3
    with pytest.raises(ConfigError, match=r"threads 0 is not in \[1, 256\]"):
        kernels.set_threads(0)
    kernels.set_threads(None)
    assert kernels.threads() >= 1
