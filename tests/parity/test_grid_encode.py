"""Native grid_encode against the reference: every shape, every instruction set, any thread count.

Values agree to TOLERANCE of the largest value. The reference rounds a position in float64, native
code by a fused instruction; where these differ (about one position in 2^29) a point on the border
of two cells may be placed in the other one. Its value agrees where interpolation is continuous;
that of the nearest vertex, and derivatives, may be those of the other cell there.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.kernels import GridGeometry, grid_encode, reference

Floats = NDArray[np.float32]

TOLERANCE = 2e-6
SHAPES = list(itertools.product((1, 2, 3, 4), (1, 2, 4, 8)))
COUNTS = (0, 1, 31, 33, 129, 700)
INTERPOLATIONS = ("linear", "smoothstep", "nearest", "kuhn", "simplex")
EXTENTS = ((), (4096, 1500, 3000, 777))

every_shape = pytest.mark.parametrize(("n_dims", "n_features"), SHAPES)
every_interpolation = pytest.mark.parametrize("interpolation", INTERPOLATIONS)
every_extent = pytest.mark.parametrize("extents", EXTENTS, ids=["square", "oblong"])


def geometry_of(
    n_dims: int, n_features: int, interpolation: Any = "linear", extents: tuple[int, ...] = ()
) -> GridGeometry:
    """Dense levels, then hashed ones, with scales that are not integers."""
    return GridGeometry(n_dims, 5, n_features, 9, 3, 1.71875, interpolation, extents[:n_dims])


def case(geometry: GridGeometry, n_points: int, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Coords, table and a cotangent; some coords at the border, outside and not numbers, some with
    equal fractions on all axes."""
    rng = np.random.default_rng(seed)
    coords = rng.random((n_points, geometry.n_dims), dtype=np.float32)
    for i, special in enumerate((0.0, 1.0, -3.0, 2.0, np.nan)):
        coords[5 * i + 3 : 5 * i + 4] = special
    coords[28::17] = coords[28::17, :1]
    table = rng.standard_normal((geometry.n_entries, geometry.n_features), dtype=np.float32)
    return coords, table, rng.standard_normal((n_points, geometry.n_outputs), dtype=np.float32)


def assert_close(got: Any, expected: Any) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype == np.float32
    largest = np.abs(expected).max(initial=1e-30)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE * largest)


def gradients(geometry: GridGeometry, coords: Floats, table: Floats, cotangent: Floats) -> Any:
    """Gradients of coords and table through the public function."""
    torch = pytest.importorskip("torch")
    x, t = (torch.from_numpy(array).requires_grad_() for array in (coords, table))
    grid_encode(x, t, geometry).backward(torch.from_numpy(cotangent))
    return x.grad.numpy(), t.grad.numpy()


@every_extent
@every_interpolation
@every_shape
def test_features_match(
    native: ModuleType, n_dims: int, n_features: int, interpolation: str, extents: Any
) -> None:
    geometry = geometry_of(n_dims, n_features, interpolation, extents)
    for n_points in COUNTS:
        coords, table, _ = case(geometry, n_points)
        expected = reference.grid_encode(coords, table, geometry)
        for name in native.instruction_sets():
            native.use_instruction_set(name)
            assert_close(grid_encode(coords, table, geometry), expected)


@every_extent
@every_interpolation
@every_shape
def test_gradients_match(
    native: ModuleType, n_dims: int, n_features: int, interpolation: str, extents: Any
) -> None:
    geometry = geometry_of(n_dims, n_features, interpolation, extents)
    for n_points in COUNTS:
        coords, table, cotangent = case(geometry, n_points)
        of_coords = reference.grid_encode_coords_gradient(cotangent, coords, table, geometry)
        of_table = reference.grid_encode_table_gradient(cotangent, coords, geometry)
        for name in native.instruction_sets():
            native.use_instruction_set(name)
            got_coords, got_table = gradients(geometry, coords, table, cotangent)
            assert_close(got_coords, of_coords)
            assert_close(got_table, of_table)


