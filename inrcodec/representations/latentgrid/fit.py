"""The fit of an image: its tiles, fitted side by side at one price of a bit.

An iteration is a step of every tile. The price is lambda, or whatever holds the bytes or the error
of the whole image in place.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import torch

from inrcodec import kernels
from inrcodec.container import DecodeLimits
from inrcodec.errors import ConfigError, SignalError
from inrcodec.kernels.torch_similarity import MultiscaleSimilarity
from inrcodec.representations.base import Budget, FitGoal, Step, Watch
from inrcodec.representations.clock import Clock
from inrcodec.representations.latentgrid.config import MACS, LatentGridConfig
from inrcodec.representations.latentgrid.fit_descent import Measured
from inrcodec.representations.latentgrid.fit_device import at_home, device_for
from inrcodec.representations.latentgrid.fit_start import Beginnings, n_halvings
from inrcodec.representations.latentgrid.fit_target import Target
from inrcodec.representations.latentgrid.fit_tile import TileFit, TileState
from inrcodec.representations.latentgrid.pack import LatentModel, LatentTile
from inrcodec.representations.latentgrid.schedule import (
    Moment,
    lambda_factor,
    moment_of,
)
from inrcodec.representations.latentgrid.tiling import Tile
from inrcodec.representations.output import CHANNEL_UNIT, OutputScale, blocks_of
from inrcodec.representations.price import Price
from inrcodec.signal import Signal

__all__ = ["Fitted", "fit_image"]

_CHECKS: Final = 40
_ENOUGH_ITERATIONS: Final = 400  # for networks of a size to be worth it
_USUAL_SIZE: Final = MACS.index(2000)
_HASTY_SIZE: Final = MACS.index(1000)
_HASTY_ITERATIONS, _HASTY_PIXELS = 1000, 1 << 21  # fewer of the first, and more of the second
_HEADER_BITS: Final = 8 * 60  # what a file has beside its tiles
_SEEDS: Final = 1 << 20  # between those of trials
_PRICE_FROM, _PRICE_UNTIL = 0.06, 0.75  # after that, latents hardly follow a price
_PROMISE: Final = 1.2  # of the logarithm of the error
_SMOOTHING: Final = 0.5
_PACE: Final = 10.0
_LEAST_SLOWDOWN: Final = 2.0**-8
_PROBES: Final = {"cpu": 2, "cuda": 4}  # of which the last is as quick as all that follow


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """The integers of a fit; `states` and `lam` at its end are what another fit goes on from."""

    model: LatentModel
    tiles: tuple[LatentTile, ...]
    states: tuple[TileState, ...]
    lam: float
    iterations: int


def fit_image(
    signal: Signal,
    config: LatentGridConfig,
    goal: FitGoal,
    budget: Budget,
    *,
    start: Fitted | None = None,
    watch: Watch | None = None,
) -> Fitted:
    """Fit an image, from `start` or from nothing; on the CPU where a GPU has too little memory.

    Raises ConfigError for an image or a config that a decoder would refuse, SignalError if no state
    is finite.
    """

    def fitted_on(device: str) -> Fitted:
        several = config.tiling(*signal.spec.grid).n_tiles > 1
        with ThreadPoolExecutor(kernels.threads()) as pool, at_home(device, several=several):
            fit = _ImageFit(signal, config, goal, budget, start=start, pool=pool, device=device)
            return _run(fit, budget, watch)

    device = device_for(signal.spec.channels)
    try:
        return fitted_on(device)
    except torch.OutOfMemoryError as error:
        if device == "cpu":
            raise
        if kernels.gpu_is_asked_for():
            raise ConfigError("the GPU has too little memory for this image") from error
    torch.cuda.empty_cache()
    message = "the GPU has too little memory for this image; it is fitted on the CPU"
    warnings.warn(message, stacklevel=2)
    return fitted_on("cpu")


def _run(fit: _ImageFit, budget: Budget, watch: Watch | None) -> Fitted:
    clock = Clock(budget)
    tell = partial(_tell, fit, clock, watch)
    fit.begin(clock, budget, lambda: tell(0.0))
    begun, next_check = min(clock.fraction, 0.99), 0.0
    while clock.fraction < 1.0 and not budget.cancelled:
        fit.step((clock.fraction - begun) / (1.0 - begun))
        clock.iterations += 1
        fraction = (clock.fraction - begun) / (1.0 - begun)
        if fraction >= next_check:
            next_check = fraction + 1.0 / _CHECKS
            fit.check(fraction)
        tell(fraction)
    fit.check(1.0)
    if watch is not None:
        watch(fit.report(clock, 1.0))
    return fit.result(clock.iterations + math.ceil(clock.trials))


def _tell(fit: _ImageFit, clock: Clock, watch: Watch | None, fraction: float) -> None:
    if watch is not None and clock.report_is_due():
        watch(fit.report(clock, fraction))


class _ImageFit:
    """The fits of all tiles, and the best that they have been."""

    def __init__(
        self,
        signal: Signal,
        config: LatentGridConfig,
        goal: FitGoal,
        budget: Budget,
        *,
        start: Fitted | None,
        pool: ThreadPoolExecutor,
        device: str,
    ) -> None:
        self._pool, self._device = pool, device
        height, width = signal.spec.grid
        self._tiling = config.tiling(height, width) if start is None else start.model.tiling
        self._signal, self._config, self._goal = signal, config, goal
        self._output = (
            OutputScale.spanning(blocks_of(signal)) if start is None else start.model.output
        )
        self._resumed = start is not None
        self._n_pixels = height * width
        self._covered = sum(tile.height * tile.width for tile in self._tiling.tiles())
        self._targets = [self._target(tile).on(self._device) for tile in self._tiling.tiles()]
        self._model = self._model_of(self._size(budget)) if start is None else start.model
        states = [None] * self._tiling.n_tiles if start is None else start.states
        self._fits = [
            self._tile_fit(tile, self._model, state)
            for tile, state in zip(self._tiling.tiles(), states, strict=True)
        ]
        first = goal.lam if start is None or goal.hold == "lam" else start.lam
        self._price = Price(
            goal,
            mse_scale=1.0,
            n_points=self._n_pixels,
            first=first,
            pace=_PACE,
            since=_PRICE_FROM,
            until=1.0 if self._resumed else _PRICE_UNTIL,
            promise=0.0 if self._resumed else _PROMISE,
            smoothing=_SMOOTHING,
            begins=not self._resumed,
        )
        self._best: tuple[Measured, list[TileState]] | None = None
        self._safe = [fit.state() for fit in self._fits]
        self._slowdown = 1.0
        self._last = Measured(math.nan, math.nan, math.nan)
        if start is not None:
            self.check(0.0)

    # --- what is fitted --------------------------------------------------------------------------

    def _target(self, tile: Tile) -> Target:
        spec = self._signal.spec
        samples = self._signal.samples[slice(*tile.rows), slice(*tile.columns)]
        pixels = torch.from_numpy(spec.to_unit(samples)).permute(2, 0, 1).contiguous()
        offsets = torch.tensor(self._output.offsets) / CHANNEL_UNIT
        return Target(
            pixels=pixels,
            weights=self._weights(tile),
            offsets=offsets[:, None, None],
            scale=self._output.factor,
            similarity=MultiscaleSimilarity(pixels) if self._goal.tune == "ms-ssim" else None,
        )

    def _weights(self, tile: Tile) -> torch.Tensor | None:
        """What the errors of the pixels, and of their channels, count; None: all the same."""
        weights, channels = None, self._signal.spec.channels
        if self._goal.weights is not None:
            part = self._goal.weights[slice(*tile.rows), slice(*tile.columns)]
            weights = torch.tensor(part)[None]
        if channels in (2, 4) and self._config.alpha_weight != 1.0:
            by_channel = torch.ones(channels, 1, 1)
            by_channel[-1] = self._config.alpha_weight
            weights = by_channel if weights is None else weights * by_channel
        return weights

    def _model_of(self, size: int) -> LatentModel:
        first = next(self._tiling.tiles())
        shape = self._config.shape(first.height, first.width, self._signal.spec.channels, size=size)
        model = LatentModel(
            size, shape.n_levels, shape.n_hyper, self._tiling, self._output, shape.prior
        )
        limits = DecodeLimits()
        if model.n_parameters > limits.max_parameters:
            raise ConfigError(
                f"{model.n_parameters} parameters are over a decoder's {limits.max_parameters}"
            )
        return model

    def _tile_fit(
        self,
        tile: Tile,
        model: LatentModel,
        state: TileState | None = None,
        *,
        halvings: int = 0,
        trial: int = 0,
    ) -> TileFit:
        shape, target = model.shape_of(tile), self._targets[tile.number]
        for _ in range(halvings):
            target = target.halved()
        height, width = target.pixels.shape[1:]
        return TileFit(
            replace(shape, height=height, width=width),
            target,
            n_samples=self._covered * shape.channels * height * width / (tile.height * tile.width),
            n_pixels=self._n_pixels,
            seed=self._goal.seed + tile.number + _SEEDS * trial,
            frozen=self._config.frozen,
            weight_rate=self._config.weight_rate,
            start=state,
        )

    def _size(self, budget: Budget) -> int:
        """The size that is asked for, or the largest usual one that the time is enough for.

        A fit of few iterations of a large image has smaller networks: 500 take 0.7 of the time.
        For that, J of two photographs (1.3 and 1.5 megapixels, one tile each) changed by -3 and
        +4 %; with 350 iterations of usual networks, as quick, by +2 and +4 %.
        """
        if self._config.macs is not None:
            return MACS.index(self._config.macs)
        size, enough = _USUAL_SIZE, _ENOUGH_ITERATIONS
        if budget.iterations is not None:
            few = budget.iterations < _HASTY_ITERATIONS and self._n_pixels > _HASTY_PIXELS
            size, enough = _HASTY_SIZE if few else size, min(enough, budget.iterations)
        if budget.deadline is None:
            return size
        tile = next(self._tiling.tiles())
        probe = self._tile_fit(tile, self._model_of(size))
        for _ in range(_PROBES[self._device]):
            began = time.monotonic()
            probe.step(moment_of(0.5, resumed=False), self._goal.lam)
            seconds = time.monotonic() - began
        whole = seconds * self._covered / (tile.height * tile.width)
        iterations = budget.seconds_left / whole
        while size > 0 and iterations < enough:
            iterations *= MACS[size] / MACS[size - 1]
            size -= 1
        return size

    def begin(self, clock: Clock, budget: Budget, tell: Callable[[], None]) -> None:
        """Look for a good beginning, unless there is one."""
        if self._resumed:
            return

        def fits_at(halvings: int, trial: int) -> list[TileFit]:
            return [
                self._tile_fit(tile, self._model, halvings=halvings, trial=trial)
                for tile in self._tiling.tiles()
            ]

        first = next(self._tiling.tiles())
        beginnings = Beginnings(
            fits_at, each=self._each, lam=self._price.lam, budget=budget, clock=clock, tell=tell
        )
        beginnings.find(n_halvings(first.height, first.width, budget), self._fits)
        self._safe = [fit.state() for fit in self._fits]

    # --- one iteration ---------------------------------------------------------------------------

    def step(self, fraction: float) -> None:
        """One step of every tile; goes back to what was safe, more slowly, if one diverges."""
        moment, lam = self._moment(fraction), self._price.lam
        if not self._resumed:
            lam *= lambda_factor(fraction, lam)
        measured = self._all(lambda fit: fit.step(moment, lam))
        if not math.isfinite(sum(measured)):
            self._slowdown /= 2.0
            if self._slowdown < _LEAST_SLOWDOWN:
                raise SignalError("the fit diverges at every learning rate that was tried")
            self._restore(self._safe)
            return
        self._last = measured

    def _moment(self, fraction: float) -> Moment:
        moment = moment_of(fraction, resumed=self._resumed)
        return moment._replace(rate=moment.rate * self._slowdown)

    def check(self, fraction: float) -> None:
        """Measure everything rounded, move the price, and keep the state if it is the best."""
        if fraction < 1.0 and self._moment(fraction).weighing == "free":
            self._safe = [fit.state() for fit in self._fits]
            return
        measured = self._all(lambda fit: fit.measure())
        if not math.isfinite(sum(measured)):
            return
        self._price.follow(self._mse(measured), measured.bits, fraction)
        self._safe = [fit.state() for fit in self._fits]
        if self._best is None or self._cost(measured) <= self._cost(self._best[0]):
            self._best = measured, self._safe

    def _cost(self, measured: Measured) -> float:
        return self._price.cost(self._mse(measured), measured.bits)

    def _mse(self, measured: Measured) -> float:
        """What is held, if it is an error; else what is made small."""
        error = measured.squares if self._goal.hold == "mse" else measured.error
        return error / (self._covered * self._signal.spec.channels)

    def _all(self, work: Callable[[TileFit], Measured]) -> Measured:
        """What is measured of all tiles together, of several on all cores."""
        error, squares, bits = np.sum(self._each(work, self._fits), axis=0).tolist()
        return Measured(error, squares, bits + _HEADER_BITS)

    def _each(self, work: Callable[[TileFit], Measured], fits: Sequence[TileFit]) -> list[Measured]:
        """Something for every tile, for several on all cores; on a GPU one after the other."""
        several = self._pool.map if len(fits) > 1 and self._device == "cpu" else map
        return list(several(work, fits))

    def _restore(self, states: Sequence[TileState]) -> None:
        for fit, state in zip(self._fits, states, strict=True):
            fit.restore(state)

    # --- what comes of it ------------------------------------------------------------------------

    def report(self, clock: Clock, fraction: float) -> Step:
        """Where the fit stands; bytes are unknown (NaN) until weights have a price.

        So is the PSNR before the first iteration, and that of a fit that makes something else than
        the MSE small.
        """
        mse = self._mse(self._last) if self._goal.tune == "mse" else math.nan
        priced = self._moment(fraction).weighing != "free"
        return Step(
            iteration=clock.iterations + round(clock.trials),
            fraction=clock.fraction,
            psnr_db=-10.0 * math.log10(max(mse, 1e-20)),
            n_bytes=self._last.bits / 8.0 if priced else math.nan,
            seconds_left=clock.seconds_left,
        )

    def result(self, iterations: int) -> Fitted:
        """The best state as integers. Raises SignalError if none was finite."""
        if self._best is None:
            raise SignalError("the fit diverges at every learning rate that was tried")
        self._restore(self._best[1])
        return Fitted(
            model=self._model,
            tiles=tuple(fit.tile() for fit in self._fits),
            states=tuple(self._best[1]),
            lam=self._price.lam,
            iterations=iterations,
        )
