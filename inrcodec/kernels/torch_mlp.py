"""The network kernel as torch operators, as `torch_ops.py` has those of the grid.

All parameters come as one vector, so that an operator takes the same two tensors for any depth.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor

from inrcodec.kernels import dispatch, native, reference
from inrcodec.kernels.arguments import aligned, plain, runs_natively
from inrcodec.kernels.perceptron import Activation, GridPerceptron, Perceptron
from inrcodec.kernels.torch_operators import Operator

__all__ = ["floats_on_gpu", "grid_descent_on_gpu", "mlp"]

_FIELDS: Final = "int[] sizes, bool has_bias, str activation"
_known_shape = lru_cache(maxsize=256)(Perceptron)


def mlp(x: Tensor, runs: list[Tensor], shape: Perceptron) -> Tensor:
    """`inrcodec.kernels.mlp` for tensors whose shapes are checked; differentiable.

    `runs`: the parameters, as `Perceptron.runs` gives them.
    """
    parameters = runs[0] if len(runs) == 1 else torch.cat(runs)
    values: Tensor = _values(x, parameters, shape.sizes, shape.has_bias, shape.activation)
    return values


def _forward(x: Tensor, parameters: Tensor, *fields: Any) -> Tensor:
    shape = _shape(*fields)
    inputs = plain(x), plain(parameters)
    if runs_natively(x, parameters):
        native.mlp_forward(inputs, shape, out := _empty_values(x, parameters, *fields))
    elif floats_on_gpu(shape, x, parameters):
        native.mlp_forward_on_gpu(inputs, shape, out := _empty_values(x, parameters, *fields))
    else:
        out = reference.mlp(x, *shape.split(parameters), shape.activation)
    return out


def _gradients(
    gradient: Tensor, x: Tensor, parameters: Tensor, needs_x: bool, *fields: Any
) -> tuple[Tensor, Tensor]:
    """The gradients of x, of no points unless it is needed, and of the parameters."""
    shape = _shape(*fields)
    n_floats = floats_on_gpu(shape, x, gradient, parameters)
    if not runs_natively(gradient, x, parameters) and not n_floats:
        return _reference_gradients((gradient, x, parameters), needs_x, shape)
    of_x, of_parameters = _empty_gradients(gradient, x, parameters, needs_x)
    inputs = (plain(gradient), plain(x), plain(parameters))
    out = of_parameters, of_x if needs_x else None
    if n_floats:
        native.mlp_gradients_on_gpu(inputs, shape, out, x.new_empty(n_floats))
    else:
        native.mlp_gradients(inputs, shape, out)
    return of_x, of_parameters


def floats_on_gpu(shape: Perceptron, x: Tensor, *others: Tensor) -> int:
    """Floats that native kernels on a GPU work with for these; 0: they do not run there."""
    if not x.is_cuda or dispatch.native() is None:
        return 0
    if any(tensor.dtype != torch.float32 for tensor in (x, *others)):
        return 0
    return native.network_floats_on_gpu(shape, x.shape[0], x.device.index)


def grid_descent_on_gpu(
    coords: Tensor, targets: Tensor, values: Tensor, shape: GridPerceptron
) -> tuple[float, Tensor]:
    """`inrcodec.kernels.grid_mlp_descent` for tensors of which `floats_on_gpu` says some."""
    values = aligned(values)
    table, parameters = shape.split(values)
    out = torch.empty_like(values)
    squares = native.grid_mlp_descent_on_gpu(
        (coords, targets, table, parameters),
        shape,
        shape.split(out),
        is_whole=torch.are_deterministic_algorithms_enabled(),
    )
    return squares / targets.numel(), out


def _reference_gradients(
    inputs: tuple[Tensor, Tensor, Tensor], needs_x: bool, shape: Perceptron
) -> tuple[Tensor, Tensor]:
    gradient, x, parameters = inputs
    of_weights, of_biases, of_x = reference.mlp_gradients(
        gradient, x, *shape.split(parameters), activation=shape.activation
    )
    return of_x if needs_x else of_x[:0].clone(), torch.cat(shape.runs(of_weights, of_biases))


def _shape(sizes: list[int], has_bias: bool, activation: Activation) -> Perceptron:
    return _known_shape(tuple(sizes), has_bias, activation)


# The shapes of the results, also for tensors without data.


def _empty_values(x: Tensor, parameters: Tensor, sizes: list[int], *fields: Any) -> Tensor:
    return x.new_empty((x.shape[0], sizes[-1]))


def _empty_gradients(
    gradient: Tensor, x: Tensor, parameters: Tensor, needs_x: bool, *fields: Any
) -> tuple[Tensor, Tensor]:
    n_rows = x.shape[0] if needs_x else 0
    return x.new_empty((n_rows, x.shape[1])), parameters.new_empty(parameters.shape)


def _remember(
    ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Any, ...], output: Tensor
) -> None:
    x, parameters, *fields = inputs
    ctx.save_for_backward(x, parameters)
    ctx.fields = fields  # type: ignore[attr-defined]


def _backward(
    ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
) -> tuple[Tensor | None, ...]:
    x, parameters = ctx.saved_tensors  # type: ignore[attr-defined]
    needs_x = ctx.needs_input_grad[0]  # type: ignore[attr-defined]
    fields = ctx.fields  # type: ignore[attr-defined]
    of_x, of_parameters = _of_all(gradient, x, parameters, needs_x, *fields)
    return of_x if needs_x else None, of_parameters, *(None for _ in fields)


_values: Final = Operator(
    f"mlp(Tensor x, Tensor parameters, {_FIELDS}) -> Tensor",
    _forward,
    fake=_empty_values,
    keep=_remember,
    back=_backward,
)
_of_all: Final = Operator(
    "mlp_gradients(Tensor gradient, Tensor x, Tensor parameters, bool needs_x, "
    f"{_FIELDS}) -> (Tensor, Tensor)",
    _gradients,
    fake=_empty_gradients,
)
