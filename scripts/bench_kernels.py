"""Measure the interpolation of multiresolution grids by every engine, side by side in one run.

    python scripts/bench_kernels.py --rows data/bench/kernels.csv --threads 2

Passes: `forward`, features of points; `backward`, the gradient of the table, given that of the
features; `both`, one after the other through autograd. Engines: `torch`, the reference, and
`native`, C++, on the CPU; where there is a GPU `torch-cuda` and `cuda`, the latter with tables and
features of float16 too, `cuda-float16`; `tcnn`, tiny-cuda-nn, where it is installed too (grids of
cubes, of float16 as it is made for). A grid has 16 levels of 2
features, tables of 2^19 entries and a base resolution of 16 that grows by 1.5. Points are `random`,
or `coherent`: on a regular grid, axis 0 fastest.

Engines take turns, so that a busy machine is busy for all. Memory that is freed stays with the
process, as in a fit: fresh pages would take as long as the kernels. A row has the median and the
quantiles 0.2 and 0.8 of the milliseconds, the bytes that the pass asks for (coordinates, features
or their gradient, and for each point the entries of its corners; a gradient's twice, to be read and
written), their rate in GB/s, and its ratio to what a copy of a large array reaches in the same
process; where caches serve entries again and again it is above 1. Rows that exist, by machine and
all that they are of, are skipped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rows import Origin, append, now, read_rows, use_threads
from torch import Tensor

from inrcodec import kernels
from inrcodec.kernels import GridGeometry, Interpolation, grid_encode
from inrcodec.representations.process import FREED_MEMORY_KEPT

PASSES = ("forward", "backward", "both")
ENGINES = ("torch", "native", "torch-cuda", "cuda", "cuda-float16", "tcnn")
TCNN = ("linear", "smoothstep", "nearest")
SHORT = ("cuda-float16", "tcnn")
ORDERS = ("random", "coherent")
LEVELS, FEATURES, LOG2_TABLE, BASE, GROWTH = 16, 2, 19, 16, 1.5
WARM_UP, LEAST_TURNS = 2, 5
COPIED_BYTES = 1 << 28

Run = Callable[[], object]


class Case(NamedTuple):
    """What is interpolated where."""

    interpolation: Interpolation
    dims: int
    log2_points: int
    order: str

    @property
    def geometry(self) -> GridGeometry:
        options = (LEVELS, FEATURES, LOG2_TABLE, BASE, GROWTH)
        return GridGeometry(self.dims, *options, interpolation=self.interpolation)

    def n_bytes(self, passed: str, engine: str) -> int:
        """What a pass asks for; gradients of tables take four bytes by our kernels, whatever the
        table has."""
        numbers = LEVELS * FEATURES
        features = (2 if engine in SHORT else 4) * numbers
        gradient = (2 if engine == "tcnn" else 4) * numbers
        one_way = 4 * self.dims + features
        of_point = {
            "forward": one_way + self.geometry.n_corners * features,
            "backward": one_way + 2 * self.geometry.n_corners * gradient,
        }
        of_point["both"] = sum(of_point.values())
        return of_point[passed] * 2**self.log2_points


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelRow:
    passed: str
    engine: str
    interpolation: str
    dims: int
    log2_points: int
    order: str
    threads: int
    ms: float
    ms_p20: float
    ms_p80: float
    n_bytes: int
    gb_per_s: float
    copy_share: float
    date: str
    commit: str
    machine: str
    command: str


def main() -> None:
    """Measure what is missing."""
    options = parse_arguments()
    origin = begun(options)
    with FREED_MEMORY_KEPT:
        for case, passed in product(cases(options), options.passes):
            engines = lacking(options, origin, passed=passed, **case._asdict())
            runs = {engine: prepare(passed, engine, case) for engine in engines}
            for engine, values in measure(runs, options.seconds).items():
                row = row_of((passed, engine), case, values, origin)
                append(options.rows, row)
                print(passed, engine, *case, f"{row.ms:.3f} ms", flush=True)


def begun(options: argparse.Namespace) -> Origin:
    """Where the rows of this run come from, with as many threads as it asks for."""
    use_threads(options.threads)
    return Origin.here({options.rows: f"data/bench/{options.rows.name}"})


def lacking(options: argparse.Namespace, origin: Origin, **what: object) -> list[str]:
    """The engines that have no row of this on this machine yet."""
    key = {**what, "threads": kernels.threads(), "machine": origin.machine}
    rows = read_rows(options.rows)
    done = {row["engine"] for row in rows if all(row[name] == str(key[name]) for name in key)}
    if what["interpolation"] not in TCNN:
        done.add("tcnn")
    return [engine for engine in options.engines if engine not in done]


def parse_arguments() -> argparse.Namespace:
    parser = parser_of(__doc__, ENGINES)
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=list(ORDERS))
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=list(PASSES))
    parser.set_defaults(dims=[2, 3, 4], log2_points=[18, 20, 22])
    parser.set_defaults(interpolations=["linear", "kuhn", "simplex"])
    return parser.parse_args()


def parser_of(text: str, engines: Sequence[str]) -> argparse.ArgumentParser:
    """What is measured of grids by which engines: those that run here, if nothing is said."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument("--dims", nargs="+", type=int)
    parser.add_argument("--log2-points", nargs="+", type=int)
    parser.add_argument("--interpolations", nargs="+")
    here = [engine for engine in engines if runs_here(engine)]
    parser.add_argument("--engines", nargs="+", choices=engines, default=here)
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--seconds", type=float, default=2.0, help="of all engines together")
    return parser


