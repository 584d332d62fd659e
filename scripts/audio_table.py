"""Write the table and the picture of sounds beside other codecs, from rows of measurements.

    python scripts/audio_table.py data/rd/audio.csv audio_measured.json --ears data/rd/ears.csv \
        --into docs/results.md

The rows are those of `run_rd.py --set audio`. The JSON has points of other codecs on these clips:
codec, kbps of the file, SNR in dB over all samples and channels. Of each clip, the best codec at an
SNR is the one that needs the fewest bits there, by straight lines between points in dB and log of
kbps; AAC and MP3 count with whichever of their settings is best. "bits" is what we need of that in
the mean over all SNR that both cover, up to 128 kbps of the codec, less 1; "in the band" the same
by the SNR from 40 Hz to 7/16 of the rate, 16 kHz at most; "at 20 dB" are kbps.
With --ears, rows of `run_rd.py --set ears`, tables follow of PESQ, ESTOI and log spectral distances
at some rates: of `cosine`, of the same tuned for hearing, and of other codecs, by straight lines
over the log of kbps; nothing where a codec has no rate so low. Written are
docs/images/rd_audio.png and, with --into, what stands in a page between the comments
`<!-- audio -->` and `<!-- /audio -->`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from latent_tables import head, line
from plot_rd import replace
from rows import CsvRow, read_rows

FAMILIES = {
    "opus": "opus",
    "aac": "aac",
    "aac_wave": "aac",
    "mp3_cbr": "mp3",
    "mp3_abr": "mp3",
    "vorbis": "vorbis",
}
OURS = "cosine"
LEAST_KBPS, MOST_KBPS = 8.0, 128.0
SPEECH_KBPS, ALL_KBPS = (8.0, 12.0, 16.0, 24.0), (16.0, 32.0, 64.0)
MEASURES = {
    "pesq_wb": ("PESQ", SPEECH_KBPS),
    "estoi": ("ESTOI", SPEECH_KBPS),
    "lsd_db": ("log spectral distance, dB", ALL_KBPS),
}
HEARD = {
    "cosine": "mse",
    "cosine-perceptual": "perceptual",
    "opus": "Opus",
    "aac": "AAC",
    "mp3": "MP3",
}
SHOWN_OF_EACH = ("mse", "perceptual", "Opus")
STEP_DB, AT_DB = 0.25, 20.0


class Point(NamedTuple):
    """Of a file: kbps, and the SNR of what it decodes to."""

    kbps: float
    snr_db: float


Curves = Mapping[str, Sequence[Point]]
"""Points by codec, kbps rising and SNR with it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="CSV of run_rd.py")
    parser.add_argument("anchors", type=Path, help="JSON of points of other codecs")
    parser.add_argument("--ears", type=Path, help="CSV of sounds that are to be heard")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/rd_audio.png"))
    parser.add_argument("--into", type=Path, help="page with the comments to write between")
    options = parser.parse_args()
    anchors = json.loads(options.anchors.read_text())["clips"]
    clips = curves_of(options.rows, anchors)
    bands = curves_of(options.rows, anchors, mine="band_snr_db", theirs="snr_band_db")
    draw(clips, options.picture)
    link = os.path.relpath(options.picture, options.into.parent if options.into else Path("docs"))
    lines = [*table(clips, bands), *ears_tables(read_rows(options.ears) if options.ears else [])]
    text = "\n".join([f"![sounds: SNR over rate]({link})\n", *lines])
    print(text)
    if options.into:
        replace(options.into, "audio", text)


def curves_of(
    rows: Path,
    anchors: Sequence[Mapping[str, Any]],
    *,
    mine: str = "snr_db",
    theirs: str = "snr_db",
) -> dict[str, Curves]:
    """Curves of each clip, ours and those of other codecs, of fields that are SNRs."""
    found: dict[str, dict[str, list[Point]]] = {}
    for row in read_rows(rows):
        point = Point(float(row["kbps"]), float(row[mine]))
        found.setdefault(row["file"], {}).setdefault(row["model"], []).append(point)
    for clip in anchors:
        curves = found.get(str(clip["clip"]), {})
        for one in clip["points"]:
            point = Point(float(one["kbps"]), float(one[theirs]))
            curves.setdefault(FAMILIES[one["codec"]], []).append(point)
    return {
        clip: {name: rising(points) for name, points in curves.items()}
        for clip, curves in found.items()
    }


