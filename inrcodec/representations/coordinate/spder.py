"""SPDER: sines damped by a function that grows more slowly than its argument.

Choose it to compare with `siren`, its case without damping: at equal bytes it comes close to that
at best. f(x) = sin(x) d(x), where d(x) is sqrt|x| (the authors' choice for images and films),
arctan x (theirs for sounds) or ln(1 + |x|), our choice of a logarithm. The authors encode no
coordinates; small networks that begin as these do need the Fourier encoding.
Source: Shah and Sitawarin 2023, SPDER: Semiperiodic Damping-Enabled Object Representation,
arXiv:2306.15242.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from inrcodec.errors import ConfigError
from inrcodec.kernels import Activation
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.family import CoordinateRepresentation
from inrcodec.representations.coordinate.network import shape_field
from inrcodec.representations.coordinate.perceptrons import (
    PerceptronConfig,
    PerceptronNetwork,
    shape_for,
)
from inrcodec.representations.coordinate.recipe import Recipe
from inrcodec.signal import Kind, SignalSpec

__all__ = ["Spder", "SpderConfig", "SpderNetwork"]

# A stream stores the place in these lists.
_DAMPINGS: Final = ("sqrt", "arctan", "log")
_ACTIVATIONS: Final[tuple[Activation, ...]] = ("sine_sqrt", "sine_arctan", "sine_log")


@dataclass(frozen=True, kw_only=True, slots=True)
class SpderConfig(PerceptronConfig):
    """That of any perceptron, and the damping; None: arctan for a sound, else sqrt."""

    depth: int = 6
    damping: Literal["sqrt", "arctan", "log"] | None = None

    def __post_init__(self) -> None:
        super(SpderConfig, self).__post_init__()
        if self.damping not in (None, *_DAMPINGS):
            raise ConfigError(f"damping {self.damping!r} is not one of {', '.join(_DAMPINGS)}")


@dataclass(frozen=True, kw_only=True)
class SpderNetwork(PerceptronNetwork):
    """h = sin(W h + b) d(W h + b); `damping` says which d."""

    damping: int = shape_field(0, len(_DAMPINGS) - 1)

    @property
    def activation(self) -> Activation:
        """The damped sine."""
        return _ACTIVATIONS[self.damping]


class Spder(CoordinateRepresentation):
    """A network of damped sines of coordinates."""

    name = "spder"
    Config = SpderConfig
    network_family = SpderNetwork
    recipe = Recipe(batch_points=4096, hard_from=0.5, soft="free")

    @classmethod
    def network_for(cls, config: object, spec: SignalSpec, goal: FitGoal) -> SpderNetwork:
        """As wide as the wanted size and a decoder's limits allow."""
        assert isinstance(config, SpderConfig)
        damping = config.damping or ("arctan" if spec.kind is Kind.AUDIO else "sqrt")
        shape = shape_for(config, spec, goal)
        return SpderNetwork(**shape, damping=_DAMPINGS.index(damping))
