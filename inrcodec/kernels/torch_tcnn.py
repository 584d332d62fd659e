"""Grids on a GPU by tiny-cuda-nn, for the backend "tcnn", with their gradients.

Imported with `torch_ops.py`; tinycudann itself is imported when a grid is first run.
`tcnn_layout.py` says which of its encodings stand in for a grid. They run in the type of the table,
float32 or float16, coordinates in float32. The gradient of a table is summed by atomics, of tables
of float16 with more than one feature in float16, whatever torch is asked for.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from inrcodec.errors import ConfigError
from inrcodec.kernels import dispatch, torch_mlp
from inrcodec.kernels.geometry import GridGeometry
from inrcodec.kernels.perceptron import GridPerceptron
from inrcodec.kernels.tcnn_layout import TcnnPart, layout_of

__all__ = ["Encodings", "encodings_of", "grid_encode", "grid_mlp_descent", "runs"]

_TYPES: Final = (torch.float32, torch.float16)
_LENT: Final = Lock()  # while a module has a table of ours in place of its own


class Encodings(NamedTuple):
    """What runs a grid on a device: tiny-cuda-nn's modules, and how they see ours.

    `factors` [n_dims] of each, or None where all are 1; `rows`: as of `TcnnLayout`.
    """

    modules: tuple[torch.nn.Module, ...]
    parts: tuple[TcnnPart, ...]
    factors: tuple[Tensor | None, ...]
    rows: Tensor | None

    def __call__(self, coords: Tensor, table: Tensor) -> Tensor:
        """The features; differentiable once."""
        features: Tensor = _Encoded.apply(coords, table, self)  # type: ignore[no-untyped-call]
        return features


def runs(coords: Tensor) -> bool:
    """Whether grids at these coordinates are for tiny-cuda-nn."""
    return coords.is_cuda and dispatch.backend() == "tcnn"


def grid_encode(coords: Tensor, table: Tensor, geometry: GridGeometry) -> Tensor:
    """`inrcodec.kernels.grid_encode` for tensors on a GPU whose shapes are checked.

    Differentiable in both, but once only. Raises ConfigError for tables of other types, tensors on
    the CPU, and grids that tiny-cuda-nn does not have.
    """
    if table.dtype not in _TYPES:
        name = str(table.dtype).removeprefix("torch.")
        raise ConfigError(f"backend tcnn has no tables of {name}: float32 or float16")
    if coords.device.type != "cuda":
        raise ConfigError(f"backend tcnn takes tensors on a GPU, not on {coords.device}")
    return encodings_of(geometry, table.dtype, table.device)(coords, table)


def grid_mlp_descent(
    coords: Tensor, targets: Tensor, values: Tensor, shape: GridPerceptron
) -> tuple[float, Tensor]:
    """`inrcodec.kernels.grid_mlp_descent` for such tensors; the network runs as ever."""
    leaf = values.detach().requires_grad_()
    with torch.enable_grad():
        table, parameters = shape.split(leaf)
        features = grid_encode(coords, table, shape.grid)
        errors = torch_mlp.mlp(features, [parameters], shape.perceptron) - targets
        mean = errors.square().mean()
    (gradient,) = torch.autograd.grad(mean, leaf)
    return float(mean.detach()), gradient


@lru_cache(maxsize=4)
def encodings_of(geometry: GridGeometry, dtype: torch.dtype, device: torch.device) -> Encodings:
    """What runs a grid with tables of a type on a device."""
    layout = layout_of(geometry)
    modules = tuple(_module(geometry.n_dims, part, dtype) for part in layout.parts)
    return Encodings(
        modules,
        layout.parts,
        tuple(_factors(part, device) for part in layout.parts),
        None if layout.rows is None else torch.from_numpy(layout.rows.astype(np.int32)).to(device),
    )


def _module(n_dims: int, part: TcnnPart, dtype: torch.dtype) -> torch.nn.Module:
    tinycudann = importlib.import_module("tinycudann")
    module: Any = tinycudann.Encoding(n_dims, part.config, dtype=dtype)
    n_rows = module.params.numel() // int(part.config["n_features_per_level"])
    if n_rows != part.n_rows:
        raise ConfigError(f"this tinycudann makes {n_rows} rows of a grid, not {part.n_rows}")
    module.params = torch.nn.Parameter(torch.empty(0))  # it gets ours at each call
    checked: torch.nn.Module = module
    return checked


def _factors(part: TcnnPart, device: torch.device) -> Tensor | None:
    if all(factor == 1.0 for factor in part.factors):
        return None
    return torch.tensor(part.factors, dtype=torch.float64, device=device)


class _Encoded(torch.autograd.Function):
    """Hides what tiny-cuda-nn does not do: a second derivative, gradients in other strides."""

    @staticmethod
    def forward(ctx: Any, coords: Tensor, table: Tensor, encodings: Encodings) -> Tensor:
        leaves = [x.detach().requires_grad_(x.requires_grad) for x in (coords, table)]
        with torch.enable_grad():
            features = _features(*leaves, encodings=encodings)
        ctx.leaves, ctx.features = leaves, features
        return torch.cat([part.detach() for part in features], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        needed = [leaf for leaf in ctx.leaves if leaf.requires_grad]
        widths = [part.shape[1] for part in ctx.features]
        parts = [part.contiguous() for part in torch.split(gradient, widths, dim=1)]
        found = iter(
            torch.autograd.grad(
                ctx.features, needed, parts, retain_graph=True, materialize_grads=True
            )
        )
        return *(next(found) if leaf.requires_grad else None for leaf in ctx.leaves), None


def _features(coords: Tensor, table: Tensor, *, encodings: Encodings) -> list[Tensor]:
    """The features [n, outputs] of each part."""
    n_points = coords.shape[0]
    if n_points == 0:  # of which it would leave the gradient of the table as memory was
        coords = torch.nn.functional.pad(coords, (0, 0, 0, 1))
    inside = torch.where(coords > 0, coords, 0.0)  # as the reference: no gradient at the border
    inside = torch.where(inside < 1, inside, 1.0)
    spread = table if encodings.rows is None else table.index_select(0, encodings.rows)
    tables = torch.split(_aligned(spread), [part.n_rows for part in encodings.parts])
    each = zip(encodings.modules, tables, encodings.factors, strict=True)
    return [_run(module, rows, _scaled(inside, by))[:n_points] for module, rows, by in each]


def _scaled(inside: Tensor, factors: Tensor | None) -> Tensor:
    """Rounded once."""
    return inside.float() if factors is None else (inside.double() * factors).float()


def _run(module: torch.nn.Module, rows: Tensor, coords: Tensor) -> Tensor:
    with _LENT:
        features: Tensor = functional_call(module, {"params": rows.reshape(-1)}, (coords,))
    return features


def _aligned(table: Tensor) -> Tensor:
    """The table, row by row, where loads of 16 bytes can begin."""
    table = table.contiguous()
    return table.clone() if table.data_ptr() % 16 else table
