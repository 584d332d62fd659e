"""Fit grids to an image of a quarter of a gigapixel that stays on the disk, and to a volume.

    python scripts/gigapixel.py DATA --work FOLDER --rows data/bench/gigapixel.csv --threads 2

DATA is a folder with kodak/*.png, photo/*.png and extra/stent.npz (a CT of 256 x 128 x 128, int16).
The mosaic of `make_mosaic.py` is built of the photographs into FOLDER unless it is there; it is
mapped, and a fit draws the points of its batches from it. Every row is a fit of its own, from the
beginning and with its own budget of iterations, to the same bytes for all models; models take
turns, shortest budgets first. Rows that exist are skipped, so a run can be broken off and taken up.

Each fit runs in a process of its own, which first loads what a process loads once. `seconds` are
those of fit and coding; `decode_s` those of decoding all samples, in windows, of which `psnr_db`
is. `peak_mib` is the most memory that was resident, with pages of the mapped file, which the system
drops where memory is short; `own_mib` the most without them, looked at twenty times a second. Linux
only: memory is what /proc says. A mosaic of 16,384 x 16,384 has more samples than a decoder takes
by default, 2^28; they are decoded within `LIMITS`.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from make_mosaic import make_mosaic
from rd_models import NETWORKS
from rows import Origin, append, now, read_rows, use_threads

from inrcodec import codec, kernels, media, metrics
from inrcodec.container import DecodeLimits
from inrcodec.reader import Reader
from inrcodec.representations import by_name
from inrcodec.representations.base import Budget, FitGoal, Representation
from inrcodec.signal import Signal

PHOTOS, VOLUME = ("kodak/*.png", "photo/*.png"), "extra/stent.npz"
MODELS = ("hashgrid", "simplexgrid", "simplexgrid-skewed")
BITS_PER_POINT = {"mosaic": 0.05, "volume": 0.1}
ITERATIONS = (1000, 2000, 4000)
LIMITS = DecodeLimits(max_samples=1 << 30)
WINDOW_POINTS, SEEN_POINTS, LOOK_EVERY_S = 1 << 22, 1 << 16, 0.05


class Job(NamedTuple):
    """One fit; `path` is of a mapped image if it is a `.npy`, otherwise of an array."""

    signal: str
    path: Path
    model: str
    iterations: int
    bits_wanted: float
    log2_table_size: int
    threads: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GigapixelRow:
    signal: str
    size: str
    model: str
    interpolation: str
    bits_wanted: float
    log2_table_size: int
    iterations: int
    threads: int
    parameters: int
    batch_points: int
    seconds: float
    psnr_db: float
    n_bytes: int
    bits_per_point: float
    peak_mib: float
    own_mib: float
    decode_s: float
    date: str
    commit: str
    machine: str
    command: str


def main() -> None:
    """Measure what is missing."""
    options = parse_arguments()
    names = {options.data: "DATA", options.work: "FOLDER"}
    origin = Origin.here({**names, options.rows: f"data/bench/{options.rows.name}"})
    done = {key_of(row) for row in read_rows(options.rows)}
    for job in jobs(options):
        size = size_of(signal_of(job.path))
        if key_of({**job._asdict(), "size": size, "machine": origin.machine}) in done:
            continue
        row = alone(job, origin)
        append(options.rows, row)
        quality = f"{row.psnr_db:.2f} dB in {row.bits_per_point:.4f} bits a point"
        memory = f"{row.own_mib:.0f} MiB of its own"
        print(f"{job.signal} {job.model}: {row.seconds:.1f} s, {quality}, {memory}", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with the test data")
    parser.add_argument("--work", type=Path, required=True, help="folder for the mosaic")
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument("--signals", nargs="+", choices=BITS_PER_POINT, default=[*BITS_PER_POINT])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--size", type=int, default=16384, help="pixels of a side of the mosaic")
    parser.add_argument("--iterations", nargs="+", type=int, default=list(ITERATIONS))
    parser.add_argument("--bits-per-point", type=float, help="wanted of every signal")
    parser.add_argument("--log2-table-size", type=int, default=22)
    parser.add_argument("--threads", type=int, help="of the CPU")
    return parser.parse_args()


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """Signal by signal; the mosaic is made if it is not there."""
    threads = options.threads or kernels.threads()
    for signal in options.signals:
        path = options.data / VOLUME
        if signal == "mosaic":
            path = options.work / f"mosaic_{options.size}.npy"
            if not path.exists():
                photos = [photo for glob in PHOTOS for photo in sorted(options.data.glob(glob))]
                make_mosaic(photos, path, options.size)
        bits = options.bits_per_point or BITS_PER_POINT[signal]
        for iterations in sorted(options.iterations):
            for model in options.models:
                yield Job(signal, path, model, iterations, bits, options.log2_table_size, threads)


def key_of(row: Mapping[str, object]) -> tuple[str, ...]:
    """What a row is of."""
    names = ("signal", "size", "model", "iterations", "bits_wanted", "log2_table_size")
    return tuple(str(row[name]) for name in (*names, "threads", "machine"))


def signal_of(path: Path) -> Signal:
    """A mapped image, or an array."""
    if path.suffix == ".npy":
        return Signal.image(np.load(path, mmap_mode="r"))
    return media.read(path)


def size_of(signal: Signal) -> str:
    """The shape of the samples, without a single channel."""
    spec = signal.spec
    return "x".join(map(str, spec.grid if spec.channels == 1 else signal.samples.shape))


def alone(job: Job, origin: Origin) -> GigapixelRow:
    """The row of a job, in a process that does nothing else."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(measure, job, origin).result()


