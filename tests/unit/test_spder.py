"""The network of damped sines: its formula, what it stores, and that its fits come to something."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from inrcodec.container import DecodeLimits
from inrcodec.errors import ConfigError
from inrcodec.representations.base import Budget, FitGoal, Window
from inrcodec.representations.coordinate.spder import Spder, SpderConfig, SpderNetwork
from inrcodec.signal import Signal

DAMPINGS: dict[str, Callable[[float], float]] = {
    "sqrt": lambda x: math.sqrt(abs(x)),
    "arctan": math.atan,
    "log": lambda x: math.log(1.0 + abs(x)),
}
GOAL = FitGoal(lam=1e-5, n_bytes=600.0, seed=2)
every_damping = pytest.mark.parametrize("damping", list(DAMPINGS))


def network(**changes: int) -> SpderNetwork:
    fields = {"n_dims": 2, "n_channels": 3, "width": 5, "depth": 2, "frequencies": 2, "damping": 0}
    return SpderNetwork(**(fields | changes))


def picture(size: int = 24) -> Signal:
    """A smooth RGB image."""
    y, x = np.mgrid[0:size, 0:size] / 20.0
    planes = [np.sin(5 * x + 3 * y), np.cos(4 * y), np.sin(9 * x * y)]
    return Signal.image(np.rint(np.stack(planes, axis=-1) * 100 + 128).astype(np.uint8))


def sound(n_frames: int = 600) -> Signal:
    t = np.arange(n_frames) / n_frames
    return Signal.audio(np.rint(np.sin(40 * t) * np.cos(9 * t) * 2e4).astype(np.int16), 8000)


def joined(tensors: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([tensor.ravel() for tensor in tensors])


# --- formula -------------------------------------------------------------------------------------


@every_damping
def test_one_unit_computes_what_the_formula_says(damping: str) -> None:
    place = list(DAMPINGS).index(damping)
    net = network(n_dims=1, n_channels=1, width=1, depth=1, frequencies=0, damping=place)
    values = [2.7, 0.2, -1.5, 0.25]
    shapes = [(1, 1), (1,), (1, 1), (1,)]
    tensors = [np.full(s, v, np.float32) for s, v in zip(shapes, values, strict=True)]
    coords = np.array([[0.1], [0.9]], np.float32)
    sums = [2.7 * (2.0 * x - 1.0) + 0.2 for x in (0.1, 0.9)]
    expected = [-1.5 * math.sin(z) * DAMPINGS[damping](z) + 0.25 for z in sums]
    np.testing.assert_allclose(net.apply(joined(tensors), coords).ravel(), expected, atol=1e-6)


@every_damping
def test_torch_and_numpy_give_the_same_values(damping: str) -> None:
    torch = pytest.importorskip("torch")
    net = network(width=16, depth=3, damping=list(DAMPINGS).index(damping))
    rng = np.random.default_rng(5)
    tensors = [rng.normal(size=spec.shape).astype(np.float32) * 0.5 for spec in net.tensors()]
    coords = rng.random((99, 2), np.float32)
    theirs = net.apply(torch.from_numpy(joined(tensors)), torch.from_numpy(coords))
    np.testing.assert_allclose(theirs.numpy(), net.apply(joined(tensors), coords), atol=2e-4)


# --- what is stored, what is chosen --------------------------------------------------------------


def test_what_a_stream_stores_ends_with_the_damping() -> None:
    fields = {item.name: item.maximum for item in SpderNetwork.stored_fields()}
    assert list(fields) == ["width", "depth", "frequencies", "damping"]
    assert fields["damping"] == 2
    with pytest.raises(ConfigError, match=r"damping 3 is not in \[0, 2\]"):
        network(damping=3)


@pytest.mark.parametrize(("signal", "expected"), [(picture(), 0), (sound(), 1)])
def test_the_damping_follows_the_kind_of_signal(signal: Signal, expected: int) -> None:
    assert Spder.network_for(SpderConfig(), signal.spec, GOAL).damping == expected


@every_damping
def test_what_the_config_states_is_obeyed(damping: str) -> None:
    config = SpderConfig(width=11, depth=4, frequencies=3, damping=damping)  # type: ignore[arg-type]
    net = Spder.network_for(config, sound().spec, GOAL)
    assert (net.width, net.depth, net.frequencies) == (11, 4, 3)
    assert net.activation == f"sine_{damping}"


@pytest.mark.parametrize("damping", ["tanh", "", 1])
def test_a_damping_that_is_none_is_refused(damping: str) -> None:
    with pytest.raises(ConfigError, match=r"^damping .* is not one of sqrt, arctan, log$"):
        SpderConfig(damping=damping)  # type: ignore[arg-type]


# --- fits ----------------------------------------------------------------------------------------


@every_damping
@pytest.mark.parametrize("signal", [picture(), sound()], ids=["image", "sound"])
def test_a_fit_comes_close_and_is_packed_whole(signal: Signal, damping: str) -> None:
    pytest.importorskip("torch")
    config = SpderConfig(width=16, depth=3, damping=damping)  # type: ignore[arg-type]
    fitted = Spder.fit(signal, config, GOAL, Budget(iterations=300))
    values = signal.spec.to_unit(signal.samples)
    rendered = fitted.render(tuple(Window.whole(size) for size in signal.spec.grid))
    assert np.square(rendered - values).mean() < 0.1 * values.var()
    assert Spder.unpack(fitted.pack(), signal.spec, DecodeLimits()).pack() == fitted.pack()


@every_damping
def test_a_signal_of_one_value_is_fitted(damping: str) -> None:
    pytest.importorskip("torch")
    flat = Signal.image(np.full((9, 9), 77, np.uint8))
    fitted = Spder.fit(flat, SpderConfig(damping=damping), GOAL, Budget(iterations=20))  # type: ignore[arg-type]
    rendered = fitted.render((Window.whole(9), Window.whole(9)))
    np.testing.assert_allclose(rendered, 77 / 255, atol=1 / 255)
