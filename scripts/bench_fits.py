"""Measure whole encodes by native code and by the reference, side by side, with what they reach.

    python scripts/bench_fits.py PICTURE... --rows data/bench/fits.csv --into docs/results.md

Each encode is a process of its own, `inrcodec encode --backend ...`, of as many iterations as the
other's and with the same batches; what is counted is its time from start to end, imports, coding
and checks included. Backends take turns. Rows that exist, by picture, model, backend, iterations,
bits per pixel, seed, threads and machine, are skipped. The table compares rows that differ in their
backend alone; it is written between `<!-- fits -->` and `<!-- /fits -->`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from latent_tables import head, line
from plot_rd import replace
from rows import CsvRow, Origin, append, now, read_rows, use_threads

from inrcodec import kernels

BACKENDS = ("native", "torch")
GAINS = ("torch / native", "dB, native - torch", "bytes, native - torch")
KEYS = ("picture", "model", "backend", "iterations", "bpp", "seed", "threads", "machine")


@dataclass(frozen=True, kw_only=True, slots=True)
class FitRow:
    picture: str
    model: str
    backend: str
    iterations: int
    bpp: float
    seed: int
    threads: int
    seconds: float
    n_bytes: int
    psnr_db: float
    date: str
    commit: str
    machine: str
    command: str


def main() -> None:
    """Measure what is missing, and write the table of all rows."""
    options = parse_arguments()
    use_threads(options.threads)
    names = {path: path.name for path in options.pictures}
    origin = Origin.here({options.rows: f"data/bench/{options.rows.name}", **names})
    done = {tuple(row[key] for key in KEYS) for row in read_rows(options.rows)}
    for seed, path, model in product(options.seeds, options.pictures, options.models):
        for backend in BACKENDS:
            what = (path.name, model, backend, options.iterations, options.bpp, seed)
            if (*map(str, what), str(kernels.threads()), origin.machine) in done:
                continue
            row = measure(path, dict(zip(KEYS, what, strict=False)), origin)
            append(options.rows, row)
            print(*what, f"{row.seconds:.1f} s, {row.psnr_db:.2f} dB", flush=True)
    text = "\n".join(table(read_rows(options.rows)))
    print(text)
    if options.into:
        replace(options.into, "fits", text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", type=Path, help="files to encode")
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    parser.add_argument("--models", nargs="+", default=["hashgrid", "simplexgrid"])
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--bpp", type=float, default=0.5)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--threads", type=int, help="of the CPU")
    return parser.parse_args()


def measure(path: Path, what: dict[str, object], origin: Origin) -> FitRow:
    """The row of one encode."""
    options = {
        "--model": what["model"],
        "--backend": what["backend"],
        "--iters": what["iterations"],
        "--bpp": what["bpp"],
        "--seed": what["seed"],
    }
    threads = str(kernels.threads())
    environment = os.environ | {"INRCODEC_THREADS": threads, "OMP_NUM_THREADS": threads}
    words = [str(word) for pair in options.items() for word in pair]
    with tempfile.TemporaryDirectory() as folder:
        start = [sys.executable, "-P", "-m", "inrcodec", "encode", path, "-o", f"{folder}/a.inr"]
        command = [*start, *words, "--json"]
        began = time.monotonic()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
        seconds = time.monotonic() - began
    report = json.loads(done.stdout.splitlines()[-1])
    return FitRow(
        **what,  # type: ignore[arg-type]
        threads=kernels.threads(),
        seconds=round(seconds, 2),
        n_bytes=report["bytes"],
        psnr_db=round(report["psnr_db"], 3),
        date=now(),
        **origin._asdict(),
    )


def table(rows: Sequence[CsvRow]) -> Iterator[str]:
    """A line for each model and budget of each machine."""
    shared = ("machine", "threads", "model", "iterations", "bpp")
    yield "Means over encodes; after ± the standard deviation of what pairs differ by.\n"
    yield from head(*shared, "encodes", *(f"s, {name}" for name in BACKENDS), *GAINS)
    for what in dict.fromkeys(tuple(row[key] for key in shared) for row in rows):
        some = [row for row in rows if tuple(row[key] for key in shared) == what]
        pairs = list(pairs_of(some))
        if pairs:
            yield line(*what, str(len(pairs)), *cells(pairs))


def pairs_of(rows: Sequence[CsvRow]) -> Iterator[tuple[CsvRow, CsvRow]]:
    """The rows of native code, each with that of the reference; of several the last."""
    last = {(row["picture"], row["seed"], row["backend"]): row for row in rows}
    for picture, seed, backend in last:
        if backend == "native" and (picture, seed, "torch") in last:
            yield last[picture, seed, "native"], last[picture, seed, "torch"]


def cells(pairs: Sequence[tuple[CsvRow, CsvRow]]) -> Iterator[str]:
    """Seconds of both, how many times as fast native code is, and what it gains."""

    def both(name: str) -> tuple[list[float], list[float]]:
        return [float(ours[name]) for ours, _ in pairs], [float(other[name]) for _, other in pairs]

    ours, theirs = both("seconds")
    yield from (f"{np.mean(ours):.1f}", f"{np.mean(theirs):.1f}")
    ratios = np.divide(theirs, ours)
    yield f"{np.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    for name, digits in (("psnr_db", 3), ("n_bytes", 0)):
        gains = np.subtract(*both(name))
        yield f"{np.mean(gains):+.{digits}f} ± {np.std(gains):.{digits}f}"


if __name__ == "__main__":
    main()
