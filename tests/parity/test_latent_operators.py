"""The kernels of fits of latent grids as torch operators: what torch itself checks of one."""

from __future__ import annotations

from dataclasses import astuple

import pytest

torch = pytest.importorskip("torch")

from inrcodec.kernels import LatentShape, latent_cost  # noqa: E402

SHAPE = LatentShape(21, 34, 3, size=0, n_levels=5, n_hyper=1, prior=1)
FIELDS = astuple(SHAPE)
EVERY_CHECK = (
    "test_schema",
    "test_autograd_registration",
    "test_faketensor",
    "test_aot_dispatch_dynamic",
)


@pytest.fixture
def latents(native: object) -> torch.Tensor:
    """Latents, and the operators."""
    generator = torch.Generator().manual_seed(6)
    latents = 3.0 * torch.randn(SHAPE.n_latents, generator=generator)
    latent_cost(
        latents, SHAPE, {weight.name: torch.zeros(weight.shape) for weight in SHAPE.weights}
    )
    return latents


def weights_of(*, of_context: bool) -> torch.Tensor:
    """The weights of a network, joined."""
    count = sum(weight.size for weight in SHAPE.weights if weight.of_context is of_context)
    return 0.2 * torch.randn(count, generator=torch.Generator().manual_seed(7))


def test_cost_passes_the_checks_of_operators(latents: torch.Tensor) -> None:
    leaves = latents.requires_grad_(), weights_of(of_context=True).requires_grad_()
    torch.library.opcheck(torch.ops.inrcodec.latent_cost.default, (*leaves, *FIELDS))


def test_pixels_pass_the_checks_of_operators(latents: torch.Tensor) -> None:
    ops, weights = torch.ops.inrcodec, weights_of(of_context=False)
    pixels, kept = ops.latent_pixels(latents, weights, *FIELDS)
    inputs = (torch.ones_like(pixels), latents, weights, kept)
    torch.library.opcheck(ops.latent_pixels_gradients.default, (*inputs, *FIELDS))
    leaves = latents.clone().requires_grad_(), weights.clone().requires_grad_()
    # what is kept for the way back has floats between its parts that nobody writes, which the
    # last check would compare
    torch.library.opcheck(
        ops.latent_pixels.default, (*leaves, *FIELDS), test_utils=EVERY_CHECK[:-1]
    )


def test_soft_latents_pass_the_checks_of_operators(latents: torch.Tensor) -> None:
    noise = torch.linspace(-1.0, 1.0, len(latents))
    softness = (None, 16.0, 0.2, 0.3)
    op = torch.ops.inrcodec.soft_latents.default
    torch.library.opcheck(op, (latents.requires_grad_(), noise, *softness))
