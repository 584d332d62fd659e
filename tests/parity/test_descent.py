"""The error of a network and its gradient in one go, against autograd of the reference in float64.

Native results may be off by TOLERANCE of the largest value.
"""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.errors import ConfigError
from inrcodec.kernels import GridGeometry, GridPerceptron, Perceptron

torch = pytest.importorskip("torch")
Floats = NDArray[np.float32]
TOLERANCE = 1e-5
POINTS = (1, 63, 64, 129, 2000)
INTERPOLATIONS = ("linear", "smoothstep", "nearest", "kuhn", "simplex")
GRIDS = [*itertools.product((1, 2, 3, 4), (1, 2), INTERPOLATIONS), (2, 4, "linear"), (3, 8, "kuhn")]
NETWORKS = [
    Perceptron((2, 5), True, "sine"),
    Perceptron((10, 33, 17, 3), True, "sine_log"),
    Perceptron((7, 16, 16, 1), False, "relu"),
]
every_count = pytest.mark.parametrize("n_points", POINTS)


def grid_shape(n_dims: int, n_features: int, interpolation: Any) -> GridPerceptron:
    extents = (4096, 3000, 4096, 1500)[:n_dims]
    grid = GridGeometry(n_dims, 4, n_features, 8, 3, 1.71875, interpolation, extents)
    return GridPerceptron(grid, Perceptron((grid.n_outputs, 16, 24, 3), False, "relu"))


def grid_case(shape: GridPerceptron, n_points: int) -> tuple[Floats, Floats, Floats]:
    """Coords, some outside [0, 1] and NaN, targets and values."""
    rng = np.random.default_rng(n_points)
    coords = rng.random((n_points, shape.grid.n_dims), dtype=np.float32)
    coords[5::17] = 1.5
    coords[6::19] = np.nan
    targets = rng.standard_normal((n_points, 3), dtype=np.float32)
    return coords, targets, rng.standard_normal(shape.n_values, dtype=np.float32)


def network_case(shape: Perceptron, n_points: int) -> tuple[Floats, Floats, Floats]:
    """x, targets and parameters."""
    rng = np.random.default_rng(n_points)
    shapes = (n_points, shape.sizes[0]), (n_points, shape.sizes[-1]), (shape.n_parameters,)
    x, targets, parameters = (rng.standard_normal(size, dtype=np.float32) for size in shapes)
    return x, targets, parameters * np.float32(0.3)


def expected(case: tuple[Floats, Floats, Floats], values_at: Any) -> tuple[float, Any]:
    """The mean square and its gradient, by autograd in float64."""
    x, targets, values = (torch.from_numpy(array).double() for array in case)
    leaf = values.requires_grad_()
    loss = torch.mean((values_at(x, leaf) - targets) ** 2)
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.item(), gradient.numpy()


def check(got: tuple[float, Any], wanted: tuple[float, Any]) -> None:
    assert got[0] == pytest.approx(wanted[0], rel=TOLERANCE)
    assert np.abs(got[1] - wanted[1]).max() <= TOLERANCE * np.abs(wanted[1]).max()


def of_grid(shape: GridPerceptron) -> Any:
    return lambda x, values: kernels.grid_mlp(x, values, shape)


def of_network(shape: Perceptron) -> Any:
    def values_at(x: Any, values: Any) -> Any:
        return kernels.mlp(x, *shape.split(values), shape.activation)

    return values_at


@every_count
@pytest.mark.parametrize(("n_dims", "n_features", "interpolation"), GRIDS)
def test_a_grid_and_its_network(
    n_dims: int, n_features: int, interpolation: str, n_points: int, native: ModuleType
) -> None:
    shape = grid_shape(n_dims, n_features, interpolation)
    case = grid_case(shape, n_points)
    wanted = expected(case, of_grid(shape))
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        check(kernels.grid_mlp_descent(*case, shape), wanted)
        outputs = kernels.grid_mlp(case[0], case[2], shape)
        exact = kernels.grid_mlp(case[0].astype(np.float64), case[2].astype(np.float64), shape)
        assert np.abs(outputs - exact).max() <= TOLERANCE * np.abs(exact).max()


