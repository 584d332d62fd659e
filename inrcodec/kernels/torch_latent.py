"""What a fit of latent grids computes, in torch: the bits of all latents, and the pixels.

The float side of the whole numbers that a decoder computes with, differentiable in the latents and
in every weight. Imported only when a torch tensor comes in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as functional
from torch import Tensor

from inrcodec.kernels.pyramid import Grid, LatentShape, Softness

__all__ = ["latent_bits", "latent_pixels", "soft_latents"]

_LARGEST_LOG2_SCALE: Final = 15.0
_SMALLEST_LOG2_SCALE: Final = -5.0
_LEAST_PROBABILITY: Final = 2.0**-16

Weights = Mapping[str, Tensor]


def latent_bits(latents: Tensor, shape: LatentShape, weights: Weights) -> Tensor:
    """What each of `latents` [n_latents] costs, in bits [n_latents].

    All grids follow one another in the order of the shape, row by row. Values need not be whole: a
    cost is that of a Laplace distribution over [y - 1/2, y + 1/2], of at most 16 bits.
    """
    contexts = _contexts(latents, shape, weights)
    hidden = contexts
    for i in range(2):
        mixed = torch.addmm(weights[f"mix_bias{i}"][:, None], weights[f"mix{i}"], hidden)
        hidden = (mixed + hidden).relu_()
    head = torch.addmm(weights["head_bias"][:, None], weights["head"], hidden)
    mean, log2_scale = torch.addmm(head, weights["direct"], contexts).unbind(0)
    log2_scale = log2_scale.clamp(0.0, _LARGEST_LOG2_SCALE) + _SMALLEST_LOG2_SCALE
    inverse = torch.exp2(-log2_scale)
    distance = (latents - mean).abs()
    # by symmetry the mean lies below: P = F(d + 1/2) - F(d - 1/2)
    upper = torch.exp((-0.5 - distance) * inverse)
    lower = torch.exp(-(distance - 0.5).abs() * inverse)
    inside = 1.0 - 0.5 * (upper + lower)
    probability = torch.where(distance < 0.5, inside, 0.5 * (lower - upper))
    return -torch.log2(probability.clamp_min(_LEAST_PROBABILITY))


def latent_pixels(latents: Tensor, shape: LatentShape, weights: Weights) -> Tensor:
    """What the synthesis puts out, [channels, height, width], of latents as of `latent_bits`."""
    grids = [
        part.view(grid.height, grid.width)
        for grid, part in zip(shape.grids, _split(latents, shape), strict=True)
        if not grid.is_hyper
    ]
    stack = _upsampled(grids, weights)
    flat = stack.view(shape.n_levels, -1)
    hidden = torch.addmm(weights["lift_bias"][:, None], weights["lift"], flat).relu_()
    values = torch.addmm(weights["lower_bias"][:, None], weights["lower"], hidden)
    values = values.view(1, shape.channels, shape.height, shape.width)
    for layer in range(shape.networks.n_tail):
        if layer:
            values = functional.relu(values)
        padded = functional.pad(values, (1, 1, 1, 1), mode="replicate")
        bias = weights[f"tail_bias{layer}"]
        values = functional.conv2d(padded, weights[f"tail{layer}"], bias) + values
    return values[0] + (weights["blend"] @ flat).view(values.shape[1:])


def soft_latents(units: Tensor, noise: Tensor, softness: Softness) -> Tensor:
    """`inrcodec.kernels.soft_latents`."""
    softly = _soft_round(units * softness.gain, softness.temperature)
    return _soft_round(softly + noise * softness.noise, softness.temperature)


def _soft_round(x: Tensor, temperature: float) -> Tensor:
    """Differentiable rounding: round(x) at temperature 0, nearly x from 1 on; above 0.

    Source: Agustsson & Theis 2020, sec. 4.1, arXiv:2006.09952.
    """
    below = x.floor()
    bend = torch.tanh((x - below - 0.5) / temperature)
    return torch.add(below + 0.5, bend, alpha=0.5 / math.tanh(0.5 / temperature))


# --- contexts ------------------------------------------------------------------------------------


def _split(latents: Tensor, shape: LatentShape) -> Sequence[Tensor]:
    return torch.split(latents, [grid.n_values for grid in shape.grids])


class _Neighbours(torch.autograd.Function):
    """The causal neighbours [neighbours, n_latents] of all latents, 0 outside of a grid."""

    @staticmethod
    def forward(ctx: Any, latents: Tensor, shape: LatentShape) -> Tensor:
        ctx.shape = shape
        out = latents.new_empty((len(shape.neighbours), shape.n_latents))
        parts = torch.split(out, [grid.n_values for grid in shape.grids], dim=1)
        for grid, values, columns in zip(shape.grids, _split(latents, shape), parts, strict=True):
            padded, windows = _padded(grid, shape, latents)
            padded[-grid.height :, _MARGIN:-_MARGIN] = values.view(grid.height, grid.width)
            for window, column in zip(windows, columns, strict=True):
                column.view(grid.height, grid.width).copy_(window)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), shape = gradients, ctx.shape
        out = gradient.new_empty(shape.n_latents)
        parts = torch.split(gradient, [grid.n_values for grid in shape.grids], dim=1)
        for grid, values, columns in zip(shape.grids, _split(out, shape), parts, strict=True):
            padded, windows = _padded(grid, shape, gradient)
            for window, column in zip(windows, columns, strict=True):
                window += column.view(grid.height, grid.width)
            values.view(grid.height, grid.width).copy_(padded[-grid.height :, _MARGIN:-_MARGIN])
        return out, None


_MARGIN: Final = 4  # the farthest neighbour


def _padded(grid: Grid, shape: LatentShape, like: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Zeros around and in the place of a grid, and where in them each neighbour of it lies."""
    padded = like.new_zeros((grid.height + _MARGIN, grid.width + 2 * _MARGIN))
    windows = [
        padded[_MARGIN + row :, _MARGIN + column :][: grid.height, : grid.width]
        for row, column in shape.neighbours
    ]
    return padded, windows


