"""The training loop: it goes downhill, repeats itself, and ends well whatever happens."""

from __future__ import annotations

import importlib
import itertools
import math
import threading
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest

from inrcodec.errors import ConfigError, SignalError
from inrcodec.quantize import dequantize
from inrcodec.representations.base import Budget, FitGoal, Representation, Step
from inrcodec.representations.coordinate.hashgrid import HashGrid, HashGridConfig
from inrcodec.representations.coordinate.network import Network, TensorSpec
from inrcodec.representations.coordinate.points import FitData
from inrcodec.representations.coordinate.recipe import Recipe
from inrcodec.representations.coordinate.simplexgrid import SimplexGrid, SimplexGridConfig
from inrcodec.representations.coordinate.siren import Siren, SirenConfig
from inrcodec.signal import Kind, SampleFormat, Signal, SignalSpec

torch = pytest.importorskip("torch")
fit = importlib.import_module("inrcodec.representations.coordinate.fit")  # imports torch

SMALL = {
    Siren: SirenConfig(width=16, depth=2, frequencies=3),
    HashGrid: HashGridConfig(levels=4, finest_resolution=20),
    SimplexGrid: SimplexGridConfig(levels=4, finest_resolution=20, skewed=True),
}
GOAL = FitGoal(lam=1e-4, n_bytes=800.0, seed=3)
every_family = pytest.mark.parametrize(
    "family", [Siren, HashGrid, SimplexGrid], ids=lambda cls: cls.name
)


def picture(height: int = 24, width: int = 20) -> Signal:
    """A smooth RGB image."""
    y, x = np.mgrid[0:height, 0:width] / 20.0
    planes = [np.sin(5 * x + 3 * y), np.cos(4 * y), np.sin(9 * x * y)]
    return Signal.image(np.rint(np.stack(planes, axis=-1) * 100 + 128).astype(np.uint8))


def fitted(
    family: type[Representation],
    iterations: int,
    *,
    signal: Signal | None = None,
    goal: FitGoal = GOAL,
    start: Representation | None = None,
) -> Representation:
    signal = signal or picture()
    budget = Budget(iterations=iterations)
    return family.fit(signal, SMALL[family], goal, budget, start=start)


def error_of(representation: Representation, signal: Signal | None = None) -> float:
    """Mean square error on the [0, 1] scale."""
    signal = signal or picture()
    spec = signal.spec
    axes = np.meshgrid(*((np.arange(n) + 0.5) / n for n in spec.grid), indexing="ij")
    coords = np.stack([axis.ravel() for axis in axes], axis=1).astype(np.float32)
    wanted = spec.to_unit(signal.samples).reshape(-1, spec.channels)
    return float(np.square(representation.sample(coords) - wanted).mean())


def cost_of(representation: Representation, goal: FitGoal = GOAL) -> float:
    """J = MSE + lam * bits per point, by real bytes."""
    n_bytes = sum(len(payload) for payload in representation.pack().values())
    return error_of(representation) + goal.lam * 8 * n_bytes / representation.spec.n_points


# --- downhill ------------------------------------------------------------------------------------


