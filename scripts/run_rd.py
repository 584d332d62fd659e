"""Measure rate and distortion: one row per file, model and target, appended when it is done.

    python scripts/run_rd.py DATA --set images --rows data/rd/images.csv

DATA is a folder with kodak/kodimNN.png, audio/NAME.wav and video/bigbuckbunny.mp4; `rd_sets.py`
says which of them, and the rates. A row that exists is skipped, so a run can be broken off and
taken up again; the rows of the first rate come first, after those of the baselines. Bytes are the
length of the file; quality is that of the decoded file. Films count the mean PSNR of their frames,
sounds their PSNR with a peak of 2, as papers on such functions do, and their SNR. `rd_baselines.py`
says how JPEG, MP3 and x264 are measured.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import rd_baselines
from rd_sets import SETS, Set

from inrcodec import codec, kernels, metrics
from inrcodec.errors import InrcodecError
from inrcodec.film import FramesOfSignal, encode_film
from inrcodec.rate import encode_to_target
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import Kind, Signal

MODELS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "siren": ("siren", {}),
    "spder": ("spder", {}),
    "hashgrid": ("hashgrid", {}),
    "simplexgrid": ("simplexgrid", {}),
    "simplexgrid-skewed": ("simplexgrid", {"skewed": True}),
}
SOURCES = ("inrcodec", "cuda_ext", "scripts")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement. Times are wall seconds; None: the measure does not apply."""

    file: str
    model: str
    target: str
    n_bytes: int
    bpp: float | None
    kbps: float | None
    psnr_db: float
    snr_db: float | None
    encode_s: float
    decode_s: float
    iterations: int
    budget_s: float
    threads: int
    reached: bool
    commit: str
    machine: str
    date: str
    command: str


class Job(NamedTuple):
    """What a row is of. The budget of a baseline is 0."""

    file: str
    model: str
    target: str
    budget_s: float


class Origin(NamedTuple):
    """Where rows come from, found when the run begins."""

    commit: str
    machine: str
    command: str


class Coded(NamedTuple):
    """A file that was made, and how it is read."""

    n_bytes: int
    encode_s: float
    decode: Callable[[], Signal]
    iterations: int
    reached: bool


