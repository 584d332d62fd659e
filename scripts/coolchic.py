"""Cool-chic's own code, run as a program: what `compare_coolchic.py` compares with."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from inrcodec import media, metrics
from inrcodec.signal import Signal

CONFIG = "cfg/dec/intra/hop.cfg"
LARGEST_DIFFERENCE_DB = 0.001  # of what a run states of its quality, and what is measured


class Point(NamedTuple):
    """What both codecs are asked for."""

    image: str
    lam: float
    iterations: int


class Coded(NamedTuple):
    """A file that was made, and what it decodes to."""

    n_bytes: int
    decoded: Signal
    network_bytes: int | None
    seconds: float | None
    version: str
    command: str


def run_peer(source: Signal, point: Point, options: argparse.Namespace) -> Coded | None:
    """A finished run if there is one, else a new one; None for a run that is under way."""
    if options.peer_runs:
        name = f"{point.image.removeprefix('kodim')}-{point.lam:g}"
        run = options.peer_runs / name
        if run.exists():
            finished = (run / "0000-results_decoder.tsv").exists()
            seconds = seconds_of(options.peer_runs / "done", name.replace("-", " ", 1))
            return read_run(source, point, run, options, seconds=seconds) if finished else None
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        began = time.monotonic()
        media.write(source, run / f"{point.image}.png")
        call(options, *command_of(point, run))
        seconds = round(time.monotonic() - began, 1)
        return read_run(source, point, run, options, seconds=seconds)


def command_of(point: Point, run: Path) -> list[str]:
    """Cool-chic's encoder and what it is told."""
    files = ["-i", str(run / f"{point.image}.png"), "-o", str(run / "x.cool")]
    goal = ["--lmbda", f"{point.lam:g}", "--n_itr", str(point.iterations)]
    return ["cc_encode.py", *files, "--workdir", str(run), *goal, "--dec_cfg_residue", CONFIG]


def call(options: argparse.Namespace, *words: str) -> None:
    """Run a script of Cool-chic. Ends with what it says if it fails."""
    env = dict(os.environ)
    if options.threads:
        env |= dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS"], str(options.threads))
    line = [str(options.python), *words]
    done = subprocess.run(
        line, cwd=options.checkout, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{shlex.join(line)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def read_run(
    source: Signal, point: Point, run: Path, options: argparse.Namespace, *, seconds: float | None
) -> Coded:
    """Decode the file of a run, and see that it is of this source and this point."""
    file = run / "x.cool"
    with tempfile.TemporaryDirectory() as folder:
        call(options, "cc_decode.py", "-i", str(file.resolve()), "-o", f"{folder}/decoded.png")
        decoded = media.read(Path(folder) / "decoded.png")
    stated = table(run / "0000-results_decoder.tsv")
    encoder = table(run / "0000-results_encoder.tsv")
    psnr_db = metrics.psnr_db(source, decoded)
    if abs(psnr_db - float(stated["psnr_db"])) > LARGEST_DIFFERENCE_DB:
        raise SystemExit(f"{run} states {stated['psnr_db']} dB of its source, not {psnr_db:.4f}")
    asked = float(stated["lmbda"]), iterations_of(run / "0000-param.txt")
    if asked != (point.lam, point.iterations):
        raise SystemExit(f"{run} is of lambda and iterations {asked}")
    network_bytes = round(float(encoder["nn_bpp"]) * source.spec.n_points / 8.0)
    command = shlex.join(command_of(point, Path("W")))
    return Coded(file.stat().st_size, decoded, network_bytes, seconds, version_of(options), command)


def table(path: Path) -> dict[str, str]:
    """Heads and values of the two lines of a table of Cool-chic's."""
    heads, values = path.read_text().splitlines()[:2]
    return dict(zip(heads.split(), values.split(), strict=True))


def iterations_of(path: Path) -> int:
    """What a run was told, as it writes its options down."""
    found = re.search(r"\bn_itr=(\d+)", path.read_text())
    return int(found[1]) if found else 0


def seconds_of(path: Path, name: str) -> float | None:
    """What a list of finished runs says that one took."""
    lines = path.read_text().splitlines() if path.exists() else []
    for words in (line.split() for line in lines if line.startswith(f"{name} ")):
        return round(float(words[4]) - float(words[3]), 1)
    return None


def version_of(options: argparse.Namespace) -> str:
    """The release of a checkout."""
    text = (options.checkout / "coolchic" / "__init__.py").read_text()
    return text.split('"')[1]
