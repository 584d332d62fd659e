"""Make a prior of the context model: `inrcodec/kernels/context_prior_1.txt`.

    python scripts/train_prior.py IMAGES FOLDER
    python scripts/train_prior.py IMAGES FOLDER --into inrcodec/kernels/context_prior_1.txt

First the middle 256 x 256 pixels of pictures in IMAGES (--images, spread evenly over their names)
are coded, at the four lambdas in turn; the latents lie in FOLDER, one file each, and those that are
there are not made again (--part 0 2 makes every other one). Then, with --into, one context model of
each size is fitted to all latents at once, to cost the fewest bits. It is written in units of
1/1024, one line a tensor. A prior is part of the format: a file that exists is not overwritten.

No picture of IMAGES may be one that results are measured on.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from rd_sets import centre
from rows import use_threads

from inrcodec import kernels, media
from inrcodec.kernels import LatentShape
from inrcodec.kernels.pyramid import SIZES
from inrcodec.representations.base import Budget, FitGoal
from inrcodec.representations.latentgrid.config import LatentGridConfig
from inrcodec.representations.latentgrid.family import LatentGrid

SIDE, LEVELS, HYPER_LEVELS = 256, 7, 3
LAMBDAS = (0.004, 0.001, 0.02, 0.0004)
FIT_ITERATIONS, TRAIN_ITERATIONS, BATCH = 500, 6000, 4
UNIT = 1024


def main() -> None:
    """Code what has no latents yet; then train, if asked."""
    options = parse_arguments()
    use_threads(options.threads)
    paths = sorted(path for path in options.images_in.iterdir() if path.suffix == ".webp")
    chosen = [paths[i * len(paths) // options.images] for i in range(options.images)]
    options.folder.mkdir(parents=True, exist_ok=True)
    jobs = list(zip(chosen, itertools.cycle(LAMBDAS), strict=False))
    first, step = options.part
    for path, lam in jobs[first::step]:
        make_latents(path, lam, options.folder)
    if options.into is None:
        return
    latents = [torch.from_numpy(np.load(latents_file(*job, options.folder))) for job in jobs]
    with options.into.open("x", encoding="ascii") as file:
        for size in range(len(SIZES)):
            file.writelines(lines_of(size, trained(size, latents)))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images_in", type=Path, metavar="IMAGES", help="folder of pictures, WebP")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="for latents")
    parser.add_argument("--images", type=int, default=48, help="how many of them")
    parser.add_argument("--part", type=int, nargs=2, default=[0, 1], metavar=("FIRST", "STEP"))
    parser.add_argument("--into", type=Path, help="file to write")
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


# --- latents -------------------------------------------------------------------------------------


def latents_file(path: Path, lam: float, folder: Path) -> Path:
    """Where the latents of a picture lie."""
    return folder / f"{path.stem}-{lam:g}.npy"


def make_latents(path: Path, lam: float, folder: Path) -> None:
    """Fit a picture, and keep its latents [n_latents] as float32."""
    file = latents_file(path, lam, folder)
    if file.exists():
        return
    source = centre(media.read(path), SIDE)
    config = LatentGridConfig(macs=2000, levels=LEVELS, hyper_levels=HYPER_LEVELS, prior=0)
    goal, budget = FitGoal(lam=lam, n_bytes=0.0), Budget(iterations=FIT_ITERATIONS)
    made = LatentGrid.fit(source, config, goal, budget).fitted
    assert made is not None
    values = np.concatenate([grid.ravel() for grid in made.tiles[0].grids])
    np.save(file, values.astype(np.float32))
    print(f"{path.stem} {lam:g}: {np.count_nonzero(values)} of {values.size}", flush=True)


# --- the model of all of them --------------------------------------------------------------------


def trained(size: int, latents: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of the context model of a size that codes all latents in the fewest bits."""
    shape = LatentShape(SIDE, SIDE, 3, size=size, n_levels=LEVELS, n_hyper=HYPER_LEVELS)
    random = torch.Generator().manual_seed(size)
    weights = {w.name: torch.zeros(w.shape) for w in shape.weights}
    moved = [w for w in shape.weights if w.of_context]
    for weight in moved:
        if weight.group in ("head", "feature"):
            weights[weight.name].normal_(0.0, 1.0 / weight.shape[0] ** 2, generator=random)
        weights[weight.name].requires_grad_()
    optimizer = torch.optim.Adam([weights[weight.name] for weight in moved], lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, TRAIN_ITERATIONS)
    batches, mean = batches_of(latents, random), 0.0
    for number, batch in zip(range(TRAIN_ITERATIONS), batches, strict=False):
        optimizer.zero_grad()
        # a picture counts by the logarithm of its bits, so that large ones do not decide alone
        bits = torch.stack([kernels.latent_cost(one, shape, weights) for one in batch])
        torch.autograd.backward(bits.log().mean())
        torch.nn.utils.clip_grad_norm_([weights[weight.name] for weight in moved], 1.0)
        optimizer.step()
        schedule.step()
        mean += (float(bits.detach().mean()) / 8.0 - mean) * 0.02
        if number % 100 == 99:
            print(f"size {size}, {number + 1}: {mean:.0f} bytes", file=sys.stderr, flush=True)
    return {weight.name: weights[weight.name].detach() for weight in moved}


def batches_of(
    latents: Sequence[torch.Tensor], random: torch.Generator
) -> Iterator[list[torch.Tensor]]:
    """A few at a time, in a new order each time all were there."""
    while True:
        order = torch.randperm(len(latents), generator=random).tolist()
        for at in range(0, len(order) - BATCH + 1, BATCH):
            yield [latents[i] for i in order[at : at + BATCH]]


def lines_of(size: int, weights: dict[str, torch.Tensor]) -> Iterator[str]:
    """A line for each tensor: size, name, values in row-major order."""
    for name, tensor in weights.items():
        values = (tensor * UNIT).round().clamp(-(1 << 15), (1 << 15) - 1).to(torch.int64)
        yield f"{size} {name} {' '.join(map(str, values.flatten().tolist()))}\n"


if __name__ == "__main__":
    main()
