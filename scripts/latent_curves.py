"""Points and curves of latent grids, from rows of `run_rd.py`, and those of others beside them.

The others: a table for each image (TSV: lambda, image, n_pixels, bpp, psnr_db) and JSON of mean
curves ({name: {"bpp": [...], "psnr_db": [...]}}), or of points for each image.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rows import CsvRow
from scipy.interpolate import PchipInterpolator

from inrcodec.errors import ConfigError
from inrcodec.metrics import BdRate, bd_rate

_POINTS_BETWEEN = 65

Curve = list[tuple[float, float]]
"""(bits per pixel, PSNR in dB)."""


@dataclass(frozen=True, slots=True)
class Point:
    """An image at a lambda; `j` is MSE + lambda x bpp, of samples in [0, 1]."""

    image: str
    lam: float
    bpp: float
    psnr_db: float

    @property
    def j(self) -> float:
        """What both codecs minimise."""
        return 10.0 ** (-self.psnr_db / 10.0) + self.lam * self.bpp


class Budget(NamedTuple):
    """What a fit was given."""

    iterations: int
    seconds: float


Points = Mapping[tuple[str, float], Point]
"""Points by image and lambda."""


# --- ours ----------------------------------------------------------------------------------------


def budget_of(row: CsvRow) -> Budget:
    """The budget of a row."""
    return Budget(int(row["budget_iterations"]), float(row["budget_s"]))


def of_one_budget(rows: Iterable[CsvRow], model: str = "latentgrid") -> list[CsvRow]:
    """The rows of whole images by a model, of the budget that most of them have."""
    groups: dict[Budget, list[CsvRow]] = defaultdict(list)
    for row in rows:
        if row["model"] == model and row["crop"] == "0":
            groups[budget_of(row)].append(row)
    return max(groups.values(), key=len, default=[])


def points_of(rows: Iterable[CsvRow]) -> dict[tuple[str, float], Point]:
    """Rows as points; of several at one place the last counts."""
    points = {}
    for row in rows:
        image, lam = row["file"], lambda_of(row)
        points[image, lam] = Point(image, lam, float(row["bpp"]), float(row["psnr_db"]))
    return points


def lambda_of(row: CsvRow) -> float:
    """The lambda that a row is of."""
    return float(row["target"].split()[0])


# --- others --------------------------------------------------------------------------------------


def read_table(path: Path) -> tuple[dict[tuple[str, float], Point], dict[str, int]]:
    """The points of a TSV, and the pixels of each image."""
    points, pixels = {}, {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            image, lam = row["image"], float(row["lambda"])
            points[image, lam] = Point(image, lam, float(row["bpp"]), float(row["psnr_db"]))
            pixels[image] = int(row["n_pixels"])
    return points, pixels


def write_table(path: Path, rows: Iterable[CsvRow], pixels: Mapping[str, int]) -> None:
    """Rows as such a TSV, in its order; images of unknown size are left out."""
    chosen = {(row["file"], lambda_of(row)): row for row in rows if row["file"] in pixels}
    lines = ["lambda\timage\tn_pixels\tbpp\tpsnr_db"]
    for (image, lam), row in sorted(chosen.items()):
        bpp = 8.0 * int(row["n_bytes"]) / pixels[image]
        lines.append(f"{lam:g}\t{image}\t{pixels[image]}\t{bpp:.6f}\t{row['psnr_db']}")
    path.write_text("\n".join(lines) + "\n")


def read_curves(path: Path) -> dict[str, Curve]:
    """Mean curves by name."""
    curves = json.loads(path.read_text()).items()
    return {name: list(zip(c["bpp"], c["psnr_db"], strict=True)) for name, c in curves}


def read_measured(path: Path) -> dict[str, dict[str, Curve]]:
    """Curves by image, without suffix, and codec."""
    images: dict[str, dict[str, Curve]] = defaultdict(lambda: defaultdict(list))
    for image in json.loads(path.read_text())["images"]:
        for point in image["points"]:
            curve = images[Path(image["image"]).stem][point["codec"]]
            curve.append((point["bpp"], point["psnr_db"]))
    return images


# --- means and differences -----------------------------------------------------------------------


def lambdas_of(points: Points) -> list[float]:
    """All lambdas, the lowest rate first."""
    return sorted({lam for _, lam in points}, reverse=True)


def images_of(points: Points) -> list[str]:
    """All images."""
    return sorted({image for image, _ in points})


def complete(points: Points) -> tuple[list[str], list[float]]:
    """Images and lambdas that have all their points, as many points as possible.

    Of as many as that, the most lambdas. So a mean is of the same images at each lambda.
    """
    held = {lam: {i for i, other in points if other == lam} for lam in lambdas_of(points)}
    fullest = sorted(held, key=lambda lam: -len(held[lam]))
    best: tuple[list[str], list[float]] = [], []
    for n in range(1, len(fullest) + 1):
        images = set.intersection(*(held[lam] for lam in fullest[:n]))
        if images and len(images) * n >= len(best[0]) * len(best[1]):
            best = sorted(images), sorted(fullest[:n], reverse=True)
    return best


def mean_curve(points: Points, images: Sequence[str], lambdas: Sequence[float]) -> Curve:
    """Means of rates and of decibels over images, at each lambda."""
    groups = [[points[image, lam] for image in images] for lam in lambdas]
    return [
        (sum(p.bpp for p in group) / len(group), sum(p.psnr_db for p in group) / len(group))
        for group in groups
    ]


def curve_of(points: Points, image: str, lambdas: Sequence[float]) -> Curve:
    """The curve of an image, at those of the lambdas that it has."""
    known = [points[image, lam] for lam in lambdas if (image, lam) in points]
    return [(point.bpp, point.psnr_db) for point in known]


def between(curve: Curve, low_db: float, high_db: float) -> Curve:
    """What a curve has in a range of quality, at many points of its PCHIP."""
    rate, quality = np.array(sorted(curve)).T
    at = np.linspace(max(low_db, quality[0]), min(high_db, quality[-1]), _POINTS_BETWEEN)
    rates = np.exp(PchipInterpolator(quality, np.log(rate))(at))
    return list(zip(rates.tolist(), at.tolist(), strict=True))


def difference(anchor: Curve, test: Curve) -> BdRate | None:
    """How many percent more bytes `test` takes; None where that cannot be said."""
    try:
        return bd_rate(anchor, test)
    except ConfigError:
        return None


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios."""
    return math.exp(sum(math.log(value) for value in values) / len(values))
