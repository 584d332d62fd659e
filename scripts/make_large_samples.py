"""Build a 12-megapixel photograph, a 10-minute mono sound and a film from data/samples.

Run: python scripts/make_large_samples.py FOLDER [--film]. It writes photograph.png (4000 x 3000,
RGB 8-bit) and sound.wav (600 s at the rate of the sample, PCM 16): the samples, mirrored again and
again, so that there is detail everywhere and no jump at the seams. With --film it writes film.mp4
instead (300 frames of 640 x 360, H.264): the sample mirrored to the right and downwards, forwards
and backwards in turn.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from inrcodec import media
from inrcodec.signal import Signal

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
HEIGHT, WIDTH, SECONDS = 3000, 4000, 600
FILM_GRID = (300, 360, 640)


def main() -> None:
    """Write both files into the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="created if it is not there")
    parser.add_argument("--film", action="store_true", help="write film.mp4 only")
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    if options.film:
        write_film(folder / "film.mp4")
        return
    for signal, name in ((photograph(), "photograph.png"), (sound(), "sound.wav")):
        media.write(signal, folder / name)
        print(f"{folder / name}: {signal.spec.grid}, {(folder / name).stat().st_size} bytes")


def photograph() -> Signal:
    """The photograph, mirrored to the right and downwards."""
    samples = media.read(SAMPLES / "kodim23.png").samples
    height, width, _ = samples.shape
    more = ((0, HEIGHT - height), (0, WIDTH - width), (0, 0))
    return Signal.image(np.pad(samples, more, mode="symmetric"))


def sound() -> Signal:
    """The sound, forwards and backwards in turn."""
    source = media.read(SAMPLES / "speech-male.wav")
    rate = source.spec.sample_rate
    assert rate is not None
    more = ((0, SECONDS * rate - source.spec.grid[0]), (0, 0))
    return Signal.audio(np.pad(source.samples, more, mode="symmetric"), rate)


def write_film(path: Path) -> None:
    """The film, mirrored in space and time, written a frame at a time."""
    source = media.read(SAMPLES / "bunny.mp4")
    n_frames, height, width = source.spec.grid
    more = ((0, FILM_GRID[1] - height), (0, FILM_GRID[2] - width), (0, 0))
    spec = replace(source.spec, grid=FILM_GRID)
    with media.create_film(path, spec, source.metadata) as film:
        for number in range(FILM_GRID[0]):
            place = number % (2 * n_frames)
            frame = source.samples[min(place, 2 * n_frames - 1 - place)]
            film.write(np.pad(frame, more, mode="symmetric")[None])
    print(f"{path}: {spec.grid}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
