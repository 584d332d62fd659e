"""The CUDA kernels of grid_encode against the reference: on the host, and on a GPU."""

from __future__ import annotations

import ctypes
import itertools
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
KINDS = ("float32", "float16", "bfloat16")  # in the order of GridValues
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


def shortened(array: Floats, kind: str) -> Any:
    """The nearest numbers of a kind; those of bfloat16 by their bits."""
    if kind != "bfloat16":
        return array.astype(kind)
    bits = array.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def widened(array: Any, kind: str) -> Floats:
    """What numbers of a kind are, in float32."""
    if kind != "bfloat16":
        return np.asarray(array, np.float32)
    return (array.astype(np.uint32) << 16).view(np.float32)


def run_on_host(
    library: ctypes.CDLL,
    op: int,
    geometry: GridGeometry,
    arrays: tuple[Any, ...],
    *,
    kind: str = "float32",
    is_whole: bool = False,
) -> Floats:
    """What the kernels give for coords, table, cotangent and direction or None."""
    interpolation, scales, resolutions, levels = geometry.shape
    n_points = len(arrays[0])
    counts = (geometry.n_dims, geometry.n_features, geometry.n_levels, n_points)
    sizes = np.array([*counts, KINDS.index(kind), *resolutions, *levels], np.int64)
    shapes = [(n_points, geometry.n_outputs), arrays[1].shape, arrays[0].shape]
    out = np.full(shapes[op], np.nan, np.float32)
    if op < 2:
        out = shortened(out, kind)
    pointers = [pointer(array) for array in (np.array(scales, np.float32), *arrays, out)]
    library.cuda_grid_encode(
        ctypes.c_int64(op),
        interpolation.encode(),
        pointer(sizes, ctypes.c_int64),
        *pointers,
        ctypes.c_bool(is_whole),
    )
    return widened(out, kind) if op < 2 else out


@pytest.mark.parametrize("is_along", [False, True], ids=["plain", "along"])
@every_interpolation
@every_shape
def test_kernels_match_on_the_host(
    cuda_on_host: ctypes.CDLL, n_dims: int, n_features: int, interpolation: str, is_along: bool
) -> None:
    geometry, *arrays, way = case(n_dims, n_features, interpolation, 131)
    direction = way if is_along else None
    for op, expected in enumerate(expected_of(geometry, tuple(arrays), direction)):
        assert_close(run_on_host(cuda_on_host, op, geometry, (*arrays, direction)), expected)


@pytest.mark.parametrize("kind", ["float32", "float16"])
@every_interpolation
@every_shape
def test_many_points_are_summed_on_the_host(
    cuda_on_host: ctypes.CDLL, n_dims: int, n_features: int, interpolation: str, kind: str
) -> None:
    geometry, coords, table, cotangent, _ = case(n_dims, n_features, interpolation, 1500)
    short = shortened(cotangent, kind)
    got = run_on_host(cuda_on_host, 1, geometry, (coords, table, short, None), kind=kind)
    wide = widened(short, kind).astype(np.float64)
    expected = reference.grid_encode_table_gradient(wide, coords, geometry)
    ulp = {"float32": 2.0**-24, "float16": 2.0**-11}[kind]
    largest = np.abs(expected).max()
    np.testing.assert_allclose(got, expected, rtol=1.01 * ulp, atol=4e-6 * largest)


@every_interpolation
@every_shape
def test_few_points_are_summed_beside_one_another(
    cuda_on_host: ctypes.CDLL, n_dims: int, n_features: int, interpolation: str
) -> None:
    geometry, coords, table, cotangent, _ = case(n_dims, n_features, interpolation, 29)
    finest = geometry.levels[-1]
    assert 2 * finest.size > len(coords) * geometry.n_corners  # too large to be summed apart
    expected = expected_of(geometry, (coords, table, cotangent), None)[1]
    assert_close(run_on_host(cuda_on_host, 1, geometry, (coords, table, cotangent, None)), expected)


def test_what_is_not_finite_stays_with_its_rows(cuda_on_host: ctypes.CDLL) -> None:
    geometry = GridGeometry(2, 1, 1, 9, 16, 1.0)
    coords = np.array([[0.5, 0.5], [0.25, 0.7]], np.float32)
    table, cotangent = np.zeros((geometry.n_entries, 1), np.float32), np.ones((2, 1), np.float32)
    cotangent[0] = np.nan
    got = run_on_host(cuda_on_host, 1, geometry, (coords, table, cotangent, None))
    expected = reference.grid_encode_table_gradient(cotangent, coords, geometry)
    assert np.array_equal(np.isfinite(got), np.isfinite(expected))


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("is_along", [False, True], ids=["plain", "along"])
@every_shape
def test_tables_of_16_bits_have_sums_of_float32(
    cuda_on_host: ctypes.CDLL, n_dims: int, n_features: int, is_along: bool, kind: str
) -> None:
    geometry, coords, table, cotangent, way = case(n_dims, n_features, "linear", 131)
    short = shortened(table, kind), shortened(cotangent, kind)
    exact = coords, widened(short[0], kind), widened(short[1], kind)
    direction = way if is_along else None
    ulp = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[kind]
    for op, expected in enumerate(expected_of(geometry, exact, direction)):
        got = run_on_host(cuda_on_host, op, geometry, (coords, *short, direction), kind=kind)
        if op < 2:  # rounded at the end alone
            largest = np.abs(expected).max()
            np.testing.assert_allclose(got, expected, rtol=1.01 * ulp, atol=4e-6 * largest)
        else:
            assert_close(got, expected)


