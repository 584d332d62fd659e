"""Grid geometry against values of tiny-cuda-nn's formulas and against its own promises."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inrcodec.errors import ConfigError
from inrcodec.kernels import GridGeometry, Interpolation

NGP_IMAGE = GridGeometry(
    n_dims=2, n_levels=4, n_features=2, log2_table_size=10, base_resolution=16, growth=1.5
)


@st.composite
def geometries(draw: st.DrawFn) -> GridGeometry:
    n_dims = draw(st.integers(1, 4))
    extent = st.one_of(st.integers(1, 4096), st.sampled_from([1, 2, 4095, 4096]))
    return draw(
        geometries_of(n_dims, st.lists(extent, min_size=n_dims, max_size=n_dims).map(tuple))
    )


def geometries_of(
    n_dims: int, extents: st.SearchStrategy[tuple[int, ...]]
) -> st.SearchStrategy[GridGeometry]:
    return st.builds(
        GridGeometry,
        n_dims=st.just(n_dims),
        n_levels=st.integers(1, 6),
        n_features=st.sampled_from([1, 2, 4, 8]),
        log2_table_size=st.integers(3, 24),
        base_resolution=st.integers(1, 64),
        growth=st.integers(4096, 4 * 4096).map(lambda k: k / 4096),
        interpolation=st.sampled_from(list(get_args(Interpolation))),
        extents=extents,
    )


def test_scales_resolutions_and_sizes_are_those_of_the_hash_grid_formulas() -> None:
    assert [level.scales for level in NGP_IMAGE.levels] == [
        (s, s) for s in (15.0, 23.0, 35.0, 53.0)
    ]
    assert [level.resolutions for level in NGP_IMAGE.levels] == [(r, r) for r in (16, 24, 36, 54)]
    assert [level.size for level in NGP_IMAGE.levels] == [256, 576, 1024, 1024]
    assert [level.offset for level in NGP_IMAGE.levels] == [0, 256, 832, 1856]
    assert [level.hashed for level in NGP_IMAGE.levels] == [False, False, True, True]
    assert NGP_IMAGE.levels[1].strides == (1, 24)
    assert NGP_IMAGE.levels[2].strides == (1, 2654435761)
    assert (NGP_IMAGE.n_entries, NGP_IMAGE.n_outputs) == (2880, 8)


def test_a_fractional_scale_rounds_the_resolution_up() -> None:
    level = GridGeometry(3, 2, 1, log2_table_size=24, base_resolution=5, growth=1.25).levels[1]
    assert (level.scales[0], level.resolutions[0], level.size) == (5.25, 7, 344)  # 343, up to 8


def test_one_vertex_per_axis_is_a_grid_too() -> None:
    level = GridGeometry(2, 1, 1, log2_table_size=8, base_resolution=1, growth=1.0).levels[0]
    assert (level.scales, level.resolutions, level.size) == ((0.0, 0.0), (1, 1), 8)


def test_extents_scale_the_axes_and_dense_rows_lie_axis_0_first() -> None:
    narrow = GridGeometry(3, 2, 1, 10, 9, 2.0, extents=(512, 4096, 1))
    first, second = narrow.levels
    assert first.scales == (1.0, 8.0, 8.0 / 4096)
    assert (first.resolutions, first.strides, first.size) == ((2, 9, 2), (1, 2, 18), 40)
    assert (second.scales[0], second.resolutions, second.size) == (17.0 / 8, (4, 18, 2), 144)
    assert NGP_IMAGE.extents == (4096, 4096)
    assert GridGeometry(3, 2, 1, 10, 9, 2.0, "linear", (4096,) * 3) == GridGeometry(
        3, 2, 1, 10, 9, 2.0
    )


def test_a_skewed_level_has_the_vertices_of_a_box_around_it() -> None:
    assert [skewed(n).skew for n in (1, 2, 3, 4)] == [
        float(np.float32(f)) for f in (2**0.5 - 1, (3**0.5 - 1) / 2, 1 / 3, (5**0.5 - 1) / 4)
    ]
    level = GridGeometry(2, 1, 1, 12, 16, 1.0, "simplex", (4096, 2048)).levels[0]
    assert level.scales == (15.0, 7.5)  # p up to 15.5 and 8.0, F times their sum 8.60
    assert (level.resolutions, level.strides) == ((26, 18), (1, 26))
    assert GridGeometry(2, 1, 1, 12, 16, 1.0, "kuhn", (4096, 2048)).levels[0].resolutions == (16, 9)


def skewed(n_dims: int) -> GridGeometry:
    return GridGeometry(n_dims, 1, 1, 12, 4, 1.0, "simplex")


@given(geometries())
def test_levels_tile_the_table_and_are_dense_exactly_when_they_fit(geometry: GridGeometry) -> None:
    end = 0
    for level in geometry.levels:
        n_vertices = math.prod(level.resolutions)
        assert level.offset == end
        assert level.size % 8 == 0
        assert level.size <= 1 << geometry.log2_table_size
        assert level.hashed == (n_vertices > level.size)
        assert not level.hashed or level.size == 1 << geometry.log2_table_size
        assert tuple(float(np.float32(scale)) for scale in level.scales) == level.scales
        if geometry.interpolation != "simplex":
            assert level.resolutions == tuple(math.ceil(scale) + 1 for scale in level.scales)
        end += level.size
    assert geometry.n_entries == end


@given(geometries())
@example(GridGeometry(1, 1, 1, 24, 1 << 22, 1.0, "simplex"))
@example(GridGeometry(4, 1, 1, 24, 1, 1.0, "simplex"))
@example(GridGeometry(4, 1, 1, 24, 1, 1.0, "kuhn"))
def test_the_last_row_a_dense_level_touches_is_below_twice_its_size(geometry: GridGeometry) -> None:
    for level in geometry.levels:
        p = np.array(level.scales, np.float32) + np.float32(0.5)
        y = np.float32(geometry.skew) * p.sum(dtype=np.float32) + p
        last = np.floor(y).astype(np.int64) + 1
        assert level.hashed or np.dot(last, level.strides) < 2 * level.size
        assert (last <= level.resolutions).all() or level.hashed


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
        ("interpolation", "cubic", "linear, smoothstep, nearest, kuhn, simplex"),
    ],
)
def test_a_field_out_of_range_is_named_with_its_range(field: str, value: Any, allowed: str) -> None:
    fields: dict[str, Any] = {
        "n_dims": 2,
        "n_levels": 4,
        "n_features": 2,
        "log2_table_size": 14,
        "base_resolution": 16,
        "growth": 1.5,
    }
    with pytest.raises(ConfigError) as refusal:
        GridGeometry(**{**fields, field: value})
    assert f"{field} {value}" in str(refusal.value)
    assert allowed in str(refusal.value)


@pytest.mark.parametrize("extents", [(0, 4096), (4096, 4097), (4096,), (1, 2, 3)])
def test_extents_that_fit_no_axes_are_refused(extents: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"extent 0 |extent 4097 |extents \[.*\] are not 2"):
        GridGeometry(2, 4, 2, 14, 16, 1.5, extents=extents)


def test_levels_finer_than_float32_can_place_are_refused() -> None:
    with pytest.raises(ConfigError, match="finest resolution 8388608"):
        GridGeometry(1, 2, 1, log2_table_size=24, base_resolution=1 << 22, growth=2.0)
