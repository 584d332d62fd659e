"""LatentGrid: a pyramid of integer latents, a context model and a small synthesis.

Choose it for images that may take a minute or more: it makes the smallest files.
Source: Ladune et al. 2026, arXiv:2605.02726 (Cool-chic 5.0), with the rate of the networks in the
loss, and everything that is decoded in whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.container import (
    ByteReader,
    DecodeLimits,
    SectionId,
    id_of_key,
    require_section,
    tile_key,
)
from inrcodec.errors import BitstreamError, ConfigError, CorruptError
from inrcodec.representations.base import (
    Budget,
    Cost,
    FitGoal,
    Representation,
    Watch,
    Window,
    import_fit,
)
from inrcodec.representations.latentgrid.config import MAX_CHANNELS, LatentGridConfig
from inrcodec.representations.latentgrid.fixed import PIXEL_BITS
from inrcodec.representations.latentgrid.pack import LatentModel, LatentTile
from inrcodec.representations.latentgrid.tiling import Tile
from inrcodec.signal import Kind, Signal, SignalSpec

if TYPE_CHECKING:
    from inrcodec.representations.latentgrid.fit import Fitted

__all__ = ["LatentGrid"]

_KEPT_LATENTS = 1 << 23
_NETWORK_BITS = 5000  # about


@dataclass(frozen=True, slots=True)
class LatentGrid(Representation):
    """Tiles of latents; those of a stream are decoded when their pixels are asked for."""

    name = "latentgrid"
    Config = LatentGridConfig
    sized_by_goal = False
    continuous = False
    honours = frozenset({"roi", "ms-ssim"})

    spec: SignalSpec
    model: LatentModel
    payloads: tuple[bytes | None, ...] = ()
    starts: Mapping[int, int] = field(default_factory=dict)
    fitted: Fitted | None = None
    salvage: bool = False
    _decoded: dict[int, LatentTile] = field(default_factory=dict, repr=False)

    @classmethod
    def fit(
        cls,
        signal: Signal,
        config: object,
        goal: FitGoal,
        budget: Budget,
        *,
        start: Self | None = None,
        base: Self | None = None,
        watch: Watch | None = None,
    ) -> Self:
        """Fit to an image, or to an array of two axes. Raises ConfigError, SignalError."""
        spec = signal.spec
        if spec.kind not in (Kind.IMAGE, Kind.ARRAY) or len(spec.grid) != 2:
            what = f"{spec.kind.name.lower()} of {len(spec.grid)} axes"
            raise ConfigError(f"latentgrid takes images and arrays of two axes, not {what}")
        if spec.channels > MAX_CHANNELS:
            raise ConfigError(f"latentgrid takes 1 to {MAX_CHANNELS} channels, not {spec.channels}")
        if not isinstance(config, LatentGridConfig):
            raise ConfigError(f"latentgrid takes a LatentGridConfig, got {config!r}")
        assert base is None, "no film is coded this way"
        fit = import_fit("inrcodec.representations.latentgrid.fit")
        earlier = None if start is None else start.fitted
        fitted = fit.fit_image(signal, config, goal, budget, start=earlier, watch=watch)
        return cls(spec, fitted.model, fitted=fitted)

    @classmethod
    def expected_lam(
        cls, *, bits_per_point: float, mse: float | None, variance: float, n_points: int
    ) -> float:
        """By the mean of photographs; the error says it for almost any image.

        But of a small one, where networks cost more than latents, they must still be worth it.
        """
        if mse is None:
            return float(1e-4 * (1.36 / bits_per_point) ** 1.9)
        lam = 1e-4 * (max(mse, 1e-9) / 7.6e-5) ** 1.67
        return float(min(lam, mse * n_points / _NETWORK_BITS))

    def pack(self) -> dict[int, bytes]:
        """MODEL and a TILE for each tile."""
        sections: dict[int, bytes] = {SectionId.MODEL: self.model.to_bytes()}
        for tile in self.model.tiling.tiles():
            sections[tile_key(tile.number)] = self._tile(tile).to_bytes()
        return sections

    @classmethod
    def unpack(
        cls,
        sections: Mapping[int, bytes],
        spec: SignalSpec,
        limits: DecodeLimits,
        *,
        base: Self | None = None,
        salvage: bool = False,
        starts: Mapping[int, int] | None = None,
    ) -> Self:
        """The inverse of `pack`; tiles are decoded when they are used. Raises BitstreamError."""
        reader = ByteReader(require_section(sections, SectionId.MODEL), name="MODEL")
        model = LatentModel.read(reader, spec, limits)
        n_tiles = model.tiling.n_tiles
        keys = [tile_key(number) for number in range(n_tiles)]
        strange = sorted(set(sections) - {SectionId.MODEL, *keys})
        if strange:
            raise CorruptError(
                f"{id_of_key(strange[0]).name} beside the {n_tiles} tiles of latentgrid"
            )
        if not salvage:
            for number, key in enumerate(keys):
                if key not in sections:
                    raise CorruptError(f"tile {number} of {n_tiles} is missing")
        payloads = tuple(sections.get(key) for key in keys)
        return cls(spec, model, payloads, starts or {}, salvage=salvage)

    # --- tiles -----------------------------------------------------------------------------------

    def _tile(self, tile: Tile) -> LatentTile:
        """The integers of a tile. Raises BitstreamError if its bytes are damaged."""
        if self.fitted is not None:
            return self.fitted.tiles[tile.number]
        known = self._decoded.get(tile.number)
        if known is not None:
            return known
        payload = self.payloads[tile.number]
        if payload is None:
            raise CorruptError(f"tile {tile.number} is damaged")
        decoded = self._read(payload, tile)
        if (1 + len(self._decoded)) * decoded.shape.n_latents > _KEPT_LATENTS:
            self._decoded.clear()
        self._decoded[tile.number] = decoded
        return decoded

    def _read(self, payload: bytes, tile: Tile) -> LatentTile:
        start = self.starts.get(tile_key(tile.number), 0)
        try:
            return LatentTile.from_bytes(payload, self.model.shape_of(tile), start=start)
        except BitstreamError as error:
            where = start if error.offset is None else error.offset
            message = f"tile {tile.number} is damaged: {error.reason}"
            raise CorruptError(message, offset=where) from None

    def _is_sound(self, tile: Tile) -> bool:
        try:
            self._tile(tile)
        except BitstreamError:
            return False
        return True

    def _pixels(self, tile: Tile) -> NDArray[np.int32]:
        """The pixels of a tile; grey ones for a damaged tile if it is to be salvaged."""
        try:
            return self._tile(tile).pixels(self.model.output)
        except BitstreamError:
            if not self.salvage:
                raise
        shape = (tile.height, tile.width, self.spec.channels)
        return np.full(shape, 1 << PIXEL_BITS - 1, np.int32)

    @property
    def n_tiles(self) -> int:
        """Tiles of the whole image."""
        return self.model.tiling.n_tiles

    def damaged_in(self, windows: tuple[Window, ...]) -> tuple[int, ...]:
        """The numbers of the tiles that windows touch and that cannot be decoded."""
        tiles = tuple(self._touched(*self._spans(windows)))
        with ThreadPoolExecutor(kernels.threads()) as pool:
            sound = list(pool.map(self._is_sound, tiles))
        return tuple(tile.number for tile, good in zip(tiles, sound, strict=True) if not good)

    # --- pixels ----------------------------------------------------------------------------------

    def render(self, windows: tuple[Window, ...]) -> NDArray[np.float32]:
        """Values [rows, columns, channels] on the [0, 1] scale, the same on every machine.

        Only the tiles that the windows touch are decoded, on all cores. Raises ConfigError for
        windows of another size than the image.
        """
        rows, columns = self._spans(windows)
        sums = np.zeros((len(rows), len(columns), self.spec.channels), np.int32)
        turn = Lock()

        def add(tile: Tile) -> None:
            mine, there = _common(tile, rows, columns)
            pixels = self._pixels(tile)[mine]
            if self.model.tiling.overlap:
                pixels *= self.model.tiling.row_weights(tile)[mine[0], None, None].astype(np.int32)
                pixels *= self.model.tiling.column_weights(tile)[mine[1], None].astype(np.int32)
            with turn:
                sums[there] += pixels

        with ThreadPoolExecutor(kernels.threads()) as pool:
            list(pool.map(add, self._touched(rows, columns)))
        return _values(sums, self.model.tiling.unit)

    def _spans(self, windows: tuple[Window, ...]) -> tuple[range, range]:
        """The rows and columns of windows. Raises ConfigError unless they are coded ones."""
        spans = [range(int(w.start), int(w.start) + w.count) for w in windows]
        for window, span, size in zip(windows, spans, self.spec.grid, strict=True):
            if window.size != size or window.start != span.start:
                raise ConfigError("latentgrid is decoded at the size that is coded, not between")
        return spans[0], spans[1]

    def _touched(self, rows: range, columns: range) -> Iterator[Tile]:
        for tile in self.model.tiling.tiles():
            inside = tile.rows[0] < rows.stop and rows.start < tile.rows[1]
            if inside and tile.columns[0] < columns.stop and columns.start < tile.columns[1]:
                yield tile

    def cost(self) -> Cost:
        """Multiplications per pixel, and the stored numbers of tiles all as large as the first."""
        shape = self.model.shape_of(next(self.model.tiling.tiles()))
        overlapped = sum(t.height * t.width for t in self.model.tiling.tiles()) / self.spec.n_points
        macs = shape.macs_per_point * overlapped
        return Cost(macs_per_point=macs, n_parameters=self.model.n_parameters)

    @property
    def symbols(self) -> tuple[NDArray[np.int64], ...]:
        """The coded integers of all tiles: of networks, then latents grid by grid."""
        tiles = [self._tile(tile) for tile in self.model.tiling.tiles()]
        return tuple(
            run
            for tile in tiles
            for run in (*tile.symbols, *(g.astype(np.int64) for g in tile.grids))
        )

    @property
    def lam(self) -> float | None:
        """The price of a bit at which its fit ended; None after `unpack`."""
        return None if self.fitted is None else self.fitted.lam

    @property
    def iterations(self) -> int:
        """Iterations that its fit took; 0 after `unpack`."""
        return 0 if self.fitted is None else self.fitted.iterations


_Slices = tuple[slice, slice]


def _common(tile: Tile, rows: range, columns: range) -> tuple[_Slices, _Slices]:
    """Where a part of an image and a tile have pixels in common, in the tile and in the part."""
    mine, there = [], []
    for (start, stop), part in zip((tile.rows, tile.columns), (rows, columns), strict=True):
        first, last = max(start, part.start), min(stop, part.stop)
        mine.append(slice(first - start, last - start))
        there.append(slice(first - part.start, last - part.start))
    return (mine[0], mine[1]), (there[0], there[1])


def _values(sums: NDArray[np.int32], unit: int) -> NDArray[np.float32]:
    """Sums of weighted pixels as values, in their own memory."""
    values = sums.view(np.float32)
    for row in range(len(sums)):
        values[row] = (sums[row] + unit // 2) // unit * np.float32(2.0**-PIXEL_BITS)
    return values
