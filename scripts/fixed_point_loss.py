"""Measure what decoding in whole numbers costs, beside floats with the same integers of a stream.

    python scripts/fixed_point_loss.py IMAGE STREAM [STREAM ...] --rows data/rd/fixed_point.csv
    python scripts/fixed_point_loss.py IMAGE --lam 0.001 --rows data/rd/fixed_point.csv

The streams are of `latentgrid` and of the image; with none, one is made. Weights are symbol x step
+ prior in binary64, pixels what the float synthesis makes of them and of the latents, clipped and
rounded. So the difference is that of the last step of decoding, all bytes being the same. The float
context model says besides in how many bytes it would code the latents. For each stream a row is
appended to the CSV, and printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from latent_bytes import LatentBytes, latent_grid
from numpy.typing import NDArray
from rd_sets import centre
from rows import Origin, append, now, use_threads

from inrcodec import codec, kernels, media, metrics
from inrcodec.quantize import step_size
from inrcodec.rate import encode_to_target
from inrcodec.representations.latentgrid.family import LatentGrid
from inrcodec.representations.latentgrid.pack import LatentTile
from inrcodec.representations.output import CHANNEL_UNIT
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import Signal

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stream. `loss_db`: floats less whole numbers; `differing`: share of samples."""

    image: str
    stream: str
    n_bytes: int
    bpp: float
    psnr_db: float
    float_psnr_db: float
    loss_db: float
    differing: float
    largest_difference: float
    latent_bytes: int
    float_latent_bytes: float
    commit: str
    machine: str
    date: str
    command: str


def main() -> None:
    """Measure each stream."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("streams", type=Path, nargs="*")
    parser.add_argument("--rows", type=Path, required=True, help="CSV to append to")
    parser.add_argument("--lam", type=float, default=0.001, help="if no stream is given")
    parser.add_argument("--iterations", type=int, default=2000, help="if no stream is given")
    parser.add_argument("--crop", type=int, default=0, metavar="SIDE", help="to the middle")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    use_threads(options.threads)
    names = {path: path.name for path in (options.image, *options.streams)}
    origin = Origin.here({**names, options.rows: f"data/rd/{options.rows.name}"})
    source = centre(media.read(options.image), options.crop)
    streams = {path.stem: path.read_bytes() for path in options.streams}
    if not streams:
        goal = Target("lambda", options.lam)
        request = EncodeRequest(model="latentgrid", target=goal, iterations=options.iterations)
        name = f"{options.image.stem}-{options.lam:g}-{options.iterations}"
        streams[name] = encode_to_target(source, request).data
    for name, data in streams.items():
        row = measure(source, data, origin, names=(options.image.stem, name))
        append(options.rows, row)
        print(
            f"{name}: {row.psnr_db:.4f} dB in whole numbers, {row.float_psnr_db:.4f} dB in floats"
            f" ({row.loss_db:+.5f}); latents {row.latent_bytes} and {row.float_latent_bytes:.1f} B",
            flush=True,
        )


def measure(source: Signal, data: bytes, origin: Origin, *, names: tuple[str, str]) -> Row:
    """The row of a stream."""
    function, decoded = latent_grid(data), codec.decode(data)
    values, bits = in_floats(function)
    samples = source.spec.from_unit(values)
    other = metrics.psnr_db(source, Signal.image(samples))
    psnr_db = metrics.psnr_db(source, decoded)
    differences = np.abs(samples.astype(np.float64) - decoded.samples.astype(np.float64))
    return Row(
        image=names[0],
        stream=names[1],
        n_bytes=len(data),
        bpp=round(metrics.bpp(len(data), source.spec), 5),
        psnr_db=round(psnr_db, 5),
        float_psnr_db=round(other, 5),
        loss_db=round(other - psnr_db, 6),
        differing=round(float((differences > 0).mean()), 6),
        largest_difference=float(differences.max()),
        latent_bytes=LatentBytes.of(data).latents,
        float_latent_bytes=round(bits / 8.0, 1),
        commit=origin.commit,
        machine=origin.machine,
        date=now(),
        command=origin.command,
    )


def in_floats(function: LatentGrid) -> tuple[Floats, float]:
    """Values [height, width, channels] on the [0, 1] scale, and the bits of all latents."""
    model, tiling = function.model, function.model.tiling
    offsets = np.array(model.output.offsets) / CHANNEL_UNIT
    sums, bits = np.zeros((tiling.height, tiling.width, model.channels)), 0.0
    for tile, payload in zip(tiling.tiles(), function.payloads, strict=True):
        assert payload is not None
        shape = model.shape_of(tile)
        coded = LatentTile.from_bytes(payload, shape)
        weights = float_weights(coded)
        latents = torch.from_numpy(np.concatenate([grid.ravel() for grid in coded.grids])).double()
        outputs = kernels.latent_pixels(latents, shape, weights).permute(1, 2, 0).numpy()
        bits += float(kernels.latent_bits(latents, shape, weights).sum())
        pixels = (offsets + model.output.scale / CHANNEL_UNIT * outputs).clip(0.0, 1.0)
        if tiling.overlap:
            pixels *= tiling.row_weights(tile)[:, None, None]
            pixels *= tiling.column_weights(tile)[:, None]
        sums[slice(*tile.rows), slice(*tile.columns)] += pixels
    return sums / tiling.unit, bits


def float_weights(tile: LatentTile) -> Mapping[str, torch.Tensor]:
    """The tensors of all networks: prior + symbol x step."""
    tensors = {w.name: torch.zeros(w.shape, dtype=torch.float64) for w in tile.shape.weights}
    groups = zip(tile.shape.groups, tile.symbols, tile.step_indices, strict=True)
    for group, symbols, index in groups:
        begin = 0
        for weight in group:
            values = symbols[begin : begin + weight.size].reshape(weight.shape) * step_size(index)
            tensors[weight.name] = torch.from_numpy(values + np.resize(weight.prior, values.shape))
            begin += weight.size
    return tensors


if __name__ == "__main__":
    main()
