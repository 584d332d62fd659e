"""Make a short, small clip of a film, H.264 by x264: data/samples/bunny.mp4 and what is timed.

Run: python scripts/make_film_sample.py SOURCE OUT [--frames 16] [--size 320x180] [--start 8].
data/samples/bunny.mp4 is made so, with no option given, of the SOURCE that data/README.md names;
any film that inrcodec reads will do. Frames are scaled by Pillow's Lanczos filter.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inrcodec import media
from inrcodec.signal import Metadata

CRF = 16


def main() -> None:
    """Write the clip that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path, help=".mp4 or .mkv")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", default="320x180", help="WIDTHxHEIGHT")
    parser.add_argument("--start", type=int, default=8, help="first frame of the source")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    stop = options.start + options.frames
    with media.open_film(options.source) as film:
        spec = replace(film.spec, grid=(options.frames, height, width))
        with media.create_film(options.out, spec, Metadata(), codec="x264", crf=CRF) as clip:
            for group in film.groups(1, start=options.start, stop=stop):
                clip.write(scaled(group.samples[0], width, height)[None])
    for note in (*film.notes, *clip.notes):
        warnings.warn(note, stacklevel=1)
    print(f"{options.out}: {spec.grid}, {options.out.stat().st_size} bytes")


def scaled(frame: NDArray[np.generic], width: int, height: int) -> NDArray[np.generic]:
    """An RGB frame [height, width, 3] of 8 bits in another size."""
    image = Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image)


if __name__ == "__main__":
    main()
