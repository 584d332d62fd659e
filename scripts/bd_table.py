"""Write the tables and the picture of latent grids beside other codecs, from rows of measurements.

    python scripts/bd_table.py data/rd ANCHORS --into docs/results.md

The first folder has the rows, as many as there are: kodak.csv, kodak_fast.csv, kodak_medium.csv,
kodak_long.csv, photos.csv and ablations.csv of `run_rd.py`, coolchic_crops.csv of
`compare_coolchic.py`. ANCHORS has coolchic_5.0_kodak.tsv (lambda, image, n_pixels, bpp, psnr_db),
kodak_mean_curves.json (curves, means over the 24 images) and images_measured.json (curves of each
photograph). Written are latentgrid_kodak.tsv beside the rows, docs/images/rd_latentgrid.png, and
with --into what stands in a page between the comments `<!-- latentgrid-kodak -->` and
`<!-- /latentgrid-kodak -->`, likewise -kodak_fast, -kodak_medium, -kodak_long, -photos, -ablations
and -crops. The tables are printed. BD-rates are of PCHIP curves, over the quality that both cover;
the overlap is the share of it in what either covers.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import latent_tables
from bd_picture import draw
from latent_curves import (
    Curve,
    Points,
    between,
    complete,
    curve_of,
    difference,
    geometric_mean,
    lambdas_of,
    mean_curve,
    of_one_budget,
    points_of,
    read_curves,
    read_measured,
    read_table,
    write_table,
)
from plot_rd import replace
from rows import CsvRow, read_rows

from inrcodec.metrics import BdRate

PEER = "Cool-chic 5.0"
PHOTO_CODECS = ("jpeg", "webp", "jxl", "avif")


def main() -> None:
    """Read, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="folder with CSVs of rows")
    parser.add_argument("anchors", type=Path, help="folder with the curves of others")
    parser.add_argument("--pictures", type=Path, default=Path("docs/images"), help="folder")
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    options = parser.parse_args()
    for name, block in (
        ("kodak", kodak),
        ("kodak_fast", kodak_tables),
        ("kodak_medium", kodak_tables),
        ("kodak_long", kodak_tables),
        ("photos", photos),
        ("ablations", ablations),
        ("coolchic_crops", crops),
    ):
        rows = read_rows(options.rows / f"{name}.csv")
        if rows:
            text = "\n".join(block(rows, options))
            print(f"{name}\n\n{text}\n")
            if options.into:
                replace(options.into, f"latentgrid-{name.removeprefix('coolchic_')}", text)


def kodak(rows: list[CsvRow], options: argparse.Namespace) -> Iterator[str]:
    """Kodak, with a picture of the curves."""
    rows = of_one_budget(rows)
    peer, pixels = read_table(options.anchors / "coolchic_5.0_kodak.tsv")
    write_table(options.rows / "latentgrid_kodak.tsv", rows, pixels)
    images, lambdas = complete(shared(points_of(rows), peer))
    if len(lambdas) > 2:  # fewer make no curve
        picture = options.pictures / "rd_latentgrid.png"
        near = {
            "latentgrid": mean_curve(points_of(rows), images, lambdas),
            PEER: mean_curve(peer, images, lambdas),
        }
        curves = read_curves(options.anchors / "kodak_mean_curves.json")
        whole = mean_curve(peer, *complete(peer))
        draw(picture, near, {**curves, PEER: whole}, n_images=len(images))
        link = os.path.relpath(picture, options.into.parent if options.into else Path("docs"))
        yield f"![quality over rate, and bytes beside Cool-chic's]({link})\n"
    yield from kodak_tables(rows, options)


def kodak_tables(rows: list[CsvRow], options: argparse.Namespace) -> Iterator[str]:
    """Kodak: beside Cool-chic on the same images, and beside curves of all 24."""
    rows = of_one_budget(rows)
    peer, _ = read_table(options.anchors / "coolchic_5.0_kodak.tsv")
    ours = shared(points_of(rows), peer)
    yield from latent_tables.origin(rows)
    yield f"\nBeside {PEER} as published, at the same lambdas; J = MSE + lambda x bpp, a ratio.\n"
    yield from image_table(ours, peer)
    yield ""
    images, lambdas = complete(ours)
    if len(lambdas) > 1:
        mine, same = (mean_curve(points, images, lambdas) for points in (ours, peer))
        whole = mean_curve(peer, *complete(peer))
        few = difference(whole, mean_curve(peer, complete(peer)[0], lambdas))
        yield mean_text(len(images), len(lambdas), few)
        yield ""
        curves = read_curves(options.anchors / "kodak_mean_curves.json")
        yield from mean_table(mine, same, whole, curves=curves, n_images=len(images))
        yield ""
    yield from latent_tables.bytes_table(rows)


def shared(ours: Points, peer: Points) -> Points:
    """Those of our points that the peer has too."""
    both = {key: point for key, point in ours.items() if key in peer}
    if not both:
        raise SystemExit("no row of Kodak is of an image and lambda that Cool-chic has a point of")
    return both


