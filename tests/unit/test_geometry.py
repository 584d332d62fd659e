"""Grid geometry against values of tiny-cuda-nn's formulas and against its own promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrcodec.errors import ConfigError
from inrcodec.kernels import GridGeometry

NGP_IMAGE = GridGeometry(
    n_dims=2, n_levels=4, n_features=2, log2_table_size=10, base_resolution=16, growth=1.5
)


def geometries() -> st.SearchStrategy[GridGeometry]:
    return st.builds(
        GridGeometry,
        n_dims=st.integers(1, 4),
        n_levels=st.integers(1, 6),
        n_features=st.sampled_from([1, 2, 4, 8]),
        log2_table_size=st.integers(3, 24),
        base_resolution=st.integers(1, 64),
        growth=st.integers(4096, 4 * 4096).map(lambda k: k / 4096),
    )


def test_scales_resolutions_and_sizes_are_those_of_the_hash_grid_formulas() -> None:
    assert [level.scale for level in NGP_IMAGE.levels] == [15.0, 23.0, 35.0, 53.0]
    assert [level.resolution for level in NGP_IMAGE.levels] == [16, 24, 36, 54]
    assert [level.size for level in NGP_IMAGE.levels] == [256, 576, 1024, 1024]
    assert [level.offset for level in NGP_IMAGE.levels] == [0, 256, 832, 1856]
    assert [level.hashed for level in NGP_IMAGE.levels] == [False, False, True, True]
    assert NGP_IMAGE.levels[1].strides == (1, 24)
    assert NGP_IMAGE.levels[2].strides == (1, 2654435761)
    assert (NGP_IMAGE.n_entries, NGP_IMAGE.n_outputs) == (2880, 8)


def test_a_fractional_scale_rounds_the_resolution_up() -> None:
    level = GridGeometry(3, 2, 1, log2_table_size=24, base_resolution=5, growth=1.25).levels[1]
    assert (level.scale, level.resolution, level.size) == (5.25, 7, 344)  # 343 rounded up to 8


def test_one_vertex_per_axis_is_a_grid_too() -> None:
    level = GridGeometry(2, 1, 1, log2_table_size=8, base_resolution=1, growth=1.0).levels[0]
    assert (level.scale, level.resolution, level.size) == (0.0, 1, 8)


@given(geometries())
def test_levels_tile_the_table_and_are_dense_exactly_when_they_fit(geometry: GridGeometry) -> None:
    end = 0
    for level in geometry.levels:
        n_vertices = level.resolution**geometry.n_dims
        assert level.offset == end
        assert level.size % 8 == 0
        assert level.size <= 1 << geometry.log2_table_size
        assert level.hashed == (n_vertices > level.size)
        assert not level.hashed or level.size == 1 << geometry.log2_table_size
        assert level.resolution == math.ceil(level.scale) + 1
        assert float(np.float32(level.scale)) == level.scale
        end += level.size
    assert geometry.n_entries == end


@given(geometries())
def test_the_last_vertex_a_dense_level_touches_is_below_twice_its_size(
    geometry: GridGeometry,
) -> None:
    for level in geometry.levels:
        last = math.floor(level.scale + 0.5) + 1
        assert level.hashed or sum(last * stride for stride in level.strides) < 2 * level.size


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("n_dims", 0, "[1, 4]"),
        ("n_dims", 5, "[1, 4]"),
        ("n_levels", 33, "[1, 32]"),
        ("n_features", 3, "(1, 2, 4, 8)"),
        ("log2_table_size", 25, "[3, 24]"),
        ("base_resolution", 0, "[1, 4194304]"),
        ("growth", 0.5, "[1, 16)"),
        ("growth", 16.0, "[1, 16)"),
        ("growth", 1.0001, "1/4096"),
        ("growth", float("nan"), "[1, 16)"),
        ("growth", float("inf"), "[1, 16)"),
    ],
)
def test_a_field_out_of_range_is_named_with_its_range(
    field: str, value: float, allowed: str
) -> None:
    fields: dict[str, float] = {
        "n_dims": 2,
        "n_levels": 4,
        "n_features": 2,
        "log2_table_size": 14,
        "base_resolution": 16,
        "growth": 1.5,
    }
    with pytest.raises(ConfigError) as refusal:
        GridGeometry(**{**fields, field: value})  # type: ignore[arg-type]
    assert f"{field} {value}" in str(refusal.value)
    assert allowed in str(refusal.value)


def test_levels_finer_than_float32_can_place_are_refused() -> None:
    with pytest.raises(ConfigError, match="finest resolution 8388608"):
        GridGeometry(1, 2, 1, log2_table_size=24, base_resolution=1 << 22, growth=2.0)
