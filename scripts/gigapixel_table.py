"""Write the tables and the picture of grids on large signals, from measured rows.

    python scripts/gigapixel_table.py data/bench/gigapixel.csv --into docs/results.md

The rows are those of `gigapixel.py`; of several of the same, the last counts. Written are
docs/images/gigapixel.png and, with --into, what stands in a page between the comments
`<!-- gigapixel -->` and `<!-- /gigapixel -->`. The first table compares every model with `hashgrid`
at equal PSNR: the lower one of those that the longest fits of the two come to. The time that a
model takes to get there is read between its fits, as if decibels went with the logarithm of
seconds; a model that is there with its shortest fit takes at most as long. "ratio" is its time over
that of `hashgrid`, where both are known. The other tables have a line for each fit; "MiB" are with
pages of the file.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from latent_tables import head, line
from plot_rd import replace
from rows import CsvRow, read_rows

REFERENCE = "hashgrid"
PLACE = ("signal", "size", "bits_wanted", "log2_table_size", "machine", "threads")

Curves = dict[str, list[CsvRow]]
"""The rows of each model, shortest fit first."""


class Reached(NamedTuple):
    """Seconds to a PSNR; `at_most`, where the shortest fit is there already."""

    seconds: float
    at_most: bool = False

    def __str__(self) -> str:
        return f"{'at most ' if self.at_most else ''}{self.seconds:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="CSV of gigapixel.py")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/gigapixel.png"))
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    options = parser.parse_args()
    groups = groups_of(read_rows(options.rows))
    draw(groups, options.picture)
    link = os.path.relpath(options.picture, options.into.parent if options.into else Path("docs"))
    text = "\n".join([f"![PSNR over seconds]({link})\n", *tables(groups)])
    print(text)
    if options.into:
        replace(options.into, "gigapixel", text)


def groups_of(rows: Sequence[CsvRow]) -> dict[tuple[str, ...], Curves]:
    """Rows that can be compared, by what they are of and where they were measured."""
    newest = {(place_of(row), row["model"], int(row["iterations"])): row for row in rows}
    groups: dict[tuple[str, ...], Curves] = defaultdict(lambda: defaultdict(list))
    for place, model, iterations in sorted(newest, key=lambda key: key[2]):
        groups[place][model].append(newest[place, model, iterations])
    return {place: dict(sorted(groups[place].items())) for place in sorted(groups)}


def place_of(row: CsvRow) -> tuple[str, ...]:
    return tuple(row[name] for name in PLACE)


# --- time to equal PSNR --------------------------------------------------------------------------


def seconds_to(psnr_db: float, rows: Sequence[CsvRow]) -> Reached:
    """When fits that take longer and longer first come to a PSNR, which the last of them does."""
    points = [(float(row["seconds"]), float(row["psnr_db"])) for row in rows]
    if points[0][1] >= psnr_db:
        return Reached(points[0][0], at_most=True)
    for (s0, db0), (s1, db1) in pairwise(points):
        if db1 >= psnr_db:
            share = (psnr_db - db0) / (db1 - db0)
            return Reached(math.exp(math.log(s0) + share * (math.log(s1) - math.log(s0))))
    raise ValueError(f"no fit comes to {psnr_db:g} dB")


def comparisons(curves: Curves) -> Iterator[tuple[str, float, Reached, Reached]]:
    """Each model, the PSNR at which it is compared, and the reference's time to it and its own."""
    if REFERENCE not in curves:
        return
    reference = curves[REFERENCE]
    for model, rows in curves.items():
        if model != REFERENCE:
            psnr_db = min(float(reference[-1]["psnr_db"]), float(rows[-1]["psnr_db"]))
            yield model, psnr_db, seconds_to(psnr_db, reference), seconds_to(psnr_db, rows)


# --- tables and picture --------------------------------------------------------------------------


def tables(groups: Mapping[tuple[str, ...], Curves]) -> Iterator[str]:
    """Those of each machine."""
    for where in dict.fromkeys(place[-2:] for place in groups):
        here = {place: curves for place, curves in groups.items() if place[-2:] == where}
        yield f"{where[0]}; {where[1]} threads of the CPU.\n"
        yield from head("signal", "model", "at equal PSNR, dB", f"{REFERENCE}, s", "s", "ratio")
        for place, curves in here.items():
            for model, psnr_db, its, own in comparisons(curves):
                exact = not (its.at_most or own.at_most)
                ratio = f"{own.seconds / its.seconds:.2f}" if exact else ""
                cells = (f"{psnr_db:.2f}", str(its), str(own), ratio)
                yield line(name_of(place), model, *cells)
        yield ""
        for place, curves in here.items():
            yield f"{name_of(place)}:\n"
            yield from runs(curves)
            yield ""


def runs(curves: Curves) -> Iterator[str]:
    """A line for each fit."""
    names = ("model", "iterations", "points of a batch", "s", "PSNR, dB", "bytes", "bits a point")
    yield from head(*names, "MiB", "without the file", "decode, s")
    for row in (row for rows in curves.values() for row in rows):
        yield line(
            *(row[name] for name in ("model", "iterations", "batch_points")),
            f"{float(row['seconds']):.1f}",
            f"{float(row['psnr_db']):.2f}",
            row["n_bytes"],
            f"{float(row['bits_per_point']):.4f}",
            *(f"{float(row[name]):.0f}" for name in ("peak_mib", "own_mib")),
            f"{float(row['decode_s']):.1f}",
        )


def name_of(place: Sequence[str]) -> str:
    """What a group is of."""
    signal, size, bits, log2_table_size, *_ = place
    sides = size.replace("x", " x ")
    return f"{signal} {sides}, {float(bits):g} bits a point, tables of 2^{log2_table_size}"


def draw(groups: Mapping[tuple[str, ...], Curves], picture: Path) -> None:
    """A panel for each group."""
    n_panels = max(len(groups), 1)
    size = (6.0 * n_panels, 4.0)
    figure, panels = plt.subplots(1, n_panels, figsize=size, layout="constrained", squeeze=False)
    for axes, (place, curves) in zip(panels[0], groups.items(), strict=False):
        for model, rows in curves.items():
            points = [(float(row["seconds"]), float(row["psnr_db"])) for row in rows]
            axes.plot(*zip(*points, strict=True), "o-", label=model)
        axes.set(xscale="log", xlabel="seconds of fit and coding", ylabel="PSNR, dB")
        axes.set_title(name_of(place), fontsize=10)
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
