"""What a latent grid is made of: the grids of its pyramid, and the weights of its four networks.

The grids have 1/1, 1/2, 1/4, ... of the rows and columns of the image (rounded up), one *latent*
grid a level. The coarsest levels have a *hyperlatent* grid besides, which only helps to predict
what is coded after it. Grids are coded from coarse to fine, at a level the hyperlatents first.

The networks are those of Cool-chic 5.0 (Ladune et al. 2026, arXiv:2605.02726): a *context* model
of the next value, from its causal neighbours and from features of coarser grids; the *features*;
an *upsampling* of all latent grids to the size of the image; and a *synthesis* of the channels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from inrcodec.errors import ConfigError
from inrcodec.kernels.context_priors import CONTEXT_PRIORS, context_prior

__all__ = [
    "FEATURE_LEVELS",
    "MAX_CHANNELS",
    "MAX_HYPER_LEVEL",
    "MAX_LEVELS",
    "NEIGHBOURS",
    "RISE_PRIOR",
    "SIZES",
    "Grid",
    "LatentShape",
    "LatentSize",
    "Softness",
    "Weight",
]

MAX_LEVELS: Final = 12
MAX_CHANNELS: Final = 16
MAX_HYPER_LEVEL: Final = 3  # no hyperlatents at this level or a finer one
FEATURE_LEVELS: Final = 3  # the finest levels, which see features of coarser grids
_PRIOR_INPUTS: Final = (9, 8, 7)  # how many grids the features of a prior see, by level

NEIGHBOURS: Final = (
    (0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-3, 0), (0, -3), (-1, -2), (-2, 1),
    (-2, -1), (-1, 2), (-2, -2), (-1, -3), (-2, 2), (-3, 1), (0, -4), (-1, 3), (-2, -3), (-2, 3),
)  # fmt: skip
"""(rows, columns) to causal neighbours; a size takes the first so many."""

RISE_PRIOR: Final = (-9 / 256, -27 / 256, 67 / 256, 225 / 256)
"""Half of a symmetric kernel that doubles rows or columns: bicubic interpolation, a = -3/4."""


_CONTEXT_GROUPS: Final = frozenset(
    {"mix", "mix_bias", "head", "head_bias", "feature", "feature_bias"}
)


class LatentSize(NamedTuple):
    """How large the networks are; the first four of a stream's choices are `SIZES`."""

    n_neighbours: int
    n_features: int
    n_hidden: int
    n_tail: int


SIZES: Final = (
    LatentSize(6, 2, 8, 1),
    LatentSize(10, 4, 16, 2),
    LatentSize(14, 6, 48, 2),
    LatentSize(20, 6, 64, 2),
)
"""About 500, 1,000, 2,000 and 3,000 multiplications a pixel of three channels."""


class Grid(NamedTuple):
    """One grid of the pyramid; `feature_inputs`: how many coarser grids its features see."""

    level: int
    is_hyper: bool
    height: int
    width: int
    feature_inputs: int

    @property
    def n_values(self) -> int:
        """Values of the grid."""
        return self.height * self.width


class Softness(NamedTuple):
    """How a fit sees latents: `gain` over the units that it moves, `noise` of that standard
    deviation, `temperature` of soft rounding, 0.001 to 1000."""

    gain: float
    noise: float
    temperature: float


class Weight(NamedTuple):
    """One tensor of a network. Neighbouring tensors of one `group` share a step and a table.

    `prior`: what the stored values are added to, repeated until there is one for each.
    """

    name: str
    group: str
    shape: tuple[int, ...]
    prior: tuple[float, ...] = (0.0,)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_bias(self) -> bool:
        """Whether it is added, not multiplied with."""
        return self.group.endswith("bias")

    @property
    def of_context(self) -> bool:
        """Whether it says how probable latents are, not what they draw."""
        return self.group in _CONTEXT_GROUPS


