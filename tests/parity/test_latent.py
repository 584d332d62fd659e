"""Latent grids by native code and by the reference: the same integers, the same words refused."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.errors import CorruptError
from inrcodec.kernels import LatentShape
from inrcodec.representations.latentgrid.context import decode_latents, encode_latents
from inrcodec.representations.latentgrid.fixed import Fixed, fixed_weights
from inrcodec.representations.latentgrid.synthesis import synthesize

SIZES = [(1, 1), (1, 70), (70, 1), (3, 40), (37, 5), (129, 33)]
OUTPUT = ([3000, 70, 65535, 20000, 0, 9, 32768, 1, *range(8)], 40000)


class Case(NamedTuple):
    """A latent grid, its values, and the words that code them."""

    shape: LatentShape
    weights: dict[str, Fixed]
    grids: tuple[NDArray[np.int32], ...]
    data: bytes
    maxima: tuple[int, ...]

    @property
    def latents(self) -> list[NDArray[np.int32]]:
        """Those of its grids that are no hyperlatents."""
        pairs = zip(self.shape.grids, self.grids, strict=True)
        return [values for grid, values in pairs if not grid.is_hyper]

    @property
    def output(self) -> tuple[Sequence[int], int]:
        """An offset for each channel and a scale."""
        return OUTPUT[0][: self.shape.channels], OUTPUT[1]


def weights_of(shape: LatentShape, size: int, step_index: int) -> dict[str, Fixed]:
    """Random weights of up to `size` steps; scales of about 1 if they are small."""
    rng = np.random.default_rng(7)
    counts = [sum(weight.size for weight in group) for group in shape.groups]
    symbols = [rng.integers(-size, size + 1, count) for count in counts]
    for group, run in zip(shape.groups, symbols, strict=True):
        if group[0].group == "head_bias":
            run[:] = 100, 2400
    return fixed_weights(shape, symbols, [step_index] * len(symbols))


def grids_of(shape: LatentShape, largest: int) -> tuple[NDArray[np.int32], ...]:
    """Values that reach `largest`, which most do not come near."""
    rng = np.random.default_rng(8)
    grids = []
    for grid in shape.grids:
        values = np.rint(rng.laplace(0, min(largest, 40) / 4 + 0.1, (grid.height, grid.width)))
        values = values.clip(-largest, largest).astype(np.int32)
        values.flat[rng.integers(grid.n_values)] = rng.choice([-largest, largest])
        grids.append(values)
    return tuple(grids)


def case_of(
    shape: LatentShape, *, largest: int = 4, size: int = 60, step_index: int = 120
) -> Case:
    weights, grids = weights_of(shape, size, step_index), grids_of(shape, largest)
    return Case(shape, weights, grids, *encode_latents(grids, shape, weights))


def decoded(case: Case, data: bytes | None = None) -> tuple[NDArray[np.int32], ...]:
    return decode_latents(
        case.data if data is None else data, case.shape, case.weights, case.maxima
    )


def assert_same(case: Case, native: ModuleType) -> None:
    """Both give the values that were coded, and both the same pixels, by every instruction set."""
    kernels.set_backend("torch")
    expected = synthesize(case.latents, case.shape, case.weights, case.output)
    kernels.set_backend("native")
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        for got, values in zip(decoded(case), case.grids, strict=True):
            assert got.dtype == np.int32
            np.testing.assert_array_equal(got, values)
        pixels = synthesize(case.latents, case.shape, case.weights, case.output)
        assert pixels.dtype == np.int32
        np.testing.assert_array_equal(pixels, expected)


# --- the same integers ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(4))
@pytest.mark.parametrize(("height", "width"), SIZES, ids=str)
def test_every_size_of_networks_and_of_images(
    native: ModuleType, height: int, width: int, size: int
) -> None:
    assert_same(case_of(LatentShape(height, width, 3, size, 5, 1)), native)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 16])
@pytest.mark.parametrize("size", [0, 3])
def test_every_number_of_channels(native: ModuleType, size: int, channels: int) -> None:
    assert_same(case_of(LatentShape(37, 45, channels, size, 3, 0)), native)


@pytest.mark.parametrize("n_hyper", [0, 1, 5])
@pytest.mark.parametrize("n_levels", range(1, 10))
def test_every_number_of_levels(native: ModuleType, n_levels: int, n_hyper: int) -> None:
    n_hyper = min(n_hyper, max(0, n_levels - 4))
    assert_same(case_of(LatentShape(67, 41, 3, 2, n_levels, n_hyper)), native)
