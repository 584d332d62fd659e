"""Networks, alone and behind a grid, under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import platform
import struct
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec.kernels import Activation, GridGeometry, GridPerceptron, Perceptron, reference

FORWARD, GRADIENTS, DESCENT = range(3)
REFUSED = 3
INSTRUCTION_SETS = 3 if platform.machine() in ("x86_64", "AMD64") else 1
INTERPOLATIONS = ("linear", "smoothstep", "nearest", "kuhn", "simplex")
Floats = NDArray[np.float32]


def assert_refused(driver: Any, data: bytes) -> None:
    code, message = driver.outcome(data)
    assert code == REFUSED, message
    assert message.count("\n") == 1


def assert_gives(driver: Any, data: bytes, expected: Floats) -> None:
    """A call that has to run clean, on every instruction set that there is."""
    result = driver.folder / "result"
    for instruction_set in range(INSTRUCTION_SETS):
        code, message = driver.outcome(data[:6] + bytes([instruction_set]) + data[7:], result)
        if code == REFUSED and "instruction set must exist" in message:
            continue  # this machine lacks it
        assert (code, message) == (0, "")
        got = np.frombuffer(result.read_bytes(), "<f4")
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def header(magic: bytes, op: int, shape: Perceptron) -> bytes:
    activation, n_layers = get_args(Activation).index(shape.activation), len(shape.sizes) - 1
    fields = (op, 2, 0, shape.has_bias, activation, n_layers)
    return struct.pack("<4s6B", magic, *fields) + np.array(shape.sizes, "<u4").tobytes()


def mlp_bytes(op: int, shape: Perceptron, arrays: list[Floats]) -> bytes:
    """A call on a network in the driver's layout: x first."""
    data = header(b"INRM", op, shape) + struct.pack("<I", len(arrays[0]))
    return data + b"".join(array.tobytes() for array in arrays)


def grid_bytes(op: int, shape: GridPerceptron, arrays: list[Floats]) -> bytes:
    """A call on a grid and a network: coords first."""
    grid = shape.grid
    interpolation, scales, resolutions, sizes = grid.shape
    fields = (grid.n_dims, grid.n_features, grid.n_levels, INTERPOLATIONS.index(interpolation))
    data = header(b"INRG", op, shape.perceptron) + bytes(fields)
    data += np.array(scales, "<f4").tobytes() + np.array([*resolutions, *sizes], "<u4").tobytes()
    data += struct.pack("<I", len(arrays[0]))
    return data + b"".join(array.tobytes() for array in arrays)


def mlp_case(shape: Perceptron, n_points: int) -> list[Floats]:
    """x, parameters, and a gradient or targets."""
    rng = np.random.default_rng(3)
    shapes = ((n_points, shape.sizes[0]), (shape.n_parameters,), (n_points, shape.sizes[-1]))
    return [rng.standard_normal(s, dtype=np.float32) * np.float32(0.5) for s in shapes]


def grid_shape(interpolation: Any = "linear", n_dims: int = 2) -> GridPerceptron:
    grid = GridGeometry(n_dims, 4, 2, 6, 3, 1.71875, interpolation)
    return GridPerceptron(grid, Perceptron((8, 17, 3), False, "relu"))


def grid_case(shape: GridPerceptron, n_points: int) -> list[Floats]:
    """Coords, some of them wild, table, parameters, targets."""
    _, parameters, targets = mlp_case(shape.perceptron, n_points)
    rng = np.random.default_rng(4)
    coords = rng.random((n_points, shape.grid.n_dims), dtype=np.float32)
    coords[::7], coords[::11], coords[::13] = 1e30, np.nan, -np.inf
    table = rng.standard_normal((shape.grid.n_entries, shape.grid.n_features), dtype=np.float32)
    return [coords, table, parameters, targets]


