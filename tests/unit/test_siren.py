"""The sine network: its formula, its shape and its size."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from inrcodec.errors import ConfigError
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.siren import Siren, SirenConfig, SirenNetwork
from inrcodec.signal import Signal, SignalSpec


def network(**changes: int) -> SirenNetwork:
    fields = {"n_dims": 2, "n_channels": 3, "width": 5, "depth": 2, "frequencies": 2}
    return SirenNetwork(**(fields | changes))


def weights_of(net: SirenNetwork) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=spec.shape).astype(np.float32) for spec in net.tensors()]


def spec_of(height: int, width: int, channels: int = 3) -> SignalSpec:
    return Signal.image(np.zeros((height, width, channels), np.uint8)).spec


def joined(tensors: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([tensor.ravel() for tensor in tensors])


# --- formula -------------------------------------------------------------------------------------


def test_one_unit_computes_what_the_formula_says() -> None:
    net = network(n_dims=1, n_channels=1, width=1, depth=1, frequencies=0)
    values = [0.7, 0.2, -1.5, 0.25]
    shapes = [(1, 1), (1,), (1, 1), (1,)]
    tensors = [np.full(s, v, np.float32) for s, v in zip(shapes, values, strict=True)]
    coords = np.array([[0.1], [0.9]], np.float32)
    expected = [-1.5 * math.sin(0.7 * (2.0 * x - 1.0) + 0.2) + 0.25 for x in (0.1, 0.9)]
    np.testing.assert_allclose(net.apply(joined(tensors), coords).ravel(), expected, atol=1e-6)


@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
@pytest.mark.parametrize("frequencies", [0, 6])
def test_torch_and_numpy_give_the_same_values(n_dims: int, frequencies: int) -> None:
    torch = pytest.importorskip("torch")
    net = network(n_dims=n_dims, width=16, depth=3, frequencies=frequencies)
    tensors, coords = weights_of(net), np.random.default_rng(6).random((99, n_dims), np.float32)
    mine = net.apply(joined(tensors), coords)
    theirs = net.apply(torch.from_numpy(joined(tensors)), torch.from_numpy(coords))
    assert mine.shape == (99, 3)
    np.testing.assert_allclose(theirs.numpy(), mine, atol=2e-4)


def test_the_depth_counts_sine_layers() -> None:
    shapes = [spec.shape for spec in network(depth=3).tensors()]
    layers = [(5, 10), (5,), (5, 5), (5,), (5, 5), (5,), (3, 5), (3,)]
    assert shapes == layers


def test_cost_is_one_multiplication_for_each_weight() -> None:
    net = network(depth=3)
    assert net.macs_per_point() == 10 * 5 + 5 * 5 + 5 * 5 + 5 * 3
    assert net.n_parameters == net.macs_per_point() + 3 * 5 + 3


def test_without_an_encoding_the_first_layer_begins_with_omega_30() -> None:
    assert network(frequencies=0).tensors()[0].bound == 30.0 / 2
    assert network(frequencies=2).tensors()[0].bound < 2.0


def test_what_a_stream_stores_is_width_depth_and_frequencies() -> None:
    names = [item.name for item in SirenNetwork.stored_fields()]
    assert names == ["width", "depth", "frequencies"]
    assert SirenNetwork.of(2, 3, width=5, depth=2, frequencies=2) == network()


@pytest.mark.parametrize(
    "change",
    [{"width": 0}, {"width": 1025}, {"depth": 0}, {"depth": 33}, {"frequencies": 25}, {"n_dims": 5},
     {"n_channels": 65}, {"frequencies": -1}],
)  # fmt: skip
def test_a_shape_off_range_is_refused_by_name(change: dict[str, int]) -> None:
    ((name, value),) = change.items()
    with pytest.raises(ConfigError, match=rf"{name} {value} is not in \["):
        network(**change)


# --- size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_bytes", [500.0, 3000.0, 25_000.0])
@pytest.mark.parametrize("depth", [1, 3, 10])
def test_a_network_is_about_as_large_as_the_wanted_file(n_bytes: float, depth: int) -> None:
    goal = FitGoal(lam=1e-3, n_bytes=n_bytes)
    net = Siren.network_for(SirenConfig(depth=depth), spec_of(512, 768), goal)
    bits = 8.0 * n_bytes / net.n_parameters
    assert 5.0 < bits < 9.0 or net.width in (4, 1024)


def test_a_larger_file_gets_a_larger_network() -> None:
    goals = [FitGoal(lam=1e-3, n_bytes=n) for n in (300.0, 1000.0, 1e4, 1e5)]
    sizes = [Siren.network_for(SirenConfig(), spec_of(512, 768), g).n_parameters for g in goals]
    assert sizes == sorted(set(sizes))


def test_what_the_config_states_is_obeyed() -> None:
    config = SirenConfig(width=11, depth=4, frequencies=3)
    net = Siren.network_for(config, spec_of(40, 30), FitGoal(lam=1e-3, n_bytes=9e9))
    assert (net.width, net.depth, net.frequencies) == (11, 4, 3)


@pytest.mark.parametrize("n_bytes", [0.01, 1e12])
@pytest.mark.parametrize("size", [1, 2, 1 << 20])
def test_any_size_and_wish_gives_some_network(size: int, n_bytes: float) -> None:
    spec = replace(spec_of(1, 1), grid=(size, 1))
    net = Siren.network_for(SirenConfig(), spec, FitGoal(lam=1e-3, n_bytes=n_bytes))
    assert 1 <= net.width <= 1024
