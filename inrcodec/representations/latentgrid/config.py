"""What may be chosen of a latent grid; None: chosen from the image and the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inrcodec.errors import ConfigError
from inrcodec.kernels import CONTEXT_PRIORS, LatentShape
from inrcodec.kernels.pyramid import MAX_CHANNELS, MAX_HYPER_LEVEL, MAX_LEVELS
from inrcodec.representations.latentgrid.tiling import Tiling

__all__ = ["MACS", "MAX_CHANNELS", "LatentGridConfig"]

MACS: Final = (500, 1000, 2000, 3000)
"""About how many multiplications a pixel takes to decode, for each size of the networks."""

_LARGEST_TILE: Final = 1 << 21  # pixels
_TILE_SIDE: Final = 1024
_OVERLAP: Final = 8
_HYPER_FROM: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentGridConfig:
    """`macs`: 500, 1000, 2000 or 3000, how large the networks are.

    `levels` 1 to 12 and `hyper_levels`: grids of latents and of hyperlatents. `tile`: the most rows
    and columns of a tile, at least 64. `alpha_weight`: how much an error of alpha counts.
    `stabilisers`, `features` and `weight_rate` leave out, if False, the linear paths beside the
    networks, the context from coarser grids, and the bits of the networks in what a fit minimises:
    they are there to measure what each of them is worth. `prior`: the number of the weights that
    the context model starts from and is stored relative to; 0, or without `stabilisers` or
    `features`: none. Raises ConfigError off range.
    """

    macs: int | None = None
    levels: int | None = None
    hyper_levels: int | None = None
    tile: int | None = None
    alpha_weight: float = 1.0
    stabilisers: bool = True
    features: bool = True
    weight_rate: bool = True
    prior: int = CONTEXT_PRIORS[-1]

    def __post_init__(self) -> None:
        if self.macs is not None and self.macs not in MACS:
            raise ConfigError(f"macs {self.macs!r} is not one of {', '.join(map(str, MACS))}")
        for name, low, high in (("levels", 1, MAX_LEVELS), ("tile", 64, 1 << 16)):
            value = getattr(self, name)
            if value is not None and not (_is_integer(value) and low <= value <= high):
                raise ConfigError(f"{name} {value!r} is not an integer in [{low}, {high}]")
        most = MAX_LEVELS - MAX_HYPER_LEVEL - 1
        hyper = self.hyper_levels
        if hyper is not None and not (_is_integer(hyper) and 0 <= hyper <= most):
            raise ConfigError(f"hyper_levels {hyper!r} is not an integer in [0, {most}]")
        if not (_is_integer(self.prior) and self.prior in (0, *CONTEXT_PRIORS)):
            raise ConfigError(f"prior {self.prior!r} is not known")
        if not 0.0 <= self.alpha_weight <= 100.0:
            raise ConfigError(f"alpha_weight {self.alpha_weight!r} is not in [0, 100]")

    @property
    def frozen(self) -> frozenset[str]:
        """Groups and tensors of weights that stay 0."""
        left_out = () if self.stabilisers else ("direct", "blend")
        return frozenset((*left_out, *(() if self.features else ("feature", "feature_bias"))))

    def tiling(self, height: int, width: int) -> Tiling:
        """How an image is cut: not at all up to 2^21 pixels."""
        if self.tile is None and height * width <= _LARGEST_TILE:
            return Tiling.whole(height, width)
        return Tiling.even(height, width, self.tile or _TILE_SIDE, _OVERLAP)

    def n_levels(self, height: int, width: int) -> tuple[int, int]:
        """Levels of latents and of hyperlatents for tiles of this size.

        Down to 1/64; of a megapixel or more one further, of three or more two; of a small one until
        nothing is left to divide.
        """
        pixels = height * width
        levels = 7 + (pixels >= 1_000_000) + (pixels >= 3_000_000)
        levels = self.levels or min(levels, max(height - 1, width - 1).bit_length() + 1)
        hyper = self.hyper_levels
        if hyper is None:
            return levels, max(0, levels - _HYPER_FROM)
        if hyper > max(0, levels - MAX_HYPER_LEVEL - 1):
            raise ConfigError(f"hyper_levels {hyper} are too many for {levels} levels")
        return levels, hyper

    def shape(self, height: int, width: int, channels: int, *, size: int) -> LatentShape:
        """The shape of a tile of this size."""
        levels, hyper = self.n_levels(height, width)
        whole = self.stabilisers and self.features
        return LatentShape(
            height,
            width,
            channels,
            size=size,
            n_levels=levels,
            n_hyper=hyper,
            prior=self.prior if whole else 0,
        )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
