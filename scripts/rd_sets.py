"""The sets of signals that `run_rd.py` measures: their files, rates, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from make_film_sample import scaled
from rd_models import NETWORKS

from inrcodec import media
from inrcodec.signal import Metadata, Signal

CUT_SECONDS = 3
FILM_FRAMES, FILM_WIDTH, FILM_HEIGHT = 32, 640, 360


@dataclass(frozen=True, kw_only=True, slots=True)
class Set:
    """Files by the names that stand in rows, and what is asked for by default.

    `rates` are values of `measure`, `seconds` and `iterations` the budget of an encode (0: not
    limited), `baselines` other codecs, each with the values of its one option. `speech`: files that
    are measured as such; None: sounds are not measured so. `spectra`: whether their spectra are.
    """

    read: Callable[[Path, str], Signal]
    files: tuple[str, ...]
    measure: Literal["bpp", "kbps", "lambda"]
    rates: tuple[float, ...]
    seconds: float = 0.0
    iterations: int = 0
    models: tuple[str, ...] = tuple(NETWORKS)
    baselines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decodes: int
    speech: tuple[str, ...] | None = None
    spectra: bool = False


def read_image(data: Path, name: str) -> Signal:
    """A photograph of the Kodak set."""
    return media.read(data / "kodak" / f"{name}.png")


def read_photo(data: Path, name: str) -> Signal:
    """A larger photograph."""
    return media.read(data / "photo" / f"{name}.png")


def centre(signal: Signal, side: int) -> Signal:
    """The `side` x `side` pixels in the middle of an image; all of it for a side of 0."""
    if side == 0:
        return signal
    height, width = signal.spec.grid
    if min(height, width) < side:
        raise SystemExit(f"an image of {height} x {width} has no crop of {side} x {side}")
    top, left = (height - side) // 2, (width - side) // 2
    return Signal.image(signal.samples[top : top + side, left : left + side].copy())


def read_sound(data: Path, name: str) -> Signal:
    """A sound, WAV or FLAC."""
    paths = [data / "audio" / f"{name}{suffix}" for suffix in (".wav", ".flac")]
    return media.read(next((path for path in paths if path.exists()), paths[0]))


def read_cut(data: Path, name: str) -> Signal:
    """The first three seconds of a sound, of which papers on functions of sounds make theirs."""
    sound = read_sound(data, name)
    rate = sound.spec.sample_rate
    samples = sound.samples[: CUT_SECONDS * rate].copy()
    return Signal.audio(samples, rate, sample_format=sound.spec.sample_format)


def at_kbps(*rates: float) -> tuple[str, ...]:
    """The settings of a codec that is told a bit rate."""
    return tuple(f"{rate:g} kbps" for rate in rates)


def read_film(data: Path, name: str) -> Signal:
    """The first 32 frames of NAME in `bunny_640x360_32`, scaled to 640x360 by Lanczos."""
    if name != FILM:
        raise SystemExit(f"film {name} is not {FILM}")
    with media.open_film(data / "video" / "bigbuckbunny.mp4") as film:
        groups = film.groups(1, stop=FILM_FRAMES)
        frames = [scaled(group.samples[0], FILM_WIDTH, FILM_HEIGHT) for group in groups]
        spec = replace(film.spec, grid=(FILM_FRAMES, FILM_HEIGHT, FILM_WIDTH))
    return Signal(samples=np.stack(frames), spec=spec, metadata=Metadata())


KODAK = tuple(f"kodim{number:02d}" for number in range(1, 25, 2))
LAMBDAS = (0.004, 0.001, 0.02, 0.0004, 0.0001)  # those of Cool-chic's results

SOUNDS = (
    "1688-142285-0000",
    "2033-164914-0006",
    "castanets48_stereo",
    "cello-phrase",
    "encodec_test_48k",
    "gt_bach",
    "gt_counting",
    "guitar48_stereo_44100Hz",
    "speech-male",
)
SPEECH = ("1688-142285-0000", "2033-164914-0006", "gt_counting", "speech-male")

FILM = f"bunny_{FILM_WIDTH}x{FILM_HEIGHT}_{FILM_FRAMES}"

SETS = {
    "images": Set(
        read=read_image,
        files=("kodim05", "kodim07", "kodim17", "kodim21"),
        measure="bpp",
        rates=(0.16, 0.3, 0.6),
        seconds=40.0,
        baselines={"jpeg": ("q5", "q10", "q20", "q30", "q50", "q70")},
        decodes=3,
    ),
    "sounds": Set(
        read=read_sound,
        files=("speech-male", "gt_bach", "castanets48_stereo"),
        measure="kbps",
        rates=(16.0, 32.0, 64.0),
        seconds=30.0,
        baselines={"mp3": at_kbps(16, 24, 32, 48, 64, 96, 128)},
        decodes=3,
    ),
    "audio": Set(
        read=read_sound,
        files=SOUNDS,
        measure="kbps",
        rates=(24.0, 8.0, 64.0, 16.0, 32.0, 4.0, 12.0, 48.0, 96.0, 128.0, 192.0, 2.0),
        models=("cosine",),
        decodes=3,
        speech=SPEECH,
        spectra=True,
    ),
    "ears": Set(
        read=read_sound,
        files=SOUNDS,
        measure="kbps",
        rates=(8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0),
        models=("cosine", "cosine-perceptual"),
        baselines={
            "opus": at_kbps(6, 8, 12, 16, 24, 32, 48, 64),
            "aac": at_kbps(12, 16, 24, 32, 48, 64),
            "mp3": at_kbps(16, 24, 32, 48, 64),
        },
        decodes=3,
        speech=SPEECH,
        spectra=True,
    ),
    "cuts": Set(
        read=read_cut,
        files=("1688-142285-0000", "2033-164914-0006", "recombiner-example", "gt_bach"),
        measure="kbps",
        rates=(16.0, 8.0, 32.0),
        iterations=4000,
        models=("cosine", "siren", "spder", "hashgrid"),
        baselines={
            "mp3": at_kbps(8, 16, 24, 32, 40, 48, 64, 96, 128),
            "aac": at_kbps(8, 12, 16, 24, 32, 40, 48, 64),
            "opus": at_kbps(6, 8, 12, 16, 24, 32, 40, 48, 64, 96),
            "vorbis": ("q0", "q0.1", "q0.2", "q0.3", "q0.5", "q0.7", "q0.9"),
        },
        decodes=3,
        speech=("1688-142285-0000", "2033-164914-0006", "recombiner-example"),
    ),
    "films": Set(
        read=read_film,
        files=(FILM,),
        measure="bpp",
        rates=(0.1, 0.2, 0.45),
        seconds=100.0,
        baselines={"x264": tuple(f"crf{crf}" for crf in (45, 40, 35, 30, 25, 20, 15, 10))},
        decodes=1,
    ),
    "kodak": Set(
        read=read_image,
        files=KODAK,
        measure="lambda",
        rates=LAMBDAS,
        iterations=2000,
        models=("latentgrid",),
        decodes=1,
    ),
    "photos": Set(
        read=read_photo,
        files=(
            "977d69628a8fed178d55399007f29ea8",
            "amy-zhang-15940",
            "flower_foveon",
            "flowers_08",
            "schicka-307",
            "todd-quackenbush-222",
            "wikipedia-photos_001",
        ),
        measure="lambda",
        rates=LAMBDAS,
        iterations=2000,
        models=("latentgrid",),
        decodes=1,
    ),
}
