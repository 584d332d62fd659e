"""The flat vector of all values of a network under fit, quantized and moved by the kernels.

Values are kept in units of their learning rates, so that one Adam moves them all. Knows no network,
no loss and no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels import AdamStep, Quantizer, Rounding, quantize_forward, quantize_step
from inrcodec.quantize import quantize, step_size
from inrcodec.representations.coordinate.network import TensorSpec
from inrcodec.representations.coordinate.recipe import Base

__all__ = ["Values"]

_BETA1, _EPSILON = 0.9, 1e-15


class Values:
    """`units` [n] and the `weights` [n] that were last written of them.

    `base`: what the symbols of some tensors may be coded as differences to.
    """

    def __init__(self, specs: Sequence[TensorSpec], beta2: float, base: Base | None) -> None:
        self._shapes = tuple(spec.shape for spec in specs)
        self.sizes = tuple(spec.size for spec in specs)
        self.rates = tuple(spec.learning_rate for spec in specs)
        self._beta2 = beta2
        self._base = None if base is None else _joined(base.symbols)
        self.units = np.zeros(sum(self.sizes), np.float32)
        self.weights = np.zeros_like(self.units)
        self._moments = np.zeros_like(self.units), np.zeros_like(self.units)
        self._count = 0

    @property
    def values(self) -> NDArray[np.float32]:
        """The values [n] as they are, before rounding."""
        return self.units * self._spread(self.rates)

    def set_values(self, values: NDArray[np.float32]) -> None:
        """Begin at these values [n]."""
        self.units[:] = values / self._spread(self.rates)

    def quantizer(self, steps: Sequence[float], rounding: Rounding, seed: int = 0) -> Quantizer:
        """How the values are quantized with a step per tensor."""
        return Quantizer(self.sizes, self.rates, tuple(steps), rounding, seed)

    def write(self, quantizer: Quantizer) -> NDArray[np.float64]:
        """Write the weights; the sums [tensors, 4] that `kernels.quantize_forward` gives."""
        return quantize_forward(self.units, quantizer, base=self._base, weights=self.weights)

    def sums(self, quantizer: Quantizer) -> NDArray[np.float64]:
        """The same sums, and no weights written."""
        return quantize_forward(self.units, quantizer, base=self._base)

    def move(
        self,
        gradient: NDArray[np.float32],
        quantizer: Quantizer,
        *,
        slopes: NDArray[np.float64],
        rate: float,
    ) -> NDArray[np.float64]:
        """A step of Adam; the sums [tensors, 2] that `kernels.quantize_step` gives."""
        self._count += 1
        adam = AdamStep(rate, _BETA1, self._beta2, _EPSILON, self._count)
        state = (self.units, *self._moments)
        return quantize_step(gradient, state, quantizer, slopes=slopes, adam=adam, base=self._base)

    def scaled(
        self, steps: Sequence[float], zone: float, anchored: Sequence[bool]
    ) -> NDArray[np.float32]:
        """The values [n] in steps; those nearer than `zone` to an anchor are moved onto it.

        The anchor is the base in the tensors that are `anchored`, and 0 in the others.
        """
        scaled = self.values / self._spread(steps)
        anchors = np.zeros_like(scaled)
        if self._base is not None:
            anchors = self._base * self._spread(anchored)
        return np.where(np.abs(scaled - anchors) < zone, anchors, scaled)

    def sums_of(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """The sums [tensors, 4] of these values [n] in steps, rounded."""
        ones = (1.0,) * len(self.sizes)
        quantizer = Quantizer(self.sizes, ones, ones, "hard")
        return quantize_forward(scaled, quantizer, base=self._base)

    def symbols_of(
        self, scaled: NDArray[np.float32], indices: Sequence[int]
    ) -> tuple[NDArray[np.int64], ...]:
        """The symbols of these values [n] in steps, by tensor."""
        stored = np.split(scaled, np.cumsum(self.sizes)[:-1])
        return tuple(
            quantize(run * np.float32(step_size(index)), index).reshape(shape)
            for run, index, shape in zip(stored, indices, self._shapes, strict=True)
        )

    def restore(self, units: NDArray[np.float32]) -> None:
        """Go back to other units, without a memory of where they were going."""
        self.units[:] = units
        self._count = 0
        for moment in self._moments:
            moment[:] = 0.0

    def _spread(self, per_tensor: Sequence[float | bool]) -> NDArray[np.float32]:
        return np.repeat(np.array(per_tensor, np.float32), self.sizes)


def _joined(arrays: Sequence[NDArray[np.integer]]) -> NDArray[np.float32]:
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float32)
