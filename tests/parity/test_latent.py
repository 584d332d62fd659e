"""Latent grids by native code and by the reference: the same integers, the same words refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def case_of(shape: LatentShape, *, largest: int = 4, size: int = 60, step_index: int = 120) -> Case:
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


@pytest.mark.parametrize("largest", [0, 1, 40, 2047])
@pytest.mark.parametrize("size", [1, 2])
def test_every_largest_value(native: ModuleType, size: int, largest: int) -> None:
    case = case_of(LatentShape(50, 39, 3, size, 6, 2), largest=largest)
    assert case.maxima == (largest,) * 8
    assert (case.data == b"") == (largest == 0)
    assert_same(case, native)


def test_grids_without_values_between_others(native: ModuleType) -> None:
    shape = LatentShape(50, 39, 3, 2, 6, 2)
    weights, grids = weights_of(shape, 60, 120), list(grids_of(shape, 4))
    for number in (0, 2, 6):
        grids[number] = np.zeros_like(grids[number])
    case = Case(shape, weights, tuple(grids), *encode_latents(grids, shape, weights))
    assert_same(case, native)


@pytest.mark.parametrize("sign", [-1, 0, 1])
@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("size", range(4))
def test_weights_and_values_so_large_that_everything_is_clipped(
    native: ModuleType, size: int, channels: int, sign: int
) -> None:
    shape = LatentShape(21, 35, channels, size, 6, 2)
    weights, rng = weights_of(shape, 32767, 255), np.random.default_rng(5)
    if sign:
        weights = {name: np.full_like(w, sign * np.abs(w).max(initial=0)) for name, w in
                   weights.items()}  # fmt: skip
    assert max(np.abs(weights[name]).max() for name in ("mix0", "lift")) >= 2.0**18
    signs = [rng.choice([-2047, 0, 2047], (grid.height, grid.width)) for grid in shape.grids]
    grids = tuple(values.astype(np.int32) for values in signs)
    assert_same(Case(shape, weights, grids, *encode_latents(grids, shape, weights)), native)


@pytest.mark.parametrize("step_index", [60, 100, 140, 180, 220])
def test_weights_of_every_magnitude(native: ModuleType, step_index: int) -> None:
    shape = LatentShape(45, 67, 3, 2, 7, 3)
    assert_same(case_of(shape, largest=300, step_index=step_index), native)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize(("height", "width"), [(260, 300), (1000, 3), (5, 9000)])
def test_pixels_do_not_depend_on_threads(
    native: ModuleType, height: int, width: int, n_threads: int
) -> None:
    kernels.set_threads(n_threads)
    assert_same(case_of(LatentShape(height, width, 3, 1, 7, 0)), native)


@pytest.mark.parametrize("output", [([0], 0), ([65535], 65535), ([1], 1), ([30000], 65535)])
def test_every_output_scale(native: ModuleType, output: tuple[Sequence[int], int]) -> None:
    case = case_of(LatentShape(20, 31, 1, 0, 4, 0), largest=40)
    results = []
    for backend in ("torch", "native"):
        kernels.set_backend(backend)
        results.append(synthesize(case.latents, case.shape, case.weights, output))
    np.testing.assert_array_equal(*results)


# --- the same words refused ----------------------------------------------------------------------


def outcome(case: Case, data: bytes) -> list[NDArray[np.int32]] | str:
    try:
        return list(decoded(case, data))
    except CorruptError as error:
        return str(error)


@pytest.mark.parametrize("largest", [1, 4, 300])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (24, 17)])
def test_damaged_words_have_the_same_outcome(
    native: ModuleType, damaged: Callable[..., bytes], height: int, width: int, largest: int
) -> None:
    case = case_of(LatentShape(height, width, 1, 0, 3, 0), largest=largest)
    rng, refused = np.random.default_rng(6), 0
    for _ in range(150):
        data = damaged(case.data, rng)
        kernels.set_backend("torch")
        expected = outcome(case, data)
        kernels.set_backend("native")
        got = outcome(case, data)
        if isinstance(expected, str):
            assert got == expected
            refused += 1
        else:
            assert not isinstance(got, str)
            for one, other in zip(got, expected, strict=True):
                np.testing.assert_array_equal(one, other)
    assert refused > 50


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 4, b"\xff" * 8, bytes(4), bytes(40)])
@pytest.mark.parametrize("largest", [0, 3])
def test_words_that_no_encoder_writes_have_the_same_outcome(
    native: ModuleType, data: bytes, largest: int
) -> None:
    case = case_of(LatentShape(9, 9, 1, 0, 3, 0), largest=largest)
    if data == case.data:
        return
    messages = []
    for backend in ("torch", "native"):
        kernels.set_backend(backend)
        with pytest.raises(CorruptError) as caught:
            decoded(case, data)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


# --- wrong calls ---------------------------------------------------------------------------------


def test_wrong_calls_of_the_decoder_are_refused(native: ModuleType) -> None:
    words, out = np.zeros(3, np.uint32), np.zeros(5 * 7 + 3 * 4, np.int32)
    weights, decays = np.zeros(182, np.float64), np.zeros(241, np.int64)
    powers = np.linspace(2**31, 2**30, 1025).astype(np.int64)
    grids = (5, 7, [1, 0], [0, 1], [0, -1, -1, 2, -1, 0, 0, -2, -2, 0, -3, 1], 2, 3)
    good = [words, grids, [1, 2], weights, decays, powers, out]
    assert native.decode_latents(*good) in (0, 1, 2)

    def refuse(at: int, value: object, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            native.decode_latents(*good[:at], value, *good[at + 1 :])

    refuse(0, words.astype(np.int32), "words must be uint32")
    refuse(0, words[None], "words must have 1 axis")
    refuse(2, [1], "as many as levels")
    refuse(2, [1, 2048], r"a largest value must be in \[0, 2047\]")
    refuse(3, weights[1:], "weights must have shape")
    refuse(3, weights.astype(np.float32), "weights must be float64")
    for value in (np.nan, np.inf, 0.5, 2.0**18 + 1):
        wrong = weights.copy()
        wrong[3] = value
        refuse(3, wrong, "weights must be whole numbers within their range")
    refuse(4, decays - 1, "a decay must be in")
    refuse(4, decays[1:], "decays must have shape")
    refuse(5, powers[::-1].copy(), "the first power must be in")
    refuse(5, np.full(1025, 2**31), "the last power must be in")
    refuse(6, out[1:], "out must have shape")
    refuse(6, np.zeros(2 * len(out), np.int32)[::2], "out must be contiguous")
    for place, value, message in [
        (0, 0, "height must be in"),
        (0, 2**40, "height must be in"),
        (2, [12, 0], "a level must be in"),
        (2, [0, 0], "the level of an input must be in"),
        (3, [1, 0], "inputs of features must be in"),
        (4, [0, 0, *grids[4][2:]], "neighbours must be in earlier waves"),
        (4, [-1, 3, *grids[4][2:]], "neighbours must be in earlier waves"),
        (4, [-8, 0, *grids[4][2:]], "a neighbour's row must be in"),
        (4, [], "neighbours must be in"),
        (5, 9, "features must be in"),
        (6, 0, "slope must be in"),
    ]:
        refuse(1, (*grids[:place], value, *grids[place + 1 :]), message)


def test_wrong_calls_of_the_synthesis_are_refused(native: ModuleType) -> None:
    latents = [np.zeros((3, 4), np.int32), np.zeros((5, 7), np.int32)]
    weights, out = np.zeros(8 + 16 + 8 + 8 + 2 + 9 + 2, np.float64), np.zeros((5, 7, 1), np.int32)
    good = [latents, weights, 8, 1, [0], 1, out, 1]
    native.synthesize(*good)

    def refuse(at: int, value: object, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            native.synthesize(*good[:at], value, *good[at + 1 :])

    refuse(0, latents[::-1], "a grid of latents must have shape")
    refuse(0, latents[:1], "weights must have shape")
    refuse(0, [], "levels must be in")
    refuse(0, [latents[0], latents[1] + 2048], "a latent must be in")
    refuse(0, [latents[0], latents[1] - 2048], "a latent must be in")
    refuse(1, weights[1:], "weights must have shape")
    for value in (np.nan, -np.inf, 0.5, 2.0**20 + 1):
        refuse(1, np.where(np.arange(weights.size) == 3, value, 0.0), "weights must be whole")
    refuse(2, 0, "hidden values must be in")
    refuse(2, 65, "hidden values must be in")
    refuse(3, 3, "layers of the tail must be in")
    refuse(4, [], "offsets must be as many as channels")
    refuse(4, [2**16 + 1], "an offset must be in")
    refuse(5, -1, "scale must be in")
    refuse(6, out[0], "out must have 3 axes")
    refuse(6, out.astype(np.int64), "out must be int32")
    refuse(7, 0, "threads must be at least 1")