@pytest.mark.parametrize("interpolation", ["linear", "kuhn"])
def test_chunks_of_many_runs(interpolation: str, native: ModuleType) -> None:
    shape = grid_shape(2, 2, interpolation)
    case = grid_case(shape, 20_001)
    check(kernels.grid_mlp_descent(*case, shape), expected(case, of_grid(shape)))


@every_count
@pytest.mark.parametrize("shape", NETWORKS, ids=lambda shape: shape.activation)
def test_a_network(shape: Perceptron, n_points: int, native: ModuleType) -> None:
    case = network_case(shape, n_points)
    wanted = expected(case, of_network(shape))
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        check(kernels.mlp_descent(*case, shape), wanted)


@pytest.mark.usefixtures("_backend_is_put_back")
@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_the_reference(convert: Any, kind: str) -> None:
    kernels.set_backend("torch")
    shape = grid_shape(2, 2, "linear")
    case = grid_case(shape, 129)
    mean, gradient = kernels.grid_mlp_descent(
        *(convert(array.astype(kind)) for array in case), shape
    )
    assert str(gradient.dtype).endswith(kind)
    check((mean, np.asarray(gradient)), expected(case, of_grid(shape)))
    network = network_case(NETWORKS[1], 129)
    mean, gradient = kernels.mlp_descent(
        *(convert(array.astype(kind)) for array in network), NETWORKS[1]
    )
    check((mean, np.asarray(gradient)), expected(network, of_network(NETWORKS[1])))


def test_the_number_of_threads_changes_no_bit(native: ModuleType) -> None:
    shape = grid_shape(3, 2, "linear")
    case = grid_case(shape, 30_000)
    results = []
    for n_threads in (1, 2, 7):
        kernels.set_threads(n_threads)
        mean, gradient = kernels.grid_mlp_descent(*case, shape)
        results.append((mean, gradient.tobytes(), kernels.grid_mlp(case[0], case[2], shape)))
    for mean, gradient, outputs in results[1:]:
        assert (mean, gradient) == results[0][:2]
        np.testing.assert_array_equal(outputs, results[0][2])


@pytest.mark.usefixtures("_backend_is_put_back")
@pytest.mark.parametrize("backend", ["native", "torch"])
def test_no_gradient_is_recorded(backend: Any, request: pytest.FixtureRequest) -> None:
    if backend == "native":
        request.getfixturevalue("native")
    kernels.set_backend(backend)
    shape = grid_shape(2, 2, "linear")
    coords, targets, values = map(torch.from_numpy, grid_case(shape, 50))
    _, gradient = kernels.grid_mlp_descent(coords, targets, values.requires_grad_(), shape)
    assert not gradient.requires_grad
    x, targets, parameters = map(torch.from_numpy, network_case(NETWORKS[0], 50))
    _, gradient = kernels.mlp_descent(x, targets, parameters.requires_grad_(), NETWORKS[0])
    assert not gradient.requires_grad


def test_what_is_not_finite_shows(native: ModuleType) -> None:
    shape = grid_shape(2, 1, "linear")
    coords, targets, values = grid_case(shape, 200)
    targets[77, 1] = np.inf
    mean, _ = kernels.grid_mlp_descent(coords, targets, values, shape)
    assert mean == np.inf
    values[:] = np.nan
    assert np.isnan(kernels.grid_mlp_descent(coords, targets, values, shape)[0])


