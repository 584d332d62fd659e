"""The hot loops, as typed functions over numpy arrays and torch tensors.

`reference.py` is their meaning. The native module replaces it where it is built and takes the
types at hand; `dispatch.py` holds that choice. torch is imported only when a torch tensor comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.kernels import dispatch, native, reference
from inrcodec.kernels.dispatch import backend, set_backend, set_threads, threads
from inrcodec.kernels.geometry import GridGeometry, GridLevel, Interpolation
from inrcodec.kernels.perceptron import Activation, Perceptron

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")

__all__ = [
    "Activation",
    "GridGeometry",
    "GridLevel",
    "Interpolation",
    "backend",
    "grid_encode",
    "mlp",
    "set_backend",
    "set_threads",
    "threads",
]


def grid_encode(coords: Array, table: Array, geometry: GridGeometry) -> Array:
    """Features [n, n_outputs] of a grid's `table` [n_entries, n_features] at `coords` [n, n_dims].

    Coordinates lie in [0, 1]; others are moved to the border, NaN to 0. Torch tensors get
    gradients for both arguments. float32 runs natively where that is built, every other float type
    on the reference. Raises ConfigError when a shape contradicts the geometry.
    """
    if coords.ndim != 2 or coords.shape[1] != geometry.n_dims:
        raise ConfigError(_shape_problem("coords", f"[n, {geometry.n_dims}]", coords.shape))
    if tuple(table.shape) != (geometry.n_entries, geometry.n_features):
        expected = f"[{geometry.n_entries}, {geometry.n_features}]"
        raise ConfigError(_shape_problem("table", expected, table.shape))
    if isinstance(coords, np.ndarray):
        return _encode_arrays(coords, table, geometry)
    from inrcodec.kernels import torch_ops  # imports torch

    return torch_ops.grid_encode(coords, table, geometry)


def mlp(
    x: Array, weights: Sequence[Array], biases: Sequence[Array] | None, activation: Activation
) -> Array:
    """The values [n, outputs] of a small network at `x` [n, inputs].

    A layer is h = activation(W h + b) with `weights` [outputs, inputs] and `biases` [outputs] or
    none; the last one has no activation. Torch tensors get gradients for all arguments. float32 on
    the CPU runs natively where that is built, all else on the reference. Raises ConfigError when
    shapes do not chain, and for more than 33 layers or a size outside [1, 1024].
    """
    shape = Perceptron.of(x, weights, biases, activation)
    if isinstance(x, np.ndarray):
        return _apply_to_arrays(x, shape, weights, biases)
    from inrcodec.kernels import torch_mlp  # imports torch

    return torch_mlp.mlp(x, shape.runs(weights, biases), shape)


def _apply_to_arrays(
    x: NDArray[np.floating],
    shape: Perceptron,
    weights: Sequence[NDArray[np.floating]],
    biases: Sequence[NDArray[np.floating]] | None,
) -> NDArray[np.floating]:
    arrays = (x, *weights, *(biases or ()))
    if dispatch.native() is None or any(array.dtype != np.float32 for array in arrays):
        return reference.mlp(x, weights, biases, shape.activation)
    out = np.empty((x.shape[0], shape.sizes[-1]), np.float32)
    parameters = np.concatenate(shape.runs(weights, biases))
    native.mlp_forward((np.require(x, requirements=["C", "A"]), parameters), shape, out)
    return out


def _encode_arrays(
    coords: NDArray[np.floating], table: NDArray[np.floating], geometry: GridGeometry
) -> NDArray[np.floating]:
    if dispatch.native() is None or not coords.dtype == table.dtype == np.float32:
        return reference.grid_encode(coords, table, geometry)
    out = np.empty((coords.shape[0], geometry.n_outputs), np.float32)
    inputs = tuple(np.require(array, requirements=["C", "A"]) for array in (coords, table))
    native.call_on_cpu("grid_encode_forward", inputs, geometry, out)
    return out


def _shape_problem(name: str, expected: str, got: tuple[int, ...]) -> str:
    return f"grid_encode: {name} must have shape {expected}, got {list(got)}"