@every_family
def test_more_iterations_give_less_error(family: type[Representation]) -> None:
    signal = picture()
    variance = float(signal.spec.to_unit(signal.samples).var(axis=(0, 1)).mean())
    errors = [error_of(fitted(family, iterations)) for iterations in (1, 40, 400)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1 * variance


@every_family
def test_a_higher_price_of_bits_gives_fewer_bytes_and_more_error(
    family: type[Representation],
) -> None:
    cheap, dear = (fitted(family, 200, goal=replace(GOAL, lam=lam)) for lam in (1e-5, 1e-2))
    assert len(dear.pack()[3]) < len(cheap.pack()[3])
    assert error_of(dear) > error_of(cheap)


@every_family
def test_the_same_seed_and_iterations_give_the_same_bytes(family: type[Representation]) -> None:
    assert fitted(family, 30).pack() == fitted(family, 30).pack()
    other = fitted(family, 30, goal=replace(GOAL, seed=4))
    assert other.pack() != fitted(family, 30).pack()


@every_family
def test_going_on_from_a_fit_is_not_worse(family: type[Representation]) -> None:
    first = fitted(family, 150)
    assert cost_of(fitted(family, 100, start=first)) <= cost_of(first) * 1.001


@every_family
def test_bytes_are_held(family: type[Representation]) -> None:
    goal = replace(GOAL, hold="bytes", held=500.0)
    payloads = fitted(family, 400, goal=goal).pack()
    assert sum(len(payload) for payload in payloads.values()) == pytest.approx(500.0, rel=0.25)


@every_family
def test_a_smaller_error_to_hold_takes_more_bytes(family: type[Representation]) -> None:
    goals = [replace(GOAL, hold="mse", held=held) for held in (5e-3, 5e-4)]
    rough, fine = (fitted(family, 300, goal=goal) for goal in goals)
    assert error_of(fine) < error_of(rough)
    assert len(fine.pack()[3]) > len(rough.pack()[3])


def test_networks_of_many_values_see_more_points_at_once() -> None:
    recipe = Recipe(batch_points=8192, hard_from=0.85, soft="noise")
    sizes = [recipe.points_of_batch(n_parameters) for n_parameters in (100, 1 << 22, 1 << 26)]
    assert sizes == [8192, 1 << 14, 1 << 16]


def test_large_signals_are_fitted_by_batches() -> None:
    signal = picture(150, 120)  # over two batches of the larger batch size
    assert signal.spec.n_points > 2 * HashGrid.recipe.batch_points
    for family in SMALL:
        assert error_of(fitted(family, 60, signal=signal), signal) < error_of(
            fitted(family, 1, signal=signal), signal
        )


# --- every shape ---------------------------------------------------------------------------------


@every_family
@pytest.mark.parametrize(
    ("kind", "grid"),
    [(Kind.ARRAY, (30,)), (Kind.VIDEO, (3, 7, 6)), (Kind.ARRAY, (3, 4, 5, 4))],
)
def test_one_to_four_axes_are_fitted(
    family: type[Representation], kind: Kind, grid: tuple[int, ...]
) -> None:
    spec = SignalSpec(
        kind=kind,
        sample_format=SampleFormat.U8,
        grid=grid,
        channels=2,
        value_range=(0.0, 255.0),
        time_base=Fraction(1, 25) if kind is Kind.VIDEO else None,
    )
    places = np.indices(grid).sum(axis=0)
    samples = np.stack([places * 11, 255 - places * 9], axis=-1).astype(np.uint8)
    signal = Signal(samples=samples, spec=spec)
    rough, fine = (fitted(family, count, signal=signal) for count in (1, 150))
    assert error_of(fine, signal) < 0.3 * error_of(rough, signal)


@every_family
@pytest.mark.parametrize("value", [0, 77, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (12, 8)])
def test_constant_images_come_back_exactly(
    family: type[Representation], value: int, shape: tuple[int, int]
) -> None:
    signal = Signal.image(np.full(shape, value, np.uint8))
    assert error_of(fitted(family, 30, signal=signal), signal) < (0.5 / 255) ** 2


@every_family
@pytest.mark.parametrize("hold", ["bytes", "mse"])
def test_a_signal_without_error_can_be_held_to_anything(
    family: type[Representation], hold: str
) -> None:
    signal = Signal.image(np.zeros((8, 8, 3), np.uint8))
    goal = replace(GOAL, hold=hold, held=1e-4 if hold == "mse" else 100.0)
    assert error_of(fitted(family, 30, signal=signal, goal=goal), signal) < 1e-3


def test_more_than_four_axes_are_refused() -> None:
    spec = replace(picture().spec, kind=Kind.ARRAY, grid=(1, 2, 1, 2, 1))
    signal = Signal(samples=np.zeros((1, 2, 1, 2, 1, 3), np.uint8), spec=spec)
    with pytest.raises(SignalError, match="1 to 4 axes, got 5"):
        fitted(Siren, 1, signal=signal)


def test_a_config_of_another_family_is_refused() -> None:
    with pytest.raises(ConfigError, match="siren takes a SirenConfig"):
        Siren.fit(picture(), HashGridConfig(), GOAL, Budget(iterations=1))


# --- budgets -------------------------------------------------------------------------------------


@every_family
@pytest.mark.parametrize("iterations", [1, 2, 23])
def test_iterations_are_counted(family: type[Representation], iterations: int) -> None:
    assert fitted(family, iterations).iterations == iterations


@every_family
def test_a_deadline_ends_a_fit(family: type[Representation]) -> None:
    budget = Budget(deadline=time.monotonic() + 0.3)
    result = family.fit(picture(), SMALL[family], GOAL, budget)
    assert time.monotonic() < (budget.deadline or 0.0) + 5.0
    assert result.iterations >= 1


def test_a_deadline_that_has_passed_still_gives_one_iteration() -> None:
    budget = Budget(deadline=time.monotonic() - 1.0)
    assert Siren.fit(picture(), SMALL[Siren], GOAL, budget).iterations == 1


@every_family
def test_a_fit_that_is_cancelled_before_it_begins_gives_something_to_store(
    family: type[Representation],
) -> None:
    budget = Budget(iterations=100)
    budget.cancel.set()
    result = family.fit(picture(), SMALL[family], GOAL, budget)
    assert result.iterations == 0
    assert math.isfinite(error_of(result))
    assert result.pack()


@every_family
def test_a_fit_that_is_cancelled_ends_with_its_best_state(family: type[Representation]) -> None:
    cancel, steps = threading.Event(), []

    def stop_soon(step: Step) -> None:
        steps.append(step)
        if step.iteration > 20:
            cancel.set()

    budget = Budget(iterations=100_000, cancel=cancel)
    result = family.fit(picture(), SMALL[family], GOAL, budget, watch=stop_soon)
    assert result.iterations == steps[-1].iteration < 100_000
    assert error_of(result) < error_of(fitted(family, 1))


def test_a_watch_is_told_how_far_the_fit_has_come() -> None:
    steps: list[Step] = []
    budget = Budget(deadline=time.monotonic() + 1.5)
    Siren.fit(picture(), SMALL[Siren], GOAL, budget, watch=steps.append)
    assert len(steps) >= 2
    assert all(a.iteration <= b.iteration for a, b in itertools.pairwise(steps))
    assert all(a.fraction <= b.fraction for a, b in itertools.pairwise(steps))
    assert steps[0].iteration < steps[-1].iteration
    assert all(0.0 < step.fraction <= 1.0 and step.seconds_left >= 0.0 for step in steps)
    assert steps[-1].psnr_db > steps[0].psnr_db


@pytest.mark.parametrize("iterations", [0, -3])
def test_a_budget_without_work_is_refused(iterations: int) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Budget(iterations=iterations)


def test_a_budget_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="iterations or seconds"):
        Budget()


