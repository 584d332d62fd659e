"""The CUDA kernels of networks against the reference in float64: on the host, and on a GPU."""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.kernels import GridGeometry, GridPerceptron, Perceptron, reference

Floats = NDArray[np.float32]

TOLERANCE = 5e-6
POINTS = (1, 127, 128, 129, 700)
NETWORKS = [
    Perceptron((1, 1), False, "relu"),
    Perceptron((5, 3), True, "relu"),
    Perceptron((7, 16, 16, 1), False, "relu"),
    Perceptron((8, 32, 32, 3), False, "relu"),
    Perceptron((13, 20, 8, 31, 4), True, "relu"),
    Perceptron((32, 64, 64, 3), False, "relu"),
]
every_network = pytest.mark.parametrize("shape", NETWORKS, ids=str)


def case(shape: Perceptron, n_points: int) -> tuple[Floats, Floats, Floats]:
    """x, targets or a gradient, and parameters."""
    rng = np.random.default_rng(n_points)
    shapes = (n_points, shape.sizes[0]), (n_points, shape.sizes[-1]), (shape.n_parameters,)
    x, given, parameters = (rng.standard_normal(size, dtype=np.float32) for size in shapes)
    return x, given, parameters * np.float32(0.4)


def expected_of(
    shape: Perceptron, x: Floats, parameters: Floats, slopes_of: Any
) -> tuple[Any, Any, Any]:
    """In float64: the values, and given their slopes the gradients of the parameters and of x."""
    wide, layers = x.astype(np.float64), shape.split(parameters.astype(np.float64))
    values = reference.mlp(wide, *layers, shape.activation)
    of_weights, of_biases, of_x = reference.mlp_gradients(
        slopes_of(values), wide, *layers, activation=shape.activation
    )
    return values, np.concatenate(shape.runs(of_weights, of_biases)), of_x


def assert_close(got: Any, expected: Any) -> None:
    largest = np.abs(expected).max(initial=1e-30)
    np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=TOLERANCE * largest)


def run_on_host(library: ctypes.CDLL, shape: Perceptron, **arrays: Any) -> float:
    """A call of the C function, with arrays by name."""
    names = ("x", "parameters", "gradient", "targets", "out", "of_parameters", "of_x")
    floats = ctypes.POINTER(ctypes.c_float)
    pointers = [
        None if arrays.get(name) is None else arrays[name].ctypes.data_as(floats) for name in names
    ]
    sizes = (ctypes.c_int64 * (len(shape.sizes) + 1))(len(arrays["x"]), *shape.sizes)
    function = library.cuda_mlp
    function.restype = ctypes.c_double
    options = shape.activation.encode(), ctypes.c_int64(len(shape.sizes) - 1), shape.has_bias
    return float(function(*options, sizes, *pointers))


@every_network
@pytest.mark.parametrize("n_points", POINTS)
def test_the_kernels_match_on_the_host(
    cuda_on_host: ctypes.CDLL, shape: Perceptron, n_points: int
) -> None:
    x, targets, parameters = case(shape, n_points)
    slope = np.float64(2.0) / targets.size
    values, of_parameters, of_x = expected_of(
        shape, x, parameters, lambda values: slope * (values - targets)
    )
    out, got_parameters, got_x = (np.full_like(like, np.nan) for like in (targets, parameters, x))
    arrays: dict[str, Any] = {"x": x, "parameters": parameters}
    assert run_on_host(cuda_on_host, shape, **arrays, out=out) == 0.0
    assert_close(out, values)
    squares = run_on_host(
        cuda_on_host, shape, **arrays, targets=targets, of_parameters=got_parameters, of_x=got_x
    )
    assert squares == pytest.approx(np.square(values - targets).sum(), rel=TOLERANCE)
    assert_close(got_parameters, of_parameters)
    assert_close(got_x, of_x)


@every_network
def test_gradients_may_be_given_and_those_of_x_left_out(
    cuda_on_host: ctypes.CDLL, shape: Perceptron
) -> None:
    x, gradient, parameters = case(shape, 300)
    _, of_parameters, of_x = expected_of(shape, x, parameters, lambda _: gradient)
    given: dict[str, Any] = {"x": x, "parameters": parameters, "gradient": gradient}
    got, got_x = np.full_like(parameters, np.nan), np.full_like(x, np.nan)
    run_on_host(cuda_on_host, shape, **given, of_parameters=got, of_x=got_x)
    assert_close(got, of_parameters)
    assert_close(got_x, of_x)
    alone = np.full_like(parameters, np.nan)
    run_on_host(cuda_on_host, shape, **given, of_parameters=alone)
    assert np.array_equal(alone, got)


def test_slopes_may_take_the_place_of_the_inputs(cuda_on_host: ctypes.CDLL) -> None:
    shape = NETWORKS[3]
    x, gradient, parameters = case(shape, 300)
    _, _, of_x = expected_of(shape, x, parameters, lambda _: gradient)
    given: dict[str, Any] = {"x": x, "parameters": parameters, "gradient": gradient}
    run_on_host(cuda_on_host, shape, **given, of_parameters=np.empty_like(parameters), of_x=x)
    assert_close(x, of_x)