def test_every_number_of_16_bits_is_read_and_written(cuda_on_host: ctypes.CDLL) -> None:
    geometry = GridGeometry(1, 1, 1, 16, 1 << 15, 1.0, "nearest")
    rows = np.arange(1 << 15, dtype=np.int64)
    coords = ((rows + 0.25) / (1 << 15)).astype(np.float32)[:, None]
    for kind in ("float16", "bfloat16"):
        for sign in (0, 1 << 15):
            table = np.zeros((geometry.n_entries, 1), np.uint16)
            table[: 1 << 15, 0] = np.arange(1 << 15) + sign
            values = table.view(np.float16) if kind == "float16" else table
            table[np.isnan(widened(values, kind))] = 0
            got = run_on_host(cuda_on_host, 0, geometry, (coords, values, None, None), kind=kind)
            expected = reference.grid_encode(coords, widened(values, kind), geometry)
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("is_along", [False, True], ids=["plain", "along"])
@pytest.mark.parametrize("interpolation", ["linear", "simplex"])
@every_shape
def test_whole_sums_match_and_do_not_depend_on_the_order(
    cuda_on_host: ctypes.CDLL, n_dims: int, n_features: int, interpolation: str, is_along: bool
) -> None:
    geometry, coords, table, cotangent, way = case(n_dims, n_features, interpolation, 131)
    cotangent[::3] *= np.float32(1e-20)
    cotangent[1::3] *= np.float32(1e20)
    direction = way if is_along else None
    arrays = (coords, table, cotangent)
    expected = expected_of(geometry, arrays, direction)[1]
    got = run_on_host(cuda_on_host, 1, geometry, (*arrays, direction), is_whole=True)
    assert_close(got, expected)
    order = np.random.default_rng(1).permutation(len(coords))
    turned = [None if array is None else array[order] for array in (coords, cotangent, direction)]
    again = run_on_host(cuda_on_host, 1, geometry, (turned[0], table, *turned[1:]), is_whole=True)
    assert again.tobytes() == got.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_whole_sums_of_what_is_not_finite_are_no_numbers(
    cuda_on_host: ctypes.CDLL, value: float
) -> None:
    geometry, coords, table, cotangent, _ = case(2, 2, "linear", 131)
    cotangent[77, 3] = value
    arrays = (coords, table, cotangent, None)
    assert np.isnan(run_on_host(cuda_on_host, 1, geometry, arrays, is_whole=True)).all()
    cotangent[:] = 0.0
    assert not run_on_host(cuda_on_host, 1, geometry, arrays, is_whole=True).any()


@every_interpolation
@every_shape
def test_a_gpu_agrees(cuda: ModuleType, n_dims: int, n_features: int, interpolation: str) -> None:
    torch = pytest.importorskip("torch")
    geometry, *arrays, way = case(n_dims, n_features, interpolation, 700)
    x, t, g, v = (torch.from_numpy(array).cuda() for array in (*arrays, way))
    ops, fields = torch.ops.inrcodec, (geometry.numbers,)
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


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@every_shape
def test_a_gpu_takes_tables_of_16_bits(
    cuda: ModuleType, n_dims: int, n_features: int, kind: str
) -> None:
    torch = pytest.importorskip("torch")
    geometry, coords, table, cotangent, _ = case(n_dims, n_features, "linear", 700)
    dtype = getattr(torch, kind)
    x = torch.from_numpy(coords).cuda().requires_grad_()
    t = torch.from_numpy(table).cuda().to(dtype).requires_grad_()
    g = torch.from_numpy(cotangent).cuda().to(dtype)
    features = grid_encode(x, t, geometry)
    features.backward(g)
    exact = (coords, t.detach().float().cpu().numpy(), g.float().cpu().numpy())
    of_features, of_table, of_coords = expected_of(geometry, exact, None)
    assert features.dtype == t.grad.dtype == dtype
    ulp = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[kind]
    for got, expected in ((features, of_features), (t.grad, of_table)):
        largest = np.abs(expected).max()
        values = got.detach().float().cpu().numpy()
        np.testing.assert_allclose(values, expected, rtol=1.01 * ulp, atol=4e-6 * largest)
    assert_close(x.grad.cpu(), of_coords)


def test_a_gpu_sums_the_same_bits_when_torch_is_asked_to(cuda: ModuleType) -> None:
    torch = pytest.importorskip("torch")
    geometry, coords, table, cotangent, _ = case(2, 2, "linear", 20_000)
    x, t, g = (torch.from_numpy(array).cuda() for array in (coords, table, cotangent))
    t.requires_grad_()
    exact = cotangent.astype(np.float64)
    expected = reference.grid_encode_table_gradient(exact, coords, geometry)
    try:
        torch.use_deterministic_algorithms(True)
        sums = [torch.autograd.grad(grid_encode(x, t, geometry), t, g)[0] for _ in range(3)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(sums[0], other) for other in sums[1:])
    assert_close(sums[0].cpu(), expected)


def test_a_gpu_takes_arrays_that_lie_anywhere(cuda: ModuleType) -> None:
    torch = pytest.importorskip("torch")
    geometry, coords, table, *_ = case(2, 4, "linear", 100)
    x = torch.from_numpy(coords).cuda()
    shifted = torch.cat([torch.zeros(1), torch.from_numpy(table).reshape(-1)]).cuda()[1:]
    expected = reference.grid_encode(coords, table, geometry)
    assert_close(grid_encode(x, shifted.reshape(table.shape), geometry).cpu(), expected)
