"""How far an output is from what a tile is fitted to."""

from __future__ import annotations

import pytest
import torch

from inrcodec.representations.latentgrid.fit_target import Target

OFFSETS = torch.tensor([0.5, 0.4, 0.45])[:, None, None]
SCALE = 0.8


def target_of(*, weighted: bool) -> Target:
    generator = torch.Generator().manual_seed(2)
    pixels = torch.rand(3, 6, 8, generator=generator)
    pixels[:, 0], pixels[:, 1] = 0.0, 1.0
    weights = torch.rand(1, 6, 8, generator=generator) if weighted else None
    return Target(pixels, weights, OFFSETS, SCALE)


def outputs_of(shown: torch.Tensor) -> torch.Tensor:
    return ((shown - OFFSETS) / SCALE).requires_grad_()


@pytest.mark.parametrize("weighted", [False, True])
def test_inside_the_range_errors_are_plain_squares(weighted: bool) -> None:
    target = target_of(weighted=weighted)
    outputs = outputs_of(torch.rand(3, 6, 8, generator=torch.Generator().manual_seed(3)))
    error = target.error(outputs)
    weights = 1.0 if target.weights is None else target.weights
    expected = ((OFFSETS + outputs * SCALE - target.pixels).square() * weights).sum()
    torch.testing.assert_close(error, expected)
    torch.testing.assert_close(
        torch.autograd.grad(error, outputs), torch.autograd.grad(expected, outputs)
    )


def test_beyond_the_range_an_output_counts_as_what_it_is_clipped_to() -> None:
    target = target_of(weighted=False)
    shown = target.pixels.clone()
    shown[:, 0], shown[:, 1], shown[:, 2] = -0.3, 1.2, 1.7
    outputs = outputs_of(shown)
    error = target.error(outputs)
    torch.testing.assert_close(error, (1.0 - target.pixels[:, 2]).square().sum())
    torch.testing.assert_close(error, target.squares(outputs))
    (slope,) = torch.autograd.grad(error, outputs)
    assert not slope[:, :2].any()
    assert (slope[:, 2] > 0.0).all()  # so that it moves down, into the range
