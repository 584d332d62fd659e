"""What networks put out, and what an iteration of a fit takes of them, in one go.

The error of a network at points and its gradient by all values come from one call. A grid and the
network behind it are run a few points at a time, whose features stay in the caches; on the way back
the gradients of all features are held until the table's is summed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.kernels import native, reference
from inrcodec.kernels.arguments import check_alike, check_arrays, plain, runs_natively
from inrcodec.kernels.perceptron import GridPerceptron, Perceptron

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")

__all__ = ["grid_mlp", "grid_mlp_descent", "mlp_descent"]


def grid_mlp(coords: Array, values: Array, shape: GridPerceptron) -> Array:
    """The values [n, outputs] of a network of a grid's features at `coords` [n, n_dims].

    `values` [shape.n_values]: the table, then the parameters. Coordinates as of `grid_encode`.
    Torch tensors get gradients for both arguments. float32 runs natively where that is built.
    Raises ConfigError for other shapes.
    """
    check_arrays("grid_mlp", coords=coords, values=values)
    _check(coords, "coords", (len(coords), shape.grid.n_dims))
    _check(values, "values", (shape.n_values,))
    table, parameters = shape.split(values)
    if isinstance(coords, np.ndarray):
        return _apply_to_arrays(coords, (table, parameters), shape)
    from inrcodec.kernels import torch_mlp, torch_ops  # imports torch

    features = torch_ops.grid_encode(coords, table, shape.grid)
    return torch_mlp.mlp(features, [parameters], shape.perceptron)


def _apply_to_arrays(
    coords: NDArray[np.floating],
    values: tuple[NDArray[np.floating], NDArray[np.floating]],
    shape: GridPerceptron,
) -> NDArray[np.floating]:
    table, parameters = values
    if not runs_natively(coords, table):
        features = reference.grid_encode(coords, table, shape.grid)
        network = shape.perceptron
        return reference.mlp(features, *network.split(parameters), network.activation)
    out = np.empty((len(coords), shape.perceptron.sizes[-1]), np.float32)
    native.grid_mlp_forward((plain(coords), plain(table), plain(parameters)), shape, out)
    return out


def mlp_descent(
    x: Array, targets: Array, parameters: Array, shape: Perceptron
) -> tuple[float, Array]:
    """How far a network at `x` [n, inputs] is off `targets` [n, outputs]: the mean square.

    And its gradient by the `parameters` [shape.n_parameters], which are as `Perceptron.runs` joins
    them. float32 on the CPU runs natively where that is built, all else on the reference. Raises
    ConfigError for other shapes, other than floats, or no points.
    """
    check_alike("mlp_descent", x=x, targets=targets, parameters=parameters)
    _check(x, "x", (len(x), shape.sizes[0]))
    _check(targets, "targets", (len(x), shape.sizes[-1]))
    _check(parameters, "parameters", (shape.n_parameters,))
    _check_any(x)
    x, targets, parameters = plain(x), plain(targets), plain(parameters)
    if not runs_natively(x, targets, parameters):
        mean, gradient, _ = _reference_descent(x, targets, parameters, shape)
        return mean, gradient
    out = _empty_like(parameters)
    return native.mlp_descent((x, targets, parameters), shape, out) / _size(targets), out


def grid_mlp_descent(
    coords: Array, targets: Array, values: Array, shape: GridPerceptron
) -> tuple[float, Array]:
    """As `mlp_descent`, of a network of a grid's features at `coords` [n, n_dims].

    The gradient is that of `values` [shape.n_values]: the table, then the parameters. On a GPU both
    run natively if the network has a kernel there, else the grid does, or by tiny-cuda-nn with
    backend tcnn.
    """
    check_alike("grid_mlp_descent", coords=coords, targets=targets, values=values)
    _check(coords, "coords", (len(coords), shape.grid.n_dims))
    _check(targets, "targets", (len(coords), shape.perceptron.sizes[-1]))
    _check(values, "values", (shape.n_values,))
    _check_any(coords)
    coords, targets, values = plain(coords), plain(targets), plain(values)
    table, parameters = shape.split(values)
    done = _descent_on_gpu(coords, targets, values, shape)
    if done is not None:
        return done
    if not runs_natively(coords, targets, values):
        features = _features(coords, table, shape)
        mean, of_parameters, of_features = _reference_descent(
            features, targets, parameters, shape.perceptron
        )
        of_table = _table_gradient(of_features, coords, shape)
        joined = array_namespace(values).concat((of_table.reshape(-1), of_parameters))
        return mean, joined
    out = _empty_like(values)
    inputs = coords, targets, table, parameters
    squares = native.grid_mlp_descent(inputs, shape, shape.split(out))
    return squares / _size(targets), out


def _descent_on_gpu(
    coords: Any, targets: Any, values: Any, shape: GridPerceptron
) -> tuple[float, Any] | None:
    """What native kernels of a GPU give, or tiny-cuda-nn, or None if the arrays or the network are
    not for them."""
    if isinstance(coords, np.ndarray):
        return None
    from inrcodec.kernels import torch_mlp, torch_tcnn  # imports torch

    if torch_tcnn.runs(coords):
        return torch_tcnn.grid_mlp_descent(coords, targets, values, shape)
    if not torch_mlp.floats_on_gpu(shape.perceptron, coords, values):
        return None
    return torch_mlp.grid_descent_on_gpu(coords, targets, values, shape)


def _features(coords: Array, table: Array, shape: GridPerceptron) -> Array:
    """For tensors those of the operator, which is native on a GPU."""
    if isinstance(coords, np.ndarray):
        return reference.grid_encode(coords, table, shape.grid)
    from inrcodec.kernels import torch_ops  # imports torch

    return torch_ops.grid_encode(coords, table, shape.grid)


def _table_gradient(of_features: Array, coords: Array, shape: GridPerceptron) -> Array:
    if isinstance(coords, np.ndarray):
        return reference.grid_encode_table_gradient(of_features, coords, shape.grid)
    from inrcodec.kernels import torch_ops  # imports torch

    return torch_ops.table_gradient(of_features, coords, shape.grid)


def _reference_descent(
    x: Array, targets: Array, parameters: Array, shape: Perceptron
) -> tuple[float, Array, Array]:
    """The mean square, and its gradients by the parameters and by x."""
    xp, layers = array_namespace(x), shape.split(parameters)
    errors = reference.mlp(x, *layers, shape.activation) - targets
    gradient = errors * (2.0 / _size(targets))
    of_weights, of_biases, of_x = reference.mlp_gradients(
        gradient, x, *layers, activation=shape.activation
    )
    mean = float(xp.mean(errors * errors))
    return mean, xp.concat(tuple(shape.runs(of_weights, of_biases))), of_x


def _check(array: Any, name: str, shape: tuple[int, ...]) -> None:
    if tuple(array.shape) != shape:
        raise ConfigError(f"network: {name} must have shape {list(shape)}, got {list(array.shape)}")


def _check_any(points: Any) -> None:
    if points.shape[0] == 0:
        raise ConfigError("network: there must be points, got none")


def _empty_like(array: Any) -> Any:
    return np.empty_like(array) if isinstance(array, np.ndarray) else array.new_empty(array.shape)


def _size(targets: Any) -> int:
    return int(targets.shape[0]) * int(targets.shape[1])
