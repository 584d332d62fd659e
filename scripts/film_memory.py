"""Measure the memory that encoding and decoding a film takes, frame by frame of its way.

    python scripts/film_memory.py FILM --rows data/bench/film_memory.csv \
        -o docs/images/film_memory.png

FILM of many frames: scripts/make_large_samples.py --film makes one. Rows (work, frames done, MiB
resident) are written when both works are done; the picture is drawn from the rows. Linux only: the
memory is what /proc says of this process.
"""

from __future__ import annotations

import argparse
import csv
import platform
import subprocess
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

import inrcodec
from inrcodec import media
from inrcodec.film import encode_film
from inrcodec.representations.base import Step
from inrcodec.request import EncodeRequest

Point = tuple[str, float, float]


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--rows", type=Path, required=True, help="CSV to write")
    parser.add_argument("-o", "--output", type=Path, required=True, help="PNG to draw")
    parser.add_argument("--iterations", type=int, default=25, help="of each group")
    parser.add_argument("--group", type=int, default=16, help="frames fitted together")
    options = parser.parse_args()
    points = measure(options)
    write(points, options)
    draw(points, options)


def measure(options: argparse.Namespace) -> list[Point]:
    """Encode the film and read it back in runs of eight frames, looking at the memory all along."""
    points: list[Point] = []
    request = EncodeRequest(iterations=options.iterations, group_frames=options.group)
    with media.open_film(options.film) as source:
        n_frames = source.spec.grid[0]

        def watch(step: Step) -> None:
            points.append(("encode", round(step.fraction * n_frames, 1), resident_mib()))

        data = encode_film(source, request, watch=watch).data
    done = 0
    for part in inrcodec.open(data).film(n_frames=8):
        done += len(part.samples)
        points.append(("decode", float(done), resident_mib()))
    return points


def resident_mib() -> float:
    """Memory of this process that is in RAM, in MiB."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in x)
    return round(int(line.split()[1]) / 1024, 1)


def write(points: list[Point], options: argparse.Namespace) -> None:
    """One row for each point, with what was measured where."""
    here = Path(__file__).resolve().parent
    name = ["git", "-C", str(here), "describe", "--always", "--dirty", "--exclude", "*"]
    commit = subprocess.run(name, capture_output=True, text=True, check=False).stdout.strip()
    command = f"scripts/film_memory.py FILM --group {options.group}"
    common = (options.group, commit, f"{platform.machine()}, Linux", command)
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    with options.rows.open("w", newline="") as file:
        writer = csv.writer(file)
        head = ("work", "frames_done", "resident_mib", "group", "commit", "machine", "command")
        writer.writerow(head)
        writer.writerows((*point, *common) for point in points)


def draw(points: list[Point], options: argparse.Namespace) -> None:
    """Memory over frames done, of both works."""
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for work, colour in (("encode", "tab:red"), ("decode", "tab:blue")):
        curve = [(frames, mib) for name, frames, mib in points if name == work]
        axes.plot(*zip(*curve, strict=True), color=colour, label=work)
    axes.set(xlabel="frames done", ylabel="resident memory, MiB", ylim=(0, None))
    axes.set_title(f"Memory over a film, groups of {options.group} frames")
    axes.grid(alpha=0.3)
    axes.legend()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output, dpi=110)


if __name__ == "__main__":
    main()