def rising(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats, by rate."""
    kept: list[Point] = []
    for point in sorted(points):
        if not kept or point.snr_db > kept[-1].snr_db:
            kept.append(point)
    return kept


def kbps_at(points: Sequence[Point], snr_db: float) -> float | None:
    """What an SNR takes; None outside of what the points cover."""
    levels = [point.snr_db for point in points]
    if not levels or not levels[0] <= snr_db <= levels[-1]:
        return None
    return float(np.exp(np.interp(snr_db, levels, [math.log(point.kbps) for point in points])))


def best_at(curves: Curves, snr_db: float, most_kbps: float = math.inf) -> tuple[float, str] | None:
    """What the codec that is best there takes, and which it is; None beyond its rates."""
    found = [
        (kbps, name)
        for name, points in curves.items()
        if name != OURS and (kbps := kbps_at(points, snr_db)) is not None
    ]
    best = min(found, default=None)
    return best if best and LEAST_KBPS <= best[0] <= most_kbps else None


def share_of_bits(curves: Curves, codec: str | None = None) -> tuple[float, float, float] | None:
    """Our bits over those of the best codec, or of one: in the mean, at least, and at most."""
    logs = []
    for snr_db in np.arange(0.0, 80.0, STEP_DB):
        ours = kbps_at(curves[OURS], snr_db)
        others = curves if codec is None else {codec: curves.get(codec, ())}
        other = best_at(others, snr_db, MOST_KBPS)
        if ours is not None and other is not None:
            logs.append(math.log(ours / other[0]))
    if not logs:
        return None
    return math.exp(float(np.mean(logs))), math.exp(min(logs)), math.exp(max(logs))


def table(clips: Mapping[str, Curves], bands: Mapping[str, Curves]) -> Iterator[str]:
    """A line for each clip, and the means; `bands`: the same by the SNR in the band."""
    codecs = list(dict.fromkeys(FAMILIES.values()))
    names = (f"at {AT_DB:g} dB: ours", "best codec", "bits", "at best", "at worst", "in the band")
    yield from head("clip", *names, *(f"bits, {codec}" for codec in codecs))
    ours, others, shares, inside = [], [], [], []
    for clip, curves in clips.items():
        mine, best = kbps_at(curves[OURS], AT_DB), best_at(curves, AT_DB)
        share, band = share_of_bits(curves), share_of_bits(bands[clip])
        if mine is not None and best is not None:
            ours.append(mine)
            others.append(best[0])
        if share is not None:
            shares.append(share[0])
        if band is not None:
            inside.append(band[0])
        each = [share_of_bits(curves, codec) for codec in codecs]
        yield line(
            clip,
            "" if mine is None else f"{mine:.1f}",
            "" if best is None else f"{best[0]:.1f} ({best[1]})",
            *(("", "", "") if share is None else map(change, share)),
            "" if band is None else change(band[0]),
            *("" if one is None else change(one[0]) for one in each),
        )
    total = [math.exp(float(np.mean(np.log(values)))) for values in (ours, others, shares, inside)]
    means = f"{total[0]:.1f}", f"{total[1]:.1f}", change(total[2])
    yield line("geometric mean", *means, "", "", change(total[3]), *[""] * len(codecs))
    yield ""


def ears_tables(rows: Sequence[CsvRow]) -> Iterator[str]:
    """A table for each measure: lines for sounds, of ours and Opus, then means of all."""
    for measure, (what, rates) in MEASURES.items() if rows else ():
        yield from head("sound", what, *(f"{rate:g} kbps" for rate in rates))
        known = [row for row in rows if row[measure]]
        files = list(dict.fromkeys(row["file"] for row in known))
        means: dict[str, list[list[float | None]]] = {}
        for file in files:
            for model, name in HEARD.items():
                points = [row for row in known if (row["file"], row["model"]) == (file, model)]
                values = [value_at(points, rate, measure) for rate in rates]
                if any(value is not None for value in values):
                    means.setdefault(name, []).append(values)
                    if name in SHOWN_OF_EACH:
                        yield line(file, name, *map(shown, values))
        for name, values in means.items():
            columns = zip(*values, strict=True)
            yield line("mean", name, *(shown(mean_of(column, len(files))) for column in columns))
        yield ""


def value_at(points: Sequence[Mapping[str, Any]], kbps: float, name: str) -> float | None:
    """A measure at a rate; None where no points are as low or as high."""
    pairs = sorted((math.log(float(point["kbps"])), float(point[name])) for point in points)
    slack = 0.02  # our files are up to 2 % smaller than was asked for
    if not pairs or not pairs[0][0] - slack <= math.log(kbps) <= pairs[-1][0] + slack:
        return None
    return float(np.interp(math.log(kbps), *zip(*pairs, strict=True)))


def mean_of(values: Sequence[float | None], n: int) -> float | None:
    """Of all n sounds; None if one is missing."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == n else None


def shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def change(share: float) -> str:
    return f"{100.0 * (share - 1.0):+.0f} %"


def draw(clips: Mapping[str, Curves], picture: Path) -> None:
    """A panel for each clip."""
    figure, panels = plt.subplots(3, 3, figsize=(15.0, 12.0), layout="constrained")
    for (clip, curves), axes in zip(clips.items(), panels.flat, strict=False):
        for name, points in curves.items():
            style = {"color": "black", "linewidth": 2} if name == OURS else {"linewidth": 1}
            axes.plot(*zip(*points, strict=True), marker=".", label=name, **style)
        axes.set(xscale="log", title=clip, xlabel="kbps", ylabel="SNR in dB")
        axes.grid(alpha=0.3, which="both")
    panels.flat[0].legend()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()
