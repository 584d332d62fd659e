"""How a fit begins: on small versions of its image, where trials cost little.

Which colours the first iterations give to which grid stays for good, and decides as much as a fifth
of J. So several beginnings are tried on an image of half, a quarter, ... of the rows and columns.
The best go on from size to size, one fewer at each, their latents at a level becoming those of the
next coarser one.
At each halving a bit becomes four times as dear per pixel that is left, so that lambda stays that
of the whole image. A fit of many iterations looks at more beginnings, in finer images, and chooses
the last of them at full size.
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
from inrcodec.representations.latentgrid.fit_descent import Measured
from inrcodec.representations.latentgrid.fit_tile import TileFit, TileState
from inrcodec.representations.latentgrid.schedule import Moment, lambda_factor, trial_moment

__all__ = ["Beginnings", "n_halvings"]

_LEAST_TRIED: Final = 1 << 12  # pixels of a tile
_LEAST_ITERATIONS: Final = 20  # of a trial that says anything
_MANY_ITERATIONS: Final = 5000  # of a fit that has time for a thorough search
_FINEST_SHARE: Final = 0.5  # of the weights of the finest latents, of those of the next ones


class _Stretch(NamedTuple):
    """How long to fit: at most `iterations` and a `share` of the budget."""

    iterations: int
    share: float


class _Search(NamedTuple):
    """How beginnings are looked for.

    At first `n_trials` on images of at most `largest` pixels. `more` than one a halving go on from
    size to size, until the `last`. What a `rise` may take of the budget is for all of a size.
    """

    n_trials: int
    trial: _Stretch
    rise: _Stretch
    largest: int
    more: int
    last: int
    lambda_falls: bool


_QUICK: Final = _Search(5, _Stretch(160, 0.02), _Stretch(240, 0.06), 1 << 15, 0, 1, True)
_THOROUGH: Final = _Search(8, _Stretch(240, 0.02), _Stretch(240, 0.12), 1 << 17, 2, 0, False)
"""On four Kodak images, 10,000 iterations and a lambda of 0.001, J is 1.6 % lower than with the
quick one, and so it is with twice as many trials. With a lambda that falls, neither more trials nor
larger ones nor a choice at full size won anything."""


class _Found(NamedTuple):
    """A state of a tile of some size."""

    shape: LatentShape
    state: TileState

    def begin(self, fit: TileFit) -> None:
        """Begin a fit of that size, or of twice the rows and columns, with it."""
        same = self.shape == fit.shape
        fit.restore(self.state if same else _risen(self.state, self.shape, fit.shape))


def _search_for(budget: Budget) -> _Search:
    """A thorough one if many iterations are certain: a deadline may come after a few."""
    are_many = budget.deadline is None and (budget.iterations or 0) >= _MANY_ITERATIONS
    return _THOROUGH if are_many else _QUICK


def n_halvings(height: int, width: int, budget: Budget) -> int:
    """How often a tile is halved before it is small enough for trials; 0: too small for any."""
    largest = _search_for(budget).largest
    if height * width < _LEAST_TRIED:
        return 0
    halvings = 1
    while math.ceil(height / 2**halvings) * math.ceil(width / 2**halvings) > largest:
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
        self._search = _search_for(budget)
        self._first_lam = lam * (lambda_factor(0.0, lam) if self._search.lambda_falls else 1.0)

    def find(self, halvings: int, into: Sequence[TileFit]) -> None:
        """Put the best states that are found into fits of full size, if there is time to try."""
        search, limit = self._search, self._budget.iterations
        too_few = limit is not None and limit * search.trial.share * 4**halvings < _LEAST_ITERATIONS
        if halvings == 0 or too_few:
            return
        self._n_pixels = _n_pixels(into)
        fresh = [None] * search.n_trials
        best = self._best(halvings, fresh, search.trial, keep=halvings + 1 + search.more)
        reached = halvings
        for size in range(halvings, search.last - 1, -1):
            if self._is_over and reached <= 1:
                break
            rise = search.rise._replace(share=search.rise.share / len(best))
            keep = 1 if size == search.last else size + search.more
            best, reached = self._best(size, best, rise, keep=keep), size
        for fit, found in zip(into, best[0], strict=True):
            found.begin(fit)

    def _best(
        self,
        halvings: int,
        candidates: Sequence[list[_Found] | None],
        stretch: _Stretch,
        *,
        keep: int,
    ) -> list[list[_Found]]:
        """Go on from candidates, None for new ones; the best of each tile, best first.

        Once the search is over, only the first one goes on.
        """
        ranked: list[list[tuple[float, _Found]]] = []
        for seed, candidate in enumerate(candidates):
            if ranked and self._is_over:
                break
            fits = self._fits_at(halvings, seed)
            for found, fit in zip(candidate or (), fits, strict=candidate is not None):
                found.begin(fit)
            safe = [fit.state() for fit in fits]
            self._fit(fits, stretch, _n_pixels(fits) / self._n_pixels)
            ranked = ranked or [[] for _ in fits]
            for own, fit, state in zip(ranked, fits, safe, strict=True):
                cost = fit.cost(self._lam)
                if math.isinf(cost):  # it diverged
                    fit.restore(state)
                    cost = fit.cost(self._lam)
                own.append((cost, _Found(fit.shape, fit.state())))
        for own in ranked:
            own.sort(key=lambda pair: pair[0])
        return [[own[place][1] for own in ranked] for place in range(min(keep, len(ranked[0])))]

    @property
    def _is_over(self) -> bool:
        return self._budget.cancelled or self._clock.fraction >= 1.0

    def _fit(self, fits: Sequence[TileFit], stretch: _Stretch, work: float) -> None:
        """Fit for a stretch, each iteration so much work."""
        began = self._clock.fraction
        for number in range(stretch.iterations):
            fraction = self._clock.fraction
            spent = (fraction - began) / stretch.share
            if spent >= 1.0 or self._is_over:
                break
            moment = trial_moment(max(spent, number / stretch.iterations))
            self._each(partial(_step, moment=moment, lam=self._first_lam), fits)
            self._clock.trials += work
            self._tell()


def _n_pixels(fits: Sequence[TileFit]) -> int:
    return sum(fit.shape.height * fit.shape.width for fit in fits)


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
        known.get((grid.level, grid.is_hyper), state.latents.new_zeros(grid.n_values))
        for grid in finer.grids
    ]
    return TileState(torch.cat(latents), weights, state.log2_steps.clone())