# --- in a process of its own ---------------------------------------------------------------------


def measure(job: Job, origin: Origin) -> GigapixelRow:
    """Fit, code, and decode what was coded."""
    use_threads(job.threads)
    signal, memory = signal_of(job.path), OwnMemory()
    name, fields = NETWORKS[job.model]
    family = by_name(name)
    config = family.Config(**fields, log2_table_size=job.log2_table_size)
    warm_up(family)
    with memory:
        began = time.monotonic()
        goal, budget = goal_of(signal, family, job.bits_wanted), Budget(iterations=job.iterations)
        fitted = family.fit(signal, config, goal, budget)
        data = replace(codec.frame_of(signal, family), sections=fitted.pack()).to_bytes()
        seconds = time.monotonic() - began
        decoded = decode(data, signal)
    spec, network, n_parameters = signal.spec, fitted.packed.network, fitted.cost().n_parameters
    return GigapixelRow(
        signal=job.signal,
        size=size_of(signal),
        model=job.model,
        interpolation=network.interpolation,
        bits_wanted=job.bits_wanted,
        log2_table_size=job.log2_table_size,
        iterations=job.iterations,
        threads=job.threads,
        parameters=n_parameters,
        batch_points=min(family.recipe.points_of_batch(n_parameters), spec.n_points),
        seconds=round(seconds, 2),
        psnr_db=round(decoded.psnr_db, 4),
        n_bytes=len(data),
        bits_per_point=round(8.0 * len(data) / spec.n_points, 5),
        peak_mib=status_mib("VmHWM"),
        own_mib=memory.most_mib,
        decode_s=round(decoded.seconds, 2),
        date=now(),
        **origin._asdict(),
    )


def warm_up(family: type[Representation]) -> None:
    """Load what the first fit of a process loads, which takes a second."""
    nothing = Signal.image(np.zeros((8, 8, 3), np.uint8))
    goal = FitGoal(lam=1e-3, n_bytes=100.0)
    family.fit(nothing, family.Config(), goal, Budget(iterations=2))


def goal_of(signal: Signal, family: type[Representation], bits: float) -> FitGoal:
    """To come to so many bits a point; the first price of a bit is guessed from some points."""
    spec = signal.spec
    rows = signal.samples.reshape(spec.n_points, spec.channels)
    some = spec.to_unit(rows[:: max(1, spec.n_points // SEEN_POINTS)])
    n_bytes = bits * spec.n_points / 8.0
    lam = family.expected_lam(
        bits_per_point=bits,
        mse=None,
        variance=float(some.var(axis=0, dtype=np.float64).mean()),
        n_points=spec.n_points,
    )
    return FitGoal(lam=lam, n_bytes=n_bytes, hold="bytes", held=n_bytes)


class Decoded(NamedTuple):
    psnr_db: float
    seconds: float


def decode(data: bytes, signal: Signal) -> Decoded:
    """All samples, some rows at a time, beside those of the signal."""
    began = time.monotonic()
    reader, spec, squares = Reader(data, limits=LIMITS), signal.spec, 0.0
    seconds, n_rows = time.monotonic() - began, spec.grid[0]
    step = max(1, WINDOW_POINTS * n_rows // spec.n_points)
    for start in range(0, n_rows, step):
        began = time.monotonic()
        samples = reader[start : start + step]
        seconds += time.monotonic() - began
        squares += metrics.mse(signal.samples[start : start + step], samples) * len(samples)
    mse = max(squares / n_rows, 1e-20)
    return Decoded(10.0 * math.log10(metrics.peak_of(signal) ** 2 / mse), seconds)


class OwnMemory:
    """The most memory of this process that holds no file, while it is entered."""

    def __init__(self) -> None:
        self.most_mib = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.most_mib = max(self.most_mib, status_mib("RssAnon"))
            if self._ended.wait(LOOK_EVERY_S):
                return


def status_mib(name: str) -> float:
    """What the system says of this process, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(name))
    return round(int(line.split()[1]) / 1024, 1)


if __name__ == "__main__":
    main()
