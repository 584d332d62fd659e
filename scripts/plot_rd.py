"""Draw rate against distortion, and write the table of means, from the rows of `run_rd.py`.

    python scripts/plot_rd.py data/rd/images.csv --into docs/results.md

The name of a CSV of rows tells its set: images, sounds or films; with no CSV, those in data/rd
are taken. A target counts only if every file of the CSV has it, so that all points are means over
the same files. One picture for each set goes to docs/images. The tables are printed; with --into,
what stands in a page between the comments `<!-- images -->` and `<!-- /images -->` is replaced by
the set's picture and table.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

RD = Path("data/rd")
MEASURES = {"psnr_db": "PSNR, dB", "snr_db": "SNR, dB"}
PANELS = {
    "images": (("bpp", "psnr_db"),),
    "sounds": (("kbps", "snr_db"), ("kbps", "psnr_db")),
    "films": (("bpp", "psnr_db"),),
}
RATES = {"bpp": "bits per pixel of the whole file", "kbps": "kbps of the whole file"}
LINES = {
    "siren": ("tab:blue", "s-"),
    "spder": ("tab:cyan", "D-"),
    "hashgrid": ("tab:red", "o-"),
    "simplexgrid": ("tab:orange", "v-"),
    "simplexgrid-skewed": ("tab:brown", "<-"),
    "latentgrid": ("tab:pink", "P-"),
    "jpeg": ("0.35", "^--"),
    "mp3": ("0.35", "^--"),
    "x264": ("0.35", "^--"),
    "COIN, published": ("tab:purple", "x:"),
    "COIN++, published": ("tab:green", "+:"),
    "MP3, published": ("0.6", "1:"),
}
BASELINES = ("jpeg", "mp3", "x264")
MOST_OF_RATES = 1.6  # a picture ends at so many times the largest rate that is asked of a model

CsvRow = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A mean over files, or a published one, of which only some values are known."""

    codec: str
    values: Mapping[str, float]
    n_reached: int = 0
    n_files: int = 0


def main() -> None:
    """Read, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, nargs="*", help="images.csv, sounds.csv, films.csv")
    parser.add_argument("--published", type=Path, default=RD / "published.csv", help="CSV")
    parser.add_argument("--pictures", type=Path, default=Path("docs/images"), help="folder")
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    options = parser.parse_args()
    known = [RD / f"{name}.csv" for name in PANELS]
    for path in options.rows or [path for path in known if path.exists()]:
        if path.stem not in PANELS:
            parser.error(f"{path} is not one of {', '.join(PANELS)}, .csv")
        rows = read(path)
        points = [*means(rows), *published(options.published, path.stem)]
        picture = options.pictures / f"rd_{path.stem}.png"
        draw(points, path.stem, picture)
        text = "\n".join([*origin(rows), "", *table(points, path.stem)])
        print(f"{path.stem}\n\n{text}\n")
        if options.into:
            link = os.path.relpath(picture, options.into.parent)
            replace(options.into, path.stem, f"![{path.stem}: quality over rate]({link})\n\n{text}")


# --- points --------------------------------------------------------------------------------------


def read(path: Path) -> list[CsvRow]:
    """The rows of a CSV."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def means(rows: Sequence[CsvRow]) -> Iterator[Point]:
    """The mean of each target that all files have; models of several budgets are told apart."""
    n_files = len({row["file"] for row in rows})
    budgets, groups = defaultdict(set), defaultdict(list)
    for row in rows:
        budgets[row["model"]].add(row["budget_s"])
        groups[row["model"], row["target"], row["budget_s"]].append(row)
    for (model, _, budget), group in groups.items():
        if len(group) == n_files:
            name = model if len(budgets[model]) == 1 else f"{model}, {float(budget):g} s"
            n_reached = sum(row["reached"] == "True" for row in group)
            values = mean_of(group)
            yield Point(codec=name, values=values, n_reached=n_reached, n_files=n_files)


def mean_of(group: Sequence[CsvRow]) -> dict[str, float]:
    """The mean of every column that all rows of a group have."""
    names = ("n_bytes", *RATES, *MEASURES, "encode_s", "decode_s")
    full = [name for name in names if all(row[name] for row in group)]
    return {name: sum(float(row[name]) for row in group) / len(group) for name in full}


def published(path: Path, of_set: str) -> Iterator[Point]:
    """Points of a set as their authors give them."""
    for row in read(path):
        if row["set"] == of_set:
            values = {name: float(row[name]) for name in (*RATES, "psnr_db") if row[name]}
            yield Point(codec=f"{row['codec']}, published", values=values)


