"""How a fit of a latent grid begins: trials on small versions, and what becomes of the best one."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from inrcodec.kernels import LatentShape
from inrcodec.representations.base import Budget
from inrcodec.representations.clock import Clock
from inrcodec.representations.latentgrid.fit_descent import Measured
from inrcodec.representations.latentgrid.fit_start import Beginnings, n_halvings
from inrcodec.representations.latentgrid.fit_target import Target
from inrcodec.representations.latentgrid.fit_tile import TileFit
from inrcodec.representations.latentgrid.schedule import lambda_factor, moment_of

SIDE, LAM = 64, 1e-3


def target(height: int = SIDE, width: int = SIDE) -> Target:
    rows, columns = np.mgrid[:height, :width]
    planes = [np.sin(rows / (9 + c)) * np.cos(columns / (11 - c)) * 0.3 + 0.5 for c in range(3)]
    pixels = torch.tensor(np.stack(planes), dtype=torch.float32)
    return Target(pixels, None, torch.full((3, 1, 1), 0.5), 1.0)


def fits_at(halvings: int, seed: int) -> list[TileFit]:
    small = target()
    for _ in range(halvings):
        small = small.halved()
    height, width = small.pixels.shape[1:]
    shape = LatentShape(height, width, 3, size=0, n_levels=5, n_hyper=1)
    n_samples = 3 * SIDE**2 / 4**halvings
    return [TileFit(shape, small, n_samples=n_samples, n_pixels=SIDE**2, seed=seed)]


def each(work: Callable[[TileFit], Measured], fits: Sequence[TileFit]) -> list[Measured]:
    return [work(fit) for fit in fits]


def beginnings(budget: Budget, clock: Clock) -> Beginnings:
    return Beginnings(
        fits_at, each=each, lam=LAM, budget=budget, clock=clock, tell=lambda: None
    )  # fmt: skip


def test_tiles_are_halved_once_and_then_until_they_have_32768_pixels() -> None:
    sizes = [(1, 1), (63, 65), (64, 64), (256, 256), (512, 768), (1032, 1032), (1, 40_000)]
    for budget in (Budget(iterations=4999), Budget(deadline=time.monotonic() + 1e4)):
        assert [n_halvings(*size, budget) for size in sizes] == [0, 0, 1, 1, 2, 3, 1]
    many = Budget(iterations=5000)
    assert [n_halvings(*size, many) for size in sizes] == [0, 0, 1, 1, 1, 2, 1]
    perhaps = Budget(iterations=5000, deadline=time.monotonic() + 1e4)
    assert n_halvings(512, 768, perhaps) == 2


def test_a_halved_target_has_means_of_2_x_2_pixels_and_of_fewer_at_an_odd_end() -> None:
    pixels = torch.arange(15.0).view(1, 3, 5)
    halved = Target(pixels, pixels[:, :, :1], torch.zeros(1, 1, 1), 1.0).halved()
    assert halved.pixels.tolist() == [[[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]]
    assert halved.weights is not None
    assert halved.weights.tolist() == [[[2.5], [10.0]]]
    line = Target(torch.arange(4.0).view(1, 1, 4), None, torch.zeros(1, 1, 1), 1.0).halved()
    assert line.pixels.tolist() == [[[0.5, 2.5]]]


def test_what_is_found_is_far_ahead_of_a_fresh_beginning_of_the_full_size() -> None:
    budget = Budget(iterations=800)
    (fit,) = fits = fits_at(0, 0)
    fresh = fit.cost(LAM)
    beginnings(budget, Clock(budget)).find(2, fits)
    assert fit.cost(LAM) < 0.3 * fresh


@pytest.mark.parametrize("halvings", [1, 3, 5])
def test_a_search_can_begin_however_small(halvings: int) -> None:
    budget = Budget(iterations=800)
    clock = Clock(budget)
    (fit,) = fits = fits_at(0, 0)
    fresh = fit.cost(LAM)
    beginnings(budget, clock).find(halvings, fits)
    assert fit.cost(LAM) < fresh
    assert clock.fraction <= 5 * 0.02 + halvings * 0.06 + 0.01


def test_trials_are_paid_for_from_the_budget() -> None:
    budget = Budget(iterations=800)
    clock = Clock(budget)
    beginnings(budget, clock).find(1, fits_at(0, 0))
    # five of 2 % and two of 3 %, each overrunning by a quarter of an iteration at most
    assert 0.16 <= clock.fraction <= 0.16 + 7 * 0.25 / 800


def test_a_long_fit_looks_at_more_beginnings_and_chooses_at_full_size() -> None:
    budget = Budget(iterations=5000)
    clock = Clock(budget)
    (fit,) = fits = fits_at(0, 0)
    fresh = fit.cost(LAM)
    beginnings(budget, clock).find(1, fits)
    assert clock.trials == pytest.approx(12 * 240 / 4 + 5000 * 0.12, abs=3)
    assert fit.state().latents[: SIDE**2].any()
    assert fit.cost(LAM) < 0.3 * fresh


def test_without_time_for_a_trial_there_is_none() -> None:
    budget = Budget(iterations=240)
    clock = Clock(budget)
    (fit,) = fits = fits_at(0, 0)
    beginnings(budget, clock).find(1, fits)
    assert clock.fraction == 0.0
    assert not fit.state().latents.any()


def test_a_cancelled_search_ends_at_once_and_leaves_what_a_fit_can_begin_from() -> None:
    cancel = threading.Event()
    cancel.set()
    budget = Budget(iterations=10_000, cancel=cancel)
    clock = Clock(budget)
    (fit,) = fits = fits_at(0, 0)
    made = []

    def noted_at(halvings: int, seed: int) -> list[TileFit]:
        made.append(halvings)
        return fits_at(halvings, seed)

    search = Beginnings(
        noted_at, each=each, lam=LAM, budget=budget, clock=clock, tell=lambda: None
    )  # fmt: skip
    search.find(2, fits)
    assert clock.trials == 0.0
    assert math.isfinite(fit.cost(LAM))
    assert made == [2, 2, 1]  # no others, and none of full size


def test_latents_rise_by_a_level() -> None:
    budget = Budget(iterations=1_500)
    (fit,) = fits = fits_at(0, 0)
    beginnings(budget, Clock(budget)).find(1, fits)
    sizes = [grid.n_values for grid in fit.shape.grids]
    by_grid = dict(zip(fit.shape.grids, torch.split(fit.state().latents, sizes), strict=True))
    finest = [values for grid, values in by_grid.items() if grid.level == 0]
    second = [values for grid, values in by_grid.items() if grid.level == 1]
    assert not finest[0].any()
    assert second[0].any()


def test_what_a_tile_is_measured_to_take_is_what_it_takes() -> None:
    budget = Budget(iterations=1_500)
    (fit,) = fits = fits_at(0, 0)
    beginnings(budget, Clock(budget)).find(1, fits)
    for step in range(200):  # a search ends with latents that next to nothing is known of
        fit.step(moment_of(step / 200, resumed=False), LAM)
    measured = fit.measure().bits / 8
    assert len(fit.tile().to_bytes()) == pytest.approx(measured, abs=12)


def test_a_deadline_that_is_over_ends_a_search_after_one_iteration() -> None:
    budget = Budget(deadline=time.monotonic() - 1.0)
    clock = Clock(budget)
    beginnings(budget, clock).find(2, fits_at(0, 0))
    assert clock.trials == 1 / 16


def test_trials_that_diverge_are_passed_over() -> None:
    def broken_at(halvings: int, seed: int) -> list[TileFit]:
        (fit,) = fits_at(halvings, seed)
        broken = fit.state()
        broken.weights["blend"].fill_(math.nan)
        if seed != 3:
            fit.restore(broken)
        return [fit]

    budget = Budget(iterations=1_500)
    (fit,) = fits = fits_at(0, 0)
    fresh = fit.cost(LAM)
    Beginnings(
        broken_at, each=each, lam=LAM, budget=budget, clock=Clock(budget), tell=lambda: None
    ).find(1, fits)
    assert fit.cost(LAM) < 0.5 * fresh


def test_weights_that_are_no_numbers_are_measured_as_such() -> None:
    (fit,) = fits_at(0, 0)
    broken = fit.state()
    broken.weights["blend"].fill_(math.nan)
    fit.restore(broken)
    assert not math.isfinite(sum(fit.measure()))


def test_lambda_falls_to_what_is_asked_for_the_further_the_lower_that_is() -> None:
    assert lambda_factor(0.0, 1e-3) == lambda_factor(0.0, 1e-4) == 4.0
    assert 1.0 < lambda_factor(0.0, 4e-3) < 4.0
    assert lambda_factor(0.0, 0.02) == lambda_factor(0.0, 0.1) == lambda_factor(0.0, 0.0) == 1.0
    course = [lambda_factor(fraction / 20, 1e-3) for fraction in range(21)]
    assert course == sorted(course, reverse=True)
    assert lambda_factor(0.4, 1e-3) == lambda_factor(1.0, 1e-3) == 1.0
