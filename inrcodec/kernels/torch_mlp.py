"""The network kernel as torch operators, as `torch_ops.py` has those of the grid.

All parameters come as one vector, so that an operator takes the same two tensors for any depth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Any, Final

import torch
from torch import Tensor

from inrcodec.kernels import native, reference
from inrcodec.kernels.arguments import plain, runs_natively
from inrcodec.kernels.perceptron import Activation, Perceptron

__all__ = ["mlp"]

_FIELDS: Final = "int[] sizes, bool has_bias, str activation"
_library: Final = torch.library.Library("inrcodec", "FRAGMENT")  # type: ignore[no-untyped-call]


def mlp(x: Tensor, runs: list[Tensor], shape: Perceptron) -> Tensor:
    """`inrcodec.kernels.mlp` for tensors whose shapes are checked; differentiable.

    `runs`: the parameters, as `Perceptron.runs` gives them.
    """
    values: Tensor = torch.ops.inrcodec.mlp(x, torch.cat(runs), *astuple(shape))
    return values


def _forward(x: Tensor, parameters: Tensor, *fields: Any) -> Tensor:
    shape = _shape(*fields)
    if not runs_natively(x, parameters):
        return reference.mlp(x, *shape.split(parameters), shape.activation)
    out = _empty_values(x, parameters, *fields)
    native.mlp_forward((plain(x), plain(parameters)), shape, out)
    return out


def _gradients(
    gradient: Tensor, x: Tensor, parameters: Tensor, needs_x: bool, *fields: Any
) -> tuple[Tensor, Tensor]:
    """The gradients of x, of no points unless it is needed, and of the parameters."""
    shape = _shape(*fields)
    if not runs_natively(gradient, x, parameters):
        return _reference_gradients((gradient, x, parameters), needs_x, shape)
    of_x, of_parameters = _empty_gradients(gradient, x, parameters, needs_x)
    inputs = (plain(gradient), plain(x), plain(parameters))
    native.mlp_gradients(inputs, shape, (of_parameters, of_x if needs_x else None))
    return of_x, of_parameters


def _reference_gradients(
    inputs: tuple[Tensor, Tensor, Tensor], needs_x: bool, shape: Perceptron
) -> tuple[Tensor, Tensor]:
    gradient, x, parameters = inputs
    of_weights, of_biases, of_x = reference.mlp_gradients(
        gradient, x, *shape.split(parameters), activation=shape.activation
    )
    return of_x if needs_x else of_x[:0].clone(), torch.cat(shape.runs(of_weights, of_biases))


def _shape(sizes: list[int], has_bias: bool, activation: Activation) -> Perceptron:
    return Perceptron(tuple(sizes), has_bias, activation)


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
    of_x, of_parameters = torch.ops.inrcodec.mlp_gradients(
        gradient, x, parameters, needs_x, *fields
    )
    return of_x if needs_x else None, of_parameters, *(None for _ in fields)


def _define(schema: str, run: Callable[..., object], fake: Callable[..., object]) -> None:
    name = schema.split("(")[0]
    _library.define(schema)  # type: ignore[no-untyped-call]
    _library.impl(name, run, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"inrcodec::{name}", fake, lib=_library)


_define(f"mlp(Tensor x, Tensor parameters, {_FIELDS}) -> Tensor", _forward, _empty_values)
_define(
    "mlp_gradients(Tensor gradient, Tensor x, Tensor parameters, bool needs_x, "
    f"{_FIELDS}) -> (Tensor, Tensor)",
    _gradients,
    _empty_gradients,
)
torch.library.register_autograd("inrcodec::mlp", _backward, setup_context=_remember, lib=_library)