@every_extent
@every_interpolation
@every_shape
def test_derivatives_along_a_direction_match(
    native: ModuleType, n_dims: int, n_features: int, interpolation: str, extents: Any
) -> None:
    torch = pytest.importorskip("torch")
    geometry = geometry_of(n_dims, n_features, interpolation, extents)
    ops, fields = torch.ops.inrcodec, (geometry.numbers,)
    grid_encode(*map(torch.from_numpy, case(geometry, 1)[:2]), geometry)  # defines the operators
    for n_points in COUNTS:
        coords, table, cotangent = case(geometry, n_points)
        way = np.random.default_rng(1).standard_normal(coords.shape, dtype=np.float32)
        x, t, g, v = map(torch.from_numpy, (coords, table, cotangent, way))
        features, of_table, of_coords = (
            reference.grid_encode(coords, table, geometry, direction=way),
            reference.grid_encode_table_gradient(cotangent, coords, geometry, direction=way),
            reference.grid_encode_coords_gradient(
                cotangent, coords, table, geometry, direction=way
            ),
        )
        for name in native.instruction_sets():
            native.use_instruction_set(name)
            assert_close(ops.grid_encode(x, t, v, *fields), features)
            assert_close(ops.grid_encode_table_gradient(g, x, v, *fields), of_table)
            assert_close(ops.grid_encode_coords_gradient(g, x, t, v, *fields), of_coords)


@every_interpolation
@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
@pytest.mark.usefixtures("native")
def test_a_grid_is_differentiable_twice(n_dims: int, interpolation: str) -> None:
    """In float64, where the reference runs, against differences."""
    torch = pytest.importorskip("torch")
    geometry = GridGeometry(n_dims, 2, 1, 4, 3, 1.75, interpolation, EXTENTS[1][:n_dims])
    generator = torch.Generator().manual_seed(2)
    shapes = (4, n_dims), (geometry.n_entries, 1), (4, geometry.n_outputs)
    x, t, g = (torch.rand(s, generator=generator, dtype=torch.float64) for s in shapes)
    for leaf in (x, t, g):
        leaf.requires_grad_()
    steps = {"eps": 1e-7, "atol": 1e-4}

    def gradients_of(x: Any, t: Any, g: Any) -> Any:
        return torch.autograd.grad(grid_encode(x, t, geometry), (x, t), g, create_graph=True)

    assert torch.autograd.gradcheck(lambda *leaves: grid_encode(*leaves, geometry), (x, t), **steps)
    assert torch.autograd.gradcheck(gradients_of, (x, t, g), **steps)
    (of_x,) = torch.autograd.grad(grid_encode(x, t, geometry), x, g, create_graph=True)
    (again,) = torch.autograd.grad(of_x, x, torch.ones_like(x), create_graph=True)
    with pytest.raises(NotImplementedError, match="second derivatives of a grid"):
        again.sum().backward()
    # what is encoded along a direction is differentiable, too
    ops, fields = torch.ops.inrcodec, (geometry.numbers,)
    with torch.no_grad():
        x[0, 0], x[1, 0] = 0.0, 2.0
    v = torch.rand(x.shape, generator=generator, dtype=torch.float64).requires_grad_()
    leaves = x[2:].detach().requires_grad_(), t, v[2:].detach().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, t, v: ops.grid_encode(x, t, v, *fields), leaves, **steps
    )
    fixed = x.detach()
    assert torch.autograd.gradcheck(
        lambda t, v: ops.grid_encode(fixed, t, v, *fields), (t, v), **steps
    )
    assert torch.autograd.gradcheck(
        lambda g, v: ops.grid_encode_table_gradient(g, fixed, v, *fields), (g, v), **steps
    )
    x, v = leaves[0], leaves[2]
    g = g[2:].detach().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda g, x, v: ops.grid_encode_table_gradient(g, x, v, *fields), (g, x, v), **steps
    )


@every_interpolation
def test_the_longest_dense_row_matches(native: ModuleType, interpolation: Any) -> None:
    geometry = GridGeometry(1, 1, 1, 24, 1 << 22, 1.0, interpolation)
    assert not geometry.levels[0].hashed
    coords = np.array([[0.0], [1.0], [1.0 - 2.0**-24], [0.3]], np.float32)
    table = case(geometry, 1)[1]
    expected = reference.grid_encode(coords, table, geometry)
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        assert_close(grid_encode(coords, table, geometry), expected)


@pytest.mark.parametrize("interpolation", ["linear", "smoothstep", "kuhn", "simplex"])
def test_points_on_the_borders_of_cells_match(native: ModuleType, interpolation: Any) -> None:
    geometry = GridGeometry(1, 6, 2, 12, 7, 2.5, interpolation)
    borders = [
        np.arange(level.resolutions[0], dtype=np.float32) / np.float32(level.scales[0])
        for level in geometry.levels
    ]
    halves = [
        (np.arange(level.resolutions[0]) + 0.5).astype(np.float32) / np.float32(level.scales[0])
        for level in geometry.levels
    ]
    exact = np.concatenate(borders + halves)
    coords = np.concatenate([np.nextafter(exact, -1), exact, np.nextafter(exact, 2)])[:, None]
    table = case(geometry, 1)[1]
    expected = reference.grid_encode(coords, table, geometry)
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        assert_close(grid_encode(coords, table, geometry), expected)


