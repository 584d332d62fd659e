"""What a tile is fitted to, and how far from it an output is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as functional
from torch import Tensor

from inrcodec.kernels.torch_similarity import MultiscaleSimilarity

__all__ = ["UNLIKENESS", "Target"]

UNLIKENESS: Final = 0.03
"""The mean square error that 1 - MS-SSIM = 1 counts as.

So chosen that a lambda makes files about as large whichever of the two is made small: of two parts
of kodim23 of 200 x 200 pixels, 0.86 to 1.02 times as large at lambdas from 0.0003 to 0.004.
"""


@dataclass(frozen=True, slots=True)
class Target:
    """What a tile is fitted to: `pixels` [channels, height, width] on the [0, 1] scale.

    `weights`, broadcast to that, are what the error of each sample counts. A pixel is offset +
    scale x what the networks put out. With a `similarity` to the pixels, it is what counts.
    """

    pixels: Tensor
    weights: Tensor | None
    offsets: Tensor
    scale: float
    similarity: MultiscaleSimilarity | None = None

    def on(self, device: str) -> Target:
        """The same on a device."""
        if device == "cpu":
            return self
        weights = None if self.weights is None else self.weights.to(device)
        pixels = self.pixels.to(device)
        similarity = None if self.similarity is None else MultiscaleSimilarity(pixels)
        return Target(pixels, weights, self.offsets.to(device), self.scale, similarity)

    def halved(self) -> Target:
        """The same of half the rows and columns, by means of 2 x 2 pixels; without similarity."""
        weights = None if self.weights is None else _halved(self.weights)
        return Target(_halved(self.pixels), weights, self.offsets, self.scale)

    def squares(self, outputs: Tensor) -> Tensor:
        """The sum of squared errors, all the same."""
        shown = (self.offsets + outputs * self.scale).clamp(0.0, 1.0)
        return (shown - self.pixels).square().sum()

    def error(self, outputs: Tensor) -> Tensor:
        """The sum of weighted squared errors, or of what a lack of similarity counts."""
        if self.similarity is not None:
            unlike = 1.0 - self.similarity(self.offsets + outputs * self.scale)
            counted = unlike if self.weights is None else unlike * self.weights.flatten()
            return counted.sum() * (UNLIKENESS * self.pixels[0].numel())
        squares: Tensor = _Squares.apply(outputs, self)  # type: ignore[no-untyped-call]
        return squares


class _Squares(torch.autograd.Function):
    """Weighted squared errors of outputs, of what they are clipped to.

    An output beyond [0, 1] whose pixel is not at that end still moves towards it.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, target: Target) -> Tensor:
        shown = torch.add(target.offsets, outputs, alpha=target.scale)
        errors = shown.clamp_(0.0, 1.0).sub_(target.pixels)
        weighted = errors if target.weights is None else errors * target.weights
        ctx.save_for_backward(weighted)
        ctx.scale = target.scale
        return (errors * weighted).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (weighted,) = ctx.saved_tensors
        return weighted * (gradients[0] * (2.0 * ctx.scale)), None


def _halved(planes: Tensor) -> Tensor:
    """Means of 2 x 2 values, of fewer at an odd end; a side of 1 stays."""
    size = [min(2, side) for side in planes.shape[1:]]
    return functional.avg_pool2d(planes[None], size, ceil_mode=True)[0]
