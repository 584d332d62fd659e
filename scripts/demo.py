"""Encode, decode and measure the samples: a table of bytes and quality, and one picture.

Run: python scripts/demo.py [--seconds N] [--folder DIR]. N is the wall time of each of the five
encodes. DIR, "demo" if not given, then holds the streams, what they decode to, and demo.png, which
shows original, decoded and error side by side.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import inrcodec
from inrcodec import Kind, Signal, metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

WRITTEN_AS = {".mp4": ".mkv"}  # without loss
SAMPLES = Path(__file__).parent.parent / "data" / "samples"


@dataclass(frozen=True, slots=True)
class Job:
    """A sample, the model that is to hold it, and the most bytes it may take."""

    sample: str
    model: str
    n_bytes: int


JOBS = (
    Job("kodim23.png", "siren", 16_000),
    Job("kodim23.png", "hashgrid", 16_000),
    Job("kodim23.png", "latentgrid", 16_000),
    Job("speech-male.wav", "cosine", 12_000),
    Job("bunny.mp4", "simplexgrid", 48_000),
)
HEADER = ("file", "model", "bytes", "rate", "quality", "encode", "decode")
ROW = "{:<16} {:<11} {:>7} {:>11} {:>14} {:>8} {:>8}"

PHOTO_ERROR_LEVELS = 32  # white in the picture, of 255
WINDOW, HOP = 1024, 128  # of the spectrograms, in samples
LOUDEST_DB, QUIETEST_DB = -30.0, -100.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A job that is done."""

    job: Job
    original: Signal
    decoded: Signal
    n_bytes: int
    encode_seconds: float
    decode_seconds: float

    @property
    def rate(self) -> str:
        """What the file costs, in the unit that suits the signal."""
        if self.original.spec.kind is Kind.AUDIO:
            return f"{metrics.kbps(self.n_bytes, self.original.seconds or 0.0):.1f} kbps"
        return f"{metrics.bpp(self.n_bytes, self.original.spec):.3f} bpp"

    @property
    def quality(self) -> str:
        """How close it is, in the unit that suits the signal."""
        if self.original.spec.kind is Kind.AUDIO:
            return f"SNR {metrics.snr_db(self.original, self.decoded):.2f} dB"
        if self.original.spec.kind is Kind.VIDEO:
            return f"PSNR {metrics.film_psnr_db(self.original, self.decoded):.2f} dB"
        return f"PSNR {metrics.psnr_db(self.original, self.decoded):.2f} dB"

    @property
    def row(self) -> str:
        """One line of the table."""
        seconds = (f"{self.encode_seconds:.1f} s", f"{self.decode_seconds:.2f} s")
        job = self.job
        return ROW.format(job.sample, job.model, self.n_bytes, self.rate, self.quality, *seconds)


def main() -> None:
    """Do every job, print the table as it grows, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each encode; default 20")
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="for all that is written")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(ROW.format(*HEADER), flush=True)
    results = []
    for job in JOBS:
        results.append(run(job, arguments.seconds, arguments.folder))
        print(results[-1].row, flush=True)
    picture = arguments.folder / "demo.png"
    draw(results, picture)
    print(f"original, decoded and error: {picture}")


def run(job: Job, seconds: float, folder: Path) -> Result:
    """Encode a sample into a file, and decode that file."""
    original = inrcodec.read(SAMPLES / job.sample)
    stem, suffix = f"{Path(job.sample).stem}-{job.model}", Path(job.sample).suffix
    started = time.monotonic()
    data = inrcodec.encode(original, model=job.model, size=job.n_bytes, seconds=seconds)
    encoded = time.monotonic()
    (folder / f"{stem}.inr").write_bytes(data)
    loaded = time.monotonic()
    decoded = inrcodec.decode(folder / f"{stem}.inr")
    ended = time.monotonic()
    inrcodec.write(decoded, folder / f"{stem}{WRITTEN_AS.get(suffix, suffix)}")
    return Result(
        job=job,
        original=original,
        decoded=decoded,
        n_bytes=len(data),
        encode_seconds=encoded - started,
        decode_seconds=ended - loaded,
    )


# --- the picture ----------------------------------------------------------------------------------


def draw(results: Sequence[Result], path: Path) -> None:
    """One row for each result, with a scale for its errors."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shape = {"figsize": (15.0, 3.5 * len(results)), "layout": "constrained"}
    figure, rows = plt.subplots(len(results), 3, squeeze=False, **shape)
    for axes, result in zip(rows, results, strict=True):
        is_sound = result.original.spec.kind is Kind.AUDIO
        scale = (draw_sound if is_sound else draw_photo)(axes, result)
        label = "dB of full scale" if is_sound else "error, levels of 255"
        figure.colorbar(scale, ax=list(axes), label=label, pad=0.01, fraction=0.03)
        n_bytes = (SAMPLES / result.job.sample).stat().st_size
        axes[0].set_title(f"{result.job.sample}: {n_bytes:,} bytes")
        measures = f"{result.n_bytes:,} bytes, {result.rate}, {result.quality}"
        axes[1].set_title(f"{result.job.model}: {measures}")
        axes[2].set_title("error")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_photo(axes: Sequence[Axes], result: Result) -> AxesImage:
    """The pictures, of a film the middle frame, and how far each pixel is off, mean of channels."""
    pictures = [signal.samples for signal in (result.original, result.decoded)]
    if result.original.spec.kind is Kind.VIDEO:
        pictures = [frames[len(frames) // 2] for frames in pictures]
    for place, picture in zip(axes, pictures, strict=False):
        place.imshow(picture, interpolation="antialiased")
    difference = pictures[0].astype(np.float32) - pictures[1].astype(np.float32)
    error = np.abs(difference).mean(axis=2)
    for place in axes:
        place.set_axis_off()
    return axes[2].imshow(error, cmap="magma", vmin=0, vmax=PHOTO_ERROR_LEVELS)


def draw_sound(axes: Sequence[Axes], result: Result) -> AxesImage:
    """Spectrograms of the sounds and of their difference, all on one scale."""
    spec = result.original.spec
    original, decoded = (spec.to_unit(s.samples)[:, 0] for s in (result.original, result.decoded))
    assert spec.sample_rate is not None
    assert spec.seconds is not None
    edges = (0.0, spec.seconds, 0.0, spec.sample_rate / 2000)
    for place, samples in zip(axes, (original, decoded, original - decoded), strict=True):
        levels = spectrogram(2.0 * (samples - samples.mean()))
        look = {"cmap": "magma", "vmin": QUIETEST_DB, "vmax": LOUDEST_DB, "extent": edges}
        image = place.imshow(levels, origin="lower", aspect="auto", **look)
        place.set_xlabel("seconds")
    axes[0].set_ylabel("kHz")
    return image


def spectrogram(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Levels [frequencies, times] in dB of full scale, of samples [n] in [-1, 1]."""
    window = np.hanning(WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    amplitudes = np.abs(np.fft.rfft(frames * window)).T * (2.0 / window.sum())
    return 20.0 * np.log10(np.maximum(amplitudes, 1e-7))


if __name__ == "__main__":
    main()
