"""The grid of simplices: what it does other than `hashgrid`."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest

from inrcodec.errors import ConfigError
from inrcodec.kernels import grid_encode
from inrcodec.representations import by_id, by_name
from inrcodec.representations.base import FitGoal
from inrcodec.representations.coordinate.hashgrid import HashGrid, HashGridConfig
from inrcodec.representations.coordinate.simplexgrid import (
    SimplexGrid,
    SimplexGridConfig,
    SimplexGridNetwork,
)
from inrcodec.signal import Kind, SampleFormat, SignalSpec

GOAL = FitGoal(lam=1e-3, n_bytes=10_000.0)


def spec_of(*grid: int) -> SignalSpec:
    return SignalSpec(
        kind=Kind.ARRAY, sample_format=SampleFormat.U8, grid=grid, channels=2, value_range=(0, 255)
    )


def joined(tensors: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([tensor.ravel() for tensor in tensors])


def network(*, skewed: bool, grid: tuple[int, ...] = (20, 30, 40)) -> SimplexGridNetwork:
    config = SimplexGridConfig(levels=2, finest_resolution=8, skewed=skewed)
    return SimplexGrid.network_for(config, spec_of(*grid), GOAL)


def test_it_has_a_wire_id_of_its_own() -> None:
    assert by_id(4) is by_name("simplexgrid") is SimplexGrid


@pytest.mark.parametrize("skewed", [False, True])
def test_values_are_interpolated_on_simplices(skewed: bool) -> None:
    net = network(skewed=skewed)
    assert net.geometry.interpolation == ("simplex" if skewed else "kuhn")
    rng = np.random.default_rng(5)
    tensors = [rng.normal(size=spec.shape).astype(np.float32) for spec in net.tensors()]
    coords = rng.random((40, 3), np.float32)
    hidden = grid_encode(coords, np.concatenate(tensors[:2]), net.geometry)
    for weight in tensors[2:-1]:
        hidden = np.maximum(hidden @ weight.T, 0.0)
    expected = hidden @ tensors[-1].T
    np.testing.assert_allclose(net.apply(joined(tensors), coords), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
def test_a_point_costs_one_vertex_more_than_axes(n_dims: int) -> None:
    net = network(skewed=False, grid=(20,) * n_dims)
    weights = sum(spec.size for spec in net.tensors()[2:])
    assert net.macs_per_point() == weights + net.geometry.n_outputs * (n_dims + 1)


def test_cut_cells_have_the_vertices_of_hashgrid() -> None:
    spec = spec_of(200, 100, 300)
    cut = SimplexGrid.network_for(SimplexGridConfig(), spec, GOAL)
    whole = HashGrid.network_for(HashGridConfig(), spec, GOAL)
    assert asdict(whole) | {"skewed": 0} == asdict(cut)
    assert cut.geometry.sizes == whole.geometry.sizes


def test_a_skewed_grid_is_coarser_for_the_same_size() -> None:
    spec = spec_of(2000, 2000)
    cut, skewed = (
        SimplexGrid.network_for(SimplexGridConfig(levels=1, skewed=skewed), spec, GOAL)
        for skewed in (False, True)
    )
    ratio = (cut.base_resolution / skewed.base_resolution) ** 2
    assert ratio == pytest.approx(math.sqrt(3.0), rel=0.02)


def test_skewed_is_true_or_false() -> None:
    with pytest.raises(ConfigError, match="skewed 1 is not true or false"):
        SimplexGridConfig(skewed=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="growth 17"):
        SimplexGridConfig(growth=17.0)
