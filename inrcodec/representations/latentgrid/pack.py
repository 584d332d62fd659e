"""What a stream stores of a latent grid: MODEL for the whole image, a TILE section for each tile.

A tile is coded apart from all others: the integers of its networks, then its latents, of which the
networks say how probable they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import ByteReader, ByteWriter, DecodeLimits
from inrcodec.entropy import MAX_DEVIATE, SymbolDecoder, SymbolEncoder, Table, choose_table
from inrcodec.errors import ConfigError, CorruptError, LimitError, UnsupportedError
from inrcodec.kernels import CONTEXT_PRIORS, LatentShape
from inrcodec.representations.latentgrid.context import decode_latents, encode_latents
from inrcodec.representations.latentgrid.fixed import fixed_weights
from inrcodec.representations.latentgrid.synthesis import synthesize
from inrcodec.representations.latentgrid.tiling import Tile, Tiling
from inrcodec.representations.output import OutputScale
from inrcodec.signal import SignalSpec

__all__ = ["LatentModel", "LatentTile", "coded_networks"]


@dataclass(frozen=True, slots=True)
class LatentModel:
    """MODEL: what all tiles share."""

    size: int
    n_levels: int
    n_hyper: int
    tiling: Tiling
    output: OutputScale
    prior: int = 0

    @property
    def channels(self) -> int:
        """Channels of the image."""
        return len(self.output.offsets)

    def shape_of(self, tile: Tile) -> LatentShape:
        """The shape of a tile. Raises ConfigError for levels and channels that no image has."""
        return LatentShape(
            tile.height,
            tile.width,
            self.channels,
            size=self.size,
            n_levels=self.n_levels,
            n_hyper=self.n_hyper,
            prior=self.prior,
        )

    def to_bytes(self) -> bytes:
        """The payload of MODEL."""
        writer = ByteWriter()
        for number in (self.size, self.prior, self.n_levels, self.n_hyper):
            writer.u8(number)
        for length in (self.tiling.rows, self.tiling.columns):
            writer.varint(length)
        writer.u8(self.tiling.overlap)
        for value in (*self.output.offsets, self.output.scale):
            writer.u16(value)
        return writer.to_bytes()

    @staticmethod
    def read(reader: ByteReader, spec: SignalSpec, limits: DecodeLimits) -> LatentModel:
        """The inverse of `to_bytes`. Raises BitstreamError, for limits before any allocation."""
        if len(spec.grid) != 2:
            raise CorruptError(f"latentgrid of {len(spec.grid)} axes")
        size, prior, n_levels, n_hyper = (reader.u8() for _ in range(4))
        if prior not in (0, *CONTEXT_PRIORS):
            raise UnsupportedError(f"prior {prior} of latentgrid is unknown")
        sides, overlap = (reader.varint(), reader.varint()), reader.u8()
        offsets = tuple(reader.u16() for _ in range(spec.channels))
        output = OutputScale(offsets, reader.u16())
        reader.finish()
        try:
            tiling = Tiling(*spec.grid, *sides, overlap)
            model = LatentModel(size, n_levels, n_hyper, tiling, output, prior)
            model.shape_of(next(tiling.tiles()))
        except ConfigError as error:
            raise CorruptError(f"MODEL: {error}") from None
        if model.n_parameters > limits.max_parameters:
            raise LimitError(f"{model.n_parameters} parameters are over {limits.max_parameters}")
        return model

    @property
    def n_parameters(self) -> int:
        """Stored numbers, as if all tiles were as large as the first."""
        shape = self.shape_of(next(self.tiling.tiles()))
        return self.tiling.n_tiles * (shape.n_latents + shape.n_weights)


@dataclass(frozen=True, slots=True)
class LatentTile:
    """The integers of one tile: a step and symbols for each group of weights, and all latents."""

    shape: LatentShape
    step_indices: tuple[int, ...]
    symbols: tuple[NDArray[np.int64], ...]
    grids: tuple[NDArray[np.int32], ...]

    def pixels(self, output: OutputScale) -> NDArray[np.int32]:
        """Pixels [height, width, channels] in units of 2^-20, of the [0, 1] scale."""
        pairs = zip(self.shape.grids, self.grids, strict=True)
        latents = [values for grid, values in pairs if not grid.is_hyper]
        weights = fixed_weights(self.shape, self.symbols, self.step_indices)
        return synthesize(latents, self.shape, weights, (output.offsets, output.scale))

    def to_bytes(self) -> bytes:
        """The payload of TILE."""
        tables, words = coded_networks(self.step_indices, self.symbols)
        weights = fixed_weights(self.shape, self.symbols, self.step_indices)
        latents, maxima = encode_latents(self.grids, self.shape, weights)
        sizes = ByteWriter()
        for maximum in maxima:
            sizes.varint(maximum)
        sizes.varint(len(words))
        return tables + sizes.to_bytes() + words + latents

    @staticmethod
    def from_bytes(payload: bytes, shape: LatentShape, *, start: int = 0) -> LatentTile:
        """The inverse of `to_bytes`; `start`: where it is in the file. Raises BitstreamError."""
        reader = ByteReader(payload, name="it", base=start)
        heads, maxima, words = _read_head(reader, shape)
        decoder = SymbolDecoder(words)
        symbols = tuple(
            decoder.take(sum(weight.size for weight in group), table.counts())
            for group, (_, table) in zip(shape.groups, heads, strict=True)
        )
        decoder.finish()
        indices = tuple(index for index, _ in heads)
        weights = fixed_weights(shape, symbols, indices)
        grids = decode_latents(reader.take(reader.bytes_left), shape, weights, maxima)
        return LatentTile(shape, indices, symbols, grids)

    @staticmethod
    def byte_counts(payload: bytes, shape: LatentShape) -> tuple[int, int]:
        """Bytes of a payload that are of its networks, and those that are the words of its latents.

        Whatever is not such a word counts as of the networks. Raises BitstreamError.
        """
        reader = ByteReader(payload, name="tile")
        _read_head(reader, shape)
        return len(payload) - reader.bytes_left, reader.bytes_left


def coded_networks(
    step_indices: Sequence[int], symbols: Sequence[NDArray[np.int64]]
) -> tuple[bytes, bytes]:
    """What a tile stores of its networks: steps and tables, and the words of the symbols."""
    head, coder = ByteWriter(), SymbolEncoder()
    for index, part in zip(step_indices, symbols, strict=True):
        table = choose_table(part)
        head.u8(index)
        table.write(head)
        coder.put(part, table.counts())
    return head.to_bytes(), coder.finish()


def _read_head(
    reader: ByteReader, shape: LatentShape
) -> tuple[list[tuple[int, Table]], list[int], bytes]:
    """What a tile says before its latents: steps and tables, largest values, words of weights."""
    heads = [(reader.u8(), Table.read(reader)) for _ in shape.groups]
    maxima = [reader.varint(MAX_DEVIATE) for _ in shape.grids]
    return heads, maxima, reader.take(reader.varint())
