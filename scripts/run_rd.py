"""Measure rate and distortion: one row per file, model and target, appended when it is done.

    python scripts/run_rd.py DATA --rows data/rd/kodak.csv --models siren hashgrid --bpp 0.16 0.61

DATA is a folder with kodak/kodimNN.png. A row that exists is skipped, so a run can be broken off
and taken up again. Bytes are the length of the file; quality is that of the decoded file, read
back. JPEG rows come from Pillow in the same run (4:2:0, optimised tables).
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from inrcodec import codec, kernels, media, metrics
from inrcodec.rate import encode_to_target
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import Signal

JPEG_QUALITIES = (5, 10, 20, 30, 50, 70)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement. Times are wall seconds of one run."""

    file: str
    model: str
    target: str
    n_bytes: int
    bpp: float
    psnr_db: float
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


def main() -> None:
    """Measure what is missing."""
    options = parse_arguments()
    done = set(read_keys(options.rows))
    for name in options.images:
        signal = media.read(options.data / "kodak" / f"{name}.png")
        for model, target in wanted(options):
            budget_s = 0.0 if model == "jpeg" else options.seconds
            if (name, model, target, budget_s) in done:
                continue
            row = measure(name, signal, model=model, target=target, options=options)
            append(options.rows, row)
            print(f"{name} {model} {target}: {row.bpp:.4f} bpp {row.psnr_db:.2f} dB", flush=True)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with the test data")
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument("--images", nargs="+", default=["kodim05", "kodim07", "kodim17", "kodim21"])
    parser.add_argument("--models", nargs="+", default=["siren", "hashgrid", "jpeg"])
    parser.add_argument("--bpp", nargs="+", type=float, default=[0.16, 0.61])
    parser.add_argument("--seconds", type=float, default=300.0, help="for each encode")
    return parser.parse_args()


def wanted(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Every model with each of its targets."""
    for model in options.models:
        if model == "jpeg":
            yield from ((model, f"q{quality}") for quality in JPEG_QUALITIES)
        else:
            yield from ((model, f"{bpp:g} bpp") for bpp in options.bpp)


def measure(
    name: str, signal: Signal, *, model: str, target: str, options: argparse.Namespace
) -> Row:
    """Encode, decode, compare."""
    began = time.monotonic()
    if model == "jpeg":
        data, reached, iterations = encode_jpeg(signal, int(target[1:])), True, 0
    else:
        wish = Target("bpp", float(target.split()[0]))
        request = EncodeRequest(model=model, target=wish, seconds=options.seconds)
        result = encode_to_target(signal, request, started=began)
        data, reached, iterations = result.data, result.reached, result.iterations
    encoded = time.monotonic()
    decoded = decode_jpeg(data) if model == "jpeg" else codec.decode(data)
    decode_s = time.monotonic() - encoded
    return Row(
        file=name,
        model=model,
        target=target,
        n_bytes=len(data),
        bpp=round(metrics.bpp(len(data), signal.spec), 5),
        psnr_db=round(metrics.psnr_db(signal, decoded), 4),
        encode_s=round(encoded - began, 2),
        decode_s=round(decode_s, 3),
        iterations=iterations,
        budget_s=0.0 if model == "jpeg" else options.seconds,
        threads=kernels.threads(),
        reached=reached,
        commit=commit(),
        machine=machine(),
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=command(options),
    )


def encode_jpeg(signal: Signal, quality: int) -> bytes:
    """A JPEG with 4:2:0 chroma, as people make them."""
    file = io.BytesIO()
    Image.fromarray(signal.samples).save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()


def decode_jpeg(data: bytes) -> Signal:
    """What a JPEG holds."""
    return Signal.image(np.asarray(Image.open(io.BytesIO(data))))


def commit() -> str:
    """The commit that was measured, marked if the tree had changes."""
    here = Path(__file__).resolve().parent
    name = ["git", "-C", str(here), "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(name, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    """The processor and the number of cores."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), cpu)
    return f"{cpu}, {os.cpu_count()} cores"


def command(options: argparse.Namespace) -> str:
    """How to repeat it, with DATA for the folder."""
    short = {str(options.data): "DATA", str(options.rows): f"data/rd/{options.rows.name}"}
    words = [short.get(word, word) for word in sys.argv[1:]]
    return shlex.join(["scripts/run_rd.py", *words])


def read_keys(path: Path) -> Iterator[tuple[str, str, str, float]]:
    """File, model, target and budget of the rows that exist."""
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                yield row["file"], row["model"], row["target"], float(row["budget_s"])


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
    main()
