"""Measure what a call of a kernel takes beside its work: of 64 points, on a grid of few entries.

    python scripts/bench_calls.py --rows data/bench/calls.csv --threads 1 --into docs/results.md

Calls: `grid`, features by the table; `grid-coords`, by coordinates too; `mlp`, a network of 16
hidden units; `grid-mlp`, one behind the grid; `nothing`, a function of torch's autograd that
allocates its results and does no more. Passes: `forward`, recorded by autograd, and `both`, with
all gradients. Devices: `cpu`, and `cuda` where there is a GPU, on which a call ends when its work
is queued.

Calls take turns. A row has the median and the quantiles 0.2 and 0.8 of the microseconds. Rows that
exist, by machine, device and commit, are skipped. With --into, the table of all rows is written
into a page, between the comments `<!-- calls -->` and `<!-- /calls -->`, a column for each commit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_kernels import begun
from latent_tables import head, line
from plot_rd import replace
from rows import CsvRow, append, now, read_rows
from torch import Tensor

from inrcodec import kernels
from inrcodec.kernels import GridGeometry, GridPerceptron, Perceptron

GEOMETRY = GridGeometry(3, 16, 2, log2_table_size=6, base_resolution=2, growth=1.5)
SHAPE = GridPerceptron(GEOMETRY, Perceptron((GEOMETRY.n_outputs, 16, 3), False, "relu"))
POINTS, WARM_UP = 64, 50
PASSES = ("forward", "both")

Call = tuple[Callable[[], Tensor], Sequence[Tensor]]


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRow:
    call: str
    passed: str
    device: str
    us: float
    us_p20: float
    us_p80: float
    date: str
    commit: str
    machine: str
    command: str


class Nothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor) -> Tensor:
        ctx.save_for_backward(table)
        return table.new_empty(POINTS, GEOMETRY.n_outputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.empty_like(ctx.saved_tensors[0])


def main() -> None:
    """Measure what is missing."""
    options = parse_arguments()
    origin = begun(options)
    for device in ["cpu"] if kernels.gpu_problem() else ["cpu", "cuda"]:
        key = {"device": device, "commit": origin.commit, "machine": origin.machine}
        if any(key.items() <= row.items() for row in read_rows(options.rows)):
            continue
        for (call, passed), values in measure(calls(device), options.seconds).items():
            p20, us, p80 = (round(float(q), 2) for q in np.quantile(values, [0.2, 0.5, 0.8]))
            times = {"us": us, "us_p20": p20, "us_p80": p80}
            what = {"call": call, "passed": passed, "device": device}
            append(options.rows, CallRow(**what, **times, date=now(), **origin._asdict()))
            print(call, passed, device, f"{us:.1f} us", flush=True)
    if options.into:
        replace(options.into, "calls", "\n".join(table(read_rows(options.rows))))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    parser.add_argument("--seconds", type=float, default=10.0, help="of all calls together")
    return parser.parse_args()


def calls(device: str) -> dict[str, Call]:
    """What is called, and by what its gradients are."""
    generator = torch.Generator().manual_seed(0)

    def leaf(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator).to(device).requires_grad_()

    entries, values = leaf(GEOMETRY.n_entries, GEOMETRY.n_features), leaf(SHAPE.n_values)
    coords = leaf(POINTS, GEOMETRY.n_dims)
    x, features = coords.detach(), leaf(POINTS, GEOMETRY.n_outputs).detach()
    weights = [leaf(16, GEOMETRY.n_outputs), leaf(3, 16)]
    return {
        "grid": (lambda: kernels.grid_encode(x, entries, GEOMETRY), [entries]),
        "grid-coords": (lambda: kernels.grid_encode(coords, entries, GEOMETRY), [coords, entries]),
        "mlp": (lambda: kernels.mlp(features, weights, None, "relu"), weights),
        "grid-mlp": (lambda: kernels.grid_mlp(x, values, SHAPE), [values]),
        "nothing": (lambda: Nothing.apply(entries), [entries]),
    }


def measure(called: dict[str, Call], seconds: float) -> dict[tuple[str, str], list[float]]:
    """Microseconds of the turns that calls take."""
    runs = {(name, passed): run_of(called[name], passed) for name in called for passed in PASSES}
    times: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    began = time.monotonic()
    while time.monotonic() - began < seconds or len(times["grid", "both"]) <= WARM_UP:
        for key, run in runs.items():
            start = time.perf_counter()
            run()
            times[key].append(1e6 * (time.perf_counter() - start))
            if torch.cuda.is_available():
                torch.cuda.synchronize()
    return {key: values[WARM_UP:] for key, values in times.items()}


def run_of(call: Call, passed: str) -> Callable[[], object]:
    function, leaves = call
    if passed == "forward":
        return function
    gradient = torch.ones_like(function())
    return lambda: torch.autograd.grad(function(), leaves, gradient)


def table(rows: Sequence[CsvRow]) -> Iterator[str]:
    """A table for each machine: a line for each call, a column for each commit."""
    for machine, device in dict.fromkeys((row["machine"], row["device"]) for row in rows):
        own = [row for row in rows if (row["machine"], row["device"]) == (machine, device)]
        commits = list(dict.fromkeys(row["commit"] for row in own))
        yield f"{machine}; on {device}. Microseconds of a call, medians.\n"
        yield from head("call", "pass", *commits)
        found = {(row["call"], row["passed"], row["commit"]): float(row["us"]) for row in own}
        names = dict.fromkeys(row["call"] for row in own)
        for what in product(names, PASSES):
            yield line(*what, *(f"{found[*what, commit]:.1f}" for commit in commits))
        yield ""


if __name__ == "__main__":
    main()
