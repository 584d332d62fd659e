"""What families of plain perceptrons share: hidden layers of one width behind an encoding.

The coordinates 2x - 1 go through an optional Fourier encoding, then through `depth` layers of
`width` units with an activation that the family states, then through one linear layer. The factor
omega of SIREN is folded into the weights before they are stored, so that one quantizer serves all
layers.
Sources: Sitzmann et al. 2020, sec. 3, arXiv:2006.09661; encoding: Mildenhall et al. 2020, sec. 5.1,
arXiv:2003.08934.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

from inrcodec.container import DecodeLimits
from inrcodec.kernels import Activation, Perceptron, mlp, mlp_descent
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.encoding import fourier_features, n_fourier_features
from inrcodec.representations.coordinate.network import (
    Array,
    Network,
    TensorSpec,
    check_integers,
    shape_field,
)
from inrcodec.signal import SignalSpec

__all__ = ["PerceptronConfig", "PerceptronNetwork", "shape_for"]

_OMEGA = 30.0
_BITS_PER_PARAMETER = 6.0
_HEAD_GAIN = 8.0
_FIRST_STEP = 1.0 / 16.0
_RATE_AT_32 = 2e-2  # of 32 units; wider layers bear less


@dataclass(frozen=True, kw_only=True, slots=True)
class PerceptronConfig:
    """None: chosen from the signal and the wanted size.

    `width` of hidden layers, 1 to 1024; `depth`, hidden layers, 1 to 32; `frequencies` of the
    Fourier encoding, octaves from half a period per axis, 0 (none) to 24.
    """

    width: int | None = None
    depth: int = 8
    frequencies: int | None = None

    def __post_init__(self) -> None:
        check_integers(self, width=(1, 1024), depth=(1, 32), frequencies=(0, 24))


@dataclass(frozen=True, kw_only=True)
class PerceptronNetwork(Network):
    """h = activation(W h + b), `depth` times from the encoded 2x - 1, then one linear layer."""

    width: int = shape_field(1, 1024)
    depth: int = shape_field(1, 32)
    frequencies: int = shape_field(0, 24)

    @property
    @abstractmethod
    def activation(self) -> Activation:
        """That of the hidden layers."""

    @property
    def _sizes(self) -> tuple[int, ...]:
        n_inputs = n_fourier_features(self.n_dims, self.frequencies)
        return (n_inputs, *(self.width,) * self.depth, self.n_channels)

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Weight and bias of each layer, first to last."""
        layers = zip(self._sizes[:-1], self._sizes[1:], strict=True)
        return tuple(spec for i, layer in enumerate(layers) for spec in self._layer(i, *layer))

    def _layer(self, index: int, n_inputs: int, n_outputs: int) -> tuple[TensorSpec, TensorSpec]:
        rate = _RATE_AT_32 * min(math.pow(32.0 / self.width, 1.5), 1.0)
        shapes = (n_outputs, n_inputs), (n_outputs,)
        weight, bias = (
            TensorSpec(shape=shape, bound=bound, step=_FIRST_STEP, learning_rate=rate)
            for shape, bound in zip(shapes, self._bounds(index, n_inputs), strict=True)
        )
        return weight, bias

    def _bounds(self, index: int, n_inputs: int) -> tuple[float, float]:
        """Where the weights and biases of a layer begin: those of SIREN times omega."""
        bound = math.sqrt(6.0 / n_inputs)
        if index == self.depth:
            return bound * _HEAD_GAIN / _OMEGA, 0.0
        if index == 0 and self.frequencies == 0:
            return _OMEGA / n_inputs, 1.0
        return bound, 1.0

    @cached_property
    def _kernel(self) -> Perceptron:
        return Perceptron(self._sizes, True, self.activation)

    def apply(self, values: Array, coords: Array) -> Array:
        """What is put out, [n, n_channels], at coords [n, n_dims] in [0, 1]."""
        return mlp(self._features(coords), *self._kernel.split(values), self.activation)

    def descent(self, values: Array, coords: Array, targets: Array) -> tuple[float, Array]:
        """The mean square of what is off `targets` [n, n_channels], and its gradient."""
        return mlp_descent(self._features(coords), targets, values, self._kernel)

    def _features(self, coords: Array) -> Array:
        return fourier_features(coords * 2.0 - 1.0, self.frequencies)

    def macs_per_point(self) -> float:
        """One multiplication for each weight."""
        return float(sum(a * b for a, b in zip(self._sizes[:-1], self._sizes[1:], strict=True)))


def shape_for(config: PerceptronConfig, spec: SignalSpec, goal: FitGoal) -> dict[str, int]:
    """The fields of a `PerceptronNetwork` as the config, the signal and the goal call for them.

    It is as wide as the wanted size, at about 6 bits a parameter, and a decoder's limits allow.
    """
    n_dims, frequencies = len(spec.grid), config.frequencies
    if frequencies is None:
        frequencies = min(max(round(math.log2(max(spec.grid))) - 4, 1), 24)
    width = config.width
    if width is None:
        most = DecodeLimits().max_macs / 2.0 / spec.n_points
        n_parameters = min(goal.n_bytes * 8.0 / _BITS_PER_PARAMETER, most)
        n_ends = n_fourier_features(n_dims, frequencies) + spec.channels
        width = _width_of(n_parameters, config.depth, n_ends)
    fields = {"width": width, "depth": config.depth, "frequencies": frequencies}
    return {"n_dims": n_dims, "n_channels": spec.channels, **fields}


def _width_of(n_parameters: float, depth: int, n_ends: int) -> int:
    """w with (depth - 1) w^2 + (n_ends + depth) w = n_parameters, within the allowed range."""
    if depth == 1:
        width = n_parameters / (n_ends + 1)
    else:
        half = (n_ends + depth) / (2.0 * (depth - 1))
        width = math.sqrt(half * half + n_parameters / (depth - 1)) - half
    return min(max(round(width), 4), 1024)
