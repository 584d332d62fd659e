"""SIREN: a network with sine activations, behind an optional Fourier encoding of coordinates.

Choose it for smooth signals and small files; it is the baseline of the field.
Sources: Sitzmann et al. 2020, sec. 3, arXiv:2006.09661; as a codec: Dupont et al. 2021,
arXiv:2103.03123.
"""

from __future__ import annotations

from dataclasses import dataclass

from inrcodec.kernels import Activation
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.family import CoordinateRepresentation
from inrcodec.representations.coordinate.perceptrons import (
    PerceptronConfig,
    PerceptronNetwork,
    shape_for,
)
from inrcodec.representations.coordinate.recipe import Recipe
from inrcodec.signal import SignalSpec

__all__ = ["Siren", "SirenConfig", "SirenNetwork"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SirenConfig(PerceptronConfig):
    """That of any perceptron."""


@dataclass(frozen=True, kw_only=True)
class SirenNetwork(PerceptronNetwork):
    """h = sin(W h + b)."""

    @property
    def activation(self) -> Activation:
        """The sine."""
        return "sine"


class Siren(CoordinateRepresentation):
    """A sine network of coordinates."""

    name = "siren"
    Config = SirenConfig
    network_family = SirenNetwork
    recipe = Recipe(batch_points=4096, hard_from=0.5, soft="free")

    @classmethod
    def network_for(cls, config: object, spec: SignalSpec, goal: FitGoal) -> SirenNetwork:
        """As wide as the wanted size and a decoder's limits allow."""
        assert isinstance(config, SirenConfig)
        return SirenNetwork(**shape_for(config, spec, goal))
