"""How a fit of a latent grid holds and moves its weights."""

from __future__ import annotations

import gc
import math
import weakref

import pytest
import torch

from inrcodec.kernels import LatentShape
from inrcodec.representations.latentgrid.fit_descent import Measured
from inrcodec.representations.latentgrid.fit_target import Target
from inrcodec.representations.latentgrid.fit_tile import TileFit
from inrcodec.representations.latentgrid.schedule import Moment, moment_of

SHAPE = LatentShape(24, 32, 3, size=0, n_levels=5, n_hyper=1, prior=1)
FROZEN = frozenset({"feature", "blend", "tail0"})  # two groups and a tensor


def fit_of(frozen: frozenset[str] = frozenset(), *, scale: float = 1.0) -> TileFit:
    generator = torch.Generator().manual_seed(5)
    pixels = torch.rand(3, 24, 32, generator=generator)
    target = Target(pixels, None, torch.full((3, 1, 1), 0.5), scale)
    return TileFit(SHAPE, target, n_samples=3 * 768, n_pixels=768, seed=0, frozen=frozen)


def moments() -> list[Moment]:
    return [moment_of(fraction / 20, resumed=False) for fraction in range(20)]


def steps(fit: TileFit) -> list[Measured]:
    return [fit.step(moment, 1e-3) for moment in moments()]


def test_frozen_weights_stay_0_and_all_others_move() -> None:
    fit = fit_of(FROZEN)
    before = fit.state().weights
    assert all(math.isfinite(sum(measured)) for measured in steps(fit))
    after = fit.state().weights
    for weight in SHAPE.weights:
        still = weight.name in FROZEN or weight.group in FROZEN
        assert after[weight.name].any().item() is not still, weight.name
        assert torch.equal(after[weight.name], before[weight.name]) is still, weight.name


def test_a_state_is_a_copy_and_brings_back_what_was_measured() -> None:
    fit = fit_of(FROZEN)
    steps(fit)
    state, measured = fit.state(), fit.measure("free")
    steps(fit)
    assert fit.measure("free") != measured
    fit.restore(state)
    assert fit.measure("free") == measured


def test_a_fit_leaves_memory_as_soon_as_nobody_needs_it() -> None:
    gc.disable()
    try:
        fit = fit_of()
        steps(fit)
        alive = weakref.ref(fit)
        del fit
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("leaf", ["_weights", "_latents"])
def test_a_gradient_that_is_no_number_moves_nothing_and_is_told(leaf: str) -> None:
    fit = fit_of()
    steps(fit)
    before = fit.state()
    hook = getattr(fit, leaf).register_hook(lambda gradient: gradient * math.nan)
    assert not math.isfinite(sum(fit.step(moments()[0], 1e-3)))
    hook.remove()
    after = fit.state()
    assert torch.equal(before.latents, after.latents)
    assert all(torch.equal(before.weights[name], after.weights[name]) for name in before.weights)
    assert all(math.isfinite(sum(measured)) for measured in steps(fit))
