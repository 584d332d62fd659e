"""How a fit begins: on small versions of its image, where trials cost little.

Which colours the first iterations give to which grid stays for good, and decides as much as a fifth
of J. So several beginnings are tried on an image of half, a quarter, ... of the rows and columns,
the best goes on from size to size, its latents at a level becoming those of the next coarser one.
At each halving a bit becomes four times as dear per pixel that is left, so that lambda stays that
of the whole image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import torch

from inrcodec.kernels import LatentShape
from inrcodec.representations.base import Budget
from inrcodec.representations.clock import Clock
from inrcodec.representations.latentgrid.fit_tile import Measured, TileFit, TileState
from inrcodec.representations.latentgrid.schedule import Moment, trial_moment

__all__ = ["Beginnings", "n_halvings"]

_LARGEST_TRIED: Final = 1 << 15  # pixels of a tile
_N_TRIALS: Final = 5
_LEAST_ITERATIONS: Final = 20  # of a trial that says anything
_FINEST_SHARE: Final = 0.5  # of the weights of the finest latents, of those of the next ones


class _Stretch(NamedTuple):
    """How long to fit: at most `iterations` and a `share` of the budget."""

    iterations: int
    share: float


_TRIAL: Final = _Stretch(160, 0.02)
_RISE: Final = _Stretch(240, 0.04)


def n_halvings(height: int, width: int) -> int:
    """How often a tile is halved before it is small enough for trials."""
    halvings = 0
    while math.ceil(height / 2**halvings) * math.ceil(width / 2**halvings) > _LARGEST_TRIED:
        halvings += 1
    return halvings


class Beginnings:
    """The search for the states from which the fits of all tiles begin.

    `fits_at(halvings, seed)` makes fits of all tiles at a size; `each` does something with every
    fit; `tell` is called after each iteration.
    """

    def __init__(
        self,
        fits_at: Callable[[int, int], list[TileFit]],
        *,
        each: Callable[[Callable[[TileFit], Measured], Sequence[TileFit]], object],
        lam: float,
        budget: Budget,
        clock: Clock,
        tell: Callable[[], None],
    ) -> None:
        self._fits_at, self._each, self._tell = fits_at, each, tell
        self._lam, self._budget, self._clock = lam, budget, clock

    def find(self, halvings: int, into: Sequence[TileFit]) -> None:
        """Put the best states that are found into fits of full size, if there is time to try."""
        limit = self._budget.iterations
        if limit is not None and limit * _TRIAL.share * 4**halvings < _LEAST_ITERATIONS:
            return
        states = self._best_of_trials(halvings)
        fits = self._fits_at(halvings, 0) if halvings else into
        for fit, state in zip(fits, states, strict=True):
            fit.restore(state)
        for finer in reversed(range(halvings)):
            self._fit(fits, _RISE, finer + 1)
            above = self._fits_at(finer, 0) if finer else into
            for fit, risen in zip(fits, above, strict=True):
                risen.restore(_risen(fit.state(), fit.shape, risen.shape))
            fits = above

    def _best_of_trials(self, halvings: int) -> list[TileState]:
        best = [(math.inf, fit.state()) for fit in self._fits_at(halvings, 0)]
        for seed in range(_N_TRIALS):
            fits = self._fits_at(halvings, seed)
            self._fit(fits, _TRIAL, halvings)
            for number, fit in enumerate(fits):
                cost = fit.cost(self._lam)
                if cost < best[number][0]:
                    best[number] = cost, fit.state()
        return [state for _, state in best]

    def _fit(self, fits: Sequence[TileFit], stretch: _Stretch, halvings: int) -> None:
        began = self._clock.fraction
        for number in range(stretch.iterations):
            spent = (self._clock.fraction - began) / stretch.share
            if spent >= 1.0 or self._budget.cancelled:
                break
            moment = trial_moment(max(spent, number / stretch.iterations))
            self._each(partial(_step, moment=moment, lam=self._lam), fits)
            self._clock.trials += 4.0**-halvings
            self._tell()


def _step(fit: TileFit, *, moment: Moment, lam: float) -> Measured:
    return fit.step(moment, lam)


def _risen(state: TileState, shape: LatentShape, finer: LatentShape) -> TileState:
    """A state of a tile for twice as many rows and columns: all moves one level up."""
    weights = {name: tensor.clone() for name, tensor in state.weights.items()}
    for name in ("blend", "lift"):  # a column a level, finest first
        weights[name][:, 1:] = state.weights[name][:, :-1]
        weights[name][:, 0] *= _FINEST_SHARE
    for name in ("rise", "sharpen"):  # a row a level, finest last
        weights[name][:-1] = state.weights[name][1:]
    parts = torch.split(state.latents, [grid.n_values for grid in shape.grids])
    known = {
        (grid.level + 1, grid.is_hyper): part
        for grid, part in zip(shape.grids, parts, strict=True)
    }  # fmt: skip
    latents = [
        known.get((grid.level, grid.is_hyper), torch.zeros(grid.n_values)) for grid in finer.grids
    ]
    return TileState(torch.cat(latents), weights, state.log2_steps.clone())
