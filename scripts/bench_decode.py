"""Time the decoding of latent grids by native code and by Python, on values drawn at random.

    python scripts/bench_decode.py --rows data/bench/decode.csv --height 512 --width 768

Values are drawn from a Laplace distribution, of scale 0.25 at the two finest levels and twice as
wide at every coarser one; weights are small. Native code is timed by every instruction set of this
machine at every number of --threads, Python on one thread of its own; each decodes the same words
to the same integers and pixels, or this fails. The runs of all of them take turns, so that a busy
machine is busy for all. Rows are added to the CSV: what was timed, ms, the median and the quantiles
0.2 and 0.8 of --runs runs, and where. A line for each also goes to stdout. With --cpu, the time is
that of the processor on all threads, which others that use the machine lengthen less.
"""

from __future__ import annotations

import argparse
import csv
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.kernels import LatentShape, dispatch
from inrcodec.representations.latentgrid.context import decode_latents, encode_latents
from inrcodec.representations.latentgrid.fixed import Fixed, fixed_weights
from inrcodec.representations.latentgrid.synthesis import synthesize

SCALE = 0.25  # of values at the two finest levels
LARGEST_SYMBOL, STEP_INDEX = 60, 80  # of weights
CODED_SCALE = 0.35
OUTPUT_OFFSET, OUTPUT_SCALE = 3000, 40000
PYTHON = "python"
FIELDS = (
    "what", "unit", "median", "p20", "p80", "threads", "instruction_set", "machine", "commit",
    "command",
)  # fmt: skip

T = TypeVar("T")
Grids = tuple[NDArray[np.int32], ...]


class Coded(NamedTuple):
    """A latent grid and the words that code its values."""

    shape: LatentShape
    weights: dict[str, Fixed]
    grids: Grids
    data: bytes
    maxima: tuple[int, ...]

    def decode(self) -> Grids:
        """All grids, from the words."""
        return decode_latents(self.data, self.shape, self.weights, self.maxima)

    def synthesize(self) -> NDArray[np.int32]:
        """The pixels."""
        pairs = zip(self.shape.grids, self.grids, strict=True)
        latents = [values for grid, values in pairs if not grid.is_hyper]
        output = [OUTPUT_OFFSET] * self.shape.channels, OUTPUT_SCALE
        return synthesize(latents, self.shape, self.weights, output)


class Way(NamedTuple):
    """How to compute: an instruction set or Python, and on how many threads."""

    name: str
    n_threads: int

    def choose(self) -> None:
        """Make what is called next compute this way."""
        kernels.set_backend("torch" if self.name == PYTHON else "native")
        kernels.set_threads(self.n_threads)
        native = dispatch.native()
        if native is not None:
            native.use_instruction_set(self.name)


def main() -> None:
    """Draw, time, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="CSV to add rows to")
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--size", type=int, default=2, help="of the networks, 0 to 3")
    parser.add_argument("--levels", type=int, default=7)
    parser.add_argument("--hyper", type=int, default=3, help="levels of hyperlatents")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--runs", type=int, default=15, help="of native code")
    parser.add_argument("--python-runs", type=int, default=3, help="0: Python is not timed")
    parser.add_argument("--cpu", action="store_true", help="time of the processor")
    options = parser.parse_args()
    sizes = (options.height, options.width, options.channels, options.size)
    coded = draw(LatentShape(*sizes, options.levels, options.hyper))
    write(measure(coded, options), coded, options)


def draw(shape: LatentShape) -> Coded:
    """Values and weights, and the words that code them."""
    rng = np.random.default_rng(1)
    symbols = [
        rng.integers(-LARGEST_SYMBOL, LARGEST_SYMBOL + 1, sum(weight.size for weight in group))
        for group in shape.groups
    ]
    weights = fixed_weights(shape, symbols, [STEP_INDEX] * len(symbols))
    scale_index = np.floor(16 * (np.log2(CODED_SCALE) + 5))
    weights["head_bias"][:] = 0.0, scale_index * 2.0**20
    grids = tuple(
        np.rint(rng.laplace(0.0, SCALE * 2.0 ** max(0, grid.level - 1), (grid.height, grid.width)))
        .clip(-2047, 2047)
        .astype(np.int32)
        for grid in shape.grids
    )
    return Coded(shape, weights, grids, *encode_latents(grids, shape, weights))


def measure(coded: Coded, options: argparse.Namespace) -> dict[tuple[str, Way], list[float]]:
    """Milliseconds of each run of both steps, by every way."""
    clock = time.process_time if options.cpu else time.perf_counter
    native = dispatch.native()
    names = [] if native is None else native.instruction_sets()
    turns = {Way(name, n): options.runs for name in names for n in options.threads}
    turns[Way(PYTHON, 1)] = options.python_runs
    times: dict[tuple[str, Way], list[float]] = {}
    pixels: NDArray[np.int32] | None = None
    for turn in range(max(turns.values())):
        for way in [way for way, n_turns in turns.items() if turn < n_turns]:
            way.choose()
            grids, decode_ms = timed(coded.decode, clock)
            result, synthesis_ms = timed(coded.synthesize, clock)
            pixels = result if pixels is None else pixels
            for got, expected in zip([*grids, result], [*coded.grids, pixels], strict=True):
                if not np.array_equal(got, expected):
                    sys.exit(f"{way.name} on {way.n_threads} threads decodes to something else")
            steps = {"latents": decode_ms, "synthesis": synthesis_ms}
            for what, ms in (steps | {"both": decode_ms + synthesis_ms}).items():
                times.setdefault((what, way), []).append(ms)
    return times


def timed(work: Callable[[], T], clock: Callable[[], float]) -> tuple[T, float]:
    """What it gives, and its milliseconds by a clock of seconds."""
    began = clock()
    result = work()
    return result, 1e3 * (clock() - began)


def write(
    times: dict[tuple[str, Way], list[float]], coded: Coded, options: argparse.Namespace
) -> None:
    """Add a row for each step and way."""
    here, shape = Path(__file__).resolve().parent, coded.shape
    name = ["git", "-C", str(here), "describe", "--always", "--dirty", "--exclude", "*"]
    commit = subprocess.run(name, capture_output=True, text=True, check=False).stdout.strip()
    command = " ".join(["scripts/bench_decode.py", *sys.argv[1:]])
    common = (f"{platform.machine()}, {platform.system()}", commit, command)
    bpp = 8 * len(coded.data) / (shape.height * shape.width)
    size = f"{shape.width}x{shape.height}x{shape.channels}, size {shape.size}, {bpp:.2f} bpp"
    is_new = not options.rows.exists()
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    with options.rows.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(FIELDS)
        for (what, way), ms in times.items():
            p20, median, p80 = (round(float(x), 2) for x in np.quantile(ms, [0.2, 0.5, 0.8]))
            unit = "ms of CPU" if options.cpu else "ms"
            row = (f"{what}, {size}", unit, median, p20, p80, way.n_threads, way.name, *common)
            writer.writerow(row)
            print(
                f"{what:9} {way.name:8} {way.n_threads} threads: {median} {unit} ({p20} to {p80})"
            )


if __name__ == "__main__":
    main()
