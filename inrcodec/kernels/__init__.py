"""The hot loops, as typed functions over numpy arrays and torch tensors.

`reference.py` is their meaning. The native module replaces it where it is built and takes the
types at hand; `dispatch.py` holds that choice. torch is imported only when a torch tensor comes in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.kernels import native, reference, reference_quantize, reference_soap
from inrcodec.kernels.arguments import check_alike, check_arrays, plain, runs_natively
from inrcodec.kernels.context_priors import CONTEXT_PRIORS
from inrcodec.kernels.descent import grid_mlp, grid_mlp_descent, mlp_descent
from inrcodec.kernels.dispatch import (
    backend,
    device,
    gpu_is_asked_for,
    gpu_problem,
    set_backend,
    set_device,
    set_threads,
    threads,
    uses_native,
)
from inrcodec.kernels.geometry import GridGeometry, GridLevel, Interpolation
from inrcodec.kernels.perceptron import Activation, GridPerceptron, Perceptron
from inrcodec.kernels.pyramid import SIZES, Grid, LatentShape, Softness, Weight
from inrcodec.kernels.quantizer import AdamStep, Quantizer, Rounding
from inrcodec.kernels.soap import Soap

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")

__all__ = [
    "CONTEXT_PRIORS",
    "SIZES",
    "Activation",
    "AdamStep",
    "Grid",
    "GridGeometry",
    "GridLevel",
    "GridPerceptron",
    "Interpolation",
    "LatentShape",
    "Perceptron",
    "Quantizer",
    "Rounding",
    "Soap",
    "Softness",
    "Weight",
    "backend",
    "device",
    "gpu_is_asked_for",
    "gpu_problem",
    "grid_encode",
    "grid_mlp",
    "grid_mlp_descent",
    "latent_bits",
    "latent_cost",
    "latent_pixels",
    "mlp",
    "mlp_descent",
    "quantize_forward",
    "quantize_step",
    "set_backend",
    "set_device",
    "set_threads",
    "soap_step",
    "soft_latents",
    "threads",
    "uses_native",
]


def grid_encode(coords: Array, table: Array, geometry: GridGeometry) -> Array:
    """Features [n, n_outputs] of a grid's `table` [n_entries, n_features] at `coords` [n, n_dims].

    Coordinates lie in [0, 1]; others are moved to the border, NaN to 0. Torch tensors get
    gradients for both arguments, which can be differentiated again; a second derivative by
    coordinates cannot (NotImplementedError). float32 runs natively where that is built, on a GPU a
    table of 16 bits too, every other float type on the reference. With backend tcnn, tiny-cuda-nn
    runs what is on a GPU, differentiable once (`torch_tcnn.py`). Raises ConfigError when a shape
    contradicts the geometry, and for arrays of other than floats or on several devices.
    """
    check_arrays("grid_encode", coords=coords, table=table)
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
    none; the last one has no activation. Torch tensors get gradients for all arguments, which have
    none themselves (NotImplementedError). float32 on the CPU, and of small ReLU networks on a GPU,
    runs natively where that is built, all else on the reference. Raises ConfigError when shapes do
    not chain, for more than 33 layers or a size outside [1, 1024], and for arrays of other than
    floats, of several types or on several devices.
    """
    named = {f"weights[{i}]": weight for i, weight in enumerate(weights)}
    named |= {f"biases[{i}]": bias for i, bias in enumerate(biases or ())}
    check_alike("mlp", x=x, **named)
    shape = Perceptron.of(x, weights, biases, activation)
    if isinstance(x, np.ndarray):
        return _apply_to_arrays(x, shape, weights, biases)
    from inrcodec.kernels import torch_mlp  # imports torch

    return torch_mlp.mlp(x, shape.runs(weights, biases), shape)


