"""The multiresolution grid: its formula, its shape and its size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inrcodec import codec, kernels
from inrcodec.container import Stream
from inrcodec.errors import ConfigError
from inrcodec.kernels import grid_encode
from inrcodec.representations import id_of
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.hashgrid import (
    HashGrid,
    HashGridConfig,
    HashGridNetwork,
)
from inrcodec.representations.coordinate.pack import Packed
from inrcodec.representations.output import OutputScale
from inrcodec.signal import Kind, Signal, SignalSpec

GOAL = FitGoal(lam=1e-3, n_bytes=10_000.0)


def network(**changes: Any) -> HashGridNetwork:
    shape: dict[str, Any] = {
        "levels": 3,
        "log2_features": 1,
        "log2_table_size": 6,
        "base_resolution": 4,
    }
    fields = shape | {"growth_units": 2 * 4096, "width_units": 1, "depth": 2}
    fields |= {"n_dims": 2, "n_channels": 3} | changes
    fields.setdefault("extents", (4096,) * min(fields["n_dims"], 4))
    return HashGridNetwork(**fields)


def weights_of(net: HashGridNetwork) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=spec.shape).astype(np.float32) for spec in net.tensors()]


def spec_of(height: int, width: int, channels: int = 3) -> SignalSpec:
    return Signal.image(np.zeros((height, width, channels), np.uint8)).spec


def joined(tensors: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([tensor.ravel() for tensor in tensors])


# --- formula -------------------------------------------------------------------------------------


def test_values_are_the_grid_then_layers_without_bias() -> None:
    net = network()
    tensors, coords = weights_of(net), np.random.default_rng(6).random((40, 2), np.float32)
    features = grid_encode(coords, np.concatenate(tensors[:3]), net.geometry)
    first, second, last = tensors[3:]
    hidden = np.maximum(np.maximum(features @ first.T, 0.0) @ second.T, 0.0)
    np.testing.assert_allclose(
        net.apply(joined(tensors), coords), hidden @ last.T, rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
@pytest.mark.parametrize("backend", ["native", "torch"])
@pytest.mark.usefixtures("_backend_is_put_back")
def test_torch_and_numpy_give_the_same_values(
    n_dims: int, backend: str, request: pytest.FixtureRequest
) -> None:
    torch = pytest.importorskip("torch")
    if backend == "native":
        request.getfixturevalue("native")
    net = network(n_dims=n_dims, width_units=2)
    tensors, coords = weights_of(net), np.random.default_rng(6).random((99, n_dims), np.float32)
    kernels.set_backend("torch")
    mine = net.apply(joined(tensors), coords)
    kernels.set_backend(backend)
    theirs = net.apply(torch.from_numpy(joined(tensors)), torch.from_numpy(coords))
    assert mine.shape == (99, 3)
    np.testing.assert_allclose(theirs.numpy(), mine, rtol=1e-4, atol=1e-4 * np.abs(mine).max())


def test_levels_are_dense_while_they_fit_and_hashed_beyond() -> None:
    net = network()
    assert [level.resolutions for level in net.geometry.levels] == [(4, 4), (8, 8), (16, 16)]
    assert [level.hashed for level in net.geometry.levels] == [False, False, True]
    assert [spec.shape for spec in net.tensors()[:3]] == [(16, 2), (64, 2), (64, 2)]
    assert [spec.shape for spec in net.tensors()[3:]] == [(16, 6), (16, 16), (3, 16)]


def test_cost_counts_weights_and_the_corners_of_cells() -> None:
    net = network()
    assert net.n_parameters == 2 * (16 + 64 + 64) + 16 * 6 + 16 * 16 + 3 * 16
    assert net.macs_per_point() == 16 * 6 + 16 * 16 + 3 * 16 + 6 * 4


@pytest.mark.parametrize(
    "change",
    [{"levels": 0}, {"levels": 33}, {"log2_features": 4}, {"log2_table_size": 2}, {"depth": 9},
     {"log2_table_size": 25}, {"base_resolution": 0}, {"growth_units": 4095}, {"width_units": 17},
     {"growth_units": 65536}, {"n_dims": 5}, {"n_channels": 65}],
)  # fmt: skip
def test_a_shape_off_range_is_refused_by_name(change: dict[str, int]) -> None:
    ((name, value),) = change.items()
    with pytest.raises(ConfigError, match=rf"{name} {value} is not in \["):
        network(**change)


@pytest.mark.parametrize(
    ("extents", "says"),
    [
        ((0, 4096), r"extents 0 is not in \[1, 4096\]"),
        ((4096, 4097), r"extents 4097 is not in"),
        ((4096,), r"extents \(4096,\) are not 2"),
    ],
)
def test_extents_that_fit_no_axes_are_refused(extents: tuple[int, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        network(extents=extents)


def test_levels_that_get_too_fine_are_refused() -> None:
    with pytest.raises(ConfigError, match="finest resolution"):
        network(levels=32)


@pytest.mark.parametrize("backend", ["native", "torch"])
@pytest.mark.usefixtures("_backend_is_put_back")
def test_weights_whose_sums_pass_float32_decode_without_a_word(
    backend: str, request: pytest.FixtureRequest
) -> None:
    if backend == "native":
        request.getfixturevalue("native")
    kernels.set_backend(backend)
    net, rng = network(depth=8), np.random.default_rng(0)
    symbols = tuple(rng.choice([-32767, 32767], tensor.shape) for tensor in net.tensors())
    packed = Packed(net, OutputScale((0, 0, 0), 65535), (255,) * len(symbols), symbols)
    for sample_type in (np.uint8, np.float32):
        spec = Signal.image(rng.random((5, 7, 3)).astype(sample_type)).spec
        stream = Stream(spec=spec, representation_id=id_of(HashGrid), sections=packed.to_sections())
        assert np.isfinite(codec.decode(stream.to_bytes()).samples).all()


# --- size ----------------------------------------------------------------------------------------


def test_a_larger_file_gets_a_larger_grid() -> None:
    goals = [FitGoal(lam=1e-3, n_bytes=n) for n in (300.0, 3000.0, 3e4, 3e5)]
    spec = spec_of(2000, 3000)
    sizes = [HashGrid.network_for(HashGridConfig(), spec, goal).n_parameters for goal in goals]
    assert sizes == sorted(set(sizes))
    assert all(
        0.1 < size / (8.0 * goal.n_bytes) < 4.0 for size, goal in zip(sizes, goals, strict=True)
    )


def test_a_grid_is_not_finer_than_its_signal() -> None:
    goal = FitGoal(lam=1e-3, n_bytes=1e9)
    for spec in (spec_of(64, 48), Signal.audio(np.zeros(1000, np.int16), 8000).spec):
        net = HashGrid.network_for(HashGridConfig(), spec, goal)
        assert max(net.geometry.levels[-1].resolutions) <= 1.5 * max(spec.grid)


def test_cells_are_square_in_samples() -> None:
    for spec in (spec_of(4000, 100), spec_of(20, 300)):
        net = HashGrid.network_for(HashGridConfig(), spec, FitGoal(lam=1e-3, n_bytes=3000.0))
        for level in net.geometry.levels:
            samples_per_cell = np.array(spec.grid) / level.scales
            assert samples_per_cell.max() == pytest.approx(samples_per_cell.min(), rel=0.01)
        n_finest = np.prod(net.geometry.levels[-1].resolutions)
        assert 3000 < n_finest < 20_000


@pytest.mark.parametrize("time_scale", [0.25, 0.5, 1.0])
def test_a_film_has_fewer_vertices_per_frame_than_per_pixel(time_scale: float) -> None:
    film = replace(spec_of(1, 1), kind=Kind.VIDEO, grid=(40, 360, 640))
    net = HashGrid.network_for(HashGridConfig(time_scale=time_scale), film, GOAL)
    assert net.extents == (round(4096 * 40 * time_scale / 640), 2304, 4096)
    volume = HashGrid.network_for(HashGridConfig(), replace(film, kind=Kind.ARRAY), GOAL)
    assert volume.extents == (256, 2304, 4096)


def test_a_small_image_gets_a_vertex_per_sample_when_it_is_paid_for() -> None:
    finest = [
        max(
            HashGrid.network_for(HashGridConfig(levels=1), spec_of(64, 48), goal)
            .geometry.levels[0]
            .resolutions
        )
        for goal in (FitGoal(lam=1e-3, n_bytes=n) for n in (300.0, 700.0, 1200.0, 2500.0, 1e6))
    ]
    assert finest == sorted(finest)
    assert finest[0] == 40
    assert 40 < finest[1] < finest[2] < 64
    assert finest[3:] == [64, 64]


@pytest.mark.parametrize("time_scale", [0.0, 1.5, float("nan"), "1"])
def test_a_time_scale_out_of_range_is_refused(time_scale: Any) -> None:
    with pytest.raises(ConfigError, match=r"time_scale .* is not a number in"):
        HashGridConfig(time_scale=time_scale)


def test_what_the_config_states_is_obeyed() -> None:
    config = HashGridConfig(
        levels=5, growth=1.5, finest_resolution=60, features=4, log2_table_size=9, width=48, depth=1
    )
    net = HashGrid.network_for(config, spec_of(40, 30), GOAL)
    assert (net.levels, net.width_units, net.depth, net.log2_table_size) == (5, 3, 1, 9)
    assert (net.geometry.n_features, net.geometry.growth) == (4, 1.5)
    assert 50 <= max(net.geometry.levels[-1].resolutions) <= 70


@pytest.mark.parametrize("width", [17, 24])
def test_a_width_that_is_no_multiple_of_16_is_refused(width: int) -> None:
    with pytest.raises(ConfigError, match=f"width {width} is not a multiple of 16"):
        HashGridConfig(width=width)


def test_features_that_no_grid_has_are_refused() -> None:
    with pytest.raises(ConfigError, match="features 3"):
        HashGrid.network_for(HashGridConfig(features=3), spec_of(40, 30), GOAL)


@pytest.mark.parametrize("n_bytes", [0.01, 1e12])
@pytest.mark.parametrize("grid", [(1,), (1, 1), (1, 1 << 20), (2, 3, 4), (5, 1, 1, 1)])
def test_any_size_and_wish_gives_some_network(grid: tuple[int, ...], n_bytes: float) -> None:
    spec = replace(spec_of(1, 1), grid=grid)
    net = HashGrid.network_for(HashGridConfig(), spec, FitGoal(lam=1e-3, n_bytes=n_bytes))
    assert net.geometry.n_dims == len(grid)