# --- divergence ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Growth(Network):
    """exp(w x): the first steps of w at this learning rate pass the range of float32."""

    sound: ClassVar[list[bool]] = []

    def tensors(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec(shape=(1, 1), bound=1.0, step=1 / 16, learning_rate=300.0),)

    def apply(self, values: Any, coords: Any) -> Any:
        outputs = np.exp(np.asarray(coords) * np.asarray(values))
        self.sound.append(bool(np.isfinite(outputs).all()))
        return outputs

    def descent(self, values: Any, coords: Any, targets: Any) -> tuple[float, Any]:
        outputs = self.apply(values, coords)
        errors = outputs - np.asarray(targets)
        slope = (2.0 * errors * outputs * np.asarray(coords)).mean()
        return float(np.square(errors).mean()), np.array([slope], np.float32)

    def macs_per_point(self) -> float:
        return 1.0


class Chaos(Growth):
    """Nothing but NaN."""

    def apply(self, values: Any, coords: Any) -> Any:
        return np.asarray(coords) * np.asarray(values) * math.nan


def fit_growth(network: Growth) -> fit.Fitted:
    """Fit exp(2 x)."""
    x = (np.arange(50, dtype=np.float32)[:, None] + 0.5) / 50
    data = FitData(grid=(50,), targets=np.exp(2 * x), mse_scale=1.0)
    recipe = Recipe(batch_points=64, hard_from=0.5, soft="free")
    return fit.fit_network(network, data, GOAL, Budget(iterations=200), recipe=recipe)


def test_a_fit_that_overflows_goes_back_and_lowers_its_rate() -> None:
    Growth.sound.clear()
    result = fit_growth(Growth(n_dims=1, n_channels=1))
    assert 1 <= Growth.sound.count(False) <= 8
    assert result.iterations == 200
    (value,) = dequantize(result.symbols[0], result.step_indices[0]).ravel()
    assert abs(value) < 88.0  # exp of more is infinite in float32


def test_a_fit_that_never_stays_finite_is_an_error_of_the_signal() -> None:
    with pytest.raises(SignalError, match="diverges at every learning rate"):
        fit_growth(Chaos(n_dims=1, n_channels=1))
