"""Grids by tiny-cuda-nn: which rows of ours it reads, by a model of it, and what is refused."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from inrcodec import kernels  # noqa: E402
from inrcodec.errors import ConfigError  # noqa: E402
from inrcodec.kernels import GridGeometry, dispatch, reference, torch_tcnn  # noqa: E402
from inrcodec.kernels.tcnn_layout import layout_of  # noqa: E402

GRIDS = {
    "as it is": GridGeometry(2, 4, 2, 8, 6, 2.0),
    "as it is, hashed": GridGeometry(3, 3, 4, 7, 3, 2.0, "smoothstep"),
    "of one level": GridGeometry(4, 1, 1, 12, 4, 1.5),
    "a vertex": GridGeometry(3, 3, 2, 6, 1, 2.0),
    "growth": GridGeometry(2, 5, 2, 9, 4, 1.5),
    "many features": GridGeometry(2, 20, 8, 6, 2, 1.0),
    "portrait": GridGeometry(2, 4, 2, 14, 15, 2.0, "linear", (4096, 2731)),
    "landscape": GridGeometry(2, 4, 2, 14, 15, 2.0, "smoothstep", (2731, 4096)),
    "nearest": GridGeometry(2, 3, 2, 14, 9, 2.0, "nearest", (2731, 4096)),
    "smaller": GridGeometry(2, 3, 2, 14, 9, 2.0, "linear", (2048, 2048)),
    "dense and hashed": GridGeometry(2, 4, 2, 8, 6, 1.75, "linear", (700, 4096)),
    "dense for us alone": GridGeometry(3, 2, 1, 8, 5, 2.0, "linear", (300, 4096, 4096)),
    "film": GridGeometry(3, 3, 1, 14, 5, 2.0, "linear", (900, 2304, 4096)),
    "flat": GridGeometry(3, 3, 2, 12, 3, 2.0, "smoothstep", (1, 4096, 1)),
    "four axes": GridGeometry(4, 3, 2, 12, 3, 1.5, "linear", (4096, 3000, 500, 4096)),
    "four axes, nearest": GridGeometry(4, 2, 8, 12, 3, 2.0, "nearest", (4096, 3000, 500, 1)),
}
FACTORS = (1, 2654435761, 805459861, 3674653429)
every_grid = pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS.keys())


class Encoding(torch.nn.Module):
    """As tinycudann.Encoding: what HashGrid computes, in plain torch on the CPU.

    Written after tiny-cuda-nn's `encodings/grid.h` and `common_device.h`; in float64 inside.
    """

    def __init__(self, n_dims: int, config: dict[str, Any], dtype: torch.dtype) -> None:
        super().__init__()
        assert n_dims in (2, 3, 4)
        assert config["otype"] == "HashGrid"
        assert config["interpolation"] in ("Linear", "Smoothstep", "Nearest")
        self.n_dims, self.config, self.dtype = n_dims, config, dtype
        self.scales = [
            config["per_level_scale"] ** number * config["base_resolution"] - 1.0
            for number in range(config["n_levels"])
        ]
        most = 2 ** config["log2_hashmap_size"]
        cubes = [(math.ceil(scale) + 1) ** n_dims for scale in self.scales]
        self.sizes = [min((cube + 7) // 8 * 8, most) for cube in cubes]
        n_params = sum(self.sizes) * config["n_features_per_level"]
        self.params = torch.nn.Parameter(torch.full((n_params,), math.nan))

    def forward(self, x: Any) -> Any:
        assert x.dtype == torch.float32
        assert self.params.dtype == self.dtype
        table = self.params.double().reshape(-1, self.config["n_features_per_level"])
        rows = zip(self.scales, torch.split(table, self.sizes), strict=True)
        levels = [self._level(scale, part, x.double()) for scale, part in rows]
        return torch.cat(levels, dim=1).to(self.dtype)

    def _level(self, scale: float, table: Any, x: Any) -> Any:
        position = x * scale + 0.5
        cell = position.detach().floor()
        rises = position - cell
        if self.config["interpolation"] == "Nearest":
            return table[self._row(scale, len(table), cell.long())]
        if self.config["interpolation"] == "Smoothstep":
            rises = rises * rises * (3.0 - 2.0 * rises)
        features = torch.zeros(len(x), table.shape[1], dtype=torch.float64)
        for corner in itertools.product((0, 1), repeat=self.n_dims):
            ups = torch.tensor(corner)
            weights = torch.where(ups == 1, rises, 1.0 - rises).prod(dim=1, keepdim=True)
            features = features + weights * table[self._row(scale, len(table), cell.long() + ups)]
        return features

    def _row(self, scale: float, size: int, vertex: Any) -> Any:
        width = math.ceil(scale) + 1
        if width**self.n_dims <= size:
            return sum(vertex[:, i] * width**i for i in range(self.n_dims)) % size
        index = torch.zeros(len(vertex), dtype=torch.int64)
        for axis in range(self.n_dims):
            index = index ^ (vertex[:, axis] * FACTORS[axis] % 2**32)
        return index % size


@pytest.fixture(autouse=True)
def _model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The model in the place of tinycudann."""
    module = ModuleType("tinycudann")
    module.Encoding = Encoding  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tinycudann", module)
    torch_tcnn.encodings_of.cache_clear()
    yield
    torch_tcnn.encodings_of.cache_clear()


