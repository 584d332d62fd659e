"""The multiscale similarity of images as torch sees it, with its gradient; its meaning is that of
`metrics.ms_ssim`, which measures files.

Source: Wang et al. 2003, eq. 7 and section 3.2; the windows are those of Wang et al. 2004.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

__all__ = ["MultiscaleSimilarity"]

_WINDOW: Final = 11
_SIGMA: Final = 1.5
_C1, _C2 = 0.01**2, 0.03**2
_SCALE_WEIGHTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_LEAST: Final = 1e-6  # of a term, below which its power has no slope


class MultiscaleSimilarity:
    """How alike images are to one image, both [channels, height, width] on the [0, 1] scale.

    Over five scales, or as many as have a side of a whole window (161 pixels for all), their
    weights then scaled to sum to what those of five do; in an image with a side below 11 pixels the
    window is as long as that side.
    """

    def __init__(self, image: Tensor) -> None:
        n_scales, side = 1, min(image.shape[-2:])
        while n_scales < len(_SCALE_WEIGHTS) and (side := -(-side // 2)) >= _WINDOW:
            n_scales += 1
        weights = image.new_tensor(_SCALE_WEIGHTS[:n_scales])
        self._weights = weights * (sum(_SCALE_WEIGHTS) / weights.sum())
        self._scales = []
        for number in range(n_scales):
            image = _halved(image) if number else image
            self._scales.append(_Scale.of(image))

    def __call__(self, other: Tensor) -> Tensor:
        """The similarity of each channel [channels], 1 for an equal one."""
        terms = []
        for number, scale in enumerate(self._scales):
            other = _halved(other) if number else other
            whole, contrast = scale.similarity(other)
            terms.append(whole if scale is self._scales[-1] else contrast)
        powers = torch.stack(terms, dim=1).clamp(min=_LEAST) ** self._weights
        alive = torch.stack(terms, dim=1).detach() > 0.0  # a negative term counts as 0
        return torch.where(alive, powers, 0.0).prod(dim=1)


class _Scale(NamedTuple):
    """An image at one scale, with its means and its mean squares under the windows."""

    image: Tensor
    means: Tensor
    squares: Tensor

    @staticmethod
    def of(image: Tensor) -> _Scale:
        means, squares = _blurred(torch.stack((image, image.square())))
        return _Scale(image, means, squares)

    def similarity(self, other: Tensor) -> tuple[Tensor, Tensor]:
        """The mean similarity of each channel, and that of its contrast and structure alone."""
        means, squares, products = _blurred(
            torch.stack((other, other.square(), other * self.image))
        )
        both, power = self.means * means, self.means.square() + means.square()
        contrast = (2.0 * (products - both) + _C2) / (self.squares + squares - power + _C2)
        whole = contrast * (2.0 * both + _C1) / (power + _C1)
        return whole.mean(dim=(1, 2)), contrast.mean(dim=(1, 2))


def _blurred(images: Tensor) -> Tensor:
    """[n, channels, height, width] -> means under the window, where it fits."""
    planes = images.flatten(0, 1)  # as channels of one image, by far the fastest
    for axis, shape in ((1, (-1, 1)), (2, (1, -1))):
        size = min(_WINDOW, planes.shape[axis])
        window = _window(size, planes.dtype, planes.device).view(shape)
        planes = conv2d(planes, window.expand(len(planes), 1, *window.shape), groups=len(planes))
    return planes.view(*images.shape[:2], *planes.shape[1:])


@cache
def _window(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A Gaussian that sums to 1."""
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    window = torch.exp(-0.5 * (places / _SIGMA).square())
    return (window / window.sum()).to(device, dtype)


def _halved(image: Tensor) -> Tensor:
    """Means of 2 x 2 pixels; an odd last row or column is repeated."""
    return avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)
