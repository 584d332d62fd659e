"""The backend tcnn on a GPU against the reference, and a fit by it against one by native code."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from inrcodec import api, kernels, media, metrics  # noqa: E402
from inrcodec.errors import ConfigError  # noqa: E402
from inrcodec.kernels import (  # noqa: E402
    GridGeometry,
    GridPerceptron,
    Perceptron,
    dispatch,
    grid_encode,
    grid_mlp_descent,
    reference,
)

EXTENTS = {"full": (4096, 4096, 4096, 4096), "not": (2731, 4096, 1500, 4096)}
TOLERANCES = {"float32": 1e-5, "float16": 2e-3}
PHOTO = Path(__file__).parents[2] / "data" / "samples" / "kodim23.png"

every_grid = pytest.mark.parametrize(
    ("n_dims", "interpolation", "extents", "growth"),
    list(itertools.product((2, 3, 4), ("linear", "smoothstep", "nearest"), EXTENTS, (2.0, 1.5))),
)


@pytest.fixture
def _tcnn(skip: Callable[[str, str], None], _backend_is_put_back: None) -> None:
    """The backend tcnn, chosen."""
    if problem := dispatch.tcnn_problem():
        skip("tcnn", problem)
    kernels.set_device("auto")
    kernels.set_backend("tcnn")


def geometry_of(n_dims: int, interpolation: Any, extents: str, growth: float) -> GridGeometry:
    options = (n_dims, 4, 2, 10, 6, growth, interpolation, EXTENTS[extents][:n_dims])
    return GridGeometry(*options)


def case(geometry: GridGeometry, n_points: int) -> tuple[Any, Any, Any]:
    """Coords, some near the border, on it, outside and not numbers, a table, and a cotangent."""
    rng = np.random.default_rng(0)
    coords = rng.random((n_points, geometry.n_dims), dtype=np.float32)
    coords[: n_points // 4] = 1.0 - coords[: n_points // 4] / 30.0
    for i, special in enumerate((0.0, 1.0, -3.0, 2.0, np.nan, np.inf)):
        coords[5 * i + 3 : 5 * i + 4] = special
        coords[5 * i + 4 : 5 * i + 5, -1] = special
    table = rng.standard_normal((geometry.n_entries, geometry.n_features), dtype=np.float32)
    cotangent = rng.standard_normal((n_points, geometry.n_outputs), dtype=np.float32)
    return coords, table, cotangent


def assert_close(got: Any, expected: Any, tolerance: float) -> None:
    error = np.linalg.norm(got.detach().double().cpu().numpy() - expected)
    assert error <= tolerance * np.linalg.norm(expected)


@pytest.mark.usefixtures("_tcnn")
@pytest.mark.parametrize("kind", TOLERANCES)
@every_grid
def test_features_and_gradients_are_those_of_the_reference(
    n_dims: int, interpolation: str, extents: str, growth: float, kind: str
) -> None:
    geometry, dtype = geometry_of(n_dims, interpolation, extents, growth), getattr(torch, kind)
    coords, table, cotangent = case(geometry, 500)
    x = torch.from_numpy(coords).cuda().requires_grad_()
    t = torch.from_numpy(table).cuda().to(dtype).requires_grad_()
    g = torch.from_numpy(cotangent).cuda().to(dtype)
    features = grid_encode(x, t, geometry)
    features.backward(g)
    assert features.dtype == t.grad.dtype == dtype
    exact_g, exact_t = (tensor.detach().double().cpu().numpy() for tensor in (g, t))
    exact = (exact_g, coords.astype(np.float64), exact_t)
    assert_close(features, reference.grid_encode(*exact[1:], geometry), TOLERANCES[kind])
    of_table = reference.grid_encode_table_gradient(*exact[:2], geometry)
    assert_close(t.grad, of_table, TOLERANCES[kind])
    of_coords = reference.grid_encode_coords_gradient(*exact, geometry)
    assert_close(x.grad, of_coords, TOLERANCES[kind])
    assert not x.grad.cpu().numpy()[of_coords == 0.0].any()


@pytest.mark.usefixtures("_tcnn")
@pytest.mark.parametrize("n_points", [0, 1, 256, 300])
@pytest.mark.parametrize("extents", EXTENTS)
@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
def test_any_number_of_points_and_features(n_features: int, extents: str, n_points: int) -> None:
    geometry = GridGeometry(2, 20, n_features, 12, 5, 1.0, "linear", EXTENTS[extents][:2])
    rng = np.random.default_rng(1)
    coords = rng.random((n_points, 2), dtype=np.float32)
    table = rng.standard_normal((geometry.n_entries, n_features), dtype=np.float32)
    x, t = torch.from_numpy(coords).cuda(), torch.from_numpy(table).cuda().requires_grad_()
    features = grid_encode(x, t, geometry)
    features.sum().backward()
    exact = coords.astype(np.float64), table.astype(np.float64)
    assert_close(features, reference.grid_encode(*exact, geometry), 1e-5)
    ones = np.ones((n_points, geometry.n_outputs))
    assert_close(t.grad, reference.grid_encode_table_gradient(ones, exact[0], geometry), 1e-5)


@pytest.mark.usefixtures("_tcnn")
@pytest.mark.parametrize("extents", EXTENTS)
def test_the_descent_of_a_network_is_that_of_the_reference(extents: str) -> None:
    grid = geometry_of(2, "linear", extents, 2.0)
    shape = GridPerceptron(grid, Perceptron((grid.n_outputs, 16, 3), False, "relu"))
    rng = np.random.default_rng(2)
    coords, targets = rng.random((300, 2)), rng.random((300, 3))
    values = rng.standard_normal(shape.n_values)
    exact = [array.astype(np.float32).astype(np.float64) for array in (coords, targets, values)]
    expected, expected_gradient = grid_mlp_descent(*exact, shape)
    on_gpu = [torch.from_numpy(array).float().cuda() for array in exact]
    mse, gradient = grid_mlp_descent(*on_gpu, shape)
    assert mse == pytest.approx(expected, rel=1e-5)
    assert_close(gradient, expected_gradient, 2e-5)


@pytest.mark.usefixtures("_tcnn")
def test_simplices_axes_of_one_and_other_types_are_refused_on_a_gpu() -> None:
    for options, says in (
        ((2, 1, 1, 8, 5, 1.0, "simplex"), "no simplex interpolation"),
        ((2, 1, 1, 8, 5, 1.0, "kuhn"), "no kuhn interpolation"),
        ((1, 1, 1, 8, 5, 1.0), "no grids of 1 dimension"),
    ):
        geometry = GridGeometry(*options)  # type: ignore[arg-type]
        table = torch.zeros(geometry.n_entries, 1).cuda()
        coords = torch.zeros(3, geometry.n_dims).cuda()
        with pytest.raises(ConfigError, match=f"backend tcnn has {says}"):
            grid_encode(coords, table, geometry)
    with pytest.raises(ConfigError, match="no tables of bfloat16"):
        grid_encode(coords, table.bfloat16(), geometry)


@pytest.mark.usefixtures("_tcnn")
def test_a_fit_is_as_good_as_by_native_code_and_makes_an_ordinary_file() -> None:
    signal = media.read(PHOTO)
    psnrs = []
    for backend in ("auto", "tcnn"):
        kernels.set_backend(backend)  # type: ignore[arg-type]
        data = api.encode(signal, model="hashgrid", bpp=0.5, iterations=200)
        kernels.set_backend("torch")
        psnrs.append(metrics.psnr_db(signal, api.decode(data)))
    assert psnrs[1] == pytest.approx(psnrs[0], abs=0.5)


@pytest.mark.usefixtures("_tcnn")
@pytest.mark.parametrize("model", ["siren", "latentgrid"])
def test_models_without_such_grids_are_fitted_as_ever(model: str) -> None:
    signal = media.read(PHOTO)
    data = api.encode(signal, model=model, bpp=0.3, iterations=20)
    assert api.decode(data).samples.shape == signal.samples.shape


@pytest.mark.usefixtures("_tcnn")
def test_simplexgrid_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"backend tcnn has no (kuhn|simplex) interpolation"):
        api.encode(media.read(PHOTO), model="simplexgrid", bpp=0.3, iterations=20)