@pytest.fixture
def _as_if_there_were_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As far as torch says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    dispatch._torch_problem.cache_clear()
    yield
    dispatch._torch_problem.cache_clear()


def case(geometry: GridGeometry, n_points: int) -> tuple[Any, Any, Any]:
    """Coordinates, some at the border, outside and not numbers, a table, and a cotangent."""
    rng = np.random.default_rng(5)
    coords = rng.random((n_points, geometry.n_dims)).astype(np.float32)
    coords[: n_points // 4] = 1.0 - coords[: n_points // 4] / 50.0
    for i, special in enumerate((0.0, 1.0, -3.0, 2.0, np.nan)):
        coords[5 * i + 3 : 5 * i + 4] = special
        coords[5 * i + 4 : 5 * i + 5, -1] = special
    table = rng.standard_normal((geometry.n_entries, geometry.n_features)).astype(np.float32)
    cotangent = rng.standard_normal((n_points, geometry.n_outputs)).astype(np.float32)
    return coords, table, cotangent


def runs(geometry: GridGeometry, kind: Any = torch.float32) -> torch_tcnn.Encodings:
    """What would run on a GPU, on the CPU by the model."""
    return torch_tcnn.encodings_of(geometry, kind, torch.device("cpu"))


def assert_close(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    error = np.linalg.norm(got.detach().double().numpy() - expected)
    assert error <= tolerance * max(float(np.linalg.norm(expected)), 1e-30)


@every_grid
def test_its_features_and_gradients_are_ours(geometry: GridGeometry) -> None:
    coords, table, cotangent = case(geometry, 400)
    x, t = torch.from_numpy(coords).requires_grad_(), torch.from_numpy(table).requires_grad_()
    features = runs(geometry)(x, t)
    features.backward(torch.from_numpy(cotangent))
    exact = [array.astype(np.float64) for array in (cotangent, coords, table)]
    assert_close(features, reference.grid_encode(exact[1], exact[2], geometry))
    assert_close(t.grad, reference.grid_encode_table_gradient(*exact[:2], geometry))
    of_coords = reference.grid_encode_coords_gradient(*exact, geometry)
    assert_close(x.grad, of_coords)
    assert not x.grad.numpy()[of_coords == 0.0].any()


@every_grid
def test_each_of_its_rows_is_one_of_ours_on_the_same_level(geometry: GridGeometry) -> None:
    layout = layout_of(geometry)
    if layout.rows is None:
        (part,) = layout.parts
        assert part.n_rows == geometry.n_entries
        return
    at = 0
    for part, level in zip(layout.parts, geometry.levels, strict=True):
        rows = layout.rows[at : at + part.n_rows]
        assert part.n_rows % 8 == 0
        assert rows.min() >= level.offset
        assert rows.max() < level.offset + level.size
        at += part.n_rows
    assert at == len(layout.rows)


def test_a_grid_of_cubes_is_one_encoding_and_its_table_is_taken_as_it_is() -> None:
    layout = layout_of(GridGeometry(3, 4, 2, 19, 16, 2.0, "smoothstep"))
    assert layout.rows is None
    assert layout.parts[0].config == {
        "otype": "HashGrid",
        "n_levels": 4,
        "n_features_per_level": 2,
        "log2_hashmap_size": 19,
        "base_resolution": 16,
        "per_level_scale": 2.0,
        "interpolation": "Smoothstep",
    }


def test_levels_of_one_encoding_would_share_rows_that_are_two_of_ours() -> None:
    """Why a photograph has an encoding for each level: (7, 15) wraps to the row of (0, 0)."""
    geometry = GridGeometry(2, 1, 1, 14, 15, 1.0, "linear", (2731, 4096))
    (level,) = geometry.levels
    assert level.resolutions == (11, 15)
    config = layout_of(geometry).parts[0].config | {"base_resolution": 15}
    row_of = Encoding(2, config, dtype=torch.float32)._row
    vertices = torch.tensor([(7, 15), (0, 0)])
    assert row_of(14.0, 232, vertices).tolist() == [0, 0]
    assert (vertices @ torch.tensor(level.strides) % level.size).tolist() == [4, 0]


def test_float16_runs_in_float16() -> None:
    geometry = GRIDS["landscape"]
    coords, table, cotangent = case(geometry, 200)
    t = torch.from_numpy(table).half().requires_grad_()
    features = runs(geometry, torch.float16)(torch.from_numpy(coords), t)
    features.backward(torch.from_numpy(cotangent).half())
    assert features.dtype == t.grad.dtype == torch.float16
    rounded = t.detach().double().numpy()
    assert_close(features, reference.grid_encode(coords, rounded, geometry), 2e-3)


@pytest.mark.parametrize("name", ["as it is", "landscape"])
def test_no_points_have_no_features_and_a_gradient_of_zeros(name: str) -> None:
    geometry = GRIDS[name]
    coords, table, _ = case(geometry, 0)
    x, t = torch.from_numpy(coords).requires_grad_(), torch.from_numpy(table).requires_grad_()
    features = runs(geometry)(x, t)
    assert features.shape == (0, geometry.n_outputs)
    features.sum().backward()
    assert x.grad.shape == (0, 2)
    assert not t.grad.any()


def test_a_gradient_is_taken_again_but_not_that_of_a_gradient() -> None:
    geometry = GRIDS["landscape"]
    coords, table, _ = case(geometry, 40)
    x, t = torch.from_numpy(coords).double().requires_grad_(), torch.from_numpy(table)
    squares = runs(geometry)(x, t).square().sum()
    first, second = (
        torch.autograd.grad(squares, x, retain_graph=True, create_graph=again)[0]
        for again in (False, True)
    )
    assert torch.equal(first, second)
    assert first.dtype == torch.float64
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second.sum().backward()


def test_tables_may_begin_anywhere() -> None:
    geometry = GRIDS["as it is"]
    coords, table, _ = case(geometry, 40)
    shifted = torch.cat([torch.zeros(1), torch.from_numpy(table).reshape(-1)])[1:]
    features = runs(geometry)(torch.from_numpy(coords), shifted.reshape(table.shape))
    assert_close(features, reference.grid_encode(coords, table.astype(np.float64), geometry))


@pytest.mark.parametrize(
    ("geometry", "says"),
    [
        (GridGeometry(2, 1, 1, 8, 5, 1.0, "kuhn"), "no kuhn interpolation: linear, smoothstep or"),
        (GridGeometry(3, 1, 1, 8, 5, 1.0, "simplex"), "no simplex interpolation: linear, smoothst"),
        (GridGeometry(1, 1, 1, 8, 5, 1.0), "no grids of 1 dimension: 2, 3 or 4"),
        (
            GridGeometry(3, 1, 1, 22, 300, 1.0, "linear", (200, 4096, 3000)),
            r"no dense level of 301 x 301 x 301 vertices: at most 2\^24",
        ),
    ],
)
def test_what_it_has_not_is_refused(geometry: GridGeometry, says: str) -> None:
    with pytest.raises(ConfigError, match=f"^backend tcnn has {says}"):
        layout_of(geometry)


def test_tensors_on_the_cpu_and_other_types_are_refused() -> None:
    geometry = GRIDS["as it is"]
    coords, table = torch.zeros(3, 2), torch.zeros(geometry.n_entries, geometry.n_features)
    with pytest.raises(ConfigError, match=r"^backend tcnn takes tensors on a GPU, not on cpu$"):
        torch_tcnn.grid_encode(coords, table, geometry)
    with pytest.raises(ConfigError, match=r"^backend tcnn has no tables of bfloat16: float32 or "):
        torch_tcnn.grid_encode(coords, table.bfloat16(), geometry)


def test_another_tinycudann_whose_tables_are_not_ours_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Longer(Encoding):
        def __init__(self, *options: Any, **more: Any) -> None:
            super().__init__(*options, **more)
            self.params = torch.nn.Parameter(torch.zeros(len(self.params) + 8))

    monkeypatch.setattr(sys.modules["tinycudann"], "Encoding", Longer)
    with pytest.raises(ConfigError, match="this tinycudann makes 404 rows of a grid, not 400"):
        runs(GridGeometry(2, 1, 2, 12, 20, 1.0))


def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tinycudann, whatever is installed: None in the table of modules is as good as absent."""
    monkeypatch.setitem(sys.modules, "tinycudann", None)


@pytest.mark.usefixtures("_backend_is_put_back")
def test_without_tinycudann_the_backend_is_refused_with_where_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden(monkeypatch)
    before = kernels.backend()
    with pytest.raises(
        ConfigError,
        match="^backend tcnn is not available: the package tinycudann is not installed; "
        r"it is built from github\.com/NVlabs/tiny-cuda-nn$",
    ):
        kernels.set_backend("tcnn")
    assert kernels.backend() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.usefixtures("_backend_is_put_back")
def test_without_a_gpu_the_backend_is_refused() -> None:
    with pytest.raises(ConfigError, match="backend tcnn is not available: torch has no CUDA here"):
        kernels.set_backend("tcnn")


def test_a_tinycudann_that_fails_is_named_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    text = "raise EnvironmentError('Could not find compatible\\n extension')"
    (tmp_path / "tinycudann.py").write_text(text, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "tinycudann")
    monkeypatch.syspath_prepend(tmp_path)
    problem = dispatch.tcnn_problem()
    if torch.cuda.is_available():
        assert problem == "tinycudann cannot be imported: Could not find compatible extension"
    else:
        assert problem == "torch has no CUDA here"


@pytest.mark.usefixtures("_backend_is_put_back", "_as_if_there_were_a_gpu")
def test_with_tcnn_all_but_grids_on_a_gpu_runs_as_ever() -> None:
    before = kernels.uses_native(), kernels.gpu_is_asked_for(), kernels.device()
    kernels.set_backend("tcnn")
    assert kernels.backend() == "tcnn"
    assert kernels.gpu_is_asked_for(grid=True)
    assert kernels.device(grid=True) == "cuda"
    assert (kernels.uses_native(), kernels.gpu_is_asked_for(), kernels.device()) == before
    geometry = GRIDS["landscape"]
    coords, table, _ = case(geometry, 50)
    expected = reference.grid_encode(coords, table.astype(np.float64), geometry)
    assert_close(torch.from_numpy(kernels.grid_encode(coords, table, geometry)), expected)
    x, t = torch.from_numpy(coords), torch.from_numpy(table)
    assert_close(kernels.grid_encode(x, t, geometry), expected)


@pytest.mark.usefixtures("_backend_is_put_back", "_as_if_there_were_a_gpu")
def test_tcnn_and_the_cpu_contradict_each_other() -> None:
    kernels.set_backend("tcnn")
    with pytest.raises(ConfigError, match=r"^backend tcnn runs on a GPU, not on device cpu$"):
        kernels.set_device("cpu")
    kernels.set_device("cuda")
    kernels.set_backend("auto")
    kernels.set_device("cpu")
    with pytest.raises(ConfigError, match=r"^backend tcnn runs on a GPU, not on device cpu$"):
        kernels.set_backend("tcnn")
