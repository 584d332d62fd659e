"""The training loop of coordinate networks: minibatches of points, Adam, quantization in the loop.

All values of a network lie in one flat vector; each tensor has a step of its own that is fitted
with it. First the values are free (or carry quantization noise), then they are rounded as they will
be stored, and the loss is J = MSE + lam * bits per point. The best rounded state is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec.errors import SignalError
from inrcodec.quantize import nearest_index, quantize, relaxed
from inrcodec.representations.base import Budget, FitGoal, Step, Watch, Window
from inrcodec.representations.clock import Clock
from inrcodec.representations.coordinate.coords import axis_coords, point_coords
from inrcodec.representations.coordinate.network import Network
from inrcodec.representations.coordinate.price import Price
from inrcodec.representations.coordinate.recipe import Recipe

__all__ = ["FitData", "Fitted", "fit_network"]

_EVALUATION_POINTS = 1 << 16
_PART_POINTS = 1 << 13
_PERMUTED_POINTS = 1 << 22
_MAX_ROLLBACKS = 8
_CHECKS = 24
_WHOLE_ZONE, _LARGEST_ZONE = 0.5, 0.75  # what is rounded to 0, in steps
_PRICE_EVERY = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class FitData:
    """The points to fit: `targets` [n_points, channels], row-major over `grid`; any affine scale.

    `mse_scale` turns the mean square error of the targets into that of the [0, 1] scale.
    """

    grid: tuple[int, ...]
    targets: NDArray[np.float32]
    mse_scale: float


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

    units: Tensor
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
    watch: Watch | None = None,
) -> Fitted:
    """Fit a network to points. Raises SignalError if no state of it is finite."""
    fitter = _Fitter(network, data, goal, recipe=recipe, start=start)
    clock = Clock(budget)
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
    return fitter.result(clock.iterations)


class _Fitter:
    """The state of one fit and the steps that change it.

    Values are kept in units of their learning rates, so that one Adam moves them all; costs are
    computed on the scale of the targets.
    """

    def __init__(
        self,
        network: Network,
        data: FitData,
        goal: FitGoal,
        *,
        recipe: Recipe,
        start: Fitted | None,
    ) -> None:
        self._network, self._data, self._recipe = network, data, recipe
        self._specs = network.tensors()
        self._sizes = [spec.size for spec in self._specs]
        self._counts = torch.tensor(self._sizes)
        self._price = Price(
            goal,
            mse_scale=data.mse_scale,
            n_points=len(data.targets),
            first=goal.lam if start is None or goal.hold == "lam" else start.lam,
        )
        self._random = torch.Generator().manual_seed(goal.seed)
        self._resumed = start is not None
        self._hardened = self._resumed or recipe.soft == "noise"
        rates = torch.tensor([spec.learning_rate for spec in self._specs])
        self._rates = torch.repeat_interleave(rates, self._counts)
        first = self._beginning() if start is None else self._resume(start)
        self._units = first.units.clone().requires_grad_()
        self._log2_steps = first.log2_steps.clone().requires_grad_()
        self._best = self._safe = first
        self._slowdown, self._rollbacks, self._n_steps = 1.0, 0, 0
        self._recent_mse = 0.0
        self._batches = _batches(len(data.targets), recipe.batch_points, self._random)
        self._axes = tuple(axis_coords(Window.whole(size)) for size in data.grid)
        self._targets = torch.from_numpy(data.targets)
        self._probe = self._probe_points()
        self._adam = self._new_adam()
        if self._resumed and recipe.soft == "free":
            self._scale_steps()

    # --- beginning -------------------------------------------------------------------------------

    def _beginning(self) -> _Snapshot:
        runs = [
            (torch.rand(spec.size, generator=self._random) * 2.0 - 1.0) * spec.bound
            for spec in self._specs
        ]
        steps = torch.tensor([math.log2(spec.step) for spec in self._specs])
        return _Snapshot(torch.cat(runs) / self._rates, steps)

    def _resume(self, start: Fitted) -> _Snapshot:
        steps = relaxed.log2_steps(start.step_indices)
        return _Snapshot(torch.from_numpy(start.values) / self._rates, steps)

    def _new_adam(self) -> torch.optim.Adam:
        groups = [{"params": [self._units]}, {"params": [self._log2_steps]}]
        return torch.optim.Adam(groups, lr=1.0, betas=(0.9, self._recipe.beta2), eps=1e-15)

    def _probe_points(self) -> Tensor:
        n_points = len(self._data.targets)
        if n_points <= _EVALUATION_POINTS:
            return torch.arange(n_points)
        return torch.randint(n_points, (_EVALUATION_POINTS,), generator=self._random)

    # --- one iteration ---------------------------------------------------------------------------

    def is_hard(self, fraction: float) -> bool:
        """Whether values are rounded at this fraction of the budget."""
        return self._resumed or fraction >= self._recipe.hard_from

    def step(self, fraction: float) -> bool:
        """One step downhill. False, and no value moved, if the gradient is not finite."""
        hard = self.is_hard(fraction)
        if hard:
            self._harden()
        self._set_rates(fraction)
        values, bits = self._values(hard=hard)
        mse = self._mse(values, next(self._batches))
        loss = mse + self._price.per_bit * bits
        self._adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert self._units.grad is not None
        if not (torch.isfinite(loss) and torch.isfinite(self._units.grad.sum())):
            return False
        self._adam.step()
        self._n_steps += 1
        self._recent_mse += (float(mse.detach()) - self._recent_mse) / min(self._n_steps, 32)
        if self._hardened and self._n_steps % _PRICE_EVERY == 0:
            self._price.follow(float(mse.detach()), self._rounded_bits(), fraction)
        return True

    def _set_rates(self, fraction: float) -> None:
        cosine = 0.5 * (1.0 + math.cos(math.pi * fraction)) + 1e-3
        rate = cosine * self._slowdown * (self._recipe.resumed_rate if self._resumed else 1.0)
        self._adam.param_groups[0]["lr"] = rate
        self._adam.param_groups[1]["lr"] = rate * self._recipe.step_rate if self._hardened else 0.0

    def _harden(self) -> None:
        """Choose the first steps of values that were free so far: a sixth of each run's spread."""
        if self._hardened:
            return
        self._hardened = True
        with torch.no_grad():
            runs = self._runs(self._units * self._rates)
            spreads = torch.stack([run.square().mean().sqrt() for run in runs])
            self._log2_steps.copy_(torch.log2(spreads / 6.0 + 1e-4))
        self._scale_steps()

    def _scale_steps(self) -> None:
        """Move all steps by one factor to where the bytes are that the goal holds, if it does."""
        if self._price.held_bits is None:
            return
        first = self._log2_steps.detach().clone()
        low, high = -8.0, 8.0
        for _ in range(20):
            octaves = (low + high) / 2.0
            with torch.no_grad():
                self._log2_steps.copy_(first + octaves)
            too_many = self._rounded_bits() > self._price.held_bits
            low, high = (octaves, high) if too_many else (low, octaves)
        with torch.no_grad():
            self._log2_steps.copy_(first + high)

    def _values(self, *, hard: bool) -> tuple[Tensor, Tensor]:
        """The flat values as they are or will be stored, and the bits that they cost."""
        values = self._units * self._rates
        if not hard and self._recipe.soft == "free":
            return values, torch.zeros(())
        steps = self._spread(relaxed.snap_steps(self._log2_steps))
        if hard:
            symbols = relaxed.round_through(values / steps)
        else:
            symbols = relaxed.add_noise(values / steps, self._random)
        return symbols * steps, relaxed.expected_bits(self._runs(symbols), noisy=not hard)

    def _rounded_bits(self) -> float:
        """The bits that the values cost as they are, rounded."""
        with torch.no_grad():
            return float(self._values(hard=True)[1])

    def _mse(self, values: Tensor, points: Tensor) -> Tensor:
        """Mean square error of the targets at these points."""
        coords = torch.from_numpy(point_coords(self._axes, points.numpy()))
        runs = self._runs(values)
        tensors = [run.reshape(spec.shape) for run, spec in zip(runs, self._specs, strict=True)]
        return (self._network.apply(tensors, coords) - self._targets[points]).square().mean()

    def _runs(self, flat: Tensor) -> tuple[Tensor, ...]:
        """The part of each tensor of a flat vector."""
        return torch.split(flat, self._sizes)

    def _spread(self, per_tensor: Tensor) -> Tensor:
        return torch.repeat_interleave(per_tensor, self._counts)

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
        with torch.no_grad():
            values, bits = self._values(hard=hard)
            parts = torch.split(self._probe, _PART_POINTS)
            errors = [float(self._mse(values, part)) * len(part) for part in parts]
        mse = sum(errors) / len(self._probe)
        return _Snapshot(
            self._units.detach().clone(),
            self._log2_steps.detach().clone(),
            self._price.cost(mse, float(bits)),
        )

    def roll_back(self) -> bool:
        """Return to the last safe state at half the learning rate; False after the last time."""
        self._rollbacks += 1
        self._slowdown /= 2.0
        self._restore(self._safe)
        self._adam = self._new_adam()
        return self._rollbacks <= _MAX_ROLLBACKS

    def _restore(self, state: _Snapshot) -> None:
        with torch.no_grad():
            self._units.copy_(state.units)
            self._log2_steps.copy_(state.log2_steps)

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
        values = (self._units * self._rates).detach()
        stored = self._trimmed(values)
        if stored is None:  # zeros alone do not suffice
            self._scale_steps()
            stored = values
        steps = relaxed.snap_steps(self._log2_steps.detach())
        indices = tuple(nearest_index(float(step)) for step in steps)
        runs = self._runs(stored)
        symbols = tuple(
            quantize(run.numpy(), index).reshape(spec.shape)
            for run, index, spec in zip(runs, indices, self._specs, strict=True)
        )
        return Fitted(
            symbols=symbols,
            step_indices=indices,
            values=values.numpy(),
            lam=self._price.lam,
            iterations=iterations,
        )

    def _trimmed(self, values: Tensor) -> Tensor | None:
        """Values with the smallest that round to +-1 zeroed until the held bytes suffice.

        None if that takes more than is cheap to zero.
        """
        held = self._price.held_bits
        steps = self._spread(relaxed.snap_steps(self._log2_steps.detach()))
        scaled = values / steps

        def zeroed(zone: float) -> Tensor:
            return torch.where(scaled.abs() < zone, 0.0, scaled)

        def bits_of(zone: float) -> float:
            runs = self._runs(torch.round(zeroed(zone)))
            return float(relaxed.expected_bits(runs, noisy=False))

        if held is None or bits_of(_WHOLE_ZONE) <= held:
            return values
        low, high = _WHOLE_ZONE, _LARGEST_ZONE
        if bits_of(high) > held:
            return None
        for _ in range(16):
            zone = (low + high) / 2.0
            low, high = (zone, high) if bits_of(zone) > held else (low, zone)
        return zeroed(high) * steps


def _batches(n_points: int, batch_points: int, random: torch.Generator) -> Iterator[Tensor]:
    """Row-major indices of points, forever: all of a small grid at once; of a larger one random
    batches, epoch by epoch, or drawn with replacement where a permutation would be too long."""
    while True:
        if n_points <= batch_points:
            yield torch.arange(n_points)
        elif n_points > _PERMUTED_POINTS:
            yield torch.randint(n_points, (batch_points,), generator=random)
        else:
            order = torch.randperm(n_points, generator=random)
            whole = n_points // batch_points * batch_points
            yield from order[:whole].reshape(-1, batch_points)
