"""The kernels of grids as torch operators, with their gradients.

Imported only when a torch tensor comes in. An operator runs native code where that is built and
takes the tensors (float32, on a CUDA device with tables and features of 16 bits too, whose sums are
float32), else the reference; a caller sees no difference. On a GPU the gradient of a table is
summed in no fixed order, but for `torch.use_deterministic_algorithms(True)`. A geometry travels
through the schema as its numbers. With backend tcnn `torch_tcnn.py` runs a grid on a GPU instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from inrcodec.kernels import dispatch, native, reference, torch_tcnn
from inrcodec.kernels.arguments import aligned
from inrcodec.kernels.geometry import GridGeometry
from inrcodec.kernels.torch_operators import Operator

__all__ = ["grid_encode", "table_gradient"]

_ON_GPU: Final = (torch.float32, torch.float16, torch.bfloat16)


def grid_encode(coords: Tensor, table: Tensor, geometry: GridGeometry) -> Tensor:
    """`inrcodec.kernels.grid_encode` for tensors whose shapes are checked; differentiable twice.

    With backend tcnn on a GPU, once.
    """
    if torch_tcnn.runs(coords):
        return torch_tcnn.grid_encode(coords, table, geometry)
    features: Tensor = _features(coords, table, None, geometry.numbers)
    return features


def table_gradient(gradient: Tensor, coords: Tensor, geometry: GridGeometry) -> Tensor:
    """The gradient [n_entries, n_features] of the table, given that of the features."""
    of_table: Tensor = _of_table(gradient, coords, None, geometry.numbers)
    return of_table


_known_geometry = lru_cache(maxsize=256)(GridGeometry.of)


def _geometry(grid: Sequence[int]) -> GridGeometry:
    return _known_geometry(tuple(grid))


def _forward(
    coords: Tensor, table: Tensor, direction: Tensor | None, grid: Sequence[int]
) -> Tensor:
    geometry = _geometry(grid)
    if not _is_native(table, coords, direction):
        return reference.grid_encode(coords, table, geometry, direction=direction)
    out = _empty_features(coords, table, direction, grid)
    return _run_native("grid_encode_forward", (coords, table), geometry, out, direction=direction)


def _table_gradient(
    gradient: Tensor, coords: Tensor, direction: Tensor | None, grid: Sequence[int]
) -> Tensor:
    geometry, inputs = _geometry(grid), (gradient, coords)
    if not _is_native(gradient, coords, direction):
        return reference.grid_encode_table_gradient(*inputs, geometry, direction=direction)
    out = _empty_table(*inputs, direction, grid)
    name = "grid_encode_table_gradient"
    return _run_native(name, inputs, geometry, out, direction=direction)


def _coords_gradient(gradient: Tensor, coords: Tensor, table: Tensor, *way: Any) -> Tensor:
    """`way`: the direction or None, and the grid."""
    direction, grid = way
    geometry, inputs = _geometry(grid), (gradient, coords, table)
    if not _is_native(table, coords, direction) or gradient.dtype != table.dtype:
        of_coords: Tensor = reference.grid_encode_coords_gradient(
            *inputs, geometry, direction=direction
        )
        return of_coords
    out: Tensor = _empty_coords(*inputs, *way)
    name = "grid_encode_coords_gradient"
    return _run_native(name, inputs, geometry, out, direction=direction)


def _is_native(values: Tensor, *points: Tensor | None) -> bool:
    """Whether native code takes tables or features like `values` with coordinates and a way."""
    module = dispatch.native()
    if module is None or any(x is not None and x.dtype != torch.float32 for x in points):
        return False
    if values.is_cuda and module.cuda_runtime is not None:
        return values.dtype in _ON_GPU
    return values.is_cpu and values.dtype == torch.float32


def _run_native(
    name: str,
    inputs: tuple[Tensor, ...],
    geometry: GridGeometry,
    out: Tensor,
    *,
    direction: Tensor | None,
) -> Tensor:
    arrays = tuple(aligned(tensor) for tensor in inputs)
    way = None if direction is None else aligned(direction)
    if out.is_cpu:
        native.call_on_cpu(name, arrays, geometry, out, direction=way)
    elif name == "grid_encode_table_gradient":
        is_whole = torch.are_deterministic_algorithms_enabled()
        gradient, coords = arrays
        native.grid_table_gradient_on_gpu(
            (gradient, coords), geometry, out, direction=way, is_whole=is_whole
        )
    else:
        native.call_on_gpu(name, arrays, geometry, out, direction=way)
    return out


# The shapes of the results, also for tensors without data.


def _empty_features(
    coords: Tensor, table: Tensor, direction: Tensor | None, grid: Sequence[int]
) -> Tensor:
    return table.new_empty((coords.shape[0], _geometry(grid).n_outputs))


def _empty_table(
    gradient: Tensor, coords: Tensor, direction: Tensor | None, grid: Sequence[int]
) -> Tensor:
    geometry = _geometry(grid)
    return gradient.new_empty((geometry.n_entries, geometry.n_features))


def _empty_coords(gradient: Tensor, coords: Tensor, table: Tensor, *way: Any) -> Tensor:
    return torch.empty_like(coords, memory_format=torch.contiguous_format)


# The way back. Each operator is linear in all its tensors but the coordinates, so its derivatives
# are the same three operators: <g, features(x, T)> = <table_gradient(g, x), T>, and what is encoded
# along a direction v is <coords_gradient(g, x, T), v>.


class _Context(Protocol):
    """What torch hands from the way there to the way back."""

    saved_tensors: tuple[Tensor | None, ...]
    needs_input_grad: tuple[bool, ...]
    grid: Sequence[int]

    def save_for_backward(self, *tensors: Tensor | None) -> None: ...


def _remember(ctx: _Context, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.grid = inputs
    ctx.save_for_backward(*tensors)


def _forward_back(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
    coords, table, direction = ctx.saved_tensors
    needs_coords, needs_table, needs_direction, *_ = ctx.needs_input_grad
    rest = direction, ctx.grid
    of_coords = of_table = of_direction = None
    if needs_coords:
        of_coords = _of_coords(gradient, coords, table, *rest)
    if needs_table:
        of_table = _of_table(gradient, coords, *rest)
    if needs_direction:
        of_direction = _of_coords(gradient, coords, table, None, ctx.grid)
    return of_coords, of_table, of_direction, None


def _table_gradient_back(ctx: _Context, cotangent: Tensor) -> tuple[Tensor | None, ...]:
    gradient, coords, direction = ctx.saved_tensors
    needs_gradient, needs_coords, needs_direction, *_ = ctx.needs_input_grad
    rest = direction, ctx.grid
    of_gradient = of_coords = of_direction = None
    if needs_gradient:
        of_gradient = _features(coords, cotangent, *rest)
    if needs_coords:
        of_coords = _of_coords(gradient, coords, cotangent, *rest)
    if needs_direction:
        inputs = gradient, coords, cotangent, None
        of_direction = _of_coords(*inputs, ctx.grid)
    return of_gradient, of_coords, of_direction, None


def _coords_gradient_back(ctx: _Context, cotangent: Tensor) -> tuple[Tensor | None, ...]:
    gradient, coords, table, direction = ctx.saved_tensors
    if direction is not None:
        message = "second derivatives of a grid by its coordinates have no derivatives here"
        raise NotImplementedError(message)
    needs_gradient, needs_coords, needs_table, *_ = ctx.needs_input_grad
    rest = cotangent, ctx.grid
    of_gradient = of_coords = of_table = None
    if needs_gradient:
        of_gradient = _features(coords, table, *rest)
    if needs_coords:
        of_coords = _of_coords(gradient, coords, table, *rest)
    if needs_table:
        of_table = _of_table(gradient, coords, *rest)
    return of_gradient, of_coords, of_table, None, None


def _define(
    name: str, tensors: str, run: Callable[..., Tensor], *, fake: Callable[..., Tensor], back: Any
) -> Operator:
    schema = f"{name}({tensors}, Tensor? direction, int[] grid) -> Tensor"
    return Operator(schema, run, fake=fake, keep=_remember, back=back)


_features: Final = _define(
    "grid_encode", "Tensor coords, Tensor table", _forward, fake=_empty_features, back=_forward_back
)
_of_table: Final = _define(
    "grid_encode_table_gradient",
    "Tensor gradient, Tensor coords",
    _table_gradient,
    fake=_empty_table,
    back=_table_gradient_back,
)
_of_coords: Final = _define(
    "grid_encode_coords_gradient",
    "Tensor gradient, Tensor coords, Tensor table",
    _coords_gradient,
    fake=_empty_coords,
    back=_coords_gradient_back,
)
