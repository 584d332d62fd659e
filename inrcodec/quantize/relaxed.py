"""Uniform quantization as a gradient sees it: noise, straight-through rounding, expected bits.

The torch side of `uniform.py`: what a fit minimises is what `uniform.quantize` and the tables of
`entropy` will later cost. Nothing here decides a stored probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from inrcodec.quantize.uniform import N_STEPS, step_size

__all__ = ["add_noise", "expected_bits", "log2_steps", "round_through", "snap_steps"]

_LOG2_STEPS = np.log2([step_size(index) for index in range(N_STEPS)]).astype(np.float32)
_BOUNDS = torch.from_numpy((_LOG2_STEPS[1:] + _LOG2_STEPS[:-1]) / 2)
_LOG2_STEP_TABLE = torch.from_numpy(_LOG2_STEPS)


def snap_steps(log2_steps: Tensor) -> Tensor:
    """The nearest steps that a stream can store; the gradient passes straight through."""
    index = torch.bucketize(log2_steps.detach(), _BOUNDS)
    snapped = _LOG2_STEP_TABLE[index]
    return torch.exp2(log2_steps + (snapped - log2_steps).detach())


def log2_steps(indices: Sequence[int]) -> Tensor:
    """log2 of stored steps, by index."""
    return _LOG2_STEP_TABLE[torch.tensor(indices, dtype=torch.int64)]


def round_through(x: Tensor) -> Tensor:
    """round(x) with the gradient of x. Source: Bengio et al. 2013, arXiv:1308.3432."""
    return x + (torch.round(x) - x).detach()


def add_noise(x: Tensor, generator: torch.Generator) -> Tensor:
    """x plus noise uniform in [-1/2, 1/2]. Source: Balle et al. 2017, sec. 3, arXiv:1611.01704."""
    return x + (torch.rand(x.shape, generator=generator) - 0.5)


def expected_bits(symbols: Sequence[Tensor], *, noisy: bool) -> Tensor:
    """Bits that runs of symbols cost, each under its own best Laplace or Gaussian table.

    Entropy of the two-sided geometric distribution of the run's mean |k|, or of the Gaussian of its
    variance, whichever is less. `noisy`: the symbols carry uniform noise, whose share is taken off.
    """
    sizes = torch.tensor([run.numel() for run in symbols], dtype=torch.float32)
    mean = torch.stack([run.abs().mean() for run in symbols])
    square = torch.stack([run.square().mean() for run in symbols])
    if noisy:  # uniform noise alone has a mean size of 1/4 and a mean square of 1/12
        mean = (mean.square() - 1 / 16).clamp(min=1e-12).sqrt()
        square = (square - 1 / 12).clamp(min=1e-12)
    bits = torch.minimum(_laplace_entropy(mean), _gaussian_entropy(square))
    return (sizes * bits).sum()


def _laplace_entropy(mean: Tensor) -> Tensor:
    """Bits of p(k) = (1 - t) / (1 + t) t^|k| with the given mean of |k|."""
    ratio = mean / (1.0 + torch.sqrt(1.0 + mean.square()))
    ratio = ratio.clamp(1e-7, 1.0 - 1e-6)
    return torch.log2((1.0 + ratio) / (1.0 - ratio)) - mean * torch.log2(ratio)


def _gaussian_entropy(square: Tensor) -> Tensor:
    """Bits of a rounded Gaussian of the given mean square; above the truth where it is narrow."""
    return 0.5 * torch.log2(2.0 * math.pi * math.e * (square + 1 / 12))
