"""Fits that begin at an earlier function: its steps stay, and only differences are paid for."""

from __future__ import annotations

import functools
import importlib
from dataclasses import replace

import numpy as np
import pytest

from inrcodec.entropy import SymbolEncoder, choose_table
from inrcodec.representations.base import Budget, FitGoal
from inrcodec.representations.coordinate.hashgrid import HashGrid, HashGridConfig
from inrcodec.representations.coordinate.network import Network
from inrcodec.representations.coordinate.points import FitData, SampleTargets
from inrcodec.representations.coordinate.recipe import Base, Recipe
from inrcodec.representations.coordinate.siren import Siren, SirenConfig
from inrcodec.representations.output import OutputScale
from inrcodec.signal import Signal

pytest.importorskip("torch")
fit = importlib.import_module("inrcodec.representations.coordinate.fit")  # imports torch

GOAL = FitGoal(lam=1e-4, n_bytes=800.0, seed=3)
OUTPUT = OutputScale((32768, 32768, 32768), 16384)
CONFIGS = {
    Siren: SirenConfig(width=16, depth=2, frequencies=3),
    HashGrid: HashGridConfig(levels=4, finest_resolution=20),
}
both_families = pytest.mark.parametrize("family", [Siren, HashGrid], ids=lambda cls: cls.name)


def picture(shift: float) -> Signal:
    """A smooth RGB image; one with another shift looks much alike."""
    y, x = np.mgrid[0:24, 0:20] / 20.0 + shift
    planes = [np.sin(5 * x + 3 * y), np.cos(4 * y), np.sin(9 * x * y)]
    return Signal.image(np.rint(np.stack(planes, axis=-1) * 100 + 128).astype(np.uint8))


def data_of(signal: Signal) -> FitData:
    targets = SampleTargets(signal, OUTPUT)
    return FitData(grid=signal.spec.grid, targets=targets, mse_scale=OUTPUT.factor**2)


def network_of(family: type) -> Network:
    network = family.network_for(CONFIGS[family], picture(0.0).spec, GOAL)
    assert isinstance(network, Network)
    return network


def fitted(
    family: type, signal: Signal, base: Base | None, *, goal: FitGoal = GOAL, iterations: int = 150
) -> fit.Fitted:
    budget = Budget(iterations=iterations)
    options = {"recipe": replace(family.recipe, warm_rate=0.5), "base": base}
    return fit.fit_network(network_of(family), data_of(signal), goal, budget, **options)


@functools.cache
def base_of(family: type) -> Base:
    first = fitted(family, picture(0.0), None)
    return Base(symbols=first.symbols, step_indices=first.step_indices)


def error_of(family: type, result: fit.Fitted | Base, signal: Signal) -> float:
    """Mean square error of the targets."""
    runs = [
        symbols.astype(np.float32).ravel() * np.float32(fit.step_size(index))
        for symbols, index in zip(result.symbols, result.step_indices, strict=True)
    ]
    coords, targets = data_of(signal).at(np.arange(signal.spec.n_points))
    return float(np.square(network_of(family).apply(np.concatenate(runs), coords) - targets).mean())


def bits_of(result: fit.Fitted | Base, base: Base | None) -> int:
    """What the tensors take, each as symbols or as differences, whichever is shorter."""
    n_bytes = 0
    for number, symbols in enumerate(result.symbols):
        forms = [symbols] if base is None else [symbols, symbols - base.symbols[number]]
        lengths = []
        for form in forms:
            coder = SymbolEncoder()
            coder.put(form, choose_table(form).counts())
            lengths.append(len(coder.finish()))
        n_bytes += min(lengths)
    return 8 * n_bytes


def cost_of(
    family: type, result: fit.Fitted | Base, base: Base | None, signal: Signal | None = None
) -> float:
    """J = MSE + lam * bits per point."""
    signal = signal or picture(0.0)
    error = error_of(family, result, signal) * OUTPUT.factor**2
    return error + GOAL.lam * bits_of(result, base) / signal.spec.n_points


@both_families
def test_the_steps_of_a_base_are_kept(family: type) -> None:
    base = base_of(family)
    assert fitted(family, picture(0.1), base, iterations=30).step_indices == base.step_indices


@both_families
def test_the_same_signal_costs_next_to_nothing(family: type) -> None:
    base = base_of(family)
    again = fitted(family, picture(0.0), base)
    assert bits_of(again, base) < 0.6 * bits_of(again, None)
    assert cost_of(family, again, base) < 0.9 * cost_of(family, base, None)


@both_families
def test_a_dear_bit_leaves_the_base_as_it_is(family: type) -> None:
    base = base_of(family)
    kept = fitted(family, picture(0.02), base, goal=replace(GOAL, lam=10.0), iterations=600)
    assert bits_of(kept, base) < 0.1 * bits_of(kept, None)


def test_a_similar_signal_costs_less_from_a_base_than_from_chance() -> None:
    base, signal = base_of(HashGrid), picture(0.02)
    warm, fresh = fitted(HashGrid, signal, base), fitted(HashGrid, signal, None)
    assert cost_of(HashGrid, warm, base, signal) < 0.9 * cost_of(HashGrid, fresh, None, signal)


@both_families
def test_bytes_of_differences_are_held(family: type) -> None:
    base = base_of(family)
    goal = replace(GOAL, hold="bytes", held=300.0)
    result = fitted(family, picture(0.1), base, goal=goal, iterations=250)
    assert bits_of(result, base) / 8 == pytest.approx(300.0, rel=0.35)


def test_a_fit_from_a_base_goes_on() -> None:
    base, signal = base_of(HashGrid), picture(0.1)
    first = fitted(HashGrid, signal, base, iterations=100)
    options = {"recipe": HashGrid.recipe, "base": base, "start": first}
    network, budget = network_of(HashGrid), Budget(iterations=100)
    second = fit.fit_network(network, data_of(signal), GOAL, budget, **options)
    assert second.step_indices == base.step_indices
    assert error_of(HashGrid, second, signal) < error_of(HashGrid, first, signal)


def test_few_bytes_are_reached_although_steps_stay() -> None:
    recipe = Recipe(batch_points=64, hard_from=0.0, soft="noise")
    base, signal = base_of(HashGrid), picture(0.5)
    goal = replace(GOAL, hold="bytes", held=40.0)
    budget = Budget(iterations=20)
    network = network_of(HashGrid)
    result = fit.fit_network(network, data_of(signal), goal, budget, recipe=recipe, base=base)
    assert bits_of(result, base) / 8 < 80.0  # tables of few symbols are not ideal
