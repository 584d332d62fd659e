"""Compare `latentgrid` with Cool-chic's own code at the same lambda and as many iterations.

    python scripts/compare_coolchic.py CHECKOUT DATA --python INTERPRETER --threads 1 \
        --rows data/rd/coolchic_crops.csv

CHECKOUT is a folder with the code of Cool-chic 5.0.1 (GitHub Orange-OpenSource/Cool-Chic), which
INTERPRETER runs: it needs torch, torchvision, einops, fvcore, ConfigArgParse and constriction
0.4.2. DATA is a folder with kodak/kodimNN.png, of which the middle 256x256 pixels are coded. The
networks are of the same size on both sides: Cool-chic's `hop` and `macs = 2000`.

Bytes are those of the file. Quality is that of the file, decoded by what made it (`cc_decode.py`;
the PNG that Cool-chic's encoder leaves behind is not made from the file). J = MSE + lambda x bpp,
of samples in [0, 1] in 8 bits. Seconds are wall time, of Cool-chic with its start and its check.
`network_bytes`: of Cool-chic as its encoder counts them, of ours all in the tile but the latents'
words. One row for each image, lambda and codec, appended when it is done; those that exist are
skipped, but ours are measured again with --again, and the last row counts. At the end the ratio of
J, ours over Cool-chic's, is printed for each point.

With --peer-runs FOLDER, finished runs of exactly the same command are taken from FOLDER/NN-LAMBDA
(x.cool, log; of kodimNN), and their seconds from lines of FOLDER/done: NN LAMBDA BYTES START END.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from coolchic import Coded, Point, run_peer
from latent_bytes import LatentBytes
from rd_sets import centre, read_image
from rows import CsvRow, Origin, append, machine, now, read_rows, use_threads

from inrcodec import codec, kernels, metrics
from inrcodec.rate import encode_to_target
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import Signal

OURS, PEER = "latentgrid", "coolchic"
SIDE = 256


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file. `version`: our commit, or the release of Cool-chic; None: not known."""

    image: str
    lam: float
    codec: str
    iterations: int
    n_bytes: int
    bpp: float
    psnr_db: float
    j: float
    network_bytes: int | None
    seconds: float | None
    threads: int
    version: str
    machine: str
    date: str
    command: str


def main() -> None:
    """Measure what is missing, print the ratios."""
    options = parse_arguments()
    use_threads(options.threads)
    names = {options.checkout: "CHECKOUT", options.data: "DATA", options.peer_runs: "FOLDER"}
    names |= {options.python: "INTERPRETER", options.rows: f"data/rd/{options.rows.name}"}
    origin = Origin.here(names)
    for point, name in jobs(options):
        source = centre(read_image(options.data, point.image), SIDE)
        coded = (
            run_ours(source, point, origin) if name == OURS else run_peer(source, point, options)
        )
        if coded is None:
            print(f"{point.image} {point.lam:g} {name}: not finished, skipped", flush=True)
            continue
        append(options.rows, row_of(source, point, coded, name))
    for row in ratios(read_rows(options.rows)):
        print(f"{row.image} {row.lam:g}, {row.iterations} iterations: J {row.ours:.6f} is"
              f" {row.ours / row.peer:.4f} of {row.peer:.6f}")  # fmt: skip


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="folder with the code of Cool-chic")
    parser.add_argument("data", type=Path, help="folder with the test data")
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument("--python", type=Path, default=sys.executable, help="that runs Cool-chic")
    parser.add_argument("--images", nargs="+", default=["kodim15", "kodim23", "kodim05"])
    parser.add_argument("--lambdas", nargs="+", type=float, default=[0.004, 0.001])
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--threads", type=int, help="of either codec")
    parser.add_argument("--codecs", nargs="+", choices=[OURS, PEER], default=[OURS, PEER])
    parser.add_argument("--peer-runs", type=Path, metavar="FOLDER", help="with finished runs")
    parser.add_argument("--again", action="store_true", help="measure ours even if a row exists")
    return parser.parse_args()


def jobs(options: argparse.Namespace) -> Iterator[tuple[Point, str]]:
    """What has no row yet."""
    done = {key_of(row) for row in read_rows(options.rows)}
    for lam, image in itertools.product(options.lambdas, options.images):
        point = Point(image, lam, options.iterations)
        for name in options.codecs:
            if (point, name) not in done or (options.again and name == OURS):
                yield point, name


def key_of(row: CsvRow) -> tuple[Point, str]:
    """What a row is of."""
    return Point(row["image"], float(row["lam"]), int(row["iterations"])), row["codec"]


def row_of(source: Signal, point: Point, coded: Coded, name: str) -> Row:
    """Measure what was made."""
    bpp = metrics.bpp(coded.n_bytes, source.spec)
    j = metrics.mse(source, coded.decoded, unit=255.0) + point.lam * bpp
    return Row(
        image=point.image,
        lam=point.lam,
        codec=name,
        iterations=point.iterations,
        n_bytes=coded.n_bytes,
        bpp=round(bpp, 5),
        psnr_db=round(metrics.psnr_db(source, coded.decoded), 4),
        j=round(j, 9),
        network_bytes=coded.network_bytes,
        seconds=coded.seconds,
        threads=kernels.threads(),
        version=coded.version,
        machine=machine(),
        date=now(),
        command=coded.command,
    )


class Ratio(NamedTuple):
    """The J of both codecs at a point."""

    image: str
    lam: float
    iterations: int
    ours: float
    peer: float


def ratios(rows: Sequence[CsvRow]) -> list[Ratio]:
    """The points that both codecs have a row of; of several rows the last one counts."""
    costs = {key_of(row): float(row["j"]) for row in rows}
    points = [point for point, name in costs if name == OURS and (point, PEER) in costs]
    return [Ratio(*point, costs[point, OURS], costs[point, PEER]) for point in points]


# --- ours ----------------------------------------------------------------------------------------


def run_ours(source: Signal, point: Point, origin: Origin) -> Coded:
    """Encode by the library; decode the file."""
    request = EncodeRequest(
        model=OURS,
        target=Target("lambda", point.lam),
        iterations=point.iterations,
        seed=0,
        options={"macs": 2000},
    )
    result = encode_to_target(source, request)
    networks, seconds = LatentBytes.of(result.data).networks, round(result.seconds, 1)
    decoded = codec.decode(result.data)
    return Coded(
        len(result.data), decoded, networks, seconds, version=origin.commit, command=origin.command
    )


if __name__ == "__main__":
    main()
