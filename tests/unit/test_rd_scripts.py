"""What the scripts that measure rate and distortion work out: crops, rows, curves, tables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

from inrcodec import media, metrics
from inrcodec.kernels import LatentShape
from inrcodec.representations.latentgrid.context import encode_latents
from inrcodec.representations.latentgrid.fixed import fixed_weights
from inrcodec.representations.latentgrid.pack import LatentTile
from inrcodec.representations.latentgrid.tiling import Tiling
from inrcodec.signal import Signal

ROOT = Path(__file__).parents[2]
for extra in ("av", "matplotlib", "scipy", "soundfile", "torch"):
    pytest.importorskip(extra)
sys.path.insert(0, str(ROOT / "scripts"))
try:
    import bd_table
    import compare_coolchic
    import latent_curves
    import latent_tables
    import measure_seams
    import rd_baselines
    import rd_rows
    import rd_sets
    import rows
    import run_rd
finally:
    sys.path.remove(str(ROOT / "scripts"))

CURVE = [(0.1, 28.0), (0.2, 31.0), (0.5, 35.0)]


def test_a_crop_is_of_the_middle() -> None:
    image = Signal.image(np.arange(6 * 9 * 3, dtype=np.uint8).reshape(6, 9, 3))
    assert np.array_equal(rd_sets.centre(image, 4).samples, image.samples[1:5, 2:6])
    assert rd_sets.centre(image, 0) is image
    with pytest.raises(SystemExit, match="has no crop of 7 x 7"):
        rd_sets.centre(image, 7)


# --- rows ----------------------------------------------------------------------------------------


def lambda_row(**changes: object) -> rd_rows.LambdaRow:
    fields: dict[str, object] = {
        "file": "kodim01",
        "model": "latentgrid",
        "target": "0.004 lambda",
        "n_bytes": 24576,
        "bpp": 0.5,
        "kbps": None,
        "psnr_db": 30.0,
        "snr_db": None,
        "encode_s": 10.0,
        "decode_s": 1.0,
        "iterations": 2000,
        "budget_s": 0.0,
        "threads": 1,
        "reached": True,
        "commit": "abcdef0",
        "machine": "one, 2 cores",
        "date": "2026-01-01T00:00:00Z",
        "command": "scripts/run_rd.py",
        "crop": 0,
        "budget_iterations": 2000,
        "j": 0.003,
        "network_bytes": 900,
        "latent_bytes": 23600,
        "macs_per_point": 1932.0,
    }
    return rd_rows.LambdaRow(**{**fields, **changes})  # type: ignore[arg-type]


def test_rows_of_other_budgets_and_crops_are_other_jobs(tmp_path: Path) -> None:
    changes = ({}, {"crop": 256}, {"budget_iterations": 500}, {"budget_s": 9.0}, {"model": "x"})
    for change in changes:
        rows.append(tmp_path / "rows.csv", lambda_row(**change))
    jobs = [rd_rows.job_of(row) for row in rows.read_rows(tmp_path / "rows.csv")]
    assert jobs[0] == rd_rows.Job("kodim01", "latentgrid", "0.004 lambda", 0.0, 2000, 0)
    assert len(set(jobs)) == len(changes)


def test_rows_without_the_columns_of_lambdas_still_count_as_done() -> None:
    done = {rd_rows.job_of(row) for row in rows.read_rows(ROOT / "data" / "rd" / "images.csv")}
    chosen = rd_sets.SETS["images"]
    options = argparse.Namespace(
        models=["jpeg", "hashgrid"], files=chosen.files, rates=(0.16, 0.3, 0.6), seconds=25.0
    )
    options.iterations, options.crop = None, 0
    asked = set(run_rd.jobs(chosen, options))
    assert len(asked) == 4 * (6 + 3)
    assert asked <= done


def peer_row(codec: str, j: float) -> dict[str, str]:
    return {"image": "a", "lam": "0.001", "iterations": "2000", "codec": codec, "j": str(j)}


def test_of_several_rows_of_a_point_the_last_counts() -> None:
    ours = [peer_row(compare_coolchic.OURS, j) for j in (3.0, 2.0)]
    assert compare_coolchic.ratios(ours) == []
    both = [*ours, peer_row(compare_coolchic.PEER, 4.0)]
    assert compare_coolchic.ratios(both) == [("a", 0.001, 2000, 2.0, 4.0)]


# --- curves --------------------------------------------------------------------------------------


def points(*places: tuple[str, float]) -> latent_curves.Points:
    return {place: latent_curves.Point(*place, 1.0, 30.0) for place in places}


def test_a_mean_is_of_the_same_images_at_each_lambda() -> None:
    some = points(("a", 1.0), ("b", 1.0), ("c", 1.0), ("a", 2.0), ("b", 2.0), ("a", 3.0))
    assert latent_curves.complete(some) == (["a", "b"], [2.0, 1.0])
    assert latent_curves.complete({}) == ([], [])


def test_the_cost_of_a_point_counts_error_and_rate() -> None:
    assert latent_curves.Point("a", 0.01, 0.5, 20.0).j == pytest.approx(0.01 + 0.005)


def test_curves_that_cannot_be_compared_have_no_difference() -> None:
    assert latent_curves.difference(CURVE, CURVE[:1]) is None
    assert latent_curves.difference(CURVE[:2], [(0.6, 36.0), (0.7, 37.0)]) is None


def test_part_of_a_curve_has_the_rates_of_the_curve() -> None:
    part = latent_curves.between(CURVE, 30.0, 40.0)
    assert (part[0][1], part[-1]) == (30.0, (pytest.approx(0.5), 35.0))
    change = latent_curves.difference(CURVE, part)
    assert change is not None
    assert abs(change.percent) < 0.01


def test_a_table_of_points_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows.append(tmp_path / "rows.csv", lambda_row())
    rows.append(tmp_path / "rows.csv", lambda_row(file="unknown"))
    ours = rows.read_rows(tmp_path / "rows.csv")
    latent_curves.write_table(tmp_path / "table.tsv", ours, {"kodim01": 393216})
    read, pixels = latent_curves.read_table(tmp_path / "table.tsv")
    assert pixels == {"kodim01": 393216}
    assert read == {("kodim01", 0.004): latent_curves.Point("kodim01", 0.004, 0.5, 30.0)}


def test_rows_are_taken_of_the_budget_that_most_have(tmp_path: Path) -> None:
    for change in ({}, {"budget_iterations": 9}, {"file": "b"}, {"crop": 256}, {"model": "x"}):
        rows.append(tmp_path / "rows.csv", lambda_row(**change))
    chosen = latent_curves.of_one_budget(rows.read_rows(tmp_path / "rows.csv"))
    assert [row["file"] for row in chosen] == ["kodim01", "b"]


# --- tables --------------------------------------------------------------------------------------


def test_a_tenth_less_bytes_is_ten_percent_less_beside_every_curve() -> None:
    mine = [(0.9 * rate, quality) for rate, quality in CURVE]
    double = [(2.0 * rate, quality) for rate, quality in CURVE]
    lines = bd_table.mean_table(mine, CURVE, CURVE, curves={"double": double}, n_images=3)
    _, _, same, other = lines
    assert same == "| Cool-chic 5.0, same images | 3 | -10.0 % | 28.00 | 35.00 | 100 % |  |"
    assert other == "| double | 24 | -55.0 % | 28.00 | 35.00 | 100 % | -55.0 % |"


def test_an_ablation_is_compared_at_the_points_of_both(tmp_path: Path) -> None:
    variant = "latentgrid-nohyper"
    for change in ({}, {"model": variant, "j": 0.006}, {"model": variant, "file": "other"}):
        rows.append(tmp_path / "rows.csv", lambda_row(**change))
    table = list(latent_tables.ablation_table(rows.read_rows(tmp_path / "rows.csv")))
    assert table[-1] == "| latentgrid-nohyper | 1 | 2.0000 | 2.0000 | 900 | 1932 | 1.00 |"


def test_images_without_a_lambda_leave_a_gap() -> None:
    peer = points(("a", 2.0), ("a", 1.0), ("b", 2.0), ("b", 1.0))
    ours = points(("a", 2.0), ("b", 2.0), ("b", 1.0))
    lines = list(bd_table.image_table(ours, peer))
    assert lines[0] == "| image | BD-rate | overlap | J at 2 | J at 1 |"
    assert lines[2] == "| a |  |  | 1.000 |  |"


def test_the_page_of_results_has_a_place_for_each_table() -> None:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for name in ("kodak", "photos", "ablations", "crops"):
        assert text.count(f"<!-- latentgrid-{name} -->") == 1
        assert text.count(f"<!-- /latentgrid-{name} -->") == 1


# --- tiles ---------------------------------------------------------------------------------------


def test_seams_are_where_tiles_begin_and_end() -> None:
    near = measure_seams.near_seams(Tiling(16, 20, 8, 10, 2), 1)
    rows_near, columns_near = near.any(axis=1) & near[:, 0], near[0]
    assert np.flatnonzero(rows_near).tolist() == [7, 8, 9, 10]
    assert np.flatnonzero(columns_near).tolist() == [9, 10, 11, 12]


def test_bytes_of_networks_and_latents_are_the_whole_tile() -> None:
    shape = LatentShape(12, 10, 3, size=0, n_levels=5, n_hyper=1)
    random = np.random.default_rng(0)
    symbols = tuple(
        random.integers(-3, 4, sum(weight.size for weight in group)) for group in shape.groups
    )
    grids = tuple(
        random.integers(-2, 3, (grid.height, grid.width)).astype(np.int32) for grid in shape.grids
    )
    tile = LatentTile(shape, (150,) * len(symbols), symbols, grids)
    payload = tile.to_bytes()
    words, _ = encode_latents(grids, shape, fixed_weights(shape, symbols, tile.step_indices))
    assert len(words) > 0
    assert LatentTile.byte_counts(payload, shape) == (len(payload) - len(words), len(words))


# --- sounds --------------------------------------------------------------------------------------


def noise(n: int) -> np.ndarray:
    """A sound below half of its highest frequency, [n, 1]."""
    random = np.random.default_rng(0)
    return rd_baselines.resampled(random.normal(size=(n // 2, 1)), n)


@pytest.mark.parametrize("delay", [0.0, 37.0, 12.5, -3.0])
def test_a_sound_that_comes_late_is_brought_back(delay: float) -> None:
    sound = np.pad(noise(800), ((100, 100), (0, 0)))
    late = rd_baselines.advanced(sound, -delay, len(sound) + 100)
    assert rd_baselines.delay_of(late, sound) == delay
    again = rd_baselines.advanced(late, delay, len(sound))
    assert np.abs(again - sound)[100:-100].max() < 1e-2 * np.abs(sound).max()


@pytest.mark.parametrize("setting", ["mp3 32 kbps", "aac 32 kbps", "opus 32 kbps", "vorbis q0.5"])
def test_what_a_codec_makes_of_a_sound_is_in_time_and_near(setting: str) -> None:
    t = np.arange(16000) / 16000
    tone = 1e4 * np.sin(2e3 * t + 90.0 * np.sin(9.0 * t))
    sound = Signal.audio(np.rint(tone).astype(np.int16), 16000)
    codec, how = setting.split(" ", 1)
    coded = rd_baselines.encode(codec, sound, how)
    decoded = coded.decode()
    assert decoded.spec == sound.spec
    assert metrics.snr_db(sound, decoded) > 15.0
    assert 0 < coded.n_bytes < 12000


def test_cuts_are_the_first_three_seconds(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    samples = np.arange(5 * 8000, dtype=np.int16)
    media.write(Signal.audio(samples, 8000), tmp_path / "audio" / "some.wav")
    cut = rd_sets.SETS["cuts"].read(tmp_path, "some")
    assert np.array_equal(cut.samples[:, 0], samples[:24000])
    assert cut.seconds == 3.0
