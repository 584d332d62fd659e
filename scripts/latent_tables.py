"""Tables in Markdown of rows of latent grids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from compare_coolchic import OURS, PEER, key_of
from latent_curves import budget_of, geometric_mean, lambda_of
from rows import CsvRow

from inrcodec.metrics import BdRate

BASE = "latentgrid"


# --- cells ---------------------------------------------------------------------------------------


def line(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def head(*names: str) -> Iterator[str]:
    """The first two lines; the first column is of words, the others of numbers."""
    yield line(*names)
    yield "|---|" + "---:|" * (len(names) - 1)


def percent(value: float) -> str:
    """With its sign."""
    return f"{value:+.1f} %"


def change_cells(change: BdRate | None) -> tuple[str, str]:
    """A BD-rate and its overlap; nothing if there is none."""
    return (percent(change.percent), f"{100.0 * change.overlap:.0f} %") if change else ("", "")


def mean(rows: Sequence[CsvRow], name: str) -> float:
    """The mean of a column."""
    return sum(float(row[name]) for row in rows) / len(rows)


# --- tables --------------------------------------------------------------------------------------


def origin(rows: Sequence[CsvRow]) -> Iterator[str]:
    """What was measured, with what budget, where and when."""

    def all_of(name: str) -> str:
        return ", ".join(dict.fromkeys(row[name] for row in rows))

    dates = sorted(row["date"][:10] for row in rows)
    days = " to ".join(dict.fromkeys([dates[0], dates[-1]]))
    sides = ", ".join(f"middle {c} x {c} pixels of " if c != "0" else "" for c in sides_of(rows))
    limits = []
    for budget in dict.fromkeys(budget_of(row) for row in rows):
        words = [f"{budget.iterations} iterations"] if budget.iterations else []
        words += [f"at most {budget.seconds:g} s"] if budget.seconds else []
        limits.append(" and ".join(words))
    yield (
        f"{len(rows)} encodes: {sides}{all_of('file')}. An encode has {', '.join(limits)} and"
        f" {all_of('threads')} threads. Measured {days} at commit {all_of('commit')};"
        f" {all_of('machine')}."
    )


def sides_of(rows: Sequence[CsvRow]) -> list[str]:
    """The sizes of crops."""
    return list(dict.fromkeys(row["crop"] for row in rows))


def bytes_table(rows: Sequence[CsvRow]) -> Iterator[str]:
    """Means at each lambda: bytes by section, work and time."""
    groups: dict[float, list[CsvRow]] = defaultdict(list)
    for row in rows:
        groups[lambda_of(row)].append(row)
    names = ("lambda", "images", "bytes", "networks", "latents", "frame", "bpp", "PSNR, dB")
    yield from head(*names, "MAC per pixel", "encode, s", "decode, s")
    for lam, group in sorted(groups.items(), reverse=True):
        sizes = [mean(group, name) for name in ("n_bytes", "network_bytes", "latent_bytes")]
        sizes.append(sizes[0] - sizes[1] - sizes[2])
        yield line(
            f"{lam:g}",
            str(len(group)),
            *(f"{size:.0f}" for size in sizes),
            f"{mean(group, 'bpp'):.4f}",
            f"{mean(group, 'psnr_db'):.2f}",
            f"{mean(group, 'macs_per_point'):.0f}",
            f"{mean(group, 'encode_s'):.1f}",
            f"{mean(group, 'decode_s'):.2f}",
        )


def ablation_table(rows: Sequence[CsvRow]) -> Iterator[str]:
    """Each variant over the whole: geometric means of ratios of J at the points of both."""
    points: dict[str, dict[tuple[str, str, str, str], CsvRow]] = defaultdict(dict)
    for row in rows:
        points[row["model"]][row["file"], row["target"], row["crop"], str(budget_of(row))] = row
    whole = points.get(BASE, {})
    lambdas = sorted({lambda_of(row) for row in rows}, reverse=True)
    heads = [f"J at {lam:g}" for lam in lambdas]
    yield from head("model", "points", *heads, "J", "networks, bytes", "MAC per pixel", "time")
    for model, mine in points.items():
        pairs = [(mine[key], whole[key]) for key in mine if key in whole]
        if not pairs:
            continue
        by_lambda = [[p for p in pairs if lambda_of(p[0]) == lam] for lam in lambdas]
        own = [row for row, _ in pairs]
        yield line(
            model,
            str(len(pairs)),
            *(f"{ratio(some, 'j'):.4f}" if some else "" for some in [*by_lambda, pairs]),
            f"{mean(own, 'network_bytes'):.0f}",
            f"{mean(own, 'macs_per_point'):.0f}",
            f"{ratio(pairs, 'encode_s'):.2f}",
        )


def ratio(pairs: Sequence[tuple[CsvRow, CsvRow]], name: str) -> float:
    """The geometric mean of ratios of a column."""
    return geometric_mean([float(one[name]) / float(other[name]) for one, other in pairs])


def crop_table(rows: Sequence[CsvRow]) -> Iterator[str]:
    """Ours and Cool-chic's own code, point by point; of several rows of one the last counts."""
    known = {key_of(row): row for row in rows}
    pairs = {p: (row, known[p, PEER]) for (p, name), row in known.items()
             if name == OURS and (p, PEER) in known}  # fmt: skip
    ours, theirs = ([pair[i] for pair in pairs.values()] for i in (0, 1))

    def all_of(some: list[CsvRow], name: str) -> str:
        return ", ".join(dict.fromkeys(row[name] for row in some))

    yield (
        f"The middle 256 x 256 pixels. Ours at commit {all_of(ours, 'version')}, Cool-chic"
        f" {all_of(theirs, 'version')}; threads {all_of(ours, 'threads')} and"
        f" {all_of(theirs, 'threads')}; {all_of([*ours, *theirs], 'machine')}. In each cell ours,"
        " then Cool-chic's; the last columns are ours over Cool-chic's.\n"
    )
    sizes = ("bytes", "of networks", "PSNR, dB")
    yield from head("image", "lambda", "iterations", *sizes, "J x 1000", "J", "time")
    for point, pair in pairs.items():
        j = [1000.0 * float(row["j"]) for row in pair]
        yield line(
            point.image,
            f"{point.lam:g}",
            str(point.iterations),
            *(f"{pair[0][name]}, {pair[1][name]}" for name in ("n_bytes", "network_bytes")),
            f"{float(pair[0]['psnr_db']):.2f}, {float(pair[1]['psnr_db']):.2f}",
            f"{j[0]:.4f}, {j[1]:.4f}",
            f"{j[0] / j[1]:.4f}",
            f"{float(pair[0]['seconds']) / float(pair[1]['seconds']):.2f}" if timed(pair) else "",
        )
    if pairs:
        whole = f"{ratio(list(pairs.values()), 'j'):.4f}"
        yield line("geometric mean", "", "", "", "", "", "", whole, "")


def timed(pair: Sequence[CsvRow]) -> bool:
    """Whether the seconds of both are known, on one machine and as many threads."""
    same = all(pair[0][name] == pair[1][name] for name in ("machine", "threads"))
    return same and all(row["seconds"] for row in pair)
