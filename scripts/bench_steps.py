"""Measure a step of training of a hash grid and the network behind it by every engine.

The engines run side by side in one run.

    python scripts/bench_steps.py --rows data/bench/steps.csv --threads 2 --into docs/results.md

A step: the values at random points, the mean square of what they are off their targets, and its
gradient by the table and the weights. Engines: `torch`, the reference, and `native`, on the CPU;
where there is a GPU, on it `torch-cuda` (the reference), `grid-cuda` (our grid and the reference's
network) and `cuda` (both ours, one call); where tiny-cuda-nn is installed, `tcnn`: its grid and
its network of float16, the error in torch. With Adam (`--adam`), torch's in its fused form follows
in each step. The grid is that of `bench_kernels.py`, the network has two hidden layers of 64.

Engines take turns. A row has the median and the quantiles 0.2 and 0.8 of the milliseconds. Rows
that exist, by machine and all that they are of, are skipped. With --into, the table of all rows is
written into a page, between the comments `<!-- steps -->` and `<!-- /steps -->`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import bench_kernels as grids
import torch
from latent_tables import head, line
from plot_rd import replace
from rows import CsvRow, Origin, append, now, read_rows
from torch import Tensor

from inrcodec import kernels
from inrcodec.kernels import GridPerceptron, Perceptron, grid_mlp_descent, reference
from inrcodec.representations.process import FREED_MEMORY_KEPT

ENGINES = ("torch", "native", "torch-cuda", "grid-cuda", "cuda", "tcnn")
WIDTH, DEPTH, CHANNELS = 64, 2, 3

Step = Callable[[], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRow:
    engine: str
    interpolation: str
    dims: int
    log2_points: int
    adam: int
    threads: int
    ms: float
    ms_p20: float
    ms_p80: float
    date: str
    commit: str
    machine: str
    command: str


def main() -> None:
    """Measure what is missing."""
    options = parse_arguments()
    origin = grids.begun(options)
    with FREED_MEMORY_KEPT:
        fields = (options.interpolations, options.dims, options.log2_points, options.adam)
        for interpolation, dims, log2_points, adam in product(*fields):
            case = grids.Case(interpolation, dims, log2_points, "random")
            what = {"interpolation": interpolation, "dims": dims, "log2_points": log2_points}
            engines = grids.lacking(options, origin, **what, adam=adam)
            steps = {engine: prepare(engine, case, adam) for engine in engines}
            for engine, values in grids.measure(steps, options.seconds).items():
                row = row_of(engine, case, adam, values, origin=origin)
                append(options.rows, row)
                print(engine, *case, f"adam {adam}", f"{row.ms:.3f} ms", flush=True)
    if options.into:
        replace(options.into, "steps", "\n".join(table(read_rows(options.rows))))


def table(rows: Sequence[CsvRow]) -> Iterator[str]:
    """A table for each machine: a line for each grid and number of points, a column an engine."""
    keys = ("interpolation", "dims", "log2_points", "adam")
    for machine, threads in dict.fromkeys((row["machine"], row["threads"]) for row in rows):
        own = [row for row in rows if (row["machine"], row["threads"]) == (machine, threads)]
        engines = [name for name in ENGINES if any(row["engine"] == name for row in own)]
        yield f"{machine}; {threads} threads of the CPU. Milliseconds of a step, medians.\n"
        yield from head("interpolation", "axes", "points", "Adam", *engines)
        for key in dict.fromkeys(tuple(row[name] for name in keys) for row in own):
            found = {row["engine"]: row["ms"] for row in own if key == tuple(map(row.get, keys))}
            interpolation, dims, log2_points, adam = key
            what = interpolation, dims, f"2^{log2_points}", "yes" if adam == "1" else "no"
            times = (f"{float(found[name]):.2f}" if name in found else "" for name in engines)
            yield line(*what, *times)
        yield ""


def parse_arguments() -> argparse.Namespace:
    parser = grids.parser_of(__doc__, ENGINES)
    parser.add_argument("--adam", nargs="+", type=int, choices=(0, 1), default=[0])
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    parser.set_defaults(dims=[2, 3], log2_points=[14, 18], interpolations=["linear"])
    return parser.parse_args()


def prepare(engine: str, case: grids.Case, adam: int) -> Step:
    """One step, on numbers drawn at random."""
    device = grids.device_of(engine)
    coords = grids.points_of(case).to(device)
    generator = torch.Generator().manual_seed(2)
    targets = torch.rand(len(coords), CHANNELS, generator=generator).to(device)
    if engine == "tcnn":
        leaf, gradient_of = tiny_cuda_nn(case, coords, targets)
    else:
        leaf, gradient_of = ours(engine, case, coords, targets)
    optimizer = torch.optim.Adam([leaf], lr=1e-3, fused=True)

    def step() -> None:
        leaf.grad = gradient_of()
        if adam:
            optimizer.step()

    return step


def ours(
    engine: str, case: grids.Case, coords: Tensor, targets: Tensor
) -> tuple[Tensor, Callable[[], Tensor]]:
    """All values, and what gives their gradient."""
    network = Perceptron((case.geometry.n_outputs, *(WIDTH,) * DEPTH, CHANNELS), False, "relu")
    shape = GridPerceptron(case.geometry, network)
    values = 0.1 * torch.randn(shape.n_values, generator=torch.Generator().manual_seed(0))
    leaf = values.to(coords.device)

    def gradient_of() -> Tensor:
        if engine == "grid-cuda":
            return by_parts(coords, targets, leaf, shape)
        return grid_mlp_descent(coords, targets, leaf, shape)[1]

    return leaf, gradient_of


def by_parts(coords: Tensor, targets: Tensor, values: Tensor, shape: GridPerceptron) -> Tensor:
    """The gradient with our grid and the reference's network."""
    leaf = values.detach().requires_grad_()
    table, parameters = shape.split(leaf)
    features = kernels.grid_encode(coords, table, shape.grid)
    out = reference.mlp(features, *shape.perceptron.split(parameters), "relu")
    return torch.autograd.grad(torch.mean((out - targets) ** 2), leaf)[0]


def tiny_cuda_nn(
    case: grids.Case, coords: Tensor, targets: Tensor
) -> tuple[Tensor, Callable[[], Tensor]]:
    import tinycudann

    network = {
        "otype": "FullyFusedMLP",
        "activation": "ReLU",
        "output_activation": "None",
        "n_neurons": WIDTH,
        "n_hidden_layers": DEPTH,
    }
    options = case.dims, CHANNELS, grids.tiny_cuda_nn_options(case), network
    module = tinycudann.NetworkWithInputEncoding(*options)

    def gradient_of() -> Tensor:
        error = torch.mean((module(coords) - targets) ** 2)
        return torch.autograd.grad(error, module.params)[0]

    return module.params, gradient_of


def row_of(
    engine: str, case: grids.Case, adam: int, values: list[float], *, origin: Origin
) -> StepRow:
    """The row of an engine."""
    return StepRow(
        engine=engine,
        interpolation=case.interpolation,
        dims=case.dims,
        log2_points=case.log2_points,
        adam=adam,
        threads=kernels.threads(),
        **grids.quantiles(values),
        date=now(),
        **origin._asdict(),
    )


if __name__ == "__main__":
    main()