@pytest.mark.usefixtures("_backend_is_put_back")
@pytest.mark.parametrize("backend", ["native", "torch"])
def test_strides_change_nothing(backend: Any, request: pytest.FixtureRequest) -> None:
    if backend == "native":
        request.getfixturevalue("native")
    kernels.set_backend(backend)
    shape = grid_shape(2, 2, "linear")
    coords, targets, values = grid_case(shape, 100)
    mean, gradient = kernels.grid_mlp_descent(coords, targets, values, shape)
    strided = np.repeat(coords, 2, axis=0)[::2], np.asfortranarray(targets)
    again, same = kernels.grid_mlp_descent(*strided, np.repeat(values, 2)[::2], shape)
    assert again == pytest.approx(mean, rel=1e-6)
    np.testing.assert_allclose(same, gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("_backend_is_put_back")
@pytest.mark.parametrize("backend", ["native", "torch"])
@pytest.mark.parametrize("which", range(3))
def test_shapes_that_do_not_fit_are_refused(
    which: int, backend: Any, request: pytest.FixtureRequest
) -> None:
    if backend == "native":
        request.getfixturevalue("native")
    kernels.set_backend(backend)
    shape = grid_shape(2, 2, "linear")
    arrays = [array[:-1] for array in grid_case(shape, 5)]
    good = list(grid_case(shape, 5))
    good[which] = arrays[which]
    with pytest.raises(ConfigError, match="must have shape"):
        kernels.grid_mlp_descent(*good, shape)
    network = list(network_case(NETWORKS[0], 5))
    network[which] = network[which][:-1]
    with pytest.raises(ConfigError, match="must have shape"):
        kernels.mlp_descent(*network, NETWORKS[0])


def test_no_points_are_refused() -> None:
    shape = grid_shape(2, 2, "linear")
    with pytest.raises(ConfigError, match="must be points"):
        kernels.grid_mlp_descent(*grid_case(shape, 0), shape)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (((2, 5, 3), True, "tanh"), "activation must be one of sine, relu, "),
        (((2,), True, "relu"), "layers must be 1 to 33, got 0"),
        (((2,) * 35, True, "relu"), "layers must be 1 to 33, got 34"),
        (((2, 0, 3), True, "relu"), "sizes must be in"),
        (((2, 1025, 3), True, "relu"), "sizes must be in"),
    ],
)
def test_networks_that_there_are_not_are_refused(fields: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Perceptron(*fields)


def test_inputs_of_another_number_than_features_are_refused() -> None:
    grid = grid_shape(2, 2, "linear").grid
    with pytest.raises(ConfigError, match="inputs must be 8, got 9"):
        GridPerceptron(grid, Perceptron((9, 3), False, "relu"))


def test_native_arguments_are_refused_with_what_and_got(native: ModuleType) -> None:
    shape = grid_shape(2, 2, "linear")
    coords, targets, values = grid_case(shape, 5)
    table, parameters = shape.split(values)
    gradients = np.empty_like(table), np.empty_like(parameters)
    network = (shape.perceptron.sizes, False, "relu")
    good: dict[str, Any] = {
        "coords": coords,
        "targets": targets,
        "table": table,
        "parameters": parameters,
        "shape": shape.grid.shape,
        "network": network,
        "gradients": gradients,
        "n_threads": 1,
    }
    native.grid_mlp_descent(**good)
    bad = [
        ("coords", coords.astype(np.float64), "coords must be float32"),
        ("coords", coords[:, :1], "scales and resolutions must be"),
        ("targets", targets[:, :2], "targets must have shape"),
        ("targets", np.asfortranarray(targets), "targets must be contiguous"),
        ("table", table[:-1], "table must have shape"),
        ("parameters", parameters[:-1], "parameters must have shape"),
        ("network", ((9, 3), False, "relu"), "must have 8 inputs, got 9"),
        ("gradients", (gradients[0][:-1], gradients[1]), "table_gradient must have shape"),
        ("gradients", (gradients[0], gradients[1][:-1]), "parameters_gradient must have shape"),
        ("n_threads", 0, "threads must be at least 1, got 0"),
    ]
    for name, value, message in bad:
        with pytest.raises(ValueError, match=message):
            native.grid_mlp_descent(**{**good, name: value})
