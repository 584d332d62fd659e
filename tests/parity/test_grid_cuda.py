"""The CUDA kernels of grid_encode against the reference: on the host, and on a GPU."""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import astuple
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec.kernels import GridGeometry, grid_encode, reference

Floats = NDArray[np.float32]

TOLERANCE = 2e-6
INTERPOLATIONS = ("linear", "smoothstep", "nearest", "kuhn", "simplex")
EXTENTS = (4096, 1500, 3000, 777)
SHAPES = list(itertools.product((1, 2, 3, 4), (1, 2, 4, 8)))

every_shape = pytest.mark.parametrize(("n_dims", "n_features"), SHAPES)
every_interpolation = pytest.mark.parametrize("interpolation", INTERPOLATIONS)


def case(n_dims: int, n_features: int, interpolation: Any, n_points: int) -> tuple[Any, ...]:
    """A geometry, then coords, table, a cotangent and a direction; some coords at the border,
    outside and not numbers, some with equal fractions on all axes."""
    options = (n_dims, 5, n_features, 9, 3, 1.71875, interpolation, EXTENTS[:n_dims])
    geometry = GridGeometry(*options)
    rng = np.random.default_rng(0)
    coords = rng.random((n_points, n_dims), dtype=np.float32)
    for i, special in enumerate((0.0, 1.0, -3.0, 2.0, np.nan)):
        coords[5 * i + 3] = special
    coords[28::17] = coords[28::17, :1]
    table = rng.standard_normal((geometry.n_entries, n_features), dtype=np.float32)
    cotangent = rng.standard_normal((n_points, geometry.n_outputs), dtype=np.float32)
    return geometry, coords, table, cotangent, rng.standard_normal(coords.shape, dtype=np.float32)


def expected_of(geometry: GridGeometry, arrays: tuple[Floats, ...], direction: Any) -> list[Any]:
    """Features, the gradient of the table and that of the coordinates."""
    coords, table, cotangent = arrays
    way = {"direction": direction}
    return [
        reference.grid_encode(coords, table, geometry, **way),
        reference.grid_encode_table_gradient(cotangent, coords, geometry, **way),
        reference.grid_encode_coords_gradient(cotangent, coords, table, geometry, **way),
    ]


def assert_close(got: Any, expected: Any) -> None:
    largest = np.abs(expected).max(initial=1e-30)
    np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=TOLERANCE * largest)


def pointer(array: Any, kind: Any = ctypes.c_float) -> Any:
    return None if array is None else array.ctypes.data_as(ctypes.POINTER(kind))


@pytest.mark.parametrize("is_along", [False, True], ids=["plain", "along"])
@every_interpolation
@every_shape
def test_kernels_match_on_the_host(
    cuda_on_host: ctypes.CDLL, n_dims: int, n_features: int, interpolation: str, is_along: bool
) -> None:
    geometry, *arrays, way = case(n_dims, n_features, interpolation, 131)
    direction = way if is_along else None
    _, scales, resolutions, levels = geometry.shape
    counts = (n_dims, n_features, geometry.n_levels, len(arrays[0]))
    sizes = np.array([*counts, *resolutions, *levels], np.int64)
    scales = np.array(scales, np.float32)
    for op, expected in enumerate(expected_of(geometry, tuple(arrays), direction)):
        out = np.full(expected.shape, np.nan, np.float32)
        pointers = [pointer(array) for array in (scales, *arrays, direction, out)]
        cuda_on_host.cuda_grid_encode(
            ctypes.c_int64(op), interpolation.encode(), pointer(sizes, ctypes.c_int64), *pointers
        )
        assert_close(out, expected)


@every_interpolation
@every_shape
def test_a_gpu_agrees(cuda: ModuleType, n_dims: int, n_features: int, interpolation: str) -> None:
    torch = pytest.importorskip("torch")
    geometry, *arrays, way = case(n_dims, n_features, interpolation, 700)
    x, t, g, v = (torch.from_numpy(array).cuda() for array in (*arrays, way))
    ops, fields = torch.ops.inrcodec, astuple(geometry)
    grid_encode(x, t, geometry)  # so that the operators are there
    for along, direction in ((None, None), (v, way)):
        features, of_table, of_coords = expected_of(geometry, tuple(arrays), direction)
        assert_close(ops.grid_encode(x, t, along, *fields).cpu(), features)
        assert_close(ops.grid_encode_table_gradient(g, x, along, *fields).cpu(), of_table)
        assert_close(ops.grid_encode_coords_gradient(g, x, t, along, *fields).cpu(), of_coords)
    x.requires_grad_()
    t.requires_grad_()
    grid_encode(x, t, geometry).backward(g)
    _, of_table, of_coords = expected_of(geometry, tuple(arrays), None)
    assert_close(t.grad.cpu(), of_table)
    assert_close(x.grad.cpu(), of_coords)
