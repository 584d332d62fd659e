"""Write the table and the picture of J over the seconds of an encode, from rows of `run_rd.py`.

    python scripts/time_table.py ANCHORS data/rd/kodak_{time,fast,medium,long}.csv --into PAGE

J = MSE + lambda x bpp is that of each image over Cool-chic's, as published
(ANCHORS/coolchic_5.0_kodak.tsv), which took 10,000 iterations. A point is the geometric mean over
images at one lambda, for a machine, its threads and a number of iterations; only images that every
point has are counted. Written are docs/images/rd_time.png and, with --into, what stands in a page
between the comments `<!-- latentgrid-time -->` and `<!-- /latentgrid-time -->`.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from latent_curves import Points, budget_of, geometric_mean, lambda_of, points_of, read_table
from latent_tables import head, line, mean
from plot_rd import replace
from rows import CsvRow, read_rows


class Setting(NamedTuple):
    """Where an encode ran, and with how many iterations."""

    machine: str
    threads: int
    iterations: int

    @property
    def place(self) -> str:
        """The machine, with its threads where there is no GPU."""
        gpu = self.machine.rpartition("NVIDIA ")[2] if "NVIDIA" in self.machine else ""
        return f"NVIDIA {gpu}" if gpu else f"{self.machine}, {self.threads} threads"


Groups = Mapping[Setting, Sequence[CsvRow]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("anchors", type=Path, help="folder with the points of Cool-chic")
    parser.add_argument("rows", type=Path, nargs="+", help="CSVs of run_rd.py")
    parser.add_argument("--lam", type=float, default=0.001, help="the lambda that is compared")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/rd_time.png"))
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    options = parser.parse_args()
    peer, _ = read_table(options.anchors / "coolchic_5.0_kodak.tsv")
    rows = [row for path in options.rows for row in read_rows(path) if row["model"] == "latentgrid"]
    groups = of_same_images([row for row in rows if lambda_of(row) == options.lam])
    draw(groups, peer, options.picture)
    link = os.path.relpath(options.picture, options.into.parent if options.into else Path("docs"))
    text = "\n".join([f"![J over seconds]({link})\n", *table(groups, peer)])
    print(text)
    if options.into:
        replace(options.into, "latentgrid-time", text)


def of_same_images(rows: Sequence[CsvRow]) -> dict[Setting, list[CsvRow]]:
    """Rows by setting, fewest iterations first, of the images that all settings have."""
    groups: dict[Setting, dict[str, CsvRow]] = defaultdict(dict)
    for row in rows:
        setting = Setting(row["machine"], int(row["threads"]), budget_of(row).iterations)
        groups[setting][row["file"]] = row
    images = set.intersection(*map(set, groups.values())) if groups else set()
    if not images:
        raise SystemExit("no image has a row of every machine and number of iterations")
    order = sorted(groups, key=lambda setting: (setting.place, setting.iterations))
    return {setting: [groups[setting][image] for image in sorted(images)] for setting in order}


def ratio(rows: Sequence[CsvRow], peer: Points) -> float:
    """J over that of the peer, the geometric mean."""
    return geometric_mean([point.j / peer[key].j for key, point in points_of(rows).items()])


def table(groups: Groups, peer: Points) -> Iterator[str]:
    """A line for each setting."""
    rows = next(iter(groups.values()))
    images = ", ".join(row["file"] for row in rows)
    yield f"Lambda {lambda_of(rows[0]):g}; {images}.\n"
    yield from head("machine", "iterations", "encode, s", "J over Cool-chic 5.0")
    for setting, some in groups.items():
        seconds = f"{mean(some, 'encode_s'):.1f}"
        yield line(setting.place, str(setting.iterations), seconds, f"{ratio(some, peer):.3f}")


def draw(groups: Groups, peer: Points, picture: Path) -> None:
    """A line for each machine, over seconds."""
    figure, axes = plt.subplots(figsize=(8.0, 4.5), layout="constrained")
    for place in dict.fromkeys(setting.place for setting in groups):
        own = {setting: rows for setting, rows in groups.items() if setting.place == place}
        seconds = [mean(rows, "encode_s") for rows in own.values()]
        ratios = [ratio(rows, peer) for rows in own.values()]
        axes.plot(seconds, ratios, "o-", label=place)
        for setting, x, y in zip(own, seconds, ratios, strict=True):
            axes.annotate(f"{setting.iterations}", (x, y), (4, 4), textcoords="offset points")
    axes.axhline(1.0, color="0.5", linestyle="--", label="Cool-chic 5.0, as published")
    axes.set(xscale="log", xlabel="seconds of an encode", ylabel="J over Cool-chic's")
    axes.set_title("Quality for time; numbers are iterations", fontsize=10)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
