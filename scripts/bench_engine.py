"""Measure the engines that fit latent grids, side by side in one run.

    python scripts/bench_engine.py --rows data/bench/engine.csv
    python scripts/bench_engine.py --rows rows.csv --extents 768x512 --macs 2000 --threads 2

Parts: `context`, the bits of latents with all gradients; `pixels`, the pixels with all gradients;
`iteration`, a whole step of a fit, optimisers included. Engines: `torch`, the reference, and
`compiled`, the same through torch.compile, which takes minutes, both of the parts alone; `native`,
C++ on the CPU; and where there is a GPU, `torch-cuda`, `compiled-cuda` and `cuda`, whose iteration
is a CUDA graph.

Engines take turns, so that a busy machine is busy for all. A row has the median and the quantiles
0.2 and 0.8 of the milliseconds; GFLOP/s, counting two for each multiplication on the way there and
four on the way back, of the networks and the upsampling; the share of what a product of large
matrices in float32 reaches in the same process; and what torch holds of a GPU's memory then, MiB,
that of a graph included: of all engines that ran so far. Rows that exist, by
part, engine, extent, networks and threads, are skipped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import Origin, append, now, read_rows, use_threads
from torch import Tensor

from inrcodec import kernels
from inrcodec.kernels import SIZES, LatentShape, torch_latent
from inrcodec.representations.latentgrid.config import MACS
from inrcodec.representations.latentgrid.fit_graphs import own_stream
from inrcodec.representations.latentgrid.fit_target import Target
from inrcodec.representations.latentgrid.fit_tile import TileFit
from inrcodec.representations.latentgrid.schedule import moment_of

PARTS = ("context", "pixels", "iteration")
ENGINES = ("torch", "compiled", "native", "torch-cuda", "compiled-cuda", "cuda")
OURS = ("native", "cuda")
LAMBDA = 1e-3
WARM_UP = 4
LEVELS, HYPER_LEVELS, PRIOR = 7, 3, 1
FLOP_PER_MAC = 6  # two there, four back

Run = Callable[[], object]
Times = dict[str, tuple[list[float], int | None]]
"""Milliseconds of each engine's runs, and what torch holds of a GPU's memory, MiB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineRow:
    part: str
    engine: str
    width: int
    height: int
    macs: int
    threads: int
    ms: float
    ms_p20: float
    ms_p80: float
    gflops: float
    peak_share: float
    memory_mib: int | None
    date: str
    commit: str
    machine: str
    command: str


