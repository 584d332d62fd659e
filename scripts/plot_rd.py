"""Draw rate against distortion: the mean over images of every model and target in a CSV of rows.

    python scripts/plot_rd.py data/rd/kodak.csv --published data/rd/published.csv \
        -o docs/images/rd_kodak.png

A target is drawn only if every image of the CSV has it, so that all points are means over the same
images. Prints the same means as a table.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

Curve = list[tuple[float, float]]
STYLES = {
    "hashgrid": ("tab:red", "o-"),
    "siren": ("tab:blue", "s-"),
    "jpeg": ("0.35", "^--"),
    "COIN": ("tab:purple", "x:"),
    "COIN++": ("tab:green", "+:"),
}


def main() -> None:
    """Read, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="CSV made by run_rd.py")
    parser.add_argument("--published", type=Path, help="CSV of codec, bpp, psnr_db, source")
    parser.add_argument("-o", "--output", type=Path, required=True, help="PNG to write")
    parser.add_argument("--max-bpp", type=float, default=1.3)
    options = parser.parse_args()
    curves, n_images = measured(options.rows)
    if options.published:
        curves |= published(options.published)
    for name, curve in curves.items():
        for bpp, psnr_db in curve:
            print(f"| {name} | {bpp:.3f} | {psnr_db:.2f} |")
    draw(curves, n_images, options=options)


def measured(path: Path) -> tuple[dict[str, Curve], int]:
    """Mean points by model, and the number of images they are means over."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    images = set()
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            images.add(row["file"])
            point = float(row["bpp"]), float(row["psnr_db"])
            groups[row["model"], row["target"]].append(point)
    curves: dict[str, Curve] = defaultdict(list)
    for (model, _), points in groups.items():
        if len(points) == len(images):
            bpp, psnr_db = (sum(column) / len(column) for column in zip(*points, strict=True))
            curves[model].append((bpp, psnr_db))
    return {model: sorted(curve) for model, curve in curves.items()}, len(images)


def published(path: Path) -> dict[str, Curve]:
    """Points by codec, as their authors give them."""
    curves: dict[str, Curve] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            curves[row["codec"]].append((float(row["bpp"]), float(row["psnr_db"])))
    return {codec: sorted(curve) for codec, curve in curves.items()}


def draw(curves: dict[str, Curve], n_images: int, *, options: argparse.Namespace) -> None:
    """One panel: PSNR over bits per pixel."""
    figure, axes = plt.subplots(figsize=(7.5, 5.0), layout="constrained")
    for name, curve in curves.items():
        color, style = STYLES.get(name, ("k", ".-"))
        bpp, psnr_db = zip(*curve, strict=True)
        axes.plot(bpp, psnr_db, style, color=color, label=name, markersize=6)
    axes.set(xlabel="rate, bits per pixel of the whole file", ylabel="PSNR-RGB, dB")
    axes.set_xlim(0.0, options.max_bpp)
    axes.set_title(
        f"Kodak: mean of {n_images} images; COIN and COIN++ as published, mean of all 24"
    )
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output, dpi=110)


if __name__ == "__main__":
    main()
