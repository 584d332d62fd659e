"""Latents -> pixels in whole numbers: upsampling and synthesis, the reference in numpy.

`kernels.native.synthesize` computes the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.kernels import LatentShape
from inrcodec.representations.latentgrid.fixed import (
    LARGEST_PIXEL,
    LATENT_BITS,
    PIXEL_BITS,
    TAIL_BITS,
    WEIGHT_BITS,
    Fixed,
    rounded,
)

__all__ = ["synthesize", "upsample"]

_OFFSET_BITS = _SCALE_BITS = 16  # of the affine map to the [0, 1] scale
_SUM_BITS = LATENT_BITS + WEIGHT_BITS
_LARGEST_SUM = 2.0**36
_BLOCK = 1 << 16  # pixels that pass the hidden layer at once


def synthesize(
    grids: Sequence[NDArray[np.int32]],
    shape: LatentShape,
    weights: dict[str, Fixed],
    output: tuple[Sequence[int], int],
) -> NDArray[np.int32]:
    """Pixels [height, width, channels] in units of 2^-20, clipped to [0, 1].

    `grids`: of latents, coarsest first, without hyperlatents. `output`: an offset for each channel
    and one scale, in units of 2^-16.
    """
    if kernels.uses_native():
        return kernels.native.synthesize(grids, shape, weights, output)
    height, width = shape.height, shape.width
    latents = upsample(grids, weights).reshape(shape.n_levels, -1)
    tail, blend = _pointwise(latents, weights)
    tail = _tail(tail.reshape(-1, height, width), shape, weights)
    sums = rounded(tail, TAIL_BITS - LATENT_BITS).reshape(blend.shape) + blend
    offsets, scale = output
    shift = _SUM_BITS + _SCALE_BITS - PIXEL_BITS
    pixels = rounded(sums.clip(-_LARGEST_SUM, _LARGEST_SUM) * scale, shift)
    pixels += np.array(offsets)[:, None] * 2.0 ** (PIXEL_BITS - _OFFSET_BITS)
    clipped = pixels.clip(0.0, 2.0**PIXEL_BITS).astype(np.int32)
    return np.ascontiguousarray(clipped.T).reshape(height, width, shape.channels)


def upsample(grids: Sequence[NDArray[np.int32]], weights: dict[str, Fixed]) -> Fixed:
    """All latents at the size of the finest grid, finest first: [levels, height, width]."""
    stack = _scaled(grids[0])
    for rise, sharpen, grid in zip(weights["rise"], weights["sharpen"], grids[1:], strict=True):
        height, width = grid.shape
        risen = _doubled(_doubled(stack, rise, width, axis=2), rise, height, axis=1)
        sharp = _filtered(_scaled(grid), sharpen, axis=2)
        stack = np.concatenate([_filtered(sharp, sharpen, axis=1), risen])
    return stack


def _scaled(grid: NDArray[np.int32]) -> Fixed:
    """A grid as [1, height, width] with LATENT_BITS fractional bits."""
    return grid[None].astype(np.float64) * 2.0**LATENT_BITS


def _doubled(values: Fixed, kernel: Fixed, length: int, *, axis: int) -> Fixed:
    """Twice as many places along an axis, cut to `length`; beyond the ends they go on as there."""
    padding = [(2, 2) if i == axis else (0, 0) for i in range(3)]
    padded = np.moveaxis(np.pad(values, padding, mode="edge"), axis, 0)
    n = values.shape[axis]
    far, wide, near, middle = kernel
    taps = [padded[k : k + n] for k in range(5)]  # from two before to two after
    even = far * taps[0] + near * taps[1] + middle * taps[2] + wide * taps[3]
    odd = wide * taps[1] + middle * taps[2] + near * taps[3] + far * taps[4]
    both = np.stack([even, odd], axis=1).reshape(2 * n, *even.shape[1:])[:length]
    return np.moveaxis(_latent(both), 0, axis)


def _filtered(values: Fixed, kernel: Fixed, *, axis: int) -> Fixed:
    """A symmetric filter of 7 taps along an axis, outermost first; beyond the ends are zeros."""
    padding = [(3, 3) if i == axis else (0, 0) for i in range(3)]
    padded = np.moveaxis(np.pad(values, padding), axis, 0)
    n = values.shape[axis]
    sums = kernel[3] * padded[3 : 3 + n]
    for k in range(3):
        sums = sums + kernel[k] * (padded[k : k + n] + padded[6 - k : 6 - k + n])
    return np.moveaxis(_latent(sums), 0, axis)


def _pointwise(latents: Fixed, weights: dict[str, Fixed]) -> tuple[Fixed, Fixed]:
    """What each pixel has of its own latents: before the tail, and beside it; [channels, n]."""
    lift, lower = weights["lift"], weights["lower"]
    lift_bias, lower_bias = weights["lift_bias"][:, None], weights["lower_bias"][:, None]
    tail = np.empty((len(lower), latents.shape[1]))
    for at in range(0, latents.shape[1], _BLOCK):
        part = slice(at, at + _BLOCK)
        hidden = rounded(lift @ latents[:, part] + lift_bias, WEIGHT_BITS)
        sums = lower @ hidden.clip(0.0, LARGEST_PIXEL) + lower_bias
        tail[:, part] = rounded(sums, _SUM_BITS - TAIL_BITS)
    return tail.clip(-LARGEST_PIXEL, LARGEST_PIXEL), weights["blend"] @ latents


def _tail(values: Fixed, shape: LatentShape, weights: dict[str, Fixed]) -> Fixed:
    """The layers of 3 x 3: sums [channels, height, width] with TAIL_BITS + 16 fractional bits."""
    sums = values
    for layer in range(shape.networks.n_tail):
        if layer:
            values = rounded(sums, WEIGHT_BITS).clip(0.0, LARGEST_PIXEL)
        sums = _convolved(values, weights[f"tail{layer}"]) + values * 2.0**WEIGHT_BITS
        sums += weights[f"tail_bias{layer}"][:, None, None]
    return sums


def _convolved(values: Fixed, kernel: Fixed) -> Fixed:
    """`kernel` [outputs, inputs, 3, 3] over [inputs, height, width]; borders go on outside."""
    height, width = values.shape[1:]
    padded = np.pad(values, [(0, 0), (1, 1), (1, 1)], mode="edge")
    sums = np.zeros((len(kernel), height * width))
    for row in range(3):
        for column in range(3):
            near = padded[:, row : row + height, column : column + width]
            sums += kernel[:, :, row, column] @ near.reshape(len(near), -1)
    return sums.reshape(-1, height, width)


def _latent(sums: Fixed) -> Fixed:
    """A sum of products of latents and weights as a latent."""
    return rounded(sums, WEIGHT_BITS).clip(-LARGEST_PIXEL, LARGEST_PIXEL)
