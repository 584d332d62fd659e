"""Latent grids in whole numbers: the pyramid, the road of latents and pixels, and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inrcodec import kernels
from inrcodec.entropy import laplace_counts
from inrcodec.errors import ConfigError, CorruptError
from inrcodec.kernels import LatentShape, latent_bits, latent_pixels
from inrcodec.representations.latentgrid import context, fixed, synthesis

SHAPES = [
    LatentShape(1, 1, 1, size=0, n_levels=1, n_hyper=0),
    LatentShape(1, 9, 3, size=1, n_levels=4, n_hyper=0),
    LatentShape(23, 1, 2, size=3, n_levels=5, n_hyper=1),
    LatentShape(37, 21, 3, size=2, n_levels=7, n_hyper=3),
    LatentShape(30, 44, 16, size=3, n_levels=6, n_hyper=2),
]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s.height}x{s.width}")


@pytest.fixture(autouse=True)
def reference(_backend_is_put_back: None) -> None:
    kernels.set_backend("torch")


def weights_of(shape: LatentShape, seed: int = 0, size: int = 60) -> dict[str, np.ndarray]:
    """Weights of about 0.06, with scales of latents around 1."""
    rng = np.random.default_rng(seed)
    symbols = [rng.integers(-size, size + 1, sum(w.size for w in g)) for g in shape.groups]
    names = [group[0].group for group in shape.groups]
    symbols[names.index("head_bias")][:] = [100, 2400]
    return fixed.fixed_weights(shape, symbols, [120] * len(symbols))


def latents_of(shape: LatentShape, spread: float = 1.0, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = [(grid.height, grid.width) for grid in shape.grids]
    return [np.rint(rng.laplace(0, spread, size)).astype(np.int32) for size in sizes]


def floats_of(shape: LatentShape, weights: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    bits = {weight.name: fixed.fractional_bits(weight) for weight in shape.weights}
    return {
        name: torch.tensor(values * 2.0 ** -bits[name], dtype=torch.float64)
        for name, values in weights.items()
    }


def joined(grids: list[np.ndarray]) -> torch.Tensor:
    return torch.tensor(np.concatenate([grid.ravel() for grid in grids]), dtype=torch.float64)


def drawn(shape: LatentShape, grids: list[np.ndarray]) -> list[np.ndarray]:
    """The grids that are drawn."""
    return [grid for spec, grid in zip(shape.grids, grids, strict=True) if not spec.is_hyper]


# --- shapes --------------------------------------------------------------------------------------


def test_the_grids_of_a_photograph() -> None:
    shape = LatentShape(512, 768, 3, size=2, n_levels=7, n_hyper=3)
    names = [("hyper" if grid.is_hyper else "latent", grid.level) for grid in shape.grids]
    assert names[:5] == [("hyper", 6), ("latent", 6), ("hyper", 5), ("latent", 5), ("hyper", 4)]
    assert [(g.height, g.width) for g in shape.grids[-2:]] == [(256, 384), (512, 768)]
    assert [grid.feature_inputs for grid in shape.grids] == [0] * 7 + [7, 8, 9]


def test_sizes_cost_what_their_names_say() -> None:
    macs = [
        LatentShape(512, 768, 3, size=s, n_levels=7, n_hyper=3).macs_per_point for s in range(4)
    ]
    assert [round(value, -2) for value in macs] == [500, 1000, 1900, 2900]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"size": 4}, "size 4"),
        ({"n_levels": 13}, "levels 13"),
        ({"n_levels": 5, "n_hyper": 2}, "hyper levels 2"),
        ({"channels": 17}, "channels 17"),
    ],
)
def test_shapes_that_no_stream_has_are_refused(fields: dict[str, int], says: str) -> None:
    usual = {"height": 9, "width": 9, "channels": 3, "size": 2, "n_levels": 3, "n_hyper": 0}
    with pytest.raises(ConfigError, match=says):
        LatentShape(**(usual | fields))


# --- weights -------------------------------------------------------------------------------------


def test_weights_are_prior_and_symbols_times_step() -> None:
    shape = SHAPES[3]
    symbols = [np.zeros(sum(w.size for w in group), np.int64) for group in shape.groups]
    names = [group[0].group for group in shape.groups]
    symbols[names.index("lift")][:2] = [3, -32767]
    symbols[names.index("rise")][0] = 1
    indices = [160] * len(symbols)  # a step of 8 * 2^-7 = 1/16
    weights = fixed.fixed_weights(shape, symbols, indices)
    assert weights["lift"].ravel()[:2].tolist() == [3 * 2**12, -16 * 2**16]
    assert weights["rise"][0].tolist() == [-9 * 256 + 2**12, -27 * 256, 67 * 256, 225 * 256]
    assert weights["sharpen"][5].tolist() == [0, 0, 0, 2**16]


def test_products_of_steps_are_rounded_half_up() -> None:
    shape = SHAPES[3]
    symbols = [np.zeros(sum(w.size for w in group), np.int64) for group in shape.groups]
    names = [group[0].group for group in shape.groups]
    symbols[names.index("lift")][:4] = [1, -1, 3, -3]
    indices = [8 * 7] * len(symbols)  # 8 * 2^(7 - 27) = 2^-17: half a unit
    weights = fixed.fixed_weights(shape, symbols, indices)
    assert weights["lift"].ravel()[:4].tolist() == [1, 0, 2, -1]


# --- latents -------------------------------------------------------------------------------------


@every_shape
@pytest.mark.parametrize("spread", [0.2, 3.0])
def test_latents_come_back_from_their_words(shape: LatentShape, spread: float) -> None:
    weights, grids = weights_of(shape), latents_of(shape, spread)
    data, maxima = context.encode_latents(grids, shape, weights)
    back = context.decode_latents(data, shape, weights, maxima)
    assert all(np.array_equal(a, b) for a, b in zip(grids, back, strict=True))


def test_latents_of_zeros_take_no_words() -> None:
    grids = [np.zeros_like(grid) for grid in latents_of(SHAPES[3])]
    data, maxima = context.encode_latents(grids, SHAPES[3], weights_of(SHAPES[3]))
    assert (data, set(maxima)) == (b"", {0})


def test_latents_survive_weights_that_clip_everything() -> None:
    shape = SHAPES[3]
    weights, grids = weights_of(shape, size=32767), latents_of(shape, 30.0)
    data, maxima = context.encode_latents(grids, shape, weights)
    back = context.decode_latents(data, shape, weights, maxima)
    assert all(np.array_equal(a, b) for a, b in zip(grids, back, strict=True))


def test_damaged_words_are_refused_or_give_other_latents() -> None:
    shape = SHAPES[3]
    weights, grids = weights_of(shape), latents_of(shape)
    data, maxima = context.encode_latents(grids, shape, weights)
    with pytest.raises(CorruptError):
        context.decode_latents(data[:-4], shape, weights, maxima)
    with pytest.raises(CorruptError):
        context.decode_latents(data + bytes(4), shape, weights, maxima)


@every_shape
def test_bits_of_the_fit_are_those_of_the_integers(shape: LatentShape) -> None:
    weights, grids = weights_of(shape), latents_of(shape)
    mine = float(latent_bits(joined(grids), shape, floats_of(shape, weights)).sum())
    model, theirs = context.ContextModel(shape, weights), 0.0
    for number, (grid, values) in enumerate(zip(shape.grids, grids, strict=True)):
        features = model.features(grid, grids[:number])
        counts = laplace_counts(*model.parameters_of(values, features), 60)
        theirs += float((24 - np.log2(counts[np.arange(values.size), values.ravel() + 60])).sum())
    assert mine == pytest.approx(theirs, rel=3e-3, abs=0.05)


# --- pixels --------------------------------------------------------------------------------------


@every_shape
def test_pixels_of_the_fit_are_those_of_the_integers(shape: LatentShape) -> None:
    weights, grids = weights_of(shape), latents_of(shape)
    offsets, scale = [30000] * shape.channels, 20000
    mine = synthesis.synthesize(drawn(shape, grids), shape, weights, (offsets, scale))
    outputs = latent_pixels(joined(grids), shape, floats_of(shape, weights))
    theirs = (outputs * scale + 30000) / 65536
    assert mine.shape == (shape.height, shape.width, shape.channels)
    off = np.abs(theirs.clamp(0, 1).permute(1, 2, 0).numpy() - mine / 2**20)
    assert off.max() < 3e-4
    assert mine.std() > 1e-3 * 2**20 or mine.size < 4


def test_doubling_and_filtering_are_those_of_the_norm() -> None:
    """One row by hand: a step, doubled by the kernel of bicubic interpolation."""
    kernel = np.array([-9.0, -27.0, 67.0, 225.0]) * 256
    row = np.array([0.0, 0.0, 64.0, 64.0])[None, None] * 4096
    doubled = synthesis._doubled(row, kernel, 7, axis=2)
    assert (doubled[0, 0] / 4096 * 4).tolist() == [0, -9, -27, 58, 198, 283, 265]


@pytest.mark.parametrize("shape", SHAPES[:3], ids=lambda s: f"{s.height}x{s.width}")
def test_the_gradient_of_a_fit_is_right(shape: LatentShape) -> None:
    """Of the small ones: finite differences take long."""
    weights = {k: v.requires_grad_() for k, v in floats_of(shape, weights_of(shape)).items()}
    latents = (joined(latents_of(shape)) + 0.137).requires_grad_()
    names = [name for name, values in weights.items() if values.numel()]

    def both(latents: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        given = weights | dict(zip(names, values, strict=True))
        bits = latent_bits(latents, shape, given).sum()
        return bits + latent_pixels(latents, shape, given).square().sum()

    inputs = (latents, *(weights[name] for name in names))
    assert torch.autograd.gradcheck(both, inputs, fast_mode=True, atol=1e-4)
