"""Measure an iteration of the fit of latent grids, in plain torch and in native code, in one run.

    python scripts/bench_fit.py rows.csv                        # 256x256 and 768x512, all sizes
    python scripts/bench_fit.py rows.csv --extents 256x256 --sizes 2 --threads 1 --seconds 1

Appends a row a measurement to the CSV: what, unit, median, p20, p80, threads, instruction_set,
machine, commit, command. Torch and native code take turns; beside native code torch has one thread,
as in a fit. The pixels are noise: what an iteration takes does not depend on them. A busy machine
shows in the distance from p20 to p80.
"""

from __future__ import annotations

import argparse
import csv
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inrcodec import kernels
from inrcodec.kernels import LatentShape, dispatch
from inrcodec.representations.latentgrid.fit_tile import Target, TileFit
from inrcodec.representations.latentgrid.schedule import moment_of

FIELDS = (
    "what",
    "unit",
    "median",
    "p20",
    "p80",
    "threads",
    "instruction_set",
    "machine",
    "commit",
    "command",
)
BACKENDS = ("torch", "native")
LAMBDA = 1e-3
MOMENT = moment_of(0.5, resumed=False)


def fit_of(height: int, width: int, size: int) -> TileFit:
    """A fit of noise, seven levels with hyperlatents at three."""
    shape = LatentShape(height, width, 3, size, 7, 3)
    pixels = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    target = Target(pixels=pixels, weights=None, offsets=torch.full((3, 1, 1), 0.5), scale=1.0)
    n_pixels = height * width
    return TileFit(shape, target, n_samples=3 * n_pixels, n_pixels=n_pixels, seed=0)


def measure(height: int, width: int, size: int, seconds: float) -> dict[str, list[float]]:
    """Milliseconds of single iterations, by backend; at least ten of each."""
    fits = {backend: fit_of(height, width, size) for backend in BACKENDS}
    times: dict[str, list[float]] = {backend: [] for backend in BACKENDS}
    for round_number in range(10_000):
        for backend, fit in fits.items():
            kernels.set_backend("torch" if backend == "torch" else "native")
            torch.set_num_threads(kernels.threads() if backend == "torch" else 1)
            began = time.perf_counter()
            fit.step(MOMENT, LAMBDA)
            if round_number >= 2:  # the first ones make room
                times[backend].append(1e3 * (time.perf_counter() - began))
        if round_number >= 12 and sum(map(sum, times.values())) > 1e3 * seconds:
            break
    return times


def instruction_set(backend: str) -> str:
    module = dispatch.installed()
    return module.instruction_set() if backend == "native" and module else "-"


def machine() -> str:
    """The processor by name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x{len(names)}" if names else platform.processor() or platform.machine()


def commit() -> str:
    """The commit that is checked out, "-" where there is none."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "-"


def append(path: Path, rows: list[dict[str, Any]]) -> None:
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


def rows_of(what: str, times: dict[str, list[float]], n_threads: int) -> list[dict[str, Any]]:
    rows = []
    for backend, values in times.items():
        p20, median, p80 = np.quantile(values, [0.2, 0.5, 0.8])
        rows.append(
            {
                "what": f"{what} {backend}",
                "unit": "ms/iteration",
                "median": f"{median:.2f}",
                "p20": f"{p20:.2f}",
                "p80": f"{p80:.2f}",
                "threads": n_threads,
                "instruction_set": instruction_set(backend),
                "machine": machine(),
                "commit": commit(),
                "command": " ".join(["python", *sys.argv]),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument(
        "--extents", nargs="+", default=["256x256", "768x512"], help="width x height"
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement, at least")
    options = parser.parse_args()
    if problem := dispatch.native_problem():
        sys.exit(f"native code is not available: {problem}")
    for n_threads in options.threads:
        kernels.set_threads(n_threads)
        for extent in options.extents:
            width, height = map(int, extent.split("x"))
            for size in options.sizes:
                times = measure(height, width, size, options.seconds)
                rows = rows_of(f"fit {extent} size {size}", times, n_threads)
                append(options.csv, rows)
                for row in rows:
                    print(*(row[field] for field in FIELDS[:7]))


if __name__ == "__main__":
    main()