def runs_here(engine: str) -> bool:
    if device_of(engine) == "cuda":
        is_there = engine != "tcnn" or find_spec("tinycudann") is not None
        return is_there and not kernels.gpu_problem()
    return engine == "torch" or kernels.backend() == "native"


def cases(options: argparse.Namespace) -> Iterator[Case]:
    fields = (options.interpolations, options.dims, options.log2_points, options.orders)
    return (Case(*values) for values in product(*fields))


def measure(runs: dict[str, Run], seconds: float) -> dict[str, list[float]]:
    """Milliseconds of the turns that engines take."""
    times: dict[str, list[float]] = {engine: [] for engine in runs}
    began = time.monotonic()
    for turn in range(10_000):
        for engine, run in runs.items():
            times[engine].append(turn_of(engine, run))
        if turn >= WARM_UP + LEAST_TURNS and time.monotonic() - began > seconds:
            break
    return {engine: values[WARM_UP:] for engine, values in times.items()}


def turn_of(engine: str, run: Run) -> float:
    """Milliseconds of one run."""
    choose(engine)
    torch.set_num_threads(kernels.threads())
    on_gpu = device_of(engine) == "cuda"
    if on_gpu:
        torch.cuda.synchronize()
    began = time.perf_counter()
    run()
    if on_gpu:
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - began)


def choose(engine: str) -> None:
    """Let an engine run what is called from now on."""
    kernels.set_backend("torch" if engine in ("torch", "torch-cuda", "tcnn") else "native")


def device_of(engine: str) -> str:
    return "cpu" if engine in ("torch", "native") else "cuda"


def prepare(passed: str, engine: str, case: Case) -> Run:
    """One run of a pass, on numbers drawn at random."""
    device = device_of(engine)
    coords = points_of(case).to(device)
    if engine == "tcnn":
        encode, leaf, dtype = tiny_cuda_nn(case)
    else:
        dtype = torch.float16 if engine in SHORT else torch.float32
        leaf = table_of(case.geometry).to(device, dtype, copy=True).requires_grad_()

        def encode(x: Tensor) -> Tensor:
            return grid_encode(x, leaf, case.geometry)

    gradient = torch.ones(len(coords), LEVELS * FEATURES, device=device, dtype=dtype)
    if passed == "forward":
        return lambda: encode(coords).detach()
    if passed == "both":
        return lambda: torch.autograd.grad(encode(coords), leaf, gradient)
    choose(engine)
    features = encode(coords)
    return lambda: torch.autograd.grad(features, leaf, gradient, retain_graph=True)


@lru_cache(maxsize=1)
def table_of(geometry: GridGeometry) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(geometry.n_entries, FEATURES, generator=generator)


@lru_cache(maxsize=1)
def points_of(case: Case) -> Tensor:
    """Coordinates in [0, 1], [points, dims]."""
    n_points = 2**case.log2_points
    if case.order == "random":
        return torch.rand(n_points, case.dims, generator=torch.Generator().manual_seed(1))
    exponents = [(case.log2_points + axis) // case.dims for axis in range(case.dims)]
    axes = [(torch.arange(2**exponent) + 0.5) / 2**exponent for exponent in exponents]
    mesh = torch.meshgrid(*reversed(axes), indexing="ij")
    return torch.stack([values.flatten() for values in reversed(mesh)], dim=1).contiguous()


def tiny_cuda_nn(case: Case) -> tuple[Callable[[Tensor], Tensor], Tensor, torch.dtype]:
    """Its encoding, its table and the type of its features."""
    import tinycudann

    options = tiny_cuda_nn_options(case)
    encoding = tinycudann.Encoding(case.dims, options, dtype=torch.float16)
    leaf = encoding.params.detach().half().requires_grad_()  # its own are of float32

    def encode(x: Tensor) -> Tensor:
        features: Tensor = torch.func.functional_call(encoding, {"params": leaf}, (x,))
        return features

    return encode, leaf, torch.float16


def tiny_cuda_nn_options(case: Case) -> dict[str, object]:
    """What it is told of the grid."""
    return {
        "otype": "HashGrid",
        "n_levels": LEVELS,
        "n_features_per_level": FEATURES,
        "log2_hashmap_size": LOG2_TABLE,
        "base_resolution": BASE,
        "per_level_scale": GROWTH,
        "interpolation": case.interpolation.capitalize(),
    }


def row_of(what: tuple[str, str], case: Case, values: list[float], origin: Origin) -> KernelRow:
    """The row of a pass and an engine."""
    passed, engine = what
    times = quantiles(values)
    n_bytes = case.n_bytes(passed, engine)
    rate = n_bytes / (times["ms"] * 1e6)
    return KernelRow(
        passed=passed,
        engine=engine,
        **case._asdict(),
        threads=kernels.threads(),
        **times,
        n_bytes=n_bytes,
        gb_per_s=round(rate, 2),
        copy_share=round(rate / copy_gb_per_s(device_of(engine)), 4),
        date=now(),
        **origin._asdict(),
    )


def quantiles(values: list[float]) -> dict[str, float]:
    """The median and the spread of milliseconds, as rows have them."""
    names = {"ms": 0.5, "ms_p20": 0.2, "ms_p80": 0.8}
    return {name: round(float(np.quantile(values, q)), 4) for name, q in names.items()}


@cache
def copy_gb_per_s(device: str) -> float:
    """What a copy of a large array reads and writes in a second, the best of several."""
    source = torch.ones(COPIED_BYTES // 4, device=device)
    target, best = torch.empty_like(source), 0.0
    torch.set_num_threads(kernels.threads())
    for _ in range(8):
        if device == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        target.copy_(source)
        if device == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2.0 * COPIED_BYTES / (time.perf_counter() - began) / 1e9)
    return best


if __name__ == "__main__":
    main()