def _contexts(latents: Tensor, shape: LatentShape, weights: Weights) -> Tensor:
    """What the context model sees, [neighbours and features, n_latents]."""
    neighbours = _Neighbours.apply(latents, shape)  # type: ignore[no-untyped-call]
    parts = _split(latents, shape)
    n_features = shape.networks.n_features
    plain = sum(grid.n_values for grid in shape.grids if not grid.feature_inputs)
    features = [latents.new_zeros((n_features, plain))]
    for number, grid in enumerate(shape.grids):
        if grid.feature_inputs:
            coarser = list(zip(shape.grids[:number], parts, strict=False))
            features.append(_features(grid, coarser, weights))
    return torch.cat([neighbours, torch.cat(features, dim=1)])


def _features(grid: Grid, coarser: list[tuple[Grid, Tensor]], weights: Weights) -> Tensor:
    """Features [n, n_values] of a grid: a linear map of coarser grids, seen at its places."""
    matrix = weights[f"feature{grid.feature_inputs}"]
    sums = None
    for column, (other, values) in zip(matrix.unbind(1), coarser, strict=True):
        term = (column[:, None] * values).view(-1, other.height, other.width)
        sums = term if sums is None else _repeated(sums, other) + term
    assert sums is not None
    sums = sums + weights[f"feature_bias{grid.feature_inputs}"][:, None, None]
    return _repeated(sums, grid).reshape(len(sums), -1)


def _repeated(values: Tensor, grid: Grid) -> Tensor:
    """Values [n, height, width] at the places of a grid that is as fine, or twice as fine."""
    n, height, width = values.shape
    if (height, width) == (grid.height, grid.width):
        return values
    finer = values[:, :, None, :, None].expand(n, height, 2, width, 2)
    return finer.reshape(n, 2 * height, 2 * width)[:, : grid.height, : grid.width]


# --- upsampling ----------------------------------------------------------------------------------


def _upsampled(grids: Sequence[Tensor], weights: Weights) -> Tensor:
    """All latents at the size of the finest grid, finest first: [levels, height, width]."""
    stack = grids[0][None]
    if len(grids) == 1:
        return stack
    kernels = zip(weights["rise"].unbind(0), weights["sharpen"].unbind(0), grids[1:], strict=True)
    for rise, sharpen, grid in kernels:
        height, width = grid.shape
        risen = _doubled(stack, rise, dim=2)[:, :, :width]
        risen = _doubled(risen, rise, dim=1)[:, :height]
        stack = torch.cat([_filtered(grid[None], sharpen), risen])
    return stack


def _doubled(values: Tensor, kernel: Tensor, *, dim: int) -> Tensor:
    """Twice as many places along an axis, the ends repeated beyond themselves."""
    padding = (2, 2, 0, 0) if dim == 2 else (0, 0, 2, 2)
    padded = functional.pad(values[None], padding, mode="replicate")[0]
    far, wide, near, middle = kernel.unbind(0)
    taps = [padded.narrow(dim, k, values.shape[dim]) for k in range(5)]
    even = far * taps[0] + near * taps[1] + middle * taps[2] + wide * taps[3]
    odd = wide * taps[1] + middle * taps[2] + near * taps[3] + far * taps[4]
    return torch.stack([even, odd], dim + 1).flatten(dim, dim + 1)


def _filtered(values: Tensor, kernel: Tensor) -> Tensor:
    """A symmetric filter of 7 taps along both axes, with zeros beyond the borders."""
    whole = torch.cat([kernel, kernel[:3].flip(0)])
    wide = functional.conv2d(values[None], whole.view(1, 1, 1, 7), padding=(0, 3))
    return functional.conv2d(wide, whole.view(1, 1, 7, 1), padding=(3, 0))[0]
