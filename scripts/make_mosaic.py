"""Build a large square image of photographs, as a `.npy` file that is never whole in memory.

    python scripts/make_mosaic.py PHOTO... -o mosaic.npy --size 16384

The image, RGB of 8 bits, is laid out in tiles of 512 x 512. Each is a square at a place of its own
in a photograph, enlarged 1 to 4 times by cubic interpolation and then turned or mirrored in one of
eight ways. A tile has another photograph than the tiles to its left and above it. All is drawn from
one seed: equal photographs, in the same order, give equal bytes. 16,384 x 16,384 take 805 MB.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image

from inrcodec import media

TILE, MOST_ENLARGED, WAYS = 512, 4, 8

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """What fills a tile: which photograph, where in it (shares of the room), and how."""

    photo: int
    down: float
    right: float
    enlarged: int
    way: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="+", help="images, RGB of 8 bits")
    parser.add_argument("-o", "--output", type=Path, required=True, help=".npy to write")
    parser.add_argument("--size", type=int, default=16384, help="pixels of a side")
    options = parser.parse_args()
    make_mosaic(options.photos, options.output, options.size)
    print(f"{options.output}: {options.output.stat().st_size} bytes")


def make_mosaic(paths: Sequence[Path], output: Path, size: int) -> None:
    """Write the mosaic, under another name until it is complete."""
    photos = [read_photo(path) for path in paths]
    if not photos:
        raise SystemExit("there is no photograph to build a mosaic of")
    n_tiles = -(-size // TILE)
    part = output.with_suffix(".part")
    output.parent.mkdir(parents=True, exist_ok=True)
    mosaic = open_memmap(part, mode="w+", dtype=np.uint8, shape=(size, size, 3))
    for number, tile in enumerate(plan(len(photos), n_tiles)):
        top, left = (TILE * place for place in divmod(number, n_tiles))
        there = mosaic[top : top + TILE, left : left + TILE]
        there[:] = pixels_of(photos[tile.photo], tile)[: there.shape[0], : there.shape[1]]
    mosaic.flush()
    part.rename(output)


def read_photo(path: Path) -> Pixels:
    """The pixels [height, width, 3] of a photograph."""
    samples = media.read(path).samples
    if samples.dtype != np.uint8 or samples.shape[2] != 3:
        raise SystemExit(f"{path} is not RGB of 8 bits")
    return samples.astype(np.uint8, copy=False)


def plan(n_photos: int, n_tiles: int) -> Iterator[Tile]:
    """The tiles of all rows, `n_tiles` each, from the top and from the left."""
    random = np.random.default_rng(0)
    above = [-1] * n_tiles
    for number in range(n_tiles * n_tiles):
        column = number % n_tiles
        near = {above[column], above[column - 1] if column else -1}
        others = [photo for photo in range(n_photos) if photo not in near] or range(n_photos)
        above[column] = int(random.choice(others))
        yield Tile(
            photo=above[column],
            down=random.random(),
            right=random.random(),
            enlarged=int(random.integers(1, MOST_ENLARGED + 1)),
            way=int(random.integers(WAYS)),
        )


def pixels_of(photo: Pixels, tile: Tile) -> Pixels:
    """A tile [512, 512, 3]; of a photograph that is too small for it, enlarged some more."""
    height, width, _ = photo.shape
    side = min(TILE // tile.enlarged, height, width)
    top, left = int(tile.down * (height - side + 1)), int(tile.right * (width - side + 1))
    square = Image.fromarray(photo[top : top + side, left : left + side])
    enlarged = np.asarray(square.resize((TILE, TILE), Image.Resampling.BICUBIC))
    turned = np.rot90(enlarged, tile.way % 4)
    return turned[:, ::-1] if tile.way >= 4 else turned


if __name__ == "__main__":
    main()
