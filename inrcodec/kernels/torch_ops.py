"""The kernels as torch operators: schema, fake shape and gradient of each, declared once.

Imported only when a torch tensor comes in. An operator runs native code where that is built and
takes the tensors (float32, on the CPU or a CUDA device), else the reference; a caller sees no
difference. A geometry travels through the schema as its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor

from inrcodec.kernels import dispatch, native, reference
from inrcodec.kernels.geometry import GridGeometry

__all__ = ["grid_encode"]

_FIELDS: Final = (
    "int n_dims, int n_levels, int n_features, int log2_table_size, "
    "int base_resolution, float growth, str interpolation, int[] extents"
)
_library: Final = torch.library.Library("inrcodec", "DEF")  # type: ignore[no-untyped-call]


def grid_encode(coords: Tensor, table: Tensor, geometry: GridGeometry) -> Tensor:
    """`inrcodec.kernels.grid_encode` for tensors whose shapes are checked; differentiable."""
    features: Tensor = torch.ops.inrcodec.grid_encode(coords, table, *astuple(geometry))
    return features


_known_geometry = lru_cache(maxsize=256)(GridGeometry)


def _geometry(*fields: Any) -> GridGeometry:
    *numbers, extents = fields  # torch makes a list of the tuple
    return _known_geometry(*numbers, tuple(extents))


def _forward(coords: Tensor, table: Tensor, *fields: Any) -> Tensor:
    geometry = _geometry(*fields)
    if not _is_native(coords, table):
        return reference.grid_encode(coords, table, geometry)
    out = _empty_features(coords, table, *fields)
    return _run_native("grid_encode_forward", (coords, table), geometry, out)


def _table_gradient(gradient: Tensor, coords: Tensor, *fields: Any) -> Tensor:
    geometry = _geometry(*fields)
    if not _is_native(gradient, coords):
        return reference.grid_encode_table_gradient(gradient, coords, geometry)
    out = _empty_table(gradient, coords, *fields)
    return _run_native("grid_encode_table_gradient", (gradient, coords), geometry, out)


def _coords_gradient(gradient: Tensor, coords: Tensor, table: Tensor, *fields: Any) -> Tensor:
    geometry = _geometry(*fields)
    if not _is_native(gradient, coords, table):
        return reference.grid_encode_coords_gradient(gradient, coords, table, geometry)
    out = _empty_coords(gradient, coords, table, *fields)
    return _run_native("grid_encode_coords_gradient", (gradient, coords, table), geometry, out)


def _is_native(*tensors: Tensor) -> bool:
    module = dispatch.native()
    if module is None or any(tensor.dtype != torch.float32 for tensor in tensors):
        return False
    device = tensors[0].device.type
    return device == "cpu" or (device == "cuda" and module.cuda_runtime is not None)


def _run_native(
    name: str, inputs: tuple[Tensor, ...], geometry: GridGeometry, out: Tensor
) -> Tensor:
    plain = tuple(tensor.detach().contiguous() for tensor in inputs)
    call = native.call_on_cpu if out.device.type == "cpu" else native.call_on_gpu
    call(name, plain, geometry, out)
    return out


# The shapes of the results, also for tensors without data.


def _empty_features(coords: Tensor, table: Tensor, *fields: Any) -> Tensor:
    return table.new_empty((coords.shape[0], _geometry(*fields).n_outputs))


def _empty_table(gradient: Tensor, coords: Tensor, *fields: Any) -> Tensor:
    geometry = _geometry(*fields)
    return gradient.new_empty((geometry.n_entries, geometry.n_features))


def _empty_coords(gradient: Tensor, coords: Tensor, table: Tensor, *fields: Any) -> Tensor:
    return torch.empty_like(coords, memory_format=torch.contiguous_format)


def _remember(
    ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, ...], output: Tensor
) -> None:
    coords, table, *fields = inputs
    ctx.save_for_backward(coords, table)
    ctx.fields = fields  # type: ignore[attr-defined]


def _backward(
    ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
) -> tuple[Tensor | None, ...]:
    coords, table = ctx.saved_tensors  # type: ignore[attr-defined]
    fields = ctx.fields  # type: ignore[attr-defined]
    needs_coords, needs_table, *_ = ctx.needs_input_grad  # type: ignore[attr-defined]
    ops = torch.ops.inrcodec
    grad_coords = (
        ops.grid_encode_coords_gradient(gradient, coords, table, *fields) if needs_coords else None
    )
    grad_table = ops.grid_encode_table_gradient(gradient, coords, *fields) if needs_table else None
    return grad_coords, grad_table, *(None for _ in fields)


def _define(
    name: str, tensors: str, run: Callable[..., Tensor], fake: Callable[..., Tensor]
) -> None:
    _library.define(f"{name}({tensors}, {_FIELDS}) -> Tensor")  # type: ignore[no-untyped-call]
    _library.impl(name, run, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"inrcodec::{name}", fake, lib=_library)


_define("grid_encode", "Tensor coords, Tensor table", _forward, _empty_features)
_define(
    "grid_encode_table_gradient", "Tensor gradient, Tensor coords", _table_gradient, _empty_table
)
_define(
    "grid_encode_coords_gradient",
    "Tensor gradient, Tensor coords, Tensor table",
    _coords_gradient,
    _empty_coords,
)
torch.library.register_autograd(
    "inrcodec::grid_encode", _backward, setup_context=_remember, lib=_library
)