def main() -> int:
    """Measure what is missing. 1 if something could not be measured."""
    options = parse_arguments()
    chosen, origin, failed = SETS[options.set], origin_of(options), False
    done = set(read_jobs(options.rows))
    signals: dict[str, Signal] = {}
    for job in jobs(chosen, options):
        if job in done:
            continue
        if job.file not in signals:
            signals[job.file] = chosen.read(options.data, job.file)
        try:
            row = measure(signals[job.file], job, chosen, origin)
        except InrcodecError as error:
            print(f"{job.file} {job.model} {job.target}: {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        append(options.rows, row)
        rate = f"{row.bpp:.4f} bpp" if row.kbps is None else f"{row.kbps:.2f} kbps"
        quality = row.psnr_db if row.snr_db is None else row.snr_db
        print(f"{job.file} {job.model} {job.target}: {rate} {quality:.2f} dB", flush=True)
    return int(failed)


def parse_arguments() -> argparse.Namespace:
    """The command line; what is left out is as the set says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with the test data")
    parser.add_argument("--set", choices=SETS, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument("--files", nargs="+", help="names, with or without suffix")
    parser.add_argument("--models", nargs="+", choices=[*MODELS, *rd_baselines.ENCODERS])
    parser.add_argument("--rates", nargs="+", type=float, help="bpp, of sounds kbps")
    parser.add_argument("--seconds", type=float, help="for each encode")
    options = parser.parse_args()
    chosen = SETS[options.set]
    options.files = [Path(name).stem for name in options.files or chosen.files]
    options.models = options.models or [chosen.baseline, *MODELS]
    options.rates = options.rates or chosen.rates
    options.seconds = chosen.seconds if options.seconds is None else options.seconds
    strange = set(options.models) - {chosen.baseline, *MODELS}
    if strange:
        parser.error(f"{', '.join(strange)} is not for {options.set}")
    return options


def jobs(chosen: Set, options: argparse.Namespace) -> Iterator[Job]:
    """The rows in their order: all that the baseline gives, then rate by rate."""
    if chosen.baseline in options.models:
        for file in options.files:
            yield from (Job(file, chosen.baseline, one, 0.0) for one in chosen.settings)
    models = [model for model in options.models if model in MODELS]
    for rate in options.rates:
        target = f"{rate:g} {chosen.measure}"
        for file in options.files:
            yield from (Job(file, model, target, options.seconds) for model in models)


def measure(signal: Signal, job: Job, chosen: Set, origin: Origin) -> Row:
    """Encode, decode, compare."""
    coded = encode(signal, job)
    decode_s = []
    for _ in range(chosen.decodes):
        began = time.monotonic()
        decoded = coded.decode()
        decode_s.append(time.monotonic() - began)
    kind, spec = signal.spec.kind, signal.spec
    psnr_db = metrics.film_psnr_db if kind is Kind.VIDEO else metrics.psnr_db
    of_sound = kind is Kind.AUDIO and spec.seconds is not None
    return Row(
        file=job.file,
        model=job.model,
        target=job.target,
        n_bytes=coded.n_bytes,
        bpp=None if of_sound else round(metrics.bpp(coded.n_bytes, spec), 5),
        kbps=round(metrics.kbps(coded.n_bytes, spec.seconds), 4) if of_sound else None,
        psnr_db=round(psnr_db(signal, decoded), 4),
        snr_db=round(metrics.snr_db(signal, decoded), 4) if of_sound else None,
        encode_s=round(coded.encode_s, 3),
        decode_s=round(statistics.median(decode_s), 4),
        iterations=coded.iterations,
        budget_s=job.budget_s,
        threads=kernels.threads(),
        reached=coded.reached,
        commit=origin.commit,
        machine=origin.machine,
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=origin.command,
    )


def encode(signal: Signal, job: Job) -> Coded:
    """By a model to its target, or by a baseline at its setting."""
    if job.model not in MODELS:
        made = rd_baselines.encode(job.model, signal, job.target)
        return Coded(made.n_bytes, made.encode_s, made.decode, 0, True)
    model, fields = MODELS[job.model]
    value, measure = job.target.split()
    target = Target(measure, float(value))
    request = EncodeRequest(model=model, target=target, seconds=job.budget_s, options=fields)
    began = time.monotonic()
    if signal.spec.kind is Kind.VIDEO:
        result = encode_film(FramesOfSignal(signal), request, started=began)
    else:
        result = encode_to_target(signal, request, started=began)
    encode_s, data = time.monotonic() - began, result.data
    return Coded(len(data), encode_s, lambda: codec.decode(data), result.iterations, result.reached)


# --- rows ----------------------------------------------------------------------------------------


def origin_of(options: argparse.Namespace) -> Origin:
    """The commit, marked if its code was changed, the machine, and the command with DATA."""
    short = {str(options.data): "DATA", str(options.rows): f"data/rd/{options.rows.name}"}
    words = [short.get(word, word) for word in sys.argv[1:]]
    dirty = "-dirty" if git("status", "--porcelain", "--", *SOURCES) else ""
    commit = git("rev-parse", "--short", "HEAD") + dirty
    return Origin(commit, machine(), shlex.join(["scripts/run_rd.py", *words]))


def git(*words: str) -> str:
    """What git says of this checkout; nothing where there is none."""
    line = ["git", "-C", str(Path(__file__).resolve().parents[1]), *words]
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    """The processor and the number of cores."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), cpu)
    return f"{cpu}, {os.cpu_count()} cores"


def read_jobs(path: Path) -> Iterator[Job]:
    """What the rows that exist are of."""
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                yield Job(row["file"], row["model"], row["target"], float(row["budget_s"]))


def append(path: Path, row: Row) -> None:
    """Add one row, and the head before the first."""
    values = asdict(row)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(values))
        if new:
            writer.writeheader()
        writer.writerow(values)


if __name__ == "__main__":
    sys.exit(main())
