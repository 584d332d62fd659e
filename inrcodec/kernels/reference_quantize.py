"""The meaning of the kernels of a fit, in the array API: quantization as a gradient sees it, Adam.

Of a unit u of a tensor with the learning rate r and the step s, x = u r / s; the symbol is y = x
("free"), x + noise ("noisy") or x rounded, halves to even ("hard"); the weight is w = y s. What is
coded is y, or with a base of integers k also d = y - k. The gradient of x passes straight through
noise and rounding.
Sources: noise, Balle et al. 2017, sec. 3, arXiv:1611.01704; straight through, Bengio et al. 2013,
arXiv:1308.3432.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels.quantizer import AdamStep, Quantizer

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")

__all__ = ["noise", "quantize_forward", "quantize_step"]

_CHUNK = 1 << 15  # values worked on at once, so that temporaries stay small
_SMALLEST_MOMENT = 1e-30
_MASK = 0xFFFFFFFF
_FACTORS = (0x7FEB352D, 0x846CA68B - (1 << 32))  # the same modulo 2^32, and no product overflows


def quantize_forward(
    units: Array, quantizer: Quantizer, *, base: Array | None, weights: Array | None
) -> NDArray[np.float64]:
    """The sums [tensors, 4] of |y|, y^2, |d| and d^2; the weights into `weights`.

    Without a base the last two sums are 0.
    """
    xp = array_api_compat.array_namespace(units)
    sums = np.zeros((len(quantizer.sizes), 4))
    for tensor, chunk in _chunks(quantizer):
        _, y = _quantize(units, chunk, quantizer, tensor)
        if weights is not None:
            weights[chunk] = y * quantizer.steps[tensor]
        sums[tensor, :2] += _size_and_square(xp, y)
        if base is not None:
            sums[tensor, 2:] += _size_and_square(xp, y - base[chunk])
    return sums


def quantize_step(
    gradient: Array,
    state: tuple[Array, Array, Array],
    quantizer: Quantizer,
    *,
    slopes: NDArray[np.float64],
    adam: AdamStep,
    base: Array | None,
) -> NDArray[np.float64]:
    """Move `state`, the units and their two moments, by the `gradient` of a loss by the weights.

    `slopes` [tensors, 4]: of what the bits cost, by each sum of `quantize_forward`. Gives, for each
    tensor, the derivative of loss and cost by the step, and the sum of those by the units: [t, 2].
    """
    xp = array_api_compat.array_namespace(gradient)
    sums = np.zeros((len(quantizer.sizes), 2))
    for tensor, chunk in _chunks(quantizer):
        rate, step = quantizer.rates[tensor], quantizer.steps[tensor]
        x, y = _quantize(state[0], chunk, quantizer, tensor)
        size, square, off, difference = (float(slope) / step for slope in slopes[tensor])
        prices = size * xp.sign(y) + 2.0 * square * y
        if base is not None:
            d = y - base[chunk]
            prices = prices + (off * xp.sign(d) + 2.0 * difference * d)
        of_units = rate * (gradient[chunk] + prices)
        sums[tensor, 0] += _total(xp, gradient[chunk] * (y - x) - prices * x)
        sums[tensor, 1] += _total(xp, of_units)
        _move(xp, of_units, tuple(array[chunk] for array in state), adam)
    return sums


def noise(xp: ModuleType, first: int, count: int, keys: tuple[int, int]) -> Any:
    """Numbers first ... first + count - 1 of a sequence uniform in [-1/2, 1/2), as int64 / 2^24.

    Each is a hash of its own place. Source: the mixer "lowbias32" of Wellons 2018,
    https://nullprogram.com/blog/2018/07/31/, with one key before it and one in its middle.
    """
    bits = xp.arange(first, first + count, dtype=xp.int64) ^ keys[0]
    bits = ((bits ^ (bits >> 16)) * _FACTORS[0] & _MASK) ^ keys[1]
    bits = (bits ^ (bits >> 15)) * _FACTORS[1] & _MASK
    return ((bits ^ (bits >> 16)) >> 8) - (1 << 23)


def _chunks(quantizer: Quantizer) -> Iterator[tuple[int, slice]]:
    """The number of a tensor and a run of its values, in order."""
    begin = 0
    for tensor, size in enumerate(quantizer.sizes):
        for first in range(begin, begin + size, _CHUNK):
            yield tensor, slice(first, min(first + _CHUNK, begin + size))
        begin += size


def _quantize(units: Array, chunk: slice, quantizer: Quantizer, tensor: int) -> tuple[Array, Array]:
    """x and y."""
    xp = array_api_compat.array_namespace(units)
    x = units[chunk] * quantizer.rates[tensor] / quantizer.steps[tensor]
    if quantizer.rounding == "hard":
        return x, xp.round(x)
    if quantizer.rounding == "noisy":
        hashed = noise(xp, chunk.start, x.shape[0], quantizer.keys)
        return x, x + xp.astype(hashed, x.dtype) * 2.0**-24
    return x, x


def _size_and_square(xp: ModuleType, symbols: Array) -> tuple[float, float]:
    return _total(xp, xp.abs(symbols)), _total(xp, symbols * symbols)


def _total(xp: ModuleType, values: Array) -> float:
    return float(xp.sum(values, dtype=xp.float64))


def _move(xp: ModuleType, gradient: Array, state: tuple[Array, ...], adam: AdamStep) -> None:
    """One step of Adam, in place; moments below 1e-30 count as 0, as denormals are slow."""
    units, mean, square = state
    mean += (1.0 - adam.beta1) * (gradient - mean)
    square *= adam.beta2
    square += (1.0 - adam.beta2) * gradient * gradient
    for moment in (mean, square):
        moment[xp.abs(moment) < _SMALLEST_MOMENT] = 0.0
    of_mean, of_square = adam.biases
    units -= adam.rate / of_mean * mean / (xp.sqrt(square) / of_square**0.5 + adam.epsilon)
