"""Golden streams of latent grids: signals, and sound ones with one fault. For make_vectors.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from vector_faults import HEAD, MODEL, SYMBOLS, VALID, Parts, framed, varints
from vector_signals import arrays, signals, waves

from inrcodec.container import Stream, tile_key
from inrcodec.signal import Signal

__all__ = ["latent_faults", "latent_signals"]

TILE = 6
_USUAL_MODEL = 4 + 2 * 1 + 1  # bytes before the offsets, of an image of sides below 128


def latent_signals() -> dict[str, tuple[Signal, dict[str, object]]]:
    """By the rest of a stream's name: what it holds, and how it is coded."""
    usual, few = signals(), {"macs": 500, "prior": 0}
    sizes: dict[str, dict[str, object]] = {}
    for macs in (500, 1000, 2000, 3000):
        sizes[f"rgb8_{macs}"] = {"macs": macs, "prior": 0}
        sizes[f"rgb8_prior1_{macs}"] = {"macs": macs, "prior": 1}
    found = {name: (usual["rgb8"], options) for name, options in sizes.items()}
    for name in ("rgba8", "grey16_metadata", "float32"):
        found[name] = usual[name], few
    planes = np.rint(waves(9, 11, channels=16) * 255).astype(np.uint8)
    large = np.rint(waves(70, 38, channels=3) * 255).astype(np.uint8)
    one_pixel = Signal.image(np.array([[[200, 3, 90]]], np.uint8))
    return found | {
        "1x1": (one_pixel, few),
        "rgb8_prior1_deep": (usual["rgb8"], {"macs": 500, "prior": 1, "levels": 9}),
        "grey16_prior1": (usual["grey16_metadata"], {"macs": 500, "prior": 1, "levels": 3}),
        "planes16": (Signal.image(planes), few | {"levels": 2}),
        "tiles": (Signal.image(large), few | {"tile": 64, "levels": 4}),
        "array_float64_mask": (arrays()["array_float64_mask"], few),
    }


@dataclass(frozen=True, slots=True)
class Tiled:
    """The payloads of a valid stream of latent grids, to be framed again with a fault."""

    head: bytes
    model: bytes
    tiles: tuple[bytes, ...]

    @staticmethod
    def of(name: str) -> Tiled:
        """Those of a valid stream that is already there."""
        data = (VALID / f"{name}.inr").read_bytes()
        stream = Stream.from_bytes(data)
        tiles = tuple(stream.sections[tile_key(i)] for i in range(len(stream.sections) - 1))
        head = data[7 : 7 + data[6]]
        return Tiled(head, stream.sections[MODEL], tiles)

    def framed(self) -> bytes:
        """A stream of these payloads."""
        tiles = [(TILE, tile) for tile in self.tiles]
        return framed((HEAD, self.head), (MODEL, self.model), *tiles)

    def with_model(self, at: int, *values: int) -> bytes:
        """The stream with other bytes in MODEL."""
        model = self.model[:at] + bytes(values) + self.model[at + len(values) :]
        return replace(self, model=model).framed()

    def with_tile(self, *tiles: bytes) -> bytes:
        """The stream with other tiles."""
        return replace(self, tiles=tiles).framed()


def latent_faults() -> dict[str, bytes]:
    """Every invalid stream of latent grids by its name."""
    one, two = Tiled.of("latentgrid_rgb8_500"), Tiled.of("latentgrid_tiles")
    (tile,), tiles, siren = one.tiles, two.tiles, Parts.of("siren_1x1")
    tall = bytes([0x00, 5]) + varints(2**13, 2**13, 3)
    sound = bytes([0x12, 5]) + varints(24, 1, 8000)
    checksum = two.framed()
    return {
        "latent_size_4": one.with_model(0, 4),
        "latent_prior_255": one.with_model(1, 255),
        "latent_levels_0": one.with_model(2, 0),
        "latent_levels_13": one.with_model(2, 13),
        "latent_hyper_levels_too_many": one.with_model(2, 5, 2),
        "latent_tile_of_no_rows": one.with_model(4, 0),
        "latent_tile_too_tall": one.with_model(4, 100),
        "latent_overlap_of_one_tile": one.with_model(6, 1),
        "latent_overlap_17": two.with_model(6, 17),
        "latent_model_cut_short": replace(one, model=one.model[:-1]).framed(),
        "latent_model_too_long": replace(one, model=one.model + b"\0").framed(),
        "latent_channels_17": replace(
            one, head=bytes([0x00, 5]) + varints(17, 24, 17), model=one.model + bytes(28)
        ).framed(),
        "latent_of_sound": replace(one, head=sound).framed(),
        "latent_too_many_parameters": replace(
            one, head=tall, model=one.model[:4] + varints(2**13, 2**13) + one.model[6:]
        ).framed(),
        "latent_with_symbols": framed(
            (HEAD, one.head), (MODEL, one.model), (SYMBOLS, b""), (TILE, tile)
        ),
        "tile_missing": two.with_tile(*tiles[:-1]),
        "tile_too_many": one.with_tile(tile, tile),
        "tile_cut_short": one.with_tile(tile[:20]),
        "tile_of_symbols_too_large": one.with_tile(_with_maximum(tile, 2048)),
        "tile_latents_left_over": one.with_tile(tile + bytes(4)),
        "tile_latents_not_in_words": one.with_tile(tile + b"\0"),
        "tile_latents_cut_short": one.with_tile(tile[:-4]),
        "tile_bad_checksum": checksum[:-1] + bytes([checksum[-1] ^ 1]),
        "tile_in_siren": siren.framed((TILE, tile)),
    }


def _with_maximum(tile: bytes, maximum: int) -> bytes:
    """A tile whose first grid is said to have symbols up to `maximum`."""
    from inrcodec.container import ByteReader
    from inrcodec.entropy import Table
    from inrcodec.kernels import LatentShape

    reader = ByteReader(tile)
    for _ in LatentShape(17, 24, 3, size=0, n_levels=6, n_hyper=2).groups:
        reader.u8()
        Table.read(reader)
    return tile[: reader.offset] + varints(maximum) + tile[reader.offset + 1 :]