def mlp_gradients(gradient: Floats, x: Floats, parameters: Floats, shape: Perceptron) -> Floats:
    """Of the parameters, then of x."""
    of_weights, of_biases, of_x = reference.mlp_gradients(
        gradient, x, *shape.split(parameters), activation=shape.activation
    )
    return np.concatenate([*shape.runs(of_weights, of_biases), of_x.ravel()])


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("sizes", [(1, 1), (5, 33, 17, 3), (3, 70, 2)], ids=str)
def test_valid_networks_run_clean_and_right(
    driver: Any, sizes: Any, has_bias: bool, activation: Any
) -> None:
    shape = Perceptron(sizes, has_bias, activation)
    x, parameters, given = mlp_case(shape, 133)
    values = reference.mlp(x, *shape.split(parameters), shape.activation)
    errors = values - given
    gradients = mlp_gradients(given, x, parameters, shape)
    slopes = mlp_gradients(errors * np.float32(2 / errors.size), x, parameters, shape)
    descent = np.append(slopes[: shape.n_parameters], np.square(errors).sum())
    scale = np.ones_like(descent)
    scale[-1] = max(np.abs(slopes).max(), 1e-9) / descent[-1]  # one tolerance for both
    assert_gives(driver, mlp_bytes(FORWARD, shape, [x, parameters]), values.ravel())
    assert_gives(driver, mlp_bytes(GRADIENTS, shape, [x, parameters, given]), gradients)
    result = driver.folder / "result"
    assert driver.outcome(mlp_bytes(DESCENT, shape, [x, parameters, given]), result) == (0, "")
    got = np.frombuffer(result.read_bytes(), "<f4") * scale
    np.testing.assert_allclose(got, descent * scale, rtol=0, atol=2e-5 * np.abs(slopes).max())


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
def test_networks_of_grids_run_clean_and_right(
    driver: Any, n_dims: int, interpolation: Any
) -> None:
    shape = grid_shape(interpolation, n_dims)
    coords, table, parameters, targets = grid_case(shape, 700)
    network = shape.perceptron
    features = reference.grid_encode(coords, table, shape.grid)
    values = reference.mlp(features, *network.split(parameters), "relu")
    assert_gives(driver, grid_bytes(0, shape, [coords, table, parameters]), values.ravel())
    errors = values - targets
    slopes = mlp_gradients(errors * np.float32(2 / errors.size), features, parameters, network)
    of_parameters, of_features = np.split(slopes, [network.n_parameters])
    of_table = reference.grid_encode_table_gradient(
        of_features.reshape(features.shape), coords, shape.grid
    )
    result = driver.folder / "result"
    data = grid_bytes(1, shape, [coords, table, parameters, targets])
    for instruction_set in range(INSTRUCTION_SETS):
        code, message = driver.outcome(data[:6] + bytes([instruction_set]) + data[7:], result)
        if code == REFUSED and "instruction set must exist" in message:
            continue
        assert (code, message) == (0, "")
        *got, squares = np.frombuffer(result.read_bytes(), "<f4")
        expected = np.concatenate([of_table.ravel(), of_parameters])
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
        assert squares == pytest.approx(np.square(errors).sum(), rel=1e-5)


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("n_points", [0, 5000])
def test_any_number_of_points_of_a_network_runs_clean(
    driver: Any, n_points: int, activation: Any
) -> None:
    shape = Perceptron((5, 33, 17, 3), True, activation)
    x, parameters, given = mlp_case(shape, n_points)
    x[::7], x[::11], given[::13] = 1e30, np.nan, np.inf
    assert driver.outcome(mlp_bytes(FORWARD, shape, [x, parameters])) == (0, "")
    for op in (GRADIENTS, DESCENT):
        assert driver.outcome(mlp_bytes(op, shape, [x, parameters, given])) == (0, "")


@pytest.mark.parametrize("n_points", [0, 5000])
def test_any_number_of_points_of_a_grid_runs_clean(driver: Any, n_points: int) -> None:
    shape = grid_shape()
    arrays = grid_case(shape, n_points)
    arrays[3][::13] = np.inf
    assert driver.outcome(grid_bytes(0, shape, arrays[:3])) == (0, "")
    assert driver.outcome(grid_bytes(1, shape, arrays)) == (0, "")


@pytest.mark.parametrize(
    ("at", "patch"),
    [
        (4, b"\x03"),  # op
        (5, b"\x00"),  # threads
        (7, b"\x00"),  # has bias
        (8, b"\x05"),  # activation
        (9, b"\x00"),  # layers
        (9, b"\x22"),
        (10, b"\x00\x00\x00\x00"),  # sizes
        (14, struct.pack("<I", 1025)),
        (14, b"\xff\xff\xff\xff"),
        (22, b"\xff\xff\xff\xff"),  # points
    ],
)
def test_hostile_networks_are_refused(driver: Any, at: int, patch: bytes) -> None:
    shape = Perceptron((5, 9, 3), True, "sine")
    data = mlp_bytes(GRADIENTS, shape, mlp_case(shape, 3))
    assert_refused(driver, data[:at] + patch + data[at + len(patch) :])
    assert_refused(driver, data[:-1])


@pytest.mark.parametrize(
    ("at", "patch"),
    [
        (4, b"\x02"),  # op
        (10, b"\x09"),  # inputs, not those of the grid
        (22, b"\x00"),  # dims
        (22, b"\x05"),
        (23, b"\x03"),  # features
        (24, b"\x21"),  # levels
        (25, b"\x05"),  # interpolation
    ],
)
def test_hostile_grids_are_refused(driver: Any, at: int, patch: bytes) -> None:
    shape = grid_shape()
    data = grid_bytes(1, shape, grid_case(shape, 3))
    assert driver.outcome(data) == (0, "")
    assert_refused(driver, data[:at] + patch + data[at + len(patch) :])
    assert_refused(driver, data[:-1])
