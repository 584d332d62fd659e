"""Measure whether the seams between tiles show: the error near them, and elsewhere.

    python scripts/measure_seams.py PHOTO --tile 128 --lam 0.001 --rows data/rd/seams.csv
    python scripts/measure_seams.py PHOTO --stream PHOTO.inr --rows data/rd/seams.csv

The photograph is encoded by `latentgrid` in tiles, or a stream of it is given. A seam is every line
at which a tile begins or ends; near one are the pixels on both sides of it, up to --near. What lies
near seams may be harder or easier to code than the rest, so the same bands in the middle of the
tiles are measured too. A row is appended to the CSV, and printed.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from latent_bytes import latent_grid
from numpy.typing import NDArray
from rd_sets import centre
from rows import Origin, append, now, use_threads

from inrcodec import codec, media, metrics
from inrcodec.rate import encode_to_target
from inrcodec.representations.latentgrid.tiling import Tiling
from inrcodec.request import EncodeRequest, Target

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stream; `share_near`: of all pixels. None: not known of a stream that was given."""

    image: str
    height: int
    width: int
    tile_rows: int
    tile_columns: int
    n_tiles: int
    overlap: int
    lam: float | None
    iterations: int | None
    n_bytes: int
    bpp: float
    psnr_db: float
    near: int
    share_near: float
    psnr_near_db: float
    psnr_middle_db: float
    psnr_elsewhere_db: float
    commit: str
    machine: str
    date: str
    command: str


def main() -> None:
    """Encode, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument("--stream", type=Path, help="of the photograph")
    parser.add_argument("--tile", type=int, default=128, help="the most rows and columns of one")
    parser.add_argument("--lam", type=float, default=0.001)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--crop", type=int, default=0, metavar="SIDE", help="to the middle")
    parser.add_argument("--near", type=int, default=4, help="pixels on each side of a seam")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    use_threads(options.threads)
    names = {options.photo: options.photo.name, options.rows: f"data/rd/{options.rows.name}"}
    row = measure(options, Origin.here({**names, options.stream: "STREAM"}))
    append(options.rows, row)
    print(
        f"{row.n_tiles} tiles: {row.psnr_near_db:.3f} dB within {row.near} pixels of a seam,"
        f" {row.psnr_middle_db:.3f} dB in the middle of tiles, {row.psnr_elsewhere_db:.3f} dB"
        f" away from seams, {row.psnr_db:.3f} dB in all"
    )


def measure(options: argparse.Namespace, origin: Origin) -> Row:
    """The row of a photograph."""
    source = centre(media.read(options.photo), options.crop)
    given = options.stream is not None
    if given:
        data = options.stream.read_bytes()
    else:
        request = EncodeRequest(
            model="latentgrid",
            target=Target("lambda", options.lam),
            iterations=options.iterations,
            options={"tile": options.tile},
        )
        data = encode_to_target(source, request).data
    tiling, decoded = latent_grid(data).model.tiling, codec.decode(data)
    if tiling.n_tiles == 1:
        raise SystemExit("one tile has no seams")
    near, middle = near_seams(tiling, options.near), near_middles(tiling, options.near)
    errors = source.spec.to_unit(source.samples) - source.spec.to_unit(decoded.samples)
    squares = np.square(errors, dtype=np.float64).mean(axis=2)
    return Row(
        image=options.photo.stem,
        height=tiling.height,
        width=tiling.width,
        tile_rows=tiling.rows,
        tile_columns=tiling.columns,
        n_tiles=tiling.n_tiles,
        overlap=tiling.overlap,
        lam=None if given else options.lam,
        iterations=None if given else options.iterations,
        n_bytes=len(data),
        bpp=round(metrics.bpp(len(data), source.spec), 5),
        psnr_db=decibels(squares),
        near=options.near,
        share_near=round(float(near.mean()), 4),
        psnr_near_db=decibels(squares[near]),
        psnr_middle_db=decibels(squares[middle & ~near]),
        psnr_elsewhere_db=decibels(squares[~near]),
        commit=origin.commit,
        machine=origin.machine,
        date=now(),
        command=origin.command,
    )


def decibels(squares: NDArray[np.float64]) -> float:
    """The PSNR of squared errors on the [0, 1] scale; NaN of none."""
    return (
        round(-10.0 * math.log10(max(float(squares.mean()), 1e-20)), 4)
        if squares.size
        else math.nan
    )


def near_seams(tiling: Tiling, near: int) -> Mask:
    """The pixels within `near` of a line at which a tile begins or ends, but for the borders."""
    tiles = list(tiling.tiles())
    rows = {edge for tile in tiles for edge in tile.rows} - {0, tiling.height}
    columns = {edge for tile in tiles for edge in tile.columns} - {0, tiling.width}
    return around(tiling, rows, columns, near=near)


def near_middles(tiling: Tiling, near: int) -> Mask:
    """The pixels within `near` of the lines through the middle of tiles."""
    tiles = list(tiling.tiles())
    rows = {sum(tile.rows) // 2 for tile in tiles}
    columns = {sum(tile.columns) // 2 for tile in tiles}
    return around(tiling, rows, columns, near=near)


def around(tiling: Tiling, rows: set[int], columns: set[int], *, near: int) -> Mask:
    """The pixels within `near` of lines above the given rows, or left of the given columns."""
    marks = []
    for lines, size in ((rows, tiling.height), (columns, tiling.width)):
        mark = np.zeros(size, bool)
        for at in lines:
            mark[max(at - near, 0) : at + near] = True
        marks.append(mark)
    return marks[0][:, None] | marks[1]


if __name__ == "__main__":
    main()
