"""The scripts that fit large signals from the disk: a mosaic, rows, and what tables say of them."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inrcodec.representations.coordinate.points import SampleTargets
from inrcodec.representations.output import OutputScale, blocks_of

ROOT = Path(__file__).parents[2]
for extra in ("matplotlib", "scipy", "torch"):
    pytest.importorskip(extra)
sys.path.insert(0, str(ROOT / "scripts"))
try:
    import gigapixel
    import gigapixel_table
    import make_mosaic
    import rows
finally:
    sys.path.remove(str(ROOT / "scripts"))

PHOTO = ROOT / "data" / "samples" / "kodim23.png"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with two photographs: the sample, and a part of it."""
    folder = tmp_path / "data" / "kodak"
    folder.mkdir(parents=True)
    with Image.open(PHOTO) as photo:
        photo.save(folder / "a.png")
        photo.crop((0, 0, 300, 200)).save(folder / "b.png")
    return folder.parent


def test_a_mosaic_is_the_same_each_time_and_neighbours_differ(data: Path, tmp_path: Path) -> None:
    photos = sorted((data / "kodak").iterdir())
    paths = [tmp_path / "one.npy", tmp_path / "two.npy"]
    for path in paths:
        make_mosaic.make_mosaic(photos, path, 600)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["one.npy", "two.npy"]
    mosaic = np.load(paths[0], mmap_mode="r")
    assert (mosaic.shape, mosaic.dtype) == ((600, 600, 3), np.uint8)
    assert min(mosaic[:512, :512].std(), mosaic[512:, 512:].std()) > 0
    tiles = list(make_mosaic.plan(4, 6))
    assert len(tiles) == 36
    for number, tile in enumerate(tiles):
        assert number % 6 == 0 or tile.photo != tiles[number - 1].photo
        assert number < 6 or tile.photo != tiles[number - 6].photo


def test_a_tile_is_a_square_of_its_photograph_enlarged_and_turned() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (600, 700, 3), np.uint8)
    tile = make_mosaic.Tile(photo=0, down=0.999, right=0.0, enlarged=1, way=0)
    assert (make_mosaic.pixels_of(photo, tile) == photo[88:, :512]).all()
    turned = make_mosaic.Tile(photo=0, down=0.999, right=0.0, enlarged=1, way=5)
    assert (make_mosaic.pixels_of(photo, turned) == np.rot90(photo[88:, :512])[:, ::-1]).all()
    small = make_mosaic.pixels_of(photo[:40, :30], tile)
    assert small.shape == (512, 512, 3)


def test_a_mapped_image_is_not_loaded(tmp_path: Path) -> None:
    path, side = tmp_path / "image.npy", 2048
    image = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(side, side, 3))
    image[:] = np.arange(256, dtype=np.uint8)[np.arange(side) % 256, None]
    signal = gigapixel.signal_of(path)
    assert isinstance(signal.samples, np.memmap)
    tracemalloc.start()
    try:
        targets = SampleTargets(signal, OutputScale.of_blocks(blocks_of(signal)))
        some = targets[np.array([0, side * side - 1])]
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert some.shape == (2, 3)
    assert most < image.nbytes / 2


@pytest.mark.usefixtures("native")
def test_a_row_is_measured_once_in_a_process_of_its_own(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gigapixel.csv"
    words = [str(data), "--work", str(tmp_path), "--rows", str(path), "--signals", "mosaic"]
    words += ["--size", "64", "--models", "simplexgrid", "--iterations", "20", "--threads", "1"]
    words += ["--bits-per-point", "2"]
    monkeypatch.setattr(sys, "argv", ["gigapixel.py", *words])
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    gigapixel.main()
    measured = rows.read_rows(path)
    (row,) = measured
    assert (row["size"], row["interpolation"], row["threads"]) == ("64x64x3", "kuhn", "1")
    assert row["batch_points"] == "4096"
    assert 8 * int(row["n_bytes"]) / 4096 == pytest.approx(float(row["bits_per_point"]), rel=1e-3)
    assert float(row["psnr_db"]) > 5.0
    assert 0.0 < float(row["own_mib"]) < float(row["peak_mib"])
    assert row["command"].startswith("scripts/gigapixel.py DATA --work FOLDER")
    gigapixel.main()
    assert rows.read_rows(path) == measured


def gigapixel_row(model: str, iterations: int, seconds: float, psnr_db: float) -> rows.CsvRow:
    row = {"signal": "volume", "size": "4x4x4", "bits_wanted": "0.1", "log2_table_size": "22"}
    row |= {"machine": "one, 2 cores", "threads": "2", "model": model, "n_bytes": "1"}
    row |= {"iterations": str(iterations), "seconds": str(seconds), "psnr_db": str(psnr_db)}
    row |= {"batch_points": "64", "bits_per_point": "0.1", "peak_mib": "9", "own_mib": "8"}
    return row | {"decode_s": "1"}


def test_models_are_compared_at_the_lower_of_their_last_psnrs(tmp_path: Path) -> None:
    measured = [gigapixel_row("hashgrid", n, 10.0 * n, 28.0 + n) for n in (4, 1, 2)]
    measured += [gigapixel_row("simplexgrid", n, 9.0 * n, 29.0 + n) for n in (1, 2)]
    measured += [gigapixel_row("simplexgrid-skewed", n, 80.0 * n, 34.0 + n) for n in (1, 2)]
    measured += [gigapixel_row("simplexgrid", 2, 12.0, 31.0)]  # measured again
    (curves,) = gigapixel_table.groups_of(measured).values()
    assert [row["seconds"] for row in curves["hashgrid"]] == ["10.0", "20.0", "40.0"]
    plain, skewed = gigapixel_table.comparisons(curves)
    assert plain[:2] == ("simplexgrid", 31.0)
    assert plain[2].seconds == pytest.approx(20.0 * 2.0**0.5)  # half of the way from 30 to 32 dB
    assert (plain[3].seconds, plain[3].at_most) == (pytest.approx(12.0), False)
    assert skewed[:2] == ("simplexgrid-skewed", 32.0)
    assert (skewed[2].seconds, str(skewed[3])) == (pytest.approx(40.0), "at most 80.0")
    lines = list(gigapixel_table.tables(gigapixel_table.groups_of(measured)))
    name = "volume 4 x 4 x 4, 0.1 bits a point, tables of 2^22"
    assert lines[3] == f"| {name} | simplexgrid | 31.00 | 28.3 | 12.0 | 0.42 |"
    assert lines[4] == f"| {name} | simplexgrid-skewed | 32.00 | 40.0 | at most 80.0 |  |"
    assert sum(line.startswith("| simplexgrid |") for line in lines) == 2
    gigapixel_table.draw(gigapixel_table.groups_of(measured), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 0
