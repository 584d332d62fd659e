"""The training loop of coordinate networks: minibatches of points, Adam, quantization in the loop.

All values of a network lie in one flat vector; each tensor has a step of its own that is fitted
with it. They are quantized and moved on the CPU, wherever the network runs. First the values are
free (or carry quantization noise), then they are rounded as they will be stored, and the loss is
J = MSE + lam * bits per point. The best rounded state is kept. With a base, steps are the base's,
and a tensor costs what is cheaper: its symbols, or their differences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec.errors import ConfigError, SignalError
from inrcodec.kernels import Quantizer, Rounding
from inrcodec.quantize import dequantize, relaxed, step_size
from inrcodec.representations.base import Budget, FitGoal, Step, Watch
from inrcodec.representations.clock import Clock
from inrcodec.representations.coordinate.fit_run import NetworkRun
from inrcodec.representations.coordinate.network import Network
from inrcodec.representations.coordinate.points import FitData, batches
from inrcodec.representations.coordinate.recipe import Base, Recipe
from inrcodec.representations.coordinate.values import Values
from inrcodec.representations.price import Price
from inrcodec.representations.process import FREED_MEMORY_KEPT

__all__ = ["Fitted", "fit_network"]

_EVALUATION_POINTS = 1 << 16
_MAX_ROLLBACKS = 8
_CHECKS = 24
_WHOLE_ZONE = 0.5  # what is rounded to its anchor, in steps
_LARGEST_ZONE, _LARGEST_ZONE_AT_BASE = 0.75, 2.0**16
_PRICE_EVERY = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """Integers and step indices, one per tensor: all that is stored of a fit.

    `values` (flat, before rounding) and `lam` at its end are what another fit goes on from.
    """

    symbols: tuple[NDArray[np.int64], ...]
    step_indices: tuple[int, ...]
    values: NDArray[np.float32]
    lam: float
    iterations: int


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A state to come back to, and its cost."""

    units: NDArray[np.float32]
    log2_steps: Tensor
    cost: float = math.inf


def fit_network(
    network: Network,
    data: FitData,
    goal: FitGoal,
    budget: Budget,
    *,
    recipe: Recipe,
    start: Fitted | None = None,
    base: Base | None = None,
    watch: Watch | None = None,
) -> Fitted:
    """Fit a network to points, from `start`, else from `base`, else from chance.

    With a base, which is of the same network, its steps are kept, and symbols may be coded as
    differences to its. Raises SignalError if no state is finite, ConfigError if a GPU is too small.
    """
    fitter = _Fitter(network, data, goal, recipe=recipe, start=start, base=base)
    clock = Clock(budget)
    overflow = np.errstate(over="ignore", invalid="ignore")  # what overflows is rolled back
    try:
        with overflow, FREED_MEMORY_KEPT:
            if start is not None:
                fitter.keep(hard=True)  # where it begins is as good a result as any
            _iterate(fitter, clock, budget, watch)
            return fitter.result(clock.iterations)
    except torch.OutOfMemoryError as error:
        raise ConfigError("the GPU has too little memory for this fit") from error


def _iterate(fitter: _Fitter, clock: Clock, budget: Budget, watch: Watch | None) -> None:
    next_check = 0.0
    while clock.fraction < 1.0 and not budget.cancelled:
        if not fitter.step(clock.fraction) and not fitter.roll_back():
            break
        clock.iterations += 1
        if clock.fraction >= next_check:
            next_check += 1.0 / _CHECKS
            fitter.keep(hard=fitter.is_hard(clock.fraction))
        if watch is not None and clock.report_is_due():
            watch(fitter.report(clock))
    fitter.keep(hard=True)
    if watch is not None:
        watch(fitter.report(clock))