@dataclass(frozen=True)
class LatentShape:
    """The shape of a latent grid of `height` x `width` pixels; all else about it follows.

    `size` 0 to 3, an index of SIZES; `n_levels` 1 to 12 grids of latents, `n_hyper` of
    hyperlatents at the coarsest levels, none of which is finer than level 4; 1 to 16 channels;
    `prior` 0 or one of CONTEXT_PRIORS. Raises ConfigError otherwise.

    >>> shape = LatentShape(512, 768, 3, size=2, n_levels=7, n_hyper=3)
    >>> round(shape.macs_per_point), shape.n_weights
    (1932, 1876)
    """

    height: int
    width: int
    channels: int
    size: int
    n_levels: int
    n_hyper: int
    prior: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "prior": (self.prior, 0, max(CONTEXT_PRIORS)),
            "height": (self.height, 1, (1 << 32) - 1),
            "width": (self.width, 1, (1 << 32) - 1),
            "channels": (self.channels, 1, MAX_CHANNELS),
            "size": (self.size, 0, len(SIZES) - 1),
            "levels": (self.n_levels, 1, MAX_LEVELS),
            "hyper levels": (self.n_hyper, 0, max(0, self.n_levels - MAX_HYPER_LEVEL - 1)),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                raise ConfigError(f"latentgrid: {name} {value} is not in [{low}, {high}]")

    @property
    def networks(self) -> LatentSize:
        """The size of its networks."""
        return SIZES[self.size]

    @property
    def neighbours(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) to the neighbours that the context model sees."""
        return NEIGHBOURS[: self.networks.n_neighbours]

    @property
    def slope(self) -> int:
        """Columns that a row is behind the one above it when its values are decoded together."""
        return max(1 + math.ceil(column / -row) for row, column in self.neighbours if row < 0)

    @property
    def n_context(self) -> int:
        """Inputs of the context model, and width of its hidden layers."""
        return self.networks.n_neighbours + self.networks.n_features

    @cached_property
    def grids(self) -> tuple[Grid, ...]:
        """All grids in the order in which they are coded."""
        grids: list[Grid] = []
        for level in reversed(range(self.n_levels)):
            size = _divided(self.height, level), _divided(self.width, level)
            if level >= self.n_levels - self.n_hyper:
                grids.append(Grid(level, True, *size, 0))
            inputs = len(grids) if level < FEATURE_LEVELS else 0
            grids.append(Grid(level, False, *size, inputs))
        return tuple(grids)

    @property
    def n_latents(self) -> int:
        """Values of all grids."""
        return sum(grid.n_values for grid in self.grids)

    @cached_property
    def weights(self) -> tuple[Weight, ...]:
        """The tensors of all networks in the order in which they are coded."""
        size, c = self.networks, self.channels
        rises = self.n_levels - 1
        return (
            *self._context_weights(),
            Weight("rise", "rise", (rises, 4), RISE_PRIOR),
            Weight("sharpen", "sharpen", (rises, 4), (0.0, 0.0, 0.0, 1.0)),
            Weight("lift", "lift", (size.n_hidden, self.n_levels)),
            Weight("lift_bias", "lift_bias", (size.n_hidden,)),
            Weight("lower", "lower", (c, size.n_hidden)),
            Weight("blend", "blend", (c, self.n_levels)),
            *(Weight(f"tail{i}", "tail", (c, c, 3, 3)) for i in range(size.n_tail)),
            Weight("lower_bias", "out_bias", (c,)),
            *(Weight(f"tail_bias{i}", "out_bias", (c,)) for i in range(size.n_tail)),
        )

    def _context_weights(self) -> Iterator[Weight]:
        n, n_features = self.n_context, self.networks.n_features
        inputs = [grid.feature_inputs for grid in self.grids if grid.feature_inputs]
        shapes = {
            **{f"mix{i}": ("mix", (n, n)) for i in range(2)},
            **{f"mix_bias{i}": ("mix_bias", (n,)) for i in range(2)},
            "head": ("head", (2, n)),
            "direct": ("head", (2, n)),
            "head_bias": ("head_bias", (2,)),
            **{f"feature{k}": ("feature", (n_features, k)) for k in inputs},
            **{f"feature_bias{k}": ("feature_bias", (n_features,)) for k in inputs},
        }
        for name, (group, shape) in shapes.items():
            yield Weight(name, group, shape, self._context_prior(name, group, shape))

    def _context_prior(self, name: str, group: str, shape: tuple[int, ...]) -> tuple[float, ...]:
        """What the prior has for a tensor: for features, of the level that it is of."""
        if self.prior == 0:
            return (0.0,)
        known = context_prior(self.prior, self.size)
        if not group.startswith("feature"):
            return tuple(known[name].tolist())
        of_level = {f"{group}{g.feature_inputs}": g.level for g in self.grids if g.feature_inputs}
        values = known[f"{group}{_PRIOR_INPUTS[of_level[name]]}"].reshape(shape[0], -1)
        if group == "feature":  # aligned at the finest of the grids that are seen
            missing = max(0, shape[1] - values.shape[1])
            values = np.pad(values, ((0, 0), (missing, 0)))[:, -shape[1] :]
        return tuple(values.ravel().tolist())

    @cached_property
    def groups(self) -> tuple[tuple[Weight, ...], ...]:
        """The tensors that share a step and a table, in their order; none without values."""
        runs = itertools.groupby(self.weights, key=lambda weight: weight.group)
        groups = (tuple(run) for _, run in runs)
        return tuple(group for group in groups if sum(weight.size for weight in group))

    @property
    def n_weights(self) -> int:
        """Values of all networks."""
        return sum(weight.size for weight in self.weights)

    @property
    def macs_per_point(self) -> float:
        """Multiplications to decode a pixel, upsampling with separable kernels."""
        size, n = self.networks, self.n_context
        context = self.n_latents * (2 * n * n + 4 * n)
        features = sum(
            _divided(grid.height, 1) * _divided(grid.width, 1) * grid.feature_inputs
            for grid in self.grids
        )
        pixels = self.height * self.width
        upsampling = sum(
            _divided(self.height, level) * _divided(self.width, level)
            * (8 * (self.n_levels - 1 - level) + 14)
            for level in range(self.n_levels - 1)
        )  # fmt: skip
        synthesis = (
            size.n_hidden * (self.n_levels + self.channels)
            + self.channels * self.n_levels
            + 9 * size.n_tail * self.channels**2
        )
        return (context + features * size.n_features + upsampling) / pixels + synthesis


def _divided(length: int, level: int) -> int:
    """Rows or columns at a level."""
    return -(-length >> level)
