"""How an image is cut into tiles that are coded apart, and how they become one picture again.

A tile overlaps the next one to the right and below; there, the two are cross-faded, so that no
seam shows. All in whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError

__all__ = ["MAX_OVERLAP", "Tile", "Tiling"]

MAX_OVERLAP: Final = 16


class Tile(NamedTuple):
    """Rows and columns [start, stop) of an image that are coded together."""

    number: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.rows[1] - self.rows[0]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.columns[1] - self.columns[0]


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles of an image of `height` x `width`, numbered row by row.

    They begin every `rows` rows and every `columns` columns, and each that has a neighbour below or
    to its right goes on for `overlap` (0 to 16, at most half a tile) into it. Raises ConfigError
    otherwise.
    """

    height: int
    width: int
    rows: int
    columns: int
    overlap: int

    def __post_init__(self) -> None:
        if not (1 <= self.rows <= self.height and 1 <= self.columns <= self.width):
            raise ConfigError(f"tiles of {self.rows} x {self.columns} pixels")
        most = min(MAX_OVERLAP, min(self.rows, self.columns) // 2)
        if not 0 <= self.overlap <= (most if self.n_tiles > 1 else 0):
            raise ConfigError(f"tiles of {self.rows} x {self.columns} overlap by {self.overlap}")

    @staticmethod
    def whole(height: int, width: int) -> Tiling:
        """One tile."""
        return Tiling(height, width, height, width, 0)

    @staticmethod
    def even(height: int, width: int, side: int, overlap: int) -> Tiling:
        """Tiles of about the same size, of at most `side` rows and columns without the overlap."""
        rows, columns = (-(-size // -(-size // side)) for size in (height, width))
        tiling = Tiling(height, width, rows, columns, 0)
        if tiling.n_tiles == 1:
            return tiling
        return Tiling(height, width, rows, columns, min(overlap, min(rows, columns) // 2))

    @property
    def n_tiles(self) -> int:
        """Tiles of the whole image."""
        return -(-self.height // self.rows) * -(-self.width // self.columns)

    def tiles(self) -> Iterator[Tile]:
        """All tiles in order."""
        tops, lefts = range(0, self.height, self.rows), range(0, self.width, self.columns)
        spans = ((top, left) for top in tops for left in lefts)
        for number, (top, left) in enumerate(spans):
            rows = top, min(top + self.rows + self.overlap, self.height)
            columns = left, min(left + self.columns + self.overlap, self.width)
            yield Tile(number, rows, columns)

    @property
    def unit(self) -> int:
        """What the weights of all tiles at a pixel sum to."""
        return 4 * self.overlap**2 or 1

    def row_weights(self, tile: Tile) -> NDArray[np.int64]:
        """How much each row of a tile counts."""
        return self._weights(tile.rows, self.rows, self.height)

    def column_weights(self, tile: Tile) -> NDArray[np.int64]:
        """How much each column of a tile counts."""
        return self._weights(tile.columns, self.columns, self.width)

    def _weights(self, span: tuple[int, int], step: int, size: int) -> NDArray[np.int64]:
        start, stop = span
        weights = np.full(stop - start, max(2 * self.overlap, 1), np.int64)
        rise = 2 * np.arange(self.overlap) + 1
        if start > 0:
            n = min(self.overlap, stop - start)
            weights[:n] = rise[:n]
        fade = stop - (start + step)  # how far it goes on into the next one
        if fade > 0:
            weights[step:] = rise[::-1][:fade]
        return weights
