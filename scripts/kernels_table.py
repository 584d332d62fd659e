"""Write the table and the picture of the interpolation of grids, from measured rows.

    python scripts/kernels_table.py data/bench/kernels.csv --into docs/results.md

The rows are those of `bench_kernels.py`; of several of the same, the last counts. Written are
docs/images/kernels.png and, with --into, what stands in a page between the comments
`<!-- kernels -->` and `<!-- /kernels -->`. A line of the table is a pass over as many points by
one engine; "over torch" and "over linear" are the times of the reference, and of linear
interpolation by the same engine, over its own. The picture shows nanoseconds a point against the
bytes that it asks for, with what copying them would take.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from bench_kernels import ENGINES, ORDERS, PASSES
from latent_tables import head, line
from plot_rd import replace
from rows import CsvRow, read_rows

MARKERS = {"linear": "o", "smoothstep": "D", "nearest": "x", "kuhn": "^", "simplex": "v"}
COLORS = dict(zip(ENGINES, ("gray", "red", "cyan", "blue", "purple", "green"), strict=True))
Key = tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="CSV of bench_kernels.py")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/kernels.png"))
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    options = parser.parse_args()
    rows = newest(read_rows(options.rows))
    draw(rows, options.picture)
    link = os.path.relpath(options.picture, options.into.parent if options.into else Path("docs"))
    text = "\n".join([f"![nanoseconds by bytes]({link})\n", *table(rows)])
    print(text)
    if options.into:
        replace(options.into, "kernels", text)


def key_of(row: CsvRow, **changes: str) -> Key:
    """What a row is of, with some of it changed."""
    names = ("machine", "threads", "passed", "dims", "log2_points", "order")
    return tuple((row | changes)[name] for name in (*names, "interpolation", "engine"))


def newest(rows: Sequence[CsvRow]) -> list[CsvRow]:
    """The last row of each setting, in the order of the table."""
    last = {key_of(row): row for row in rows}
    return sorted(
        last.values(),
        key=lambda row: (
            row["machine"],
            int(row["threads"]),
            int(row["dims"]),
            int(row["log2_points"]),
            ORDERS.index(row["order"]),
            PASSES.index(row["passed"]),
            list(MARKERS).index(row["interpolation"]),
            ENGINES.index(row["engine"]),
        ),
    )


def table(rows: Sequence[CsvRow]) -> Iterator[str]:
    """A line for each row, a table for each machine."""
    times = {key_of(row): float(row["ms"]) for row in rows}
    yield "Milliseconds are medians, in brackets the quantiles 0.2 and 0.8.\n"
    names = ("interpolation", "axes", "points", "order", "pass", "engine")
    for machine, threads in dict.fromkeys((row["machine"], row["threads"]) for row in rows):
        own = [row for row in rows if (row["machine"], row["threads"]) == (machine, threads)]
        yield f"{machine}; {threads} threads of the CPU.\n"
        if any(on_gpu(row) for row in own):
            yield from gpu_table(own, times)
            continue
        yield from head(*names, "ms", "over torch", "over linear", "GB/s", "of a copy")
        for row in own:
            yield line(*cells(row, times))
        yield ""


def on_gpu(row: CsvRow) -> bool:
    return "cuda" in row["engine"] or row["engine"] == "tcnn"


def gpu_table(rows: Sequence[CsvRow], times: dict[Key, float]) -> Iterator[str]:
    """A line for each pass over as many points, the engines of a GPU side by side."""
    engines = ("torch-cuda", "cuda", "cuda-float16", "tcnn")
    ours, names = "cuda-float16", ("interpolation", "axes", "points", "order", "pass")
    yield from head(*names, *engines, "tcnn over ours", "linear over ours", "of a copy")
    for row in rows:
        if row["engine"] != ours:
            continue
        found = [times.get(key_of(row, engine=engine)) for engine in engines]
        linear = times.get(key_of(row, interpolation="linear"))
        ms = float(row["ms"])
        yield line(
            *(row["interpolation"], row["dims"], f"2^{row['log2_points']}", row["order"]),
            row["passed"],
            *(f"{time:.2f}" if time else "" for time in found),
            *(f"{time / ms:.2f}" if time else "" for time in (found[-1], linear)),
            f"{100 * float(row['copy_share']):.0f} %",
        )
    yield ""


def cells(row: CsvRow, times: dict[Key, float]) -> Iterator[str]:
    """The cells of a row."""
    reference = times.get(key_of(row, engine="torch"))
    linear = times.get(key_of(row, interpolation="linear"))
    ms = float(row["ms"])
    yield from (row["interpolation"], row["dims"], f"2^{row['log2_points']}", row["order"])
    yield from (row["passed"], row["engine"])
    yield f"{ms:.2f} ({float(row['ms_p20']):.2f}-{float(row['ms_p80']):.2f})"
    yield from (f"{time / ms:.2f}" if time else "" for time in (reference, linear))
    yield from (f"{float(row['gb_per_s']):.1f}", f"{100 * float(row['copy_share']):.0f} %")


def draw(rows: Sequence[CsvRow], picture: Path) -> None:
    """A panel for each pass."""
    figure, panels = plt.subplots(1, 3, figsize=(15.0, 5.0), layout="constrained", sharey=True)
    for passed, axes in zip(PASSES, panels, strict=True):
        for engine in ENGINES:
            for interpolation, marker in MARKERS.items():
                some = [row for row in rows if (row["passed"], row["engine"]) == (passed, engine)]
                some = [row for row in some if row["interpolation"] == interpolation]
                points = [2 ** int(row["log2_points"]) for row in some]
                bytes_each = [int(row["n_bytes"]) / n for row, n in zip(some, points, strict=True)]
                times = [1e6 * float(row["ms"]) / n for row, n in zip(some, points, strict=True)]
                style = {"marker": marker, "color": f"tab:{COLORS[engine]}", "alpha": 0.7}
                label = f"{engine}, {interpolation}"
                axes.plot(bytes_each, times, linestyle="", label=label if some else None, **style)
        copies(axes, [row for row in rows if row["passed"] == passed])
        axes.set(xscale="log", yscale="log", title=passed, xlabel="bytes that a point asks for")
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("nanoseconds a point")
    panels[-1].legend(fontsize=7)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=100)
    plt.close(figure)


def copies(axes: plt.Axes, rows: Sequence[CsvRow]) -> None:
    """What copying as many bytes takes, for each machine."""
    rates = {}
    for row in rows:
        if float(row["copy_share"]) > 0:
            on_gpu = row["engine"] not in ("torch", "native")
            rates[row["machine"], on_gpu] = float(row["gb_per_s"]) / float(row["copy_share"])
    span = [min(axes.get_xlim()[0], 100.0), max(axes.get_xlim()[1], 1000.0)]
    for (_, on_gpu), rate in rates.items():
        name = f"a copy on the {'GPU' if on_gpu else 'CPU'}, {rate:.0f} GB/s"
        axes.plot(span, [n / rate for n in span], "--", color="0.5", label=name, linewidth=1)


if __name__ == "__main__":
    main()