@every_interpolation
@pytest.mark.parametrize("log2_table_size", [5, 9, 16])
@pytest.mark.parametrize("n_levels", [1, 3, 7])
@pytest.mark.parametrize("n_points", [100, 5000, 40000])
@pytest.mark.usefixtures("native")
def test_no_bit_depends_on_the_number_of_threads(
    log2_table_size: int, n_levels: int, n_points: int, interpolation: Any
) -> None:
    geometry = GridGeometry(2, n_levels, 2, log2_table_size, 8, 1.75, interpolation)
    coords, table, cotangent = case(geometry, n_points)
    kernels.set_threads(1)
    features = grid_encode(coords, table, geometry)
    alone = gradients(geometry, coords, table, cotangent)
    for n_threads in (2, 3, 8):
        kernels.set_threads(n_threads)
        np.testing.assert_array_equal(features, grid_encode(coords, table, geometry))
        for got, expected in zip(gradients(geometry, coords, table, cotangent), alone, strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.usefixtures("native")
def test_several_callers_at_once_get_their_own_results() -> None:
    geometry = geometry_of(2, 2)
    kernels.set_threads(2)
    cases = [case(geometry, 20000, seed) for seed in range(8)]
    expected = [grid_encode(coords, table, geometry) for coords, table, _ in cases]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda c: grid_encode(c[0], c[1], geometry), cases * 5))
    for number, features in enumerate(got):
        np.testing.assert_array_equal(features, expected[number % len(cases)])


@pytest.mark.usefixtures("native")
def test_strides_alignment_and_read_only_arrays_change_nothing() -> None:
    geometry = geometry_of(2, 2)
    coords, table, _ = case(geometry, 129)
    expected = grid_encode(coords, table, geometry)
    misaligned = np.frombuffer(b"\0" + coords.tobytes(), np.uint8)[1:].view(np.float32)
    frozen = table.copy()
    frozen.flags.writeable = False
    for x in (np.asfortranarray(coords), np.repeat(coords, 2, 0)[::2], misaligned.reshape(-1, 2)):
        np.testing.assert_array_equal(grid_encode(x, frozen, geometry), expected)


@pytest.mark.usefixtures("native")
def test_other_float_types_take_the_reference() -> None:
    geometry = geometry_of(2, 2)
    coords, table, _ = (array.astype(np.float64) for array in case(geometry, 33))
    features = grid_encode(coords, table, geometry)
    assert features.dtype == np.float64
    np.testing.assert_array_equal(features, reference.grid_encode(coords, table, geometry))


@every_interpolation
@pytest.mark.parametrize("choice", ["native", "torch"])
@pytest.mark.usefixtures("native")
def test_torch_operators_pass_their_own_checks(choice: Any, interpolation: str) -> None:
    torch = pytest.importorskip("torch")
    kernels.set_backend(choice)
    geometry = geometry_of(2, 2, interpolation, (4096, 1000))
    x, t, g = (torch.from_numpy(array) for array in case(geometry, 33))
    x = torch.nan_to_num(x)
    fields = (geometry.numbers,)
    grid_encode(x, t, geometry)
    ops = torch.ops.inrcodec
    x, t, g, v = (tensor.clone().requires_grad_() for tensor in (x, t, g, torch.ones_like(x)))
    torch.library.opcheck(ops.grid_encode.default, (x, t, None, *fields))
    torch.library.opcheck(ops.grid_encode_table_gradient.default, (g, x, None, *fields))
    torch.library.opcheck(ops.grid_encode_coords_gradient.default, (g, x, t, None, *fields))
    torch.library.opcheck(ops.grid_encode.default, (x, t, v, *fields))
    torch.library.opcheck(ops.grid_encode_table_gradient.default, (g, x, v, *fields))
    plain = g.detach(), x.detach(), t.detach(), v.detach()
    torch.library.opcheck(ops.grid_encode_coords_gradient.default, (*plain, *fields))


