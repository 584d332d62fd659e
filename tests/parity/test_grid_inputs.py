"""What grids and their networks do with odd arguments: the same, whichever code runs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from inrcodec import kernels
from inrcodec.errors import ConfigError
from inrcodec.kernels import GridGeometry, GridPerceptron, Perceptron, grid_encode

torch = pytest.importorskip("torch")
GEOMETRY = GridGeometry(2, 3, 2, 6, 3, 1.71875)
SHAPE = GridPerceptron(GEOMETRY, Perceptron((6, 16, 3), False, "relu"))
WAYS = ("native-numpy", "native-torch", "torch-numpy", "torch-torch", "cuda")
Convert = Callable[[np.ndarray], Any]


@pytest.fixture(params=WAYS)
def convert(request: pytest.FixtureRequest) -> Convert:
    """From numpy to the arrays of a way to run kernels, which is chosen."""
    request.getfixturevalue("_backend_is_put_back")
    if request.param == "cuda":
        request.getfixturevalue("cuda")
        return lambda array: torch.from_numpy(array).cuda()
    backend, library = request.param.split("-")
    if backend == "native":
        request.getfixturevalue("native")
    kernels.set_backend(backend)
    return np.asarray if library == "numpy" else torch.from_numpy


def numpy_of(array: Any) -> np.ndarray:
    return np.asarray(array.cpu()) if isinstance(array, torch.Tensor) else array


def coords_of(n_points: int = 9, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(1).random((n_points, 2)).astype(dtype)


def table_of(dtype: Any = np.float32) -> np.ndarray:
    shape = GEOMETRY.n_entries, GEOMETRY.n_features
    return np.random.default_rng(2).standard_normal(shape).astype(dtype)


def assert_refused(convert: Convert, coords: np.ndarray, table: np.ndarray, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        grid_encode(convert(coords), convert(table), GEOMETRY)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("shape", [(9,), (9, 3), (9, 1), (2, 9, 2)])
def test_coordinates_of_another_shape_are_refused(convert: Convert, shape: Any) -> None:
    coords = np.zeros(shape, np.float32)
    assert_refused(convert, coords, table_of(), r"coords must have shape \[n, 2\], got \[")


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t[:, :1], lambda t: t.ravel()])
def test_a_table_of_another_shape_is_refused(convert: Convert, change: Any) -> None:
    table = np.ascontiguousarray(change(table_of()))
    assert_refused(convert, coords_of(), table, r"table must have shape \[\d+, 2\], got \[")


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_other_than_floats_are_refused(convert: Convert, dtype: Any) -> None:
    assert_refused(convert, coords_of(dtype=dtype), table_of(), "coords must be of floats, got ")
    assert_refused(convert, coords_of(), table_of(dtype), "table must be of floats, got ")


def test_no_points_have_no_features(convert: Convert) -> None:
    features = grid_encode(convert(coords_of(0)), convert(table_of()), GEOMETRY)
    assert tuple(features.shape) == (0, 6)


@pytest.mark.parametrize(
    ("value", "counts_as"),
    [(-0.5, 0.0), (1.5, 1.0), (1e30, 1.0), (-math.inf, 0.0), (math.inf, 1.0), (math.nan, 0.0)],
)
def test_coordinates_outside_lie_on_the_border_and_nan_at_0(
    convert: Convert, value: float, counts_as: float
) -> None:
    odd, plain = coords_of(), coords_of()
    odd[3, 0] = odd[5, 1] = value
    plain[3, 0] = plain[5, 1] = counts_as
    results = [grid_encode(convert(c), convert(table_of()), GEOMETRY) for c in (odd, plain)]
    np.testing.assert_array_equal(*map(numpy_of, results))


def test_strides_change_nothing(convert: Convert) -> None:
    coords, table = coords_of(), table_of()
    expected = numpy_of(grid_encode(convert(coords), convert(table), GEOMETRY))
    wide = convert(np.repeat(coords, 2, axis=1))[:, ::2]
    turned = convert(np.ascontiguousarray(table.T)).T
    np.testing.assert_array_equal(numpy_of(grid_encode(wide, turned, GEOMETRY)), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_floats_of_other_sizes_are_taken(convert: Convert, dtype: Any) -> None:
    coords, table = coords_of(dtype=dtype), table_of(dtype)
    features = numpy_of(grid_encode(convert(coords), convert(table), GEOMETRY))
    wide = grid_encode(coords.astype(np.float64), table.astype(np.float64), GEOMETRY)
    assert features.dtype == dtype
    np.testing.assert_allclose(features, wide, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("convert", ["native-torch", "torch-torch", "cuda"], indirect=True)
def test_what_is_outside_has_no_gradient_and_nan_spoils_no_other_point(convert: Convert) -> None:
    coords = convert(coords_of())
    table = convert(table_of()).requires_grad_()
    coords[3, 0], coords[5, 1] = -1.0, math.nan
    coords.requires_grad_()
    grid_encode(coords, table, GEOMETRY).sum().backward()
    assert torch.isfinite(coords.grad).all()
    assert torch.isfinite(table.grad).all()
    assert coords.grad[3, 0] == coords.grad[5, 1] == 0.0


def test_devices_and_libraries_that_differ_are_refused() -> None:
    coords, table = torch.from_numpy(coords_of()), torch.from_numpy(table_of())
    with pytest.raises(ConfigError, match=r"must be on one device, got cpu and meta$"):
        grid_encode(coords, table.to("meta"), GEOMETRY)
    with pytest.raises(ConfigError, match=r"all alike, got Tensor and ndarray$"):
        grid_encode(coords, table_of(), GEOMETRY)  # type: ignore[type-var]


def test_a_grid_and_its_network_refuse_alike(convert: Convert) -> None:
    values = np.zeros(SHAPE.n_values, np.float32)
    targets = np.zeros((9, 3), np.float32)
    good = {"coords": coords_of(), "targets": targets, "values": values}
    bad = [
        ("coords", coords_of()[:, :1], r"coords must have shape \[9, 2\], got \[9, 1\]"),
        ("coords", coords_of(dtype=np.int64), "coords must be of floats"),
        ("targets", targets[:-1], r"targets must have shape \[9, 3\], got \[8, 3\]"),
        ("targets", targets.astype(np.int32), "targets must be of floats"),
        ("values", values[:-1], "values must have shape"),
        ("values", values.astype(np.int64), "values must be of floats"),
    ]
    for name, array, message in bad:
        arrays = [convert(np.ascontiguousarray(a)) for a in (good | {name: array}).values()]
        with pytest.raises(ConfigError, match=message) as refusal:
            kernels.grid_mlp_descent(*arrays, SHAPE)
        assert "\n" not in str(refusal.value)
        if name != "targets":
            with pytest.raises(ConfigError, match=message):
                kernels.grid_mlp(arrays[0], arrays[2], SHAPE)


def test_networks_refuse_what_is_not_alike(convert: Convert) -> None:
    x, weights = coords_of(), [np.ones((4, 2), np.float32), np.ones((3, 4), np.float32)]
    for number, kind in ((0, np.float64), (1, np.float64), (1, np.int64)):
        odd = [convert(w.astype(kind) if i == number else w) for i, w in enumerate(weights)]
        with pytest.raises(ConfigError, match=r"of one type, got|weights\[1\] must be of floats"):
            kernels.mlp(convert(x), odd, None, "relu")
    shape = Perceptron((2, 3), False, "relu")
    arrays = x.astype(np.float64), np.zeros((9, 3), np.float32), np.zeros(6, np.float32)
    with pytest.raises(ConfigError, match="of one type, got"):
        kernels.mlp_descent(*map(convert, arrays), shape)
    with pytest.raises(ConfigError, match="numpy's or torch's, all alike, got list"):
        kernels.mlp([[0.0, 0.0]], [weights[0]], None, "relu")  # type: ignore[type-var]
    with pytest.raises(ConfigError, match=r"all alike, got .* and list"):
        kernels.mlp(convert(x), [[[1.0, 1.0]]], None, "relu")  # type: ignore[list-item]