# --- text ----------------------------------------------------------------------------------------


def origin(rows: Sequence[CsvRow]) -> Iterator[str]:
    """What was measured, where and when."""

    def all_of(name: str, some: Sequence[CsvRow] = rows) -> str:
        return ", ".join(dict.fromkeys(row[name] for row in some))

    fits = [row for row in rows if float(row["budget_s"])]
    dates = sorted(row["date"][:10] for row in rows)
    days = " to ".join(dict.fromkeys([dates[0], dates[-1]]))
    yield f"Means over {all_of('file')}; measured {days} at commit {all_of('commit')}."
    if fits:
        seconds, threads = all_of("budget_s", fits), all_of("threads", fits)
        yield f"Models: {seconds} s, {threads} threads to an encode; {all_of('machine', fits)}."


def table(points: Sequence[Point], of_set: str) -> Iterator[str]:
    """Markdown, lowest rate first. `on target`: files within 2 % of the rate."""
    rate, qualities = PANELS[of_set][0][0], [quality for _, quality in PANELS[of_set]]
    heads = ["codec", "bytes", rate, *(MEASURES[name] for name in qualities)]
    yield "| " + " | ".join([*heads, "encode, s", "decode, s", "on target"]) + " |"
    yield "|---|" + "---:|" * (len(heads) + 2)
    digits = {"n_bytes": 0, "bpp": 3, "kbps": 1, "encode_s": 2, "decode_s": 3}
    names = ["n_bytes", rate, *qualities, "encode_s", "decode_s"]
    for point in sorted(points, key=lambda point: point.values[rate]):
        known = point.values
        cells = [f"{known[n]:.{digits.get(n, 2)}f}" if n in known else "" for n in names]
        on_target = f"{point.n_reached} of {point.n_files}" if is_model(point) else ""
        yield f"| {point.codec} | {' | '.join(cells)} | {on_target} |"


def replace(page: Path, of_set: str, text: str) -> None:
    """Put a text between the comments of a set. Refuses a page without them."""
    first, last = f"<!-- {of_set} -->", f"<!-- /{of_set} -->"
    block = re.compile(f"{re.escape(first)}.*?{re.escape(last)}", re.DOTALL)
    old = page.read_text(encoding="utf-8")
    if len(block.findall(old)) != 1:
        raise SystemExit(f"{page} does not have {first} and {last} once")
    new = block.sub(lambda _: f"{first}\n{text}\n{last}", old)
    page.write_text(new, encoding="utf-8")


# --- pictures ------------------------------------------------------------------------------------


def draw(points: Sequence[Point], of_set: str, picture: Path) -> None:
    """One panel for each measure."""
    panels = PANELS[of_set]
    size = (7.0 * len(panels), 5.0)
    figure, row = plt.subplots(1, len(panels), figsize=size, layout="constrained", squeeze=False)
    for axes, (rate, quality) in zip(row[0], panels, strict=True):
        draw_panel(axes, points, rate=rate, quality=quality)
    n_files = max((point.n_files for point in points), default=0)
    title = f"{of_set}: mean of {n_files}" if n_files > 1 else of_set
    if any(point.n_files == 0 for point in points):
        title += "; published points are of other sets of files"
    figure.suptitle(title, fontsize=11)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=100)
    plt.close(figure)


def draw_panel(axes: Axes, points: Sequence[Point], *, rate: str, quality: str) -> None:
    """Quality over rate, a line for each codec."""
    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for point in points:
        if quality in point.values:
            lines[point.codec].append((point.values[rate], point.values[quality]))
    for name, line in lines.items():
        x, y = zip(*sorted(line), strict=True)
        color, style = LINES.get(name, (None, ".-"))
        axes.plot(x, y, style, color=color, label=name, markersize=6)
    asked = [point.values[rate] for point in points if is_model(point)]
    axes.set(xlabel=RATES[rate], ylabel=MEASURES[quality], xlim=(0.0, None))
    if asked:
        axes.set_xlim(0.0, MOST_OF_RATES * max(asked))
    axes.grid(alpha=0.3)
    if lines:
        axes.legend(loc="best")


def is_model(point: Point) -> bool:
    """Whether a point is of a codec of ours, neither a baseline nor published."""
    return point.n_files > 0 and point.codec not in BASELINES


if __name__ == "__main__":
    main()