def image_table(ours: Points, peer: Points) -> Iterator[str]:
    """For each image the BD-rate over the peer, its overlap, and ratios of J."""
    both = shared(ours, peer)
    lambdas = lambdas_of(both)
    heads = [f"J at {lam:g}" for lam in lambdas]
    yield from latent_tables.head("image", "BD-rate", "overlap", *heads)
    changes, ratios = [], {lam: [] for lam in lambdas}
    for image in sorted({image for image, _ in both}):
        some = [lam for lam in lambdas if (image, lam) in both]
        change = difference(curve_of(peer, image, some), curve_of(ours, image, some))
        changes += [change] if change else []
        cells = []
        for lam in lambdas:
            if lam in some:
                ratios[lam].append(both[image, lam].j / peer[image, lam].j)
            cells.append(f"{ratios[lam][-1]:.3f}" if lam in some else "")
        yield latent_tables.line(image, *latent_tables.change_cells(change), *cells)
    mean = latent_tables.percent(sum(c.percent for c in changes) / len(changes)) if changes else ""
    cells = [f"{geometric_mean(ratios[lam]):.3f}" for lam in lambdas]
    yield latent_tables.line("mean; of J geometric", mean, "", *cells)


def mean_text(n_images: int, n_lambdas: int, few: BdRate | None) -> str:
    """What the table of means compares; `few`: the peer at these lambdas over its whole curve."""
    cut = f" ({PEER} at these lambdas over its whole curve: {few.percent:+.1f} %)" if few else ""
    return (
        f"BD-rate of the mean curve over {n_images} images at {n_lambdas} lambdas. Only the first"
        " line is of the same images; the other curves are means over all 24 of the set. So what"
        " stands beside those is also the difference of the sets, and of curves of few and of many"
        f" points{cut}. The last column is free of both: ours over {PEER} on the"
        f" same images and at the same lambdas, times {PEER} over the curve, both of 24 images."
    )


def mean_table(
    mine: Curve, same: Curve, whole: Curve, *, curves: Mapping[str, Curve], n_images: int
) -> Iterator[str]:
    """BD-rates of the mean curve, over the peer's on the `same` images and over those of all 24."""
    names = ("curve", "images", "BD-rate", "from, dB", "to, dB", "overlap", f"by {PEER}")
    yield from latent_tables.head(*names)
    here = difference(same, mine)
    yield mean_line(f"{PEER}, same images", n_images, here)
    for name, curve in curves.items():
        part = between(whole, here.low_db, here.high_db) if here else whole
        there, chain = difference(curve, part), ""
        if here and there:
            product = (1.0 + here.percent / 100.0) * (1.0 + there.percent / 100.0)
            chain = latent_tables.percent(100.0 * (product - 1.0))
        yield mean_line(name, 24, difference(curve, mine), chain)


def mean_line(name: str, n_images: int, change: BdRate | None, chain: str = "") -> str:
    """A line of that table."""
    span = [f"{change.low_db:.2f}", f"{change.high_db:.2f}"] if change else ["", ""]
    percent, overlap = latent_tables.change_cells(change)
    return latent_tables.line(name, str(n_images), percent, *span, overlap, chain)


def photos(rows: list[CsvRow], options: argparse.Namespace) -> Iterator[str]:
    """Photographs: beside codecs that were measured on the same files."""
    rows = of_one_budget(rows)
    ours = points_of(rows)
    measured = read_measured(options.anchors / "images_measured.json")
    yield from latent_tables.origin(rows)
    yield "\nBD-rate over each codec, and in brackets the overlap.\n"
    yield from latent_tables.head("image", "lambdas", *PHOTO_CODECS)
    sums: dict[str, list[float]] = {codec: [] for codec in PHOTO_CODECS}
    for image in sorted({image for image, _ in ours}):
        mine, cells = curve_of(ours, image, lambdas_of(ours)), []
        for codec in PHOTO_CODECS:
            change = difference(measured.get(image, {}).get(codec, []), mine)
            sums[codec] += [change.percent] if change else []
            percent, overlap = latent_tables.change_cells(change)
            cells.append(f"{percent} ({overlap})" if change else "")
        yield latent_tables.line(image, str(len(mine)), *cells)
    means = [latent_tables.percent(sum(x) / len(x)) if x else "" for x in sums.values()]
    yield latent_tables.line("mean", "", *means)
    yield ""
    yield from latent_tables.bytes_table(rows)


def ablations(rows: list[CsvRow], _options: argparse.Namespace) -> Iterator[str]:
    """What each part is worth."""
    yield from latent_tables.origin(rows)
    yield ""
    yield from latent_tables.ablation_table(rows)


def crops(rows: list[CsvRow], _options: argparse.Namespace) -> Iterator[str]:
    """Equal work: Cool-chic's own code on the same crops."""
    yield from latent_tables.crop_table(rows)


if __name__ == "__main__":
    main()