def test_values_that_are_infinite_or_not_numbers_stay_with_their_points(
    cuda_on_host: ctypes.CDLL,
) -> None:
    shape = NETWORKS[4]
    x, _, parameters = case(shape, 140)
    x[3], x[130, 2] = np.nan, np.inf
    out = np.empty((140, 4), np.float32)
    run_on_host(cuda_on_host, shape, x=x, parameters=parameters, out=out)
    assert np.isnan(out[3]).all()
    assert not np.isfinite(out[130]).all()
    others = np.isfinite(x).all(axis=1)
    assert_close(out[others], reference.mlp(x[others], *shape.split(parameters), "relu"))


@pytest.mark.parametrize(
    "shape",
    [Perceptron((2, 16, 3), True, "sine"), Perceptron((32, 256, 256, 3), False, "relu")],
    ids=str,
)
def test_other_networks_have_no_kernel(cuda_on_host: ctypes.CDLL, shape: Perceptron) -> None:
    x, targets, parameters = case(shape, 5)
    assert run_on_host(cuda_on_host, shape, x=x, parameters=parameters, targets=targets) == -1.0


# --- on a GPU ------------------------------------------------------------------------------------


@every_network
@pytest.mark.parametrize("n_points", [*POINTS, 100_000])
def test_a_gpu_agrees(cuda: ModuleType, shape: Perceptron, n_points: int) -> None:
    torch = pytest.importorskip("torch")
    from inrcodec.kernels import torch_mlp

    x, gradient, parameters = case(shape, n_points)
    values, of_parameters, of_x = expected_of(shape, x, parameters, lambda _: gradient)
    assert torch_mlp.floats_on_gpu(shape, torch.from_numpy(x).cuda()) > 0
    leaf, flat = (torch.from_numpy(array).cuda().requires_grad_() for array in (x, parameters))
    got = kernels.mlp(leaf, *shape.split(flat), shape.activation)
    got.backward(torch.from_numpy(gradient).cuda())
    assert_close(got.detach().cpu(), values)
    assert_close(flat.grad.cpu(), of_parameters)
    assert_close(leaf.grad.cpu(), of_x)


@pytest.mark.parametrize("interpolation", ["linear", "nearest", "simplex"])
@pytest.mark.parametrize("is_deterministic", [False, True])
def test_a_descent_on_a_gpu_agrees(
    cuda: ModuleType, interpolation: Any, is_deterministic: bool
) -> None:
    torch = pytest.importorskip("torch")
    from inrcodec.kernels import torch_mlp

    grid = GridGeometry(2, 8, 2, 12, 4, 1.5, interpolation, (4096, 3000))
    shape = GridPerceptron(grid, Perceptron((16, 32, 32, 3), False, "relu"))
    rng = np.random.default_rng(0)
    arrays = (
        rng.random((30_000, 2), dtype=np.float32),
        rng.standard_normal((30_000, 3), dtype=np.float32),
        rng.standard_normal(shape.n_values, dtype=np.float32) * np.float32(0.3),
    )
    on_gpu = [torch.from_numpy(array).cuda() for array in arrays]
    assert torch_mlp.floats_on_gpu(shape.perceptron, on_gpu[0]) > 0
    on_gpu[2] = torch.cat([on_gpu[2][:1], on_gpu[2]])[1:]  # not aligned
    try:
        torch.use_deterministic_algorithms(is_deterministic)
        mean, gradient = kernels.grid_mlp_descent(*on_gpu, shape)
        again, same = kernels.grid_mlp_descent(*on_gpu, shape)
    finally:
        torch.use_deterministic_algorithms(False)
    assert mean == again
    assert not is_deterministic or torch.equal(gradient, same)
    wide = [torch.from_numpy(array).double() for array in arrays]
    leaf = wide[2].requires_grad_()
    loss = torch.mean((kernels.grid_mlp(wide[0], leaf, shape) - wide[1]) ** 2)
    loss.backward()
    assert mean == pytest.approx(loss.item(), rel=1e-5)
    _, on_cpu = kernels.grid_mlp_descent(*arrays, shape)  # of float32, so with the same kinks
    off, own = (
        float((array.double() - leaf.grad).norm() / leaf.grad.norm())
        for array in (gradient.cpu(), torch.from_numpy(on_cpu))
    )
    assert off <= 1.5 * own + 2e-6


def test_the_bits_are_the_same_each_time(cuda: ModuleType) -> None:
    torch = pytest.importorskip("torch")
    shape = NETWORKS[5]
    x, gradient, parameters = (torch.from_numpy(array).cuda() for array in case(shape, 50_000))
    parameters.requires_grad_()
    sums = []
    for _ in range(3):
        values = kernels.mlp(x, *shape.split(parameters), shape.activation)
        sums.append(torch.autograd.grad(values, parameters, gradient)[0])
    assert torch.equal(sums[0], sums[1])
    assert torch.equal(sums[0], sums[2])