def main() -> None:
    """Measure what is missing."""
    options = parse_arguments()
    use_threads(options.threads)
    origin = Origin.here({options.rows: f"data/bench/{options.rows.name}"})
    keys = ("part", "engine", "width", "height", "macs", "threads")
    done = {tuple(row[key] for key in keys) for row in read_rows(options.rows)}
    for extent in options.extents:
        width, height = map(int, extent.split("x"))
        for macs in options.macs:
            shape = LatentShape(height, width, 3, MACS.index(macs), LEVELS, HYPER_LEVELS, PRIOR)
            for part in PARTS:
                wanted = [
                    engine
                    for engine in options.engines
                    if (part != "iteration" or engine in OURS)
                    and (part, engine, str(width), str(height), str(macs), str(kernels.threads()))
                    not in done
                ]
                on_gpu = any(device_of(engine) == "cuda" for engine in wanted)
                with own_stream() if on_gpu else nullcontext():
                    times = measure(part, wanted, shape, options.seconds)
                for row in rows_of(part, shape, times, origin):
                    append(options.rows, row)
                    print(part, row.engine, extent, macs, f"{row.ms:.2f} ms", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument(
        "--extents", nargs="+", default=["256x256", "768x512", "2048x2048"], metavar="WxH"
    )
    parser.add_argument("--macs", nargs="+", type=int, choices=MACS, default=list(MACS))
    parser.add_argument(
        "--engines", nargs="+", choices=ENGINES, help="what runs here and need not be compiled"
    )
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--seconds", type=float, default=3.0, help="of all engines together")
    options = parser.parse_args()
    here = [
        engine
        for engine in ENGINES
        if not (kernels.gpu_problem() if "cuda" in engine else engine == "native" and not native())
    ]
    options.engines = options.engines or [name for name in here if "compiled" not in name]
    return options


def native() -> bool:
    return kernels.backend() == "native"


def measure(part: str, engines: list[str], shape: LatentShape, seconds: float) -> Times:
    """Times of one part by all engines."""
    runs = {engine: prepare(part, engine, shape) for engine in engines}
    times: dict[str, list[float]] = {engine: [] for engine in engines}
    memory: dict[str, int | None] = dict.fromkeys(engines)
    for turn in range(10_000):
        for engine, run in runs.items():
            memory[engine] = turn_of(engine, run, times[engine])
        if turn == WARM_UP:
            times = {engine: [] for engine in engines}
            began = time.monotonic()
        if turn > WARM_UP + 5 and time.monotonic() - began > seconds:
            break
    return {engine: (times[engine], memory[engine]) for engine in engines}


def rows_of(part: str, shape: LatentShape, times: Times, origin: Origin) -> list[EngineRow]:
    rows = []
    for engine, (values, memory_mib) in times.items():
        p20, median, p80 = (round(float(q), 4) for q in np.quantile(values, [0.2, 0.5, 0.8]))
        gflops = FLOP_PER_MAC * macs_of(part, shape) / (median * 1e6)
        rows.append(
            EngineRow(
                part=part,
                engine=engine,
                width=shape.width,
                height=shape.height,
                macs=MACS[shape.size],
                threads=kernels.threads(),
                ms=median,
                ms_p20=p20,
                ms_p80=p80,
                gflops=round(gflops, 1),
                peak_share=round(gflops / peak_gflops(device_of(engine)), 4),
                memory_mib=memory_mib,
                date=now(),
                **origin._asdict(),
            )
        )
    return rows


def turn_of(engine: str, run: Run, times: list[float]) -> int | None:
    """Time one run; what torch holds of the GPU's memory, MiB."""
    kernels.set_backend("native" if engine in OURS else "torch")
    torch.set_num_threads(1 if engine == "native" else kernels.threads())
    on_gpu = device_of(engine) == "cuda"
    if on_gpu:
        torch.cuda.synchronize()
    began = time.perf_counter()
    run()
    if on_gpu:
        torch.cuda.synchronize()
    times.append(1e3 * (time.perf_counter() - began))
    return torch.cuda.memory_reserved() >> 20 if on_gpu else None


def device_of(engine: str) -> str:
    return "cuda" if "cuda" in engine else "cpu"


# --- what is timed -------------------------------------------------------------------------------


def prepare(part: str, engine: str, shape: LatentShape) -> Run:
    """One run of a part, on numbers drawn at random."""
    device = device_of(engine)
    generator = torch.Generator().manual_seed(0)
    if part == "iteration":
        pixels = torch.rand(3, shape.height, shape.width, generator=generator)
        target = Target(pixels, None, torch.full((3, 1, 1), 0.5), 1.0).on(device)
        n_pixels = shape.height * shape.width
        fit = TileFit(shape, target, n_samples=3 * n_pixels, n_pixels=n_pixels, seed=0)
        moment = moment_of(0.5, resumed=False)
        return lambda: fit.step(moment, LAMBDA)
    is_context = part == "context"
    latents = torch.randn(shape.n_latents, generator=generator).to(device).requires_grad_()
    weights = {
        weight.name: (0.1 * torch.randn(weight.shape, generator=generator))
        .to(device)
        .requires_grad_()
        for weight in shape.weights
        if weight.of_context is is_context
    }
    leaves = [latents, *(tensor for tensor in weights.values() if tensor.numel())]
    value = value_of(is_context, engine, shape, device)
    return lambda: torch.autograd.grad(value(latents, weights), leaves)


def value_of(
    is_context: bool, engine: str, shape: LatentShape, device: str
) -> Callable[[Tensor, dict[str, Tensor]], Tensor]:
    """The bits, or a projection of the pixels."""
    if is_context:
        bits = kernels.latent_cost if engine in OURS else torch_latent.latent_bits
        return prepared(engine, lambda latents, weights: bits(latents, shape, weights).sum())
    pixels = kernels.latent_pixels if engine in OURS else torch_latent.latent_pixels
    slopes = torch.ones(3, shape.height, shape.width, device=device)
    return prepared(
        engine, lambda latents, weights: (pixels(latents, shape, weights) * slopes).sum()
    )


def prepared(engine: str, function: Any) -> Any:
    return torch.compile(function) if engine.startswith("compiled") else function


# --- what that is worth --------------------------------------------------------------------------


def macs_of(part: str, shape: LatentShape) -> float:
    """Multiplications of a part on the way there."""
    n, n_features = shape.n_context, SIZES[shape.size].n_features
    context = shape.n_latents * (2.0 * n * n + 4 * n)
    context += sum(grid.n_values / 4 * grid.feature_inputs for grid in shape.grids) * n_features
    whole = shape.macs_per_point * shape.height * shape.width
    return {"context": context, "pixels": whole - context, "iteration": whole}[part]


@cache
def peak_gflops(device: str) -> float:
    """What products of large matrices in float32 reach, the best of several."""
    side, best = (8192 if device == "cuda" else 1536), 0.0
    a = torch.randn(side, side, device=device)
    torch.set_num_threads(kernels.threads())
    for _ in range(8):
        if device == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2.0 * side**3 / (time.perf_counter() - began) / 1e9)
    return best


if __name__ == "__main__":
    main()
