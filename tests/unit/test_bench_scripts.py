"""What the scripts that measure speed work out: rows, settings, bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
for extra in ("matplotlib", "scipy"):
    pytest.importorskip(extra)
torch = pytest.importorskip("torch")
sys.path.insert(0, str(ROOT / "scripts"))
try:
    import bench_calls
    import bench_fits
    import bench_kernels
    import bench_steps
    import kernels_table
    import latent_curves
    import profile_engine
    import rows
    import time_table
finally:
    sys.path.remove(str(ROOT / "scripts"))


def timed_row(file: str, seconds: float, **changes: str) -> rows.CsvRow:
    row = {"file": file, "machine": "one, 2 cores", "threads": "2", "budget_iterations": "500"}
    row |= {"budget_s": "0", "encode_s": str(seconds), "bpp": "1.0", "psnr_db": "30.0"}
    return row | {"target": "0.001 lambda"} | changes


def test_quality_over_time_is_of_the_images_that_all_settings_have() -> None:
    long = {"budget_iterations": "2000", "psnr_db": "33.0"}
    gpu = {"machine": "one, 2 cores, NVIDIA X"}
    measured = [timed_row(name, 10.0, **gpu) for name in "ab"]
    measured += [timed_row("a", 90.0, **long), timed_row("a", 20.0), timed_row("c", 9.0)]
    groups = time_table.of_same_images(measured)
    assert [(s.place, s.iterations) for s in groups] == [
        ("NVIDIA X", 500),
        ("one, 2 cores, 2 threads", 500),
        ("one, 2 cores, 2 threads", 2000),
    ]
    assert [[row["file"] for row in group] for group in groups.values()] == [["a"]] * 3
    peer = {("a", 0.001): latent_curves.Point("a", 0.001, 1.0, 30.0)}
    lines = list(time_table.table(groups, peer))
    assert lines[-2] == "| one, 2 cores, 2 threads | 500 | 20.0 | 1.000 |"
    assert lines[-1] == "| one, 2 cores, 2 threads | 2000 | 90.0 | 0.751 |"
    with pytest.raises(SystemExit, match="no image has a row"):
        time_table.of_same_images([timed_row("a", 1.0), timed_row("b", 1.0, **gpu)])


def fit_row(backend: str, seconds: float, psnr_db: float, **changes: str) -> rows.CsvRow:
    row = {"picture": "a", "model": "hashgrid", "backend": backend, "iterations": "100"}
    row |= {"bpp": "0.5", "seed": "0", "threads": "2", "machine": "one", "n_bytes": "900"}
    return row | {"seconds": str(seconds), "psnr_db": str(psnr_db)} | changes


def test_encodes_are_compared_that_differ_in_their_backend_alone() -> None:
    measured = [fit_row("native", 9.0, 29.0), fit_row("torch", 40.0, 30.0)]
    measured += [fit_row("native", 10.0, 30.0), fit_row("native", 5.0, 31.0, picture="b")]
    measured += [fit_row("torch", 30.0, 30.5, picture="b"), fit_row("native", 1.0, 9.0, seed="7")]
    lines = list(bench_fits.table(measured))
    assert len(lines) == 4  # what is meant, head, rule, one model
    assert "| 2 | 7.5 | 35.0 | 5.00 (4.00-6.00) | +0.250 ± 0.250 | +0 ± 0 |" in lines[-1]


def test_a_profile_names_operators_and_kernels_without_their_wrapping() -> None:
    key = "GeneratedBackwardFor_inrcodec_latent_cost_default"
    assert profile_engine.name_of(key) == "inrcodec::latent_cost"
    kernel = "void inrcodec::(anonymous namespace)::tail<3>(float const*, int)"
    assert profile_engine.name_of(kernel) == "inrcodec::tail<3>"
    lines = list(profile_engine.table({"a": 90.0, "b": 9.5, "c": 0.5}))
    assert lines[2:] == [
        "| `a` | 90.00 | 90.0 % |",
        "| `b` | 9.50 | 9.5 % |",
        "| all others | 0.50 | 0.5 % |",
        "| whole | 100.00 |  |",
    ]


def test_a_pass_moves_coordinates_features_and_the_entries_of_corners() -> None:
    case = bench_kernels.Case("linear", 3, 10, "random")
    features = 16 * 2 * 4
    assert case.n_bytes("forward", "native") == 1024 * (12 + features + 8 * features)
    assert case.n_bytes("backward", "native") == 1024 * (12 + features + 16 * features)
    assert case.n_bytes("both", "tcnn") == 1024 * (24 + (2 + 24) * features // 2)
    kuhn = case._replace(interpolation="kuhn")
    short = case.n_bytes("backward", "cuda-float16")
    assert short == 1024 * (12 + features // 2 + 2 * 8 * features)  # the gradient is of float32
    assert kuhn.n_bytes("forward", "cuda") == 1024 * (12 + features + 4 * features)


@pytest.mark.parametrize(("dims", "sides"), [(2, [16, 32]), (3, [8, 8, 8]), (4, [4, 4, 4, 8])])
def test_coherent_points_are_a_regular_grid_with_the_first_axis_fastest(
    dims: int, sides: list[int]
) -> None:
    points = bench_kernels.points_of(bench_kernels.Case("linear", dims, 9, "coherent")).numpy()
    assert points.shape == (512, dims)
    assert [len(np.unique(axis)) for axis in points.T] == sides
    assert len(np.unique(points, axis=0)) == 512
    assert points[1, 0] > points[0, 0]
    assert (points[1, 1:] == points[0, 1:]).all()


@pytest.fixture
def _threads_are_put_back() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("native", "_threads_are_put_back")
def test_rows_of_kernels_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kernels.csv"
    words = ["--rows", str(path), "--dims", "2", "--log2-points", "8", "--seconds", "0"]
    words += ["--interpolations", "kuhn", "--orders", "random", "--engines", "torch", "native"]
    monkeypatch.setattr(sys, "argv", ["bench_kernels.py", *words])
    bench_kernels.main()
    measured = rows.read_rows(path)
    assert [(row["passed"], row["engine"]) for row in measured] == [
        (passed, engine) for passed in bench_kernels.PASSES for engine in ("torch", "native")
    ]
    assert all(0 < float(row["ms_p20"]) <= float(row["ms"]) for row in measured)
    bench_kernels.main()
    assert rows.read_rows(path) == measured


def kernel_row(engine: str, interpolation: str, ms: float) -> rows.CsvRow:
    row = {"passed": "both", "engine": engine, "interpolation": interpolation, "dims": "3"}
    row |= {"log2_points": "18", "order": "random", "threads": "2", "machine": "one, 2 cores"}
    times = {"ms": str(ms), "ms_p20": str(ms), "ms_p80": str(ms)}
    return row | times | {"n_bytes": "1000", "gb_per_s": "2.0", "copy_share": "0.5"}


def test_a_line_of_kernels_is_beside_the_reference_and_linear_interpolation() -> None:
    measured = [kernel_row("torch", "kuhn", 80.0), kernel_row("native", "linear", 6.0)]
    measured += [kernel_row("native", "kuhn", 9.0), kernel_row("native", "kuhn", 4.0)]
    lines = list(kernels_table.table(kernels_table.newest(measured)))
    assert [line.split(" | ")[5:9] for line in lines[4:7]] == [
        ["native", "6.00 (6.00-6.00)", "", "1.00"],
        ["torch", "80.00 (80.00-80.00)", "1.00", ""],
        ["native", "4.00 (4.00-4.00)", "20.00", "1.50"],
    ]


def test_engines_of_a_gpu_stand_side_by_side() -> None:
    measured = [kernel_row("cuda-float16", "linear", 2.0), kernel_row("tcnn", "linear", 5.0)]
    measured += [kernel_row("cuda-float16", "kuhn", 1.6), kernel_row("cuda", "kuhn", 3.0)]
    lines = list(kernels_table.table(kernels_table.newest(measured)))
    assert [line.split(" | ")[5:] for line in lines[4:6]] == [
        ["", "", "2.00", "5.00", "2.50", "1.00", "50 % |"],
        ["", "3.00", "1.60", "", "", "1.25", "50 % |"],
    ]


@pytest.mark.usefixtures("native", "_threads_are_put_back")
def test_steps_are_measured_once_and_stand_in_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, page = tmp_path / "steps.csv", tmp_path / "page.md"
    page.write_text("<!-- steps -->\n<!-- /steps -->\n")
    words = ["--rows", str(path), "--dims", "2", "--log2-points", "7", "--seconds", "0"]
    words += ["--adam", "0", "1", "--engines", "torch", "native", "--into", str(page)]
    monkeypatch.setattr(sys, "argv", ["bench_steps.py", *words])
    bench_steps.main()
    measured = rows.read_rows(path)
    assert [(row["adam"], row["engine"]) for row in measured] == [
        (adam, engine) for adam in "01" for engine in ("torch", "native")
    ]
    assert all(0 < float(row["ms_p20"]) <= float(row["ms"]) for row in measured)
    bench_steps.main()
    assert rows.read_rows(path) == measured
    table = page.read_text().splitlines()
    assert [line.split(" | ")[3] for line in table if line.startswith("| linear")] == ["no", "yes"]
    assert f"{float(measured[0]['ms']):.2f} | {float(measured[1]['ms']):.2f} |" in table[5]


@pytest.mark.usefixtures("native", "_threads_are_put_back")
def test_calls_are_measured_once_for_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, page = tmp_path / "calls.csv", tmp_path / "page.md"
    page.write_text("<!-- calls -->\n<!-- /calls -->\n")
    words = ["--rows", str(path), "--seconds", "0", "--into", str(page)]
    monkeypatch.setattr(sys, "argv", ["bench_calls.py", *words])
    bench_calls.main()
    measured = rows.read_rows(path)
    assert len(measured) % (5 * len(bench_calls.PASSES)) == 0
    assert all(0 < float(row["us_p20"]) <= float(row["us"]) for row in measured)
    bench_calls.main()
    assert rows.read_rows(path) == measured
    lines = list(bench_calls.table([{**row, "commit": name} for name in "ab" for row in measured]))
    assert lines[1] == "| call | pass | a | b |"
    us = f"{float(measured[0]['us']):.1f}"
    assert f"| grid | forward | {us} | {us} |" in lines
