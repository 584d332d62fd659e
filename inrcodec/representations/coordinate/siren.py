"""SIREN: a network with sine activations, behind an optional Fourier encoding of coordinates.

Choose it for smooth signals and small files; it is the baseline of the field. The frequency factor
omega is folded into the weights before they are stored, so that one quantizer serves all layers.
Sources: Sitzmann et al. 2020, sec. 3, arXiv:2006.09661; encoding: Mildenhall et al. 2020, sec. 5.1,
arXiv:2003.08934; as a codec: Dupont et al. 2021, arXiv:2103.03123.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inrcodec.container import DecodeLimits
from inrcodec.kernels import mlp
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.encoding import fourier_features, n_fourier_features
from inrcodec.representations.coordinate.family import CoordinateRepresentation
from inrcodec.representations.coordinate.network import (
    Array,
    Network,
    TensorSpec,
    check_integers,
    shape_field,
)
from inrcodec.representations.coordinate.recipe import Recipe
from inrcodec.signal import SignalSpec

__all__ = ["Siren", "SirenConfig", "SirenNetwork"]

_BITS_PER_PARAMETER = 6.0
_HEAD_GAIN = 8.0
_FIRST_STEP = 1.0 / 16.0
_RATE_AT_32 = 2e-2  # of 32 units; wider layers bear less


@dataclass(frozen=True, kw_only=True, slots=True)
class SirenConfig:
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
class SirenNetwork(Network):
    """h = sin(W h + b), `depth` times from the encoded 2x - 1, then one linear layer."""

    width: int = shape_field(1, 1024)
    depth: int = shape_field(1, 32)
    frequencies: int = shape_field(0, 24)

    @property
    def _sizes(self) -> tuple[int, ...]:
        n_inputs = n_fourier_features(self.n_dims, self.frequencies)
        return (n_inputs, *(self.width,) * self.depth, self.n_channels)

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Weight and bias of each layer, first to last."""
        layers = zip(self._sizes[:-1], self._sizes[1:], strict=True)
        return tuple(spec for i, layer in enumerate(layers) for spec in self._layer(i, *layer))

    def _layer(self, index: int, n_inputs: int, n_outputs: int) -> tuple[TensorSpec, TensorSpec]:
        bound, bias_bound = math.sqrt(6.0 / n_inputs), 1.0
        if index == 0 and self.frequencies == 0:
            bound = 30.0 / n_inputs
        if index == self.depth:
            bound, bias_bound = bound * _HEAD_GAIN / 30.0, 0.0
        rate = min(_RATE_AT_32 * (32.0 / self.width) ** 1.5, _RATE_AT_32)
        shapes = ((n_outputs, n_inputs), bound), ((n_outputs,), bias_bound)
        weight, bias = (
            TensorSpec(shape=shape, bound=limit, step=_FIRST_STEP, learning_rate=rate)
            for shape, limit in shapes
        )
        return weight, bias

    def apply(self, tensors: Sequence[Array], coords: Array) -> Array:
        """Values [n, n_channels] at coords [n, n_dims] in [0, 1]."""
        features = fourier_features(coords * 2.0 - 1.0, self.frequencies)
        return mlp(features, tensors[::2], tensors[1::2], "sine")

    def macs_per_point(self) -> float:
        """One multiplication for each weight."""
        return float(sum(a * b for a, b in zip(self._sizes[:-1], self._sizes[1:], strict=True)))


class Siren(CoordinateRepresentation):
    """A sine network of coordinates."""

    name = "siren"
    Config = SirenConfig
    network_family = SirenNetwork
    recipe = Recipe(batch_points=4096, hard_from=0.5, soft="free")

    @classmethod
    def network_for(cls, config: object, spec: SignalSpec, goal: FitGoal) -> SirenNetwork:
        """As wide as the wanted size and a decoder's limits allow, at about 6 bits a parameter."""
        assert isinstance(config, SirenConfig)
        n_dims, octaves = len(spec.grid), math.log2(max(spec.grid))
        frequencies = config.frequencies
        if frequencies is None:
            frequencies = min(max(round(octaves) - 4, 1), 24)
        n_inputs = n_fourier_features(n_dims, frequencies)
        width = config.width
        if width is None:
            most = DecodeLimits().max_macs / 2.0 / spec.n_points
            n_parameters = min(goal.n_bytes * 8.0 / _BITS_PER_PARAMETER, most)
            width = _width_of(n_parameters, config.depth, n_inputs + spec.channels)
        return SirenNetwork(
            n_dims=n_dims,
            n_channels=spec.channels,
            width=width,
            depth=config.depth,
            frequencies=frequencies,
        )


def _width_of(n_parameters: float, depth: int, n_ends: int) -> int:
    """w with (depth - 1) w^2 + (n_ends + depth) w = n_parameters, within the allowed range."""
    if depth == 1:
        width = n_parameters / (n_ends + 1)
    else:
        half = (n_ends + depth) / (2.0 * (depth - 1))
        width = math.sqrt(half * half + n_parameters / (depth - 1)) - half
    return min(max(round(width), 4), 1024)
