"""What a fit sees of steps and of the cost of symbols: differentiable, where the truth is integers.

The torch side of `uniform.py`; kernels quantize the values themselves. Nothing here decides a
stored probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec.quantize.uniform import N_STEPS, step_size

__all__ = [
    "cheapest_bits",
    "differences_are_cheaper",
    "expected_bits",
    "log2_steps",
    "nearest_log2_steps",
    "snap_steps",
]

_LOG2_STEPS = np.log2([step_size(index) for index in range(N_STEPS)]).astype(np.float32)
_BOUNDS = torch.from_numpy((_LOG2_STEPS[1:] + _LOG2_STEPS[:-1]) / 2)
_LOG2_STEP_TABLE = torch.from_numpy(_LOG2_STEPS)


def snap_steps(log2_steps: Tensor) -> tuple[int, ...]:
    """The indices of the nearest steps that a stream can store."""
    return tuple(torch.bucketize(log2_steps.detach().cpu(), _BOUNDS).tolist())


def log2_steps(indices: Sequence[int]) -> Tensor:
    """log2 of stored steps, by index."""
    return _LOG2_STEP_TABLE[torch.tensor(indices, dtype=torch.int64)]


def nearest_log2_steps(log2_steps: Tensor) -> Tensor:
    """log2 of the nearest steps that a stream can store, where the tensor is."""
    bounds, table = _tables_on(log2_steps.device)
    return table[torch.bucketize(log2_steps.detach(), bounds)]


@cache
def _tables_on(device: torch.device) -> tuple[Tensor, Tensor]:
    return _BOUNDS.to(device), _LOG2_STEP_TABLE.to(device)


def expected_bits(sums: Tensor, sizes: Tensor, *, noisy: bool) -> Tensor:
    """Bits [tensors] that symbols cost, each tensor under its own best Laplace or Gaussian table.

    `sums` [tensors, 2] are those of |k| and of k^2 of `sizes` [tensors] symbols. The entropy is
    that of the two-sided geometric distribution of the mean |k|, or of the Gaussian of the mean
    square, whichever is less. `noisy`: the symbols carry uniform noise, whose share is taken off.
    """
    mean, square = (sums / sizes[:, None]).unbind(dim=1)
    if noisy:  # uniform noise alone has a mean size of 1/4 and a mean square of 1/12
        mean = (mean.square() - 1 / 16).clamp(min=1e-12).sqrt()
        square = (square - 1 / 12).clamp(min=1e-12)
    return sizes * torch.minimum(_laplace_entropy(mean), _gaussian_entropy(square))


def cheapest_bits(
    sums: NDArray[np.float64], sizes: Sequence[int], *, noisy: bool, has_base: bool
) -> tuple[float, NDArray[np.float64]]:
    """Bits of all tensors, each coded as is cheaper, and their slopes by `sums` [tensors, 4].

    The sums are those of `kernels.quantize_forward`: of the symbols, and of their differences.
    """
    leaf = torch.from_numpy(sums).requires_grad_()
    cheapest = _bits_of_symbols(leaf, sizes, noisy)
    if has_base:
        cheapest = torch.minimum(cheapest, _bits_of_differences(leaf, sizes, noisy))
    bits = cheapest.sum()
    (slopes,) = torch.autograd.grad(bits, leaf)
    return float(bits.detach()), slopes.numpy()


def differences_are_cheaper(sums: NDArray[np.float64], sizes: Sequence[int]) -> NDArray[np.bool_]:
    """For each tensor, by the `sums` [tensors, 4] of its rounded symbols."""
    both = torch.from_numpy(sums)
    differences = _bits_of_differences(both, sizes, noisy=False)
    cheaper: NDArray[np.bool_] = (differences < _bits_of_symbols(both, sizes, noisy=False)).numpy()
    return cheaper


def _bits_of_symbols(sums: Tensor, sizes: Sequence[int], noisy: bool) -> Tensor:
    return expected_bits(sums[:, :2], torch.tensor(sizes, dtype=torch.float64), noisy=noisy)


def _bits_of_differences(sums: Tensor, sizes: Sequence[int], noisy: bool) -> Tensor:
    return expected_bits(sums[:, 2:], torch.tensor(sizes, dtype=torch.float64), noisy=noisy)


def _laplace_entropy(mean: Tensor) -> Tensor:
    """Bits of p(k) = (1 - t) / (1 + t) t^|k| with the given mean of |k|."""
    ratio = mean / (1.0 + torch.sqrt(1.0 + mean.square()))
    ratio = ratio.clamp(1e-7, 1.0 - 1e-6)
    return torch.log2((1.0 + ratio) / (1.0 - ratio)) - mean * torch.log2(ratio)


def _gaussian_entropy(square: Tensor) -> Tensor:
    """Bits of a rounded Gaussian of the given mean square; above the truth where it is narrow."""
    return 0.5 * torch.log2(2.0 * math.pi * math.e * (square + 1 / 12))