def latent_bits(
    latents: torch.Tensor, shape: LatentShape, weights: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """What each of `latents` [n_latents] costs, in bits [n_latents], at most 16.

    All grids follow one another in the order of the shape, row by row; `weights` by name, as the
    shape has them. Values need not be whole: a cost is that of a Laplace distribution over
    [y - 1/2, y + 1/2]. Differentiable in all of them.
    """
    from inrcodec.kernels import torch_latent  # imports torch

    return torch_latent.latent_bits(latents, shape, weights)


def latent_cost(
    latents: torch.Tensor, shape: LatentShape, weights: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """The sum of `latent_bits`, a scalar; float32 runs natively where built, as on a GPU."""
    from inrcodec.kernels import torch_latent_fit  # imports torch

    return torch_latent_fit.latent_cost(latents, shape, weights)


def latent_pixels(
    latents: torch.Tensor, shape: LatentShape, weights: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """What the synthesis puts out, [channels, height, width], of latents as of `latent_bits`.

    float32 runs natively where that is built, on a GPU too.
    """
    from inrcodec.kernels import torch_latent_fit  # imports torch

    return torch_latent_fit.latent_pixels(latents, shape, weights)


def soft_latents(
    units: torch.Tensor, noise: torch.Tensor, softness: Softness | torch.Tensor
) -> torch.Tensor:
    """The latents [n] of `units` [n] as a fit sees them: rounded softly, with `noise` [n], normal,
    and rounded softly again. Differentiable in the units; float32 runs natively where that is
    built, on a GPU too, where `softness` may lie as `torch_gpu_moves.soft_scalars`, [4]."""
    from inrcodec.kernels import torch_latent_fit  # imports torch

    return torch_latent_fit.soft_latents(units, noise, softness)


def quantize_forward(
    units: Array, quantizer: Quantizer, *, base: Array | None = None, weights: Array | None = None
) -> NDArray[np.float64]:
    """The sums [tensors, 4] of |y|, y^2, |d| and d^2 of the symbols y of `units` [n].

    `reference_quantize.py` says what they are; d = y - `base` [n], whole numbers, without which the
    last two are 0. The weights y * step are written to `weights` [n]. Contiguous arrays on the CPU;
    of float32 they are worked on natively where that is built. Raises ConfigError for other shapes.
    """
    arrays: list[Any] = [array for array in (units, base, weights) if array is not None]
    _check_vectors(quantizer, arrays)
    if runs_natively(*arrays):
        return native.quantize_forward(units, quantizer, base, weights)
    return reference_quantize.quantize_forward(units, quantizer, base=base, weights=weights)


def quantize_step(
    gradient: Array,
    state: tuple[Array, Array, Array],
    quantizer: Quantizer,
    *,
    slopes: NDArray[np.float64],
    adam: AdamStep,
    base: Array | None = None,
) -> NDArray[np.float64]:
    """Move `state`, units [n] and Adam's mean and square of their gradient, one step downhill.

    `gradient` [n]: of a loss by the weights. `slopes` [tensors, 4]: of what the bits cost, by each
    sum of `quantize_forward`, as called with the same `quantizer` and `base`. Gives [tensors, 2]:
    the derivative of loss and cost by the step, and the sum of those by the units, which is finite
    if all are. Arrays as of `quantize_forward`. Raises ConfigError for other shapes.
    """
    arrays: list[Any] = [array for array in (gradient, *state, base) if array is not None]
    _check_vectors(quantizer, arrays)
    if slopes.shape != (len(quantizer.sizes), 4):
        raise ConfigError(f"quantize: slopes must be [tensors, 4], got {list(slopes.shape)}")
    run = native.quantize_step if runs_natively(*arrays) else reference_quantize.quantize_step
    return run(gradient, state, quantizer, slopes=slopes, adam=adam, base=base)


def soap_step(
    parameters: Array, gradient: Array, state: Array, soap: Soap, *, rate: float, count: int
) -> bool:
    """Move `parameters` [n] downhill: step number `count`, from 1 on, of SOAP.

    `reference_soap.py` says what that is. `gradient` [n]; `state` [soap.n_state] is zeros at first.
    The first step moves nothing but the state. Where the gradient is not finite, or above 1e12,
    nothing changes, and the answer is False. Contiguous arrays on the CPU; of float32 they are
    worked on natively where that is built. Raises ConfigError for other shapes, a rate below 0, a
    count below 1.
    """
    arrays: tuple[Any, Any, Any] = (parameters, gradient, state)
    sizes = [list(array.shape) for array in arrays]
    if sizes != [[soap.n_values], [soap.n_values], [soap.n_state]]:
        wanted = f"{soap.n_values}, {soap.n_values} and {soap.n_state} values"
        raise ConfigError(f"soap_step: arrays must have {wanted}, got {sizes}")
    if not 0.0 <= rate < math.inf or count < 1:
        raise ConfigError(f"soap_step: rate must be at least 0, count 1, got {rate} and {count}")
    if runs_natively(*arrays):
        return native.soap_step(arrays, soap, rate=rate, count=count)
    values, slopes, memory = (np.asarray(array) for array in arrays)
    return reference_soap.soap_step(values, slopes, memory, soap, rate=rate, count=count)


def _check_vectors(quantizer: Quantizer, arrays: list[Any]) -> None:
    for array in arrays:
        if tuple(array.shape) != (quantizer.n_values,):
            shape = list(array.shape)
            raise ConfigError(f"quantize: arrays must be [{quantizer.n_values}], got {shape}")


def _apply_to_arrays(
    x: NDArray[np.floating],
    shape: Perceptron,
    weights: Sequence[NDArray[np.floating]],
    biases: Sequence[NDArray[np.floating]] | None,
) -> NDArray[np.floating]:
    if not runs_natively(x, *weights, *(biases or ())):
        return reference.mlp(x, weights, biases, shape.activation)
    out = np.empty((x.shape[0], shape.sizes[-1]), np.float32)
    parameters = np.concatenate(shape.runs(weights, biases))
    native.mlp_forward((plain(x), parameters), shape, out)
    return out


def _encode_arrays(
    coords: NDArray[np.floating], table: NDArray[np.floating], geometry: GridGeometry
) -> NDArray[np.floating]:
    if not runs_natively(coords, table):
        return reference.grid_encode(coords, table, geometry)
    out = np.empty((coords.shape[0], geometry.n_outputs), np.float32)
    native.call_on_cpu("grid_encode_forward", (plain(coords), plain(table)), geometry, out)
    return out


def _shape_problem(name: str, expected: str, got: tuple[int, ...]) -> str:
    return f"grid_encode: {name} must have shape {expected}, got {list(got)}"
