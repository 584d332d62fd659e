"""Which bytes of a stream of latent grids are of its networks, and which of its latents."""

from __future__ import annotations

from typing import NamedTuple

from inrcodec import codec
from inrcodec.representations.latentgrid.family import LatentGrid
from inrcodec.representations.latentgrid.pack import LatentTile


class LatentBytes(NamedTuple):
    """Bytes of a stream.

    `latents`: the words of latents. `networks`: all else in the tiles, which is steps, tables,
    largest latents, and the words of weights. `frame`: what is left, headers and checksums too.
    """

    networks: int
    latents: int
    frame: int

    @staticmethod
    def of(data: bytes) -> LatentBytes:
        """The bytes of a sound stream."""
        function = latent_grid(data)
        networks = latents = 0
        for tile, payload in zip(function.model.tiling.tiles(), function.payloads, strict=True):
            assert payload is not None
            counts = LatentTile.byte_counts(payload, function.model.shape_of(tile))
            networks, latents = networks + counts[0], latents + counts[1]
        return LatentBytes(networks, latents, len(data) - networks - latents)


def latent_grid(data: bytes) -> LatentGrid:
    """The function of a stream. Refuses those of other models."""
    function = codec.unpack(data)[1]
    if not isinstance(function, LatentGrid):
        raise SystemExit(f"the stream is of {type(function).__name__}, not of a latent grid")
    return function