class _Fitter:
    """The state of one fit and the steps that change it. Costs are on the scale of the targets."""

    def __init__(
        self,
        network: Network,
        data: FitData,
        goal: FitGoal,
        *,
        recipe: Recipe,
        start: Fitted | None,
        base: Base | None,
    ) -> None:
        self._network, self._data, self._recipe, self._base = network, data, recipe, base
        self._values = Values(network.tensors(), recipe.beta2, base)
        self._sizes = self._values.sizes
        self._price = Price(
            goal,
            mse_scale=data.mse_scale,
            n_points=data.n_points,
            first=goal.lam if start is None or goal.hold == "lam" else start.lam,
        )
        self._random = np.random.default_rng(goal.seed)
        self._resumed = start is not None
        self._hardened = self._resumed or recipe.soft == "noise"
        self._values.set_values(self._beginning(start))
        self._log2_steps = self._first_steps(start)
        self._step_adam = self._new_step_adam()
        self._best = self._safe = self._snapshot()
        self._slowdown, self._rollbacks, self._n_steps = 1.0, 0, 0
        self._recent_mse = 0.0
        self._batches = batches(
            data.n_points, recipe.points_of_batch(sum(self._sizes)), self._random
        )
        self._probe = self._probe_points()
        self._run = NetworkRun(network, data, self._values.weights)
        if self._resumed and recipe.soft == "free":
            self._scale_steps()

    # --- beginning -------------------------------------------------------------------------------

    def _beginning(self, start: Fitted | None) -> NDArray[np.float32]:
        if start is not None:
            return start.values
        if self._base is not None:
            pairs = zip(self._base.symbols, self._base.step_indices, strict=True)
            runs = [dequantize(symbols, index).ravel() for symbols, index in pairs]
        else:
            runs = [
                self._random.uniform(-spec.bound, spec.bound, spec.size).astype(np.float32)
                for spec in self._network.tensors()
            ]
        return np.concatenate(runs)

    def _first_steps(self, start: Fitted | None) -> Tensor:
        given = start or self._base
        if given is not None:
            return relaxed.log2_steps(given.step_indices)
        return torch.tensor([math.log2(spec.step) for spec in self._network.tensors()])

    def _new_step_adam(self) -> torch.optim.Adam:
        return torch.optim.Adam([self._log2_steps], betas=(0.9, self._recipe.beta2), eps=1e-15)

    def _probe_points(self) -> NDArray[np.int64]:
        n_points = self._data.n_points
        if n_points <= _EVALUATION_POINTS:
            return np.arange(n_points)
        return self._random.integers(n_points, size=_EVALUATION_POINTS)

    # --- one iteration ---------------------------------------------------------------------------

    def is_hard(self, fraction: float) -> bool:
        """Whether values are rounded at this fraction of the budget."""
        return self._resumed or fraction >= self._recipe.hard_from

    def step(self, fraction: float) -> bool:
        """One step downhill. False if it is not finite: the state has to be rolled back then."""
        if self.is_hard(fraction):
            self._harden()
        quantizer = self._quantizer(hard=self.is_hard(fraction))
        bits, slopes = self._bits(self._values.write(quantizer), quantizer.rounding)
        mse, gradient = self._run.descent(next(self._batches))
        if not math.isfinite(mse + self._price.per_bit * bits):
            return False
        rate = self._rate(fraction)
        slopes *= self._price.per_bit
        sums = self._values.move(gradient, quantizer, slopes=slopes, rate=rate)
        if not np.isfinite(sums[:, 1]).all():
            return False
        self._move_steps(sums[:, 0], quantizer, rate)
        self._n_steps += 1
        self._recent_mse += (mse - self._recent_mse) / min(self._n_steps, 32)
        if self._hardened and self._n_steps % _PRICE_EVERY == 0:
            self._price.follow(mse, self._rounded_bits(), fraction)
        return True

    def _rate(self, fraction: float) -> float:
        """The learning rate, as a share of that of each tensor."""
        share = 1.0
        if self._resumed:
            share = self._recipe.resumed_rate
        elif self._base is not None:
            share = self._recipe.warm_rate
        cosine = 0.5 * (1.0 + math.cos(math.pi * fraction)) + 1e-3
        return cosine * self._slowdown * share

    def _move_steps(self, slopes: NDArray[np.float64], quantizer: Quantizer, rate: float) -> None:
        """A step of Adam of log2 of the steps, given the `slopes` by the steps."""
        if quantizer.rounding == "free" or self._base is not None:
            return
        by_octaves = slopes * np.array(quantizer.steps) * math.log(2.0)
        self._log2_steps.grad = torch.from_numpy(by_octaves.astype(np.float32))
        self._step_adam.param_groups[0]["lr"] = rate * self._recipe.step_rate
        self._step_adam.step()

    # --- steps and bits --------------------------------------------------------------------------

    def _harden(self) -> None:
        """Choose the first steps of values that were free so far: a sixth of each run's spread."""
        if self._hardened:
            return
        self._hardened = True
        if self._base is not None:
            return
        ones = self._values.quantizer((1.0,) * len(self._sizes), "free")
        spreads = np.sqrt(self._values.sums(ones)[:, 1] / self._sizes)
        self._log2_steps.copy_(torch.from_numpy(np.log2(spreads / 6.0 + 1e-4)))
        self._scale_steps()

    def _scale_steps(self) -> None:
        """Move all steps by one factor to where the bytes are that the goal holds, if it does."""
        if self._price.held_bits is None or self._base is not None:
            return
        first = self._log2_steps.clone()
        low, high = -8.0, 8.0
        for _ in range(20):
            octaves = (low + high) / 2.0
            self._log2_steps.copy_(first + octaves)
            too_many = self._rounded_bits() > self._price.held_bits
            low, high = (octaves, high) if too_many else (low, octaves)
        self._log2_steps.copy_(first + high)

    def _steps(self) -> list[float]:
        return [step_size(index) for index in relaxed.snap_steps(self._log2_steps)]

    def _quantizer(self, *, hard: bool) -> Quantizer:
        """How values are quantized in the next iteration, with noise of its own."""
        soft: Rounding = "free" if self._recipe.soft == "free" else "noisy"
        seed = int(self._random.integers(1 << 63))
        return self._values.quantizer(self._steps(), "hard" if hard else soft, seed)

    def _bits(
        self, sums: NDArray[np.float64], rounding: Rounding
    ) -> tuple[float, NDArray[np.float64]]:
        """The bits that symbols of these `sums` [tensors, 4] cost, and their slopes by the sums.

        Values that are free cost nothing.
        """
        if rounding == "free":
            return 0.0, np.zeros_like(sums)
        return relaxed.cheapest_bits(
            sums, self._sizes, noisy=rounding == "noisy", has_base=self._base is not None
        )

    def _rounded_bits(self) -> float:
        """The bits that the values cost as they are, rounded."""
        return self._bits(self._values.sums(self._hard()), "hard")[0]

    def _hard(self) -> Quantizer:
        return self._values.quantizer(self._steps(), "hard")

    # --- states ----------------------------------------------------------------------------------

    def keep(self, *, hard: bool) -> None:
        """Measure on the probe points; a finite state is safe, and the best rounded one is kept."""
        if hard:
            self._harden()
        now = self._measure(hard=hard)
        if math.isfinite(now.cost):
            self._safe = now
            if hard and now.cost <= self._best.cost:
                self._best = now

    def _measure(self, *, hard: bool) -> _Snapshot:
        quantizer = self._quantizer(hard=hard)
        bits, _ = self._bits(self._values.write(quantizer), quantizer.rounding)
        mse = self._run.error(self._probe)
        return self._snapshot(self._price.cost(mse, bits))

    def _snapshot(self, cost: float = math.inf) -> _Snapshot:
        return _Snapshot(self._values.units.copy(), self._log2_steps.clone(), cost)

    def roll_back(self) -> bool:
        """Return to the last safe state at half the learning rate; False after the last time."""
        self._rollbacks += 1
        self._slowdown /= 2.0
        self._restore(self._safe)
        return self._rollbacks <= _MAX_ROLLBACKS

    def _restore(self, state: _Snapshot) -> None:
        self._values.restore(state.units)
        self._log2_steps.copy_(state.log2_steps)
        self._step_adam = self._new_step_adam()

    def report(self, clock: Clock) -> Step:
        """Where the fit stands, by its last batches; bytes are unknown (NaN) of free values."""
        return Step(
            iteration=clock.iterations,
            fraction=clock.fraction,
            psnr_db=-10.0 * math.log10(max(self._recent_mse * self._data.mse_scale, 1e-20)),
            n_bytes=self._rounded_bits() / 8.0 if self._hardened else math.nan,
            seconds_left=clock.seconds_left,
        )

    def result(self, iterations: int) -> Fitted:
        """The best state as integers. Raises SignalError if none was finite."""
        if not math.isfinite(self._best.cost):
            raise SignalError("the fit diverges at every learning rate that was tried")
        self._restore(self._best)
        zone = self._zone()
        if zone is None:  # zeros alone do not suffice
            self._scale_steps()
            zone = _WHOLE_ZONE
        indices = relaxed.snap_steps(self._log2_steps)
        return Fitted(
            symbols=self._values.symbols_of(self._scaled(zone), indices),
            step_indices=indices,
            values=self._values.values,
            lam=self._price.lam,
            iterations=iterations,
        )

    def _zone(self) -> float | None:
        """How near to its anchor a value has to be moved onto it for the held bytes to suffice.

        None if that takes more than is cheap to zero.
        """
        held = self._price.held_bits

        def bits_of(zone: float) -> float:
            return self._bits(self._values.sums_of(self._scaled(zone)), "hard")[0]

        if held is None or bits_of(_WHOLE_ZONE) <= held:
            return _WHOLE_ZONE
        low, high = _WHOLE_ZONE, _LARGEST_ZONE
        if self._base is not None:  # its steps cannot be made larger
            high = _LARGEST_ZONE_AT_BASE
        if bits_of(high) > held:
            return None
        for _ in range(16):
            zone = math.sqrt(low * high)
            low, high = (zone, high) if bits_of(zone) > held else (low, zone)
        return high

    def _scaled(self, zone: float) -> NDArray[np.float32]:
        """The values in steps, those nearer than `zone` to their anchors moved onto them.

        The anchor is the base where differences to it are cheaper, else 0.
        """
        anchored = np.zeros(len(self._sizes), bool)
        if self._base is not None:
            sums = self._values.sums(self._hard())
            anchored = relaxed.differences_are_cheaper(sums, self._sizes)
        return self._values.scaled(self._steps(), zone, anchored.tolist())
