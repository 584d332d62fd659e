"""Write the tables of three seconds of sounds, of every codec there and of published ones.

    python scripts/cuts_table.py data/rd/cuts.csv --into docs/results.md

The rows are those of `run_rd.py --set cuts`. The first table has the SNR of each codec at some
rates, by straight lines between its points in dB and log of kbps; "-" where its points do not come
within 4 % of a rate. "s to encode" is the mean over those rates and clips.
The second has points that authors published, and at what rate ours and MP3 have that PSNR, "-" off
their points: on the clip that RECOMBINER's authors give with what it decodes to, and for means over
LibriSpeech the geometric mean over the cuts of it. With --into, what stands in a page between the
comments `<!-- cuts -->` and `<!-- /cuts -->` is replaced.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from audio_table import Point, change, kbps_at, rising
from latent_tables import head, line
from plot_rd import replace
from rd_baselines import ENCODERS
from rd_sets import SETS
from rows import CsvRow, read_rows

OURS = SETS["cuts"].models
RATES = (8.0, 16.0, 32.0)
BESIDE = 1.04  # how far beyond its points a codec still counts, as those that aim at a rate may
THEIR_CLIP = "recombiner-example"
PUBLISHED = {"RECOMBINER": (THEIR_CLIP,), "COIN++": SETS["cuts"].speech or ()}
PUBLISHED["MP3"] = PUBLISHED["COIN++"]
COMPARED = (*OURS, "mp3")

Curves = Mapping[tuple[str, str], Sequence[Point]]
"""Points by clip and codec."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="CSV of run_rd.py")
    parser.add_argument("--published", type=Path, default=Path("data/rd/published.csv"), help="CSV")
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    options = parser.parse_args()
    rows = read_rows(options.rows)
    text = "\n".join([*rate_table(rows), *published_table(rows, read_rows(options.published))])
    print(text)
    if options.into:
        replace(options.into, "cuts", text)


def curves_of(rows: Sequence[CsvRow], measure: str) -> Curves:
    """The points of each clip and codec; the measure, in dB, stands where the SNR does."""
    curves: dict[tuple[str, str], list[Point]] = {}
    for row in rows:
        point = Point(float(row["kbps"]), float(row[measure]))
        curves.setdefault((row["file"], row["model"]), []).append(point)
    return {key: sorted(points) for key, points in curves.items()}


def rate_table(rows: Sequence[CsvRow]) -> Iterator[str]:
    """A line for each codec: its SNR at each rate, clip by clip."""
    curves = curves_of(rows, "snr_db")
    clips = list(dict.fromkeys(row["file"] for row in rows))
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    yield from head(f"SNR in dB at {rates} kbps", *clips, "s to encode")
    codecs = [name for name in (*OURS, *ENCODERS) if any((clip, name) in curves for clip in clips)]
    for name in codecs:
        levels = ([snr_at(curves.get((clip, name), ()), rate) for rate in RATES] for clip in clips)
        cells = (", ".join("-" if x is None else f"{x:.1f}" for x in each) for each in levels)
        yield line(name, *cells, seconds_of(rows, name))
    yield ""


def snr_at(points: Sequence[Point], kbps: float) -> float | None:
    """By straight lines over the logarithm; None beyond what the points cover."""
    if not points or not points[0].kbps / BESIDE <= kbps <= points[-1].kbps * BESIDE:
        return None
    logs = [math.log(point.kbps) for point in points]
    return float(np.interp(math.log(kbps), logs, [point.snr_db for point in points]))


def seconds_of(rows: Sequence[CsvRow], codec: str) -> str:
    """The mean of the encodes near the rates of the table."""
    near = [
        float(row["encode_s"])
        for row in rows
        if row["model"] == codec
        and any(1.0 / BESIDE <= float(row["kbps"]) / rate <= BESIDE for rate in RATES)
    ]
    return f"{np.mean(near):.1f}" if near else ""


def published_table(rows: Sequence[CsvRow], published: Sequence[CsvRow]) -> Iterator[str]:
    """A line for each published point: what it takes, and what ours and MP3 take for its PSNR."""
    curves = curves_of(rows, "psnr_db")
    names = (f"{name}, kbps" for name in COMPARED)
    yield from head("published", "kbps", "PSNR, dB", *names, f"bits, {COMPARED[0]}")
    for codec, clips in PUBLISHED.items():
        for row in published:
            if row["codec"] != codec or row["set"] == "images":
                continue
            theirs, psnr_db = float(row["kbps"]), float(row["psnr_db"])
            takes = [mean_kbps(curves, clips, name, psnr_db) for name in COMPARED]
            cells = ("-" if kbps is None else f"{kbps:.2f}" for kbps in takes)
            same = takes[0] is not None and clips == (THEIR_CLIP,)
            bits = change(takes[0] / theirs) if same else ""
            yield line(codec, f"{theirs:g}", f"{psnr_db:.2f}", *cells, bits)
    yield ""


def mean_kbps(curves: Curves, clips: Sequence[str], codec: str, psnr_db: float) -> float | None:
    """What a PSNR takes, the geometric mean over clips; None if one does not reach so far."""
    rates = [kbps_at(rising(curves.get((clip, codec), ())), psnr_db) for clip in clips]
    if any(rate is None for rate in rates):
        return None
    return math.exp(float(np.mean([math.log(rate) for rate in rates if rate is not None])))


if __name__ == "__main__":
    main()
