"""The quantizer of a fit: native code against the reference, and that against autograd."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.errors import ConfigError
from inrcodec.kernels import AdamStep, Quantizer, quantize_forward, quantize_step
from inrcodec.kernels.reference_quantize import noise

Floats = NDArray[np.float32]

SIZES = [(1,), (255, 1), (256,), (3, 40_000, 257, 33), (5,) * 40]
ROUNDINGS = ["free", "noisy", "hard"]
ADAM = AdamStep(0.3, 0.9, 0.99, 1e-15, 3)
every_case = pytest.mark.parametrize(
    ("sizes", "rounding", "has_base"),
    [(sizes, rounding, base) for sizes in SIZES for rounding in ROUNDINGS for base in (0, 1)],
    ids=str,
)


def quantizer_of(sizes: tuple[int, ...], rounding: Any) -> Quantizer:
    rng = np.random.default_rng(len(sizes))
    rates, steps = rng.uniform(0.01, 0.1, (2, len(sizes)))
    return Quantizer(sizes, tuple(rates), tuple(steps), rounding, seed=0x1234567_89ABCDEF)


def arrays_of(sizes: tuple[int, ...]) -> dict[str, Floats]:
    rng = np.random.default_rng(5)
    arrays = rng.standard_normal((4, sum(sizes)), dtype=np.float32)
    names = dict(zip(("units", "mean", "square", "gradient"), arrays, strict=True))
    names["units"] *= np.float32(3.0)
    names["square"] **= 2
    names["base"] = np.rint(arrays[1] * 2.0)
    return names


def run(quantizer: Quantizer, arrays: dict[str, Any], *, has_base: bool) -> dict[str, Any]:
    """Everything that both functions give, from copies of the arrays."""
    own = {name: 1 * array for name, array in arrays.items()}
    base = own["base"] if has_base else None
    weights = own["units"] * 0
    sums = quantize_forward(own["units"], quantizer, base=base, weights=weights)
    slopes = np.random.default_rng(6).standard_normal(sums.shape)
    state = (own["units"], own["mean"], own["square"])
    gradient = own["gradient"]
    derivatives = quantize_step(gradient, state, quantizer, slopes=slopes, adam=ADAM, base=base)
    return {"sums": sums, "weights": weights, "state": np.stack(state), "by": derivatives}


def assert_close(got: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        allowed = 3e-6 * np.abs(value).max()
        np.testing.assert_allclose(got[name], value, rtol=0, atol=allowed, err_msg=name)


@every_case
def test_every_instruction_set_gives_what_the_reference_gives(
    native: ModuleType, sizes: tuple[int, ...], rounding: str, has_base: bool
) -> None:
    quantizer, arrays = quantizer_of(sizes, rounding), arrays_of(sizes)
    kernels.set_backend("torch")
    expected = run(quantizer, arrays, has_base=has_base)
    kernels.set_backend("native")
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        assert_close(run(quantizer, arrays, has_base=has_base), expected)


def test_symbols_are_the_same_everywhere_to_the_bit(native: ModuleType) -> None:
    units = arrays_of((70_000,))["units"]
    halves = np.arange(-20, 20, dtype=np.float32) + np.float32(0.5)
    units[:40], units[40:44] = halves, [1e9, -1e9, 8388607.5, -0.0]
    for rounding in ROUNDINGS:
        quantizer = Quantizer((70_000,), (1.0,), (1.0,), rounding, seed=77)  # type: ignore[arg-type]
        results = []
        for name in native.instruction_sets():
            native.use_instruction_set(name)
            results.append(np.empty_like(units))
            quantize_forward(units, quantizer, weights=results[-1])
        kernels.set_backend("torch")
        results.append(np.empty_like(units))
        quantize_forward(units, quantizer, weights=results[-1])
        kernels.set_backend("native")
        assert all((result == results[0]).all() for result in results)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_threads_change_no_bit(native: ModuleType, rounding: str) -> None:
    sizes = (3, 140_000, 7000)
    quantizer, arrays = quantizer_of(sizes, rounding), arrays_of(sizes)
    kernels.set_threads(1)
    alone = run(quantizer, arrays, has_base=True)
    kernels.set_threads(5)
    together = run(quantizer, arrays, has_base=True)
    assert all((alone[name] == together[name]).all() for name in alone)


@pytest.mark.parametrize("backend", ["native", "torch"])
def test_tensors_of_torch_are_taken(native: ModuleType, backend: Any) -> None:
    torch = pytest.importorskip("torch")
    quantizer, arrays = quantizer_of((300, 40), "noisy"), arrays_of((300, 40))
    kernels.set_backend(backend)
    expected = run(quantizer, arrays, has_base=True)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    got = run(quantizer, tensors, has_base=True)
    assert_close(got, {name: np.asarray(value) for name, value in expected.items()})


# --- the reference -------------------------------------------------------------------------------


@every_case
def test_derivatives_are_those_of_autograd(
    sizes: tuple[int, ...], rounding: str, has_base: bool
) -> None:
    torch = pytest.importorskip("torch")
    quantizer = quantizer_of(sizes, rounding)
    arrays = {name: array.astype(np.float64) for name, array in arrays_of(sizes).items()}
    arrays["mean"][:] = arrays["square"][:] = 0.0
    units = torch.from_numpy(arrays["units"]).requires_grad_()
    steps = torch.tensor(quantizer.steps, dtype=torch.float64, requires_grad=True)
    counts = torch.tensor(sizes)
    spread = torch.repeat_interleave(steps, counts)
    rates = torch.repeat_interleave(torch.tensor(quantizer.rates, dtype=torch.float64), counts)
    x = units * rates / spread
    shift = {"free": 0.0, "hard": (torch.round(x) - x).detach()}
    hashed = noise(np, 0, sum(sizes), quantizer.keys)
    y = x + shift.get(rounding, torch.from_numpy(hashed / 2.0**24))
    d = y - torch.from_numpy(arrays["base"])
    columns = [y.abs(), y.square(), *((d.abs(), d.square()) if has_base else (0 * y, 0 * y))]
    of_tensors = [torch.stack([c.sum() for c in torch.split(v, sizes)]) for v in columns]
    sums = torch.stack(of_tensors, dim=1)
    slopes = np.random.default_rng(6).standard_normal(sums.shape)
    weights = y * spread
    loss = (weights * torch.from_numpy(arrays["gradient"])).sum()
    (loss + (sums * torch.from_numpy(slopes)).sum()).backward()

    got = run(quantizer, arrays, has_base=has_base)
    np.testing.assert_allclose(got["sums"], sums.detach(), rtol=1e-12)
    np.testing.assert_allclose(got["weights"], weights.detach(), rtol=1e-12, atol=1e-15)
    by_units = np.array([part.sum() for part in torch.split(units.grad, sizes)])
    scale = np.abs(units.grad.numpy()).sum()
    np.testing.assert_allclose(got["by"][:, 1], by_units, rtol=0, atol=1e-12 * scale)
    scale = np.abs(arrays["gradient"] * y.detach().numpy()).sum() + np.abs(got["by"]).sum()
    np.testing.assert_allclose(got["by"][:, 0], steps.grad, rtol=0, atol=1e-12 * scale)
    mean = (1.0 - ADAM.beta1) * units.grad.numpy()
    np.testing.assert_allclose(got["state"][1], mean, rtol=0, atol=1e-12 * np.abs(mean).max())


def test_steps_are_those_of_adam_as_torch_has_it() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(50), rng.standard_normal((4, 50))
    theirs = torch.from_numpy(start.copy()).requires_grad_()
    adam = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99), eps=1e-15)
    state = (start.copy(), np.zeros(50), np.zeros(50))
    quantizer = Quantizer((50,), (1.0,), (1.0,), "hard")
    for count, gradient in enumerate(gradients, start=1):
        theirs.grad = torch.from_numpy(gradient)
        adam.step()
        step = AdamStep(0.1, 0.9, 0.99, 1e-15, count)
        quantize_step(gradient, state, quantizer, slopes=np.zeros((1, 4)), adam=step)
    np.testing.assert_allclose(state[0], theirs.detach(), rtol=1e-12)


def test_noise_is_uniform_and_its_neighbours_in_place_and_time_are_unrelated() -> None:
    n = 1 << 16
    first, second = (noise(np, 0, n, keys) / 2.0**24 for keys in ((1, 0), (2, 0)))
    for values in (first, second):
        assert -0.5 <= values.min() < -0.4999
        assert 0.4999 < values.max() < 0.5
        assert abs(values.mean()) < 5.0 / math.sqrt(12 * n)
        counts = np.histogram(values, bins=64, range=(-0.5, 0.5))[0]
        assert np.square(counts - n / 64).sum() / (n / 64) < 120  # chi square of 63
        assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 5.0 / math.sqrt(n)
    assert abs(np.corrcoef(first, second)[0, 1]) < 5.0 / math.sqrt(n)
    assert (noise(np, 100, 50, (1, 0)) == noise(np, 0, n, (1, 0))[100:150]).all()


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": (3, 0)},
        {"sizes": (3, 1 << 32)},
        {"rates": (1.0,)},
        {"rates": (1.0, 0.0)},
        {"steps": (1.0, math.nan)},
        {"rounding": "down"},
    ],
    ids=str,
)
def test_what_no_quantizer_can_be_is_refused(change: dict[str, Any]) -> None:
    fields = {"sizes": (3, 2), "rates": (1.0, 1.0), "steps": (1.0, 1.0), "rounding": "hard"}
    with pytest.raises(ConfigError, match="quantize: "):
        Quantizer(**{**fields, **change})


def test_arrays_of_another_length_are_refused() -> None:
    quantizer, right, wrong = Quantizer((3,), (1.0,), (1.0,), "hard"), np.zeros(3), np.zeros(4)
    with pytest.raises(ConfigError, match=r"must be \[3\], got \[4\]"):
        quantize_forward(wrong, quantizer)
    with pytest.raises(ConfigError, match=r"must be \[3\], got \[4\]"):
        quantize_forward(right, quantizer, base=wrong)
    slopes = np.zeros((1, 4))
    with pytest.raises(ConfigError, match=r"must be \[3\], got \[4\]"):
        quantize_step(wrong, (right,) * 3, quantizer, slopes=slopes, adam=ADAM)
    with pytest.raises(ConfigError, match=r"\[tensors, 4\]"):
        quantize_step(right, (right,) * 3, quantizer, slopes=slopes[:, :2], adam=ADAM)
