"""Write the table and the picture of the engines that fit latent grids, from measured rows.

    python scripts/engine_table.py data/bench/engine.csv --into docs/results.md

The rows are those of `bench_engine.py`; of several of the same, the last counts. Written are
docs/images/engines.png and, with --into, what stands in a page between the comments
`<!-- engines -->` and `<!-- /engines -->`. A ratio is the time of the reference in torch over that
of an engine, both on the CPU, or both on the GPU, of one run.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from bench_engine import ENGINES, PARTS
from latent_tables import head, line
from plot_rd import replace
from rows import CsvRow, read_rows

COLORS = {
    "torch": "tab:gray",
    "compiled": "tab:olive",
    "native": "tab:red",
    "torch-cuda": "tab:cyan",
    "compiled-cuda": "tab:green",
    "cuda": "tab:blue",
}
Key = tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="CSV of bench_engine.py")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/engines.png"))
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    options = parser.parse_args()
    rows = newest(read_rows(options.rows))
    draw(rows, options.picture)
    link = os.path.relpath(options.picture, options.into.parent if options.into else Path("docs"))
    text = "\n".join([f"![milliseconds by engine]({link})\n", *table(rows)])
    print(text)
    if options.into:
        replace(options.into, "engines", text)


def newest(rows: list[CsvRow]) -> list[CsvRow]:
    """The last row of each part, engine, size and machine, in the order of the table."""
    last = {(*setting_of(row), row["part"], row["engine"]): row for row in rows}
    return sorted(
        last.values(),
        key=lambda row: (
            row["machine"],
            int(row["threads"]),
            int(row["width"]) * int(row["height"]),
            int(row["macs"]),
            PARTS.index(row["part"]),
            ENGINES.index(row["engine"]),
        ),
    )


def setting_of(row: CsvRow) -> Key:
    return row["machine"], row["threads"], row["width"], row["height"], row["macs"]


def table(rows: list[CsvRow]) -> Iterator[str]:
    """A line for each row."""
    yield "Milliseconds are medians, in brackets the quantiles 0.2 and 0.8.\n"
    times = {(*setting_of(row), row["part"], row["engine"]): float(row["ms"]) for row in rows}
    names = ("part", "engine", "extent", "MAC per pixel", "ms", "over torch", "GFLOP/s", "of peak")
    for machine in dict.fromkeys((row["machine"], row["threads"]) for row in rows):
        yield f"{machine[0]}; {machine[1]} threads of the CPU.\n"
        yield from head(*names)
        for row in rows:
            if (row["machine"], row["threads"]) != machine:
                continue
            reference = "torch-cuda" if "cuda" in row["engine"] else "torch"
            base = times.get((*setting_of(row), row["part"], reference))
            yield line(
                row["part"],
                row["engine"],
                f"{row['width']} x {row['height']}",
                row["macs"],
                f"{float(row['ms']):.2f} ({float(row['ms_p20']):.2f}-{float(row['ms_p80']):.2f})",
                f"{base / float(row['ms']):.1f}" if base else "",
                f"{float(row['gflops']):.0f}",
                f"{100 * float(row['peak_share']):.1f} %",
            )
        yield ""


def draw(rows: list[CsvRow], picture: Path) -> None:
    """Bars of all rows on a logarithmic axis."""
    height = 1.2 + 0.24 * len(rows)
    figure, axes = plt.subplots(figsize=(10.0, height), layout="constrained")
    labels = [
        f"{row['part']}, {row['width']}x{row['height']}, {row['macs']} MAC, {row['engine']}"
        + ("" if "cuda" in row["engine"] else f", {row['threads']} threads")
        for row in rows
    ]
    times = [float(row["ms"]) for row in rows]
    bars = axes.barh(range(len(rows)), times, color=[COLORS[row["engine"]] for row in rows])
    axes.bar_label(bars, [f"{time:.3g} ms" for time in times], padding=3, fontsize=7)
    axes.set(xscale="log", xlabel="milliseconds, median", ylim=(len(rows) - 0.4, -0.6))
    axes.set_yticks(range(len(rows)), labels, fontsize=7)
    axes.set_xlim(right=2.5 * max(times))
    axes.grid(alpha=0.3, axis="x")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    main()