@pytest.mark.usefixtures("native")
def test_the_operator_compiles_into_one_graph() -> None:
    torch = pytest.importorskip("torch")
    geometry = geometry_of(2, 2)
    x, t, _ = (torch.from_numpy(array) for array in case(geometry, 33))
    t.requires_grad_()
    loss = torch.compile(
        lambda table: grid_encode(x, table, geometry).square().sum(),
        backend="eager",
        fullgraph=True,
    )
    loss(t).backward()
    compiled, t.grad = t.grad, None
    grid_encode(x, t, geometry).square().sum().backward()
    torch.testing.assert_close(compiled, t.grad)


def test_native_arguments_are_refused_with_what_and_got(native: ModuleType) -> None:
    geometry = geometry_of(2, 2)
    coords, table, _ = case(geometry, 5)
    good: dict[str, Any] = {
        "coords": coords,
        "table": table,
        "shape": geometry.shape,
        "out": np.empty((5, geometry.n_outputs), np.float32),
        "direction": None,
        "n_threads": 1,
    }
    native.grid_encode_forward(**good)
    native.grid_encode_forward(**{**good, "direction": np.ones_like(coords)})
    interpolation, scales, resolutions, sizes = geometry.shape
    bad = [
        ("coords", coords.astype(np.float64), "coords must be float32"),
        ("table", table[:-1], "table must have shape"),
        (
            "shape",
            ("cubic", scales, resolutions, sizes),
            "one of linear, smoothstep, nearest, kuhn, simplex, got cubic",
        ),
        ("shape", (interpolation, (np.nan, *scales[1:]), resolutions, sizes), "a scale must be in"),
        ("shape", (interpolation, scales[1:], resolutions, sizes), "must be 10, got 9 and 10"),
        ("shape", (interpolation, scales, (0, *resolutions[1:]), sizes), "a resolution must be in"),
        ("shape", (interpolation, (9.0, 9.0, *scales[2:]), resolutions, sizes), "below twice its"),
        ("shape", (interpolation, scales, resolutions, (*sizes[:-1], 500)), "two, got 500"),
        ("shape", (interpolation, (), (), ()), r"levels must be in [1, 32], got 0"),
        ("out", np.empty((5, 3), np.float32), "out must have shape"),
        ("direction", coords[:, :1], "direction must have shape"),
        ("direction", coords.astype(np.float64), "direction must be float32"),
        ("n_threads", 0, "threads must be at least 1, got 0"),
    ]
    for name, value, message in bad:
        with pytest.raises(ValueError, match=r"^grid_encode: .*, got ") as refusal:
            native.grid_encode_forward(**{**good, name: value})
        assert message in str(refusal.value)
    with pytest.raises(ValueError, match=r"instruction set must be one of baseline.*got mmx"):
        native.use_instruction_set("mmx")


def run_python(code: str, **environment: str) -> str:
    command = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


ENCODE_A_POINT = """
import sys
import numpy as np
from inrcodec import kernels
geometry = kernels.GridGeometry(2, 4, 2, 10, 16, 1.5)
table = np.random.default_rng(1).random((geometry.n_entries, 2), dtype=np.float32)
coords = np.full((1, 2), 0.3, np.float32)
print(kernels.backend(), "torch" in sys.modules, *kernels.grid_encode(coords, table, geometry)[0])
"""


@pytest.mark.usefixtures("native")
def test_the_environment_switches_native_code_off_and_values_stay() -> None:
    backend, torch_is_loaded, *with_native = run_python(ENCODE_A_POINT).split()
    assert (backend, torch_is_loaded) == ("native", "False")
    backend, _, *without = run_python(ENCODE_A_POINT, INRCODEC_NATIVE="0").split()
    assert backend == "torch"
    assert_close(np.array(with_native, np.float32), np.array(without, np.float32))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.usefixtures("native")
def test_a_forked_child_computes_too() -> None:
    code = """
import os, warnings
import numpy as np
from inrcodec import kernels
geometry = kernels.GridGeometry(2, 4, 2, 10, 16, 1.5)
rng = np.random.default_rng(1)
table = rng.random((geometry.n_entries, 2), dtype=np.float32)
coords = rng.random((50000, 2), dtype=np.float32)
kernels.set_threads(2)
before = kernels.grid_encode(coords, table, geometry)
child = os.fork()
if child == 0:
    os._exit(int(not np.array_equal(kernels.grid_encode(coords, table, geometry), before)))
print(os.waitpid(child, 0)[1])
"""
    assert run_python(code).strip() == "0"
