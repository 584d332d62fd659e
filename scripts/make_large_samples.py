"""Build a 12-megapixel photograph and a 10-minute mono sound from data/samples.

Run: python scripts/make_large_samples.py FOLDER. It writes photograph.png (4000 x 3000, RGB 8-bit)
and sound.wav (600 s at the rate of the sample, PCM 16): the samples, mirrored again and again, so
that there is detail everywhere and no jump at the seams.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from inrcodec import media
from inrcodec.signal import Signal

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
HEIGHT, WIDTH, SECONDS = 3000, 4000, 600


def main() -> None:
    """Write both files into the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="created if it is not there")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
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


if __name__ == "__main__":
    main()
