"""Bits and pixels of latents, native against torch in float64, with all gradients.

The CUDA kernels run on a GPU where there is one, and on the host everywhere.
"""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from inrcodec import kernels
from inrcodec.kernels import LatentShape, Softness
from inrcodec.kernels.native import native_shape

torch = pytest.importorskip("torch")

from inrcodec.kernels import (  # noqa: E402
    latent_cost,
    latent_pixels,
    soft_latents,
    torch_gpu_moves,
    torch_latent,
)

TOLERANCE = 1e-4  # norm of the difference over the norm, of each gradient
EXTENTS = [(1, 1), (1, 9), (7, 1), (5, 6), (33, 70), (64, 64), (23, 300)]
SHAPES = [
    *(LatentShape(*extent, 3, 2, 5, 1) for extent in EXTENTS),
    *(LatentShape(21, 45, 3, size, 7, 3) for size in (0, 1, 3)),
    *(LatentShape(11, 18, channels, 1, 3, 0) for channels in (1, 2, 4, 7, 16)),
    *(LatentShape(40, 30, 1, 0, levels, max(0, levels - 4)) for levels in (1, 2, 4, 8, 12)),
]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def case(shape: LatentShape, seed: int = 0) -> dict[str, Any]:
    """Latents and weights in float64, of a kind that a fit comes upon; some latents cost most."""
    rng = np.random.default_rng(seed)
    latents = rng.standard_normal(shape.n_latents) * rng.choice([0.3, 3.0], shape.n_latents)
    latents[::97] += 40.0
    values = {"latents": latents}
    for weight in shape.weights:
        scale = 0.5 / np.sqrt(max(1, int(np.prod(weight.shape[1:]))))
        values[weight.name] = rng.standard_normal(weight.shape) * scale + weight.prior
    values["head_bias"] = np.array([0.1, 5.0])
    return {name: value.astype(np.float32).astype(np.float64) for name, value in values.items()}


def results(
    function: Any, shape: LatentShape, values: dict[str, Any], dtype: Any, device: str = "cpu"
) -> Any:
    """The value of a function of latents and weights, and all gradients of its projection."""
    leaves = {
        name: torch.from_numpy(value).to(device, dtype).requires_grad_()
        for name, value in values.items()
    }
    out = function(leaves["latents"], shape, leaves)
    out.backward(torch.from_numpy(projection(out.shape)).to(device, dtype))
    gradients = {
        name: leaf.grad.cpu().numpy()
        for name, leaf in leaves.items()
        if leaf.grad is not None and leaf.numel()
    }
    return out.detach().cpu().numpy(), gradients


def projection(shape: Any) -> Any:
    return np.asarray(np.random.default_rng(1).standard_normal(shape))


def reference_cost(latents: Any, shape: LatentShape, weights: Any) -> Any:
    return torch_latent.latent_bits(latents, shape, weights).sum()


def distance(got: Any, expected: Any) -> float:
    return float(np.linalg.norm(got - expected) / max(np.linalg.norm(expected), 1e-30))


def assert_close(got: Any, expected: Any) -> None:
    assert distance(got[0], expected[0]) < 1e-5
    assert got[1].keys() == expected[1].keys()
    errors = {name: distance(got[1][name], right) for name, right in expected[1].items()}
    assert max(errors.values()) < TOLERANCE, errors


@every_shape
def test_cost_and_its_gradients_match(native: ModuleType, shape: LatentShape) -> None:
    values = case(shape)
    expected = results(reference_cost, shape, values, torch.float64)
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        assert_close(results(latent_cost, shape, values, torch.float32), expected)


@every_shape
def test_pixels_and_their_gradients_match(native: ModuleType, shape: LatentShape) -> None:
    values = case(shape)
    expected = results(torch_latent.latent_pixels, shape, values, torch.float64)
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        assert_close(results(latent_pixels, shape, values, torch.float32), expected)


@every_shape
def test_a_gpu_matches(cuda: ModuleType, shape: LatentShape) -> None:
    assert cuda.cuda_runtime
    values = case(shape)
    for function, reference in (
        (latent_cost, reference_cost),
        (latent_pixels, torch_latent.latent_pixels),
    ):
        expected = results(reference, shape, values, torch.float64)
        got = results(function, shape, values, torch.float32, "cuda")
        assert_close(got, expected)
        assert_equal(results(function, shape, values, torch.float32, "cuda"), got)


def test_soft_latents_match_on_a_gpu(cuda: ModuleType) -> None:
    assert cuda.cuda_runtime
    rng = np.random.default_rng(5)
    units, noise = torch.from_numpy(rng.standard_normal((2, 40000)))
    softness = Softness(16.0, 0.2, 0.08)
    wide = units.clone().requires_grad_()
    torch_latent.soft_latents(wide, noise, softness).sum().backward()
    leaf = units.float().cuda().requires_grad_()
    values = soft_latents(leaf, noise.float().cuda(), softness)
    values.sum().backward()
    expected = torch_latent.soft_latents(units, noise, softness)
    assert distance(values.detach().cpu().numpy(), expected.numpy()) < TOLERANCE
    assert distance(leaf.grad.cpu().numpy(), wide.grad.numpy()) < TOLERANCE


def pointer(array: Any) -> Any:
    kind = ctypes.c_int64 if array.dtype == np.int64 else ctypes.c_float
    return array.ctypes.data_as(ctypes.POINTER(kind))


def joined(shape: LatentShape, values: dict[str, Any], *, context: bool) -> Any:
    names = [weight.name for weight in shape.weights if weight.of_context is context]
    return np.concatenate([values[name].ravel() for name in names]).astype(np.float32)


def split(shape: LatentShape, flat: Any, *, context: bool) -> dict[str, Any]:
    weights = [weight for weight in shape.weights if weight.of_context is context]
    ends = np.cumsum([weight.size for weight in weights])[:-1]
    return {
        weight.name: part.reshape(weight.shape)
        for weight, part in zip(weights, np.split(flat, ends), strict=True)
        if weight.size
    }


class OnHost:
    """The CUDA kernels on one call's arrays; what they do not write stays NaN."""

    def __init__(self, library: ctypes.CDLL, shape: LatentShape, values: dict[str, Any]) -> None:
        self.library, self.shape, self.values = library, shape, values
        numbers = [n for part in native_shape(shape) for n in (len(part), *part)]
        self.numbers = np.array(numbers, np.int64)
        self.latents = values["latents"].astype(np.float32)

    def call(self, name: str, *arrays: Any) -> None:
        getattr(self.library, name)(pointer(self.numbers), *map(pointer, arrays))

    def cost(self) -> Any:
        parameters = joined(self.shape, self.values, context=True)
        bits, *out = (
            np.full(n, np.nan, np.float32) for n in (1, len(self.latents), len(parameters))
        )
        self.call("cuda_latent_cost", self.latents, parameters, *out, bits)
        scale = projection(())
        gradients = {"latents": out[0], **split(self.shape, out[1], context=True)}
        return bits[0], {name: gradient * scale for name, gradient in gradients.items()}

    def pixels(self) -> Any:
        shape, parameters = self.shape, joined(self.shape, self.values, context=False)
        self.library.cuda_latent_kept.restype = ctypes.c_int64
        n_kept = self.library.cuda_latent_kept(pointer(self.numbers))
        extents = n_kept, (shape.channels, shape.height, shape.width)
        kept, pixels = (np.full(extent, np.nan, np.float32) for extent in extents)
        self.call("cuda_latent_pixels", self.latents, parameters, kept, pixels)
        out = [np.full_like(array, np.nan) for array in (self.latents, parameters)]
        gradient = projection(pixels.shape).astype(np.float32)
        name = "cuda_latent_pixels_gradients"
        self.call(name, gradient, self.latents, parameters, kept, *out)
        return pixels, {"latents": out[0], **split(shape, out[1], context=False)}


SHAPES_ON_HOST = [shape for shape in SHAPES if shape.height * shape.width <= 1200]


@pytest.mark.parametrize("shape", SHAPES_ON_HOST, ids=str)
def test_cuda_kernels_match_on_the_host(cuda_on_host: ctypes.CDLL, shape: LatentShape) -> None:
    values = case(shape)
    host = OnHost(cuda_on_host, shape, values)
    assert_close(host.cost(), results(reference_cost, shape, values, torch.float64))
    expected = results(torch_latent.latent_pixels, shape, values, torch.float64)
    assert_close(host.pixels(), expected)


def test_cuda_soft_latents_match_on_the_host(cuda_on_host: ctypes.CDLL) -> None:
    rng = np.random.default_rng(5)
    units, noise = rng.standard_normal((2, 1000)).astype(np.float32)
    out, slopes = np.full((2, 1000), np.nan, np.float32)
    scalars = np.array(torch_gpu_moves.soft_scalars(Softness(16.0, 0.2, 0.08)), np.float32)
    arrays = [pointer(array) for array in (units, noise, scalars, out, slopes)]
    cuda_on_host.cuda_soft_latents(ctypes.c_int64(1000), *arrays)
    wide = torch.from_numpy(units.astype(float)).requires_grad_()
    expected = torch_latent.soft_latents(
        wide, torch.from_numpy(noise.astype(float)), Softness(16.0, 0.2, 0.08)
    )
    expected.sum().backward()
    assert distance(out, expected.detach().numpy()) < TOLERANCE
    assert distance(slopes, wide.grad.numpy()) < TOLERANCE


@pytest.mark.parametrize("temperature", [0.02, 0.08, 0.35, 1.0, 50.0])
@pytest.mark.parametrize("count", [0, 1, 17, 40000])
def test_soft_latents_match(native: ModuleType, count: int, temperature: float) -> None:
    rng = np.random.default_rng(count)
    units = (rng.standard_normal(count) * rng.choice([0.01, 1.0, 1e6], count)).astype(np.float32)
    noise = rng.standard_normal(count).astype(np.float32)
    softness = Softness(16.0, 0.2, temperature)
    wide = torch.from_numpy(units.astype(np.float64)).requires_grad_()
    expected = torch_latent.soft_latents(wide, torch.from_numpy(noise.astype(float)), softness)
    expected.sum().backward()
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        leaf = torch.from_numpy(units).requires_grad_()
        values = soft_latents(leaf, torch.from_numpy(noise), softness)
        values.sum().backward()
        small = np.abs(units) < 4.0  # elsewhere float32 has too few places
        for got, right in ((values.detach(), expected.detach()), (leaf.grad, wide.grad)):
            got, right = got.numpy()[small], right.numpy()[small]
            assert distance(got, right) < TOLERANCE


def assert_equal(got: Any, expected: Any) -> None:
    np.testing.assert_array_equal(got[0], expected[0])
    for name, right in expected[1].items():
        np.testing.assert_array_equal(got[1][name], right)


every_function = pytest.mark.parametrize(
    "function", [latent_cost, latent_pixels], ids=["cost", "pixels"]
)


@every_function
@pytest.mark.parametrize("extent", [(1, 1), (70, 150), (130, 33)], ids=str)
@pytest.mark.usefixtures("native")
def test_no_bit_depends_on_the_number_of_threads(function: Any, extent: Any) -> None:
    shape = LatentShape(*extent, 3, 2, 7, 3)
    values = case(shape)
    kernels.set_threads(1)
    alone = results(function, shape, values, torch.float32)
    for n_threads in (1, 2, 5):
        kernels.set_threads(n_threads)
        assert_equal(results(function, shape, values, torch.float32), alone)


@every_function
@pytest.mark.usefixtures("native")
def test_a_call_leaves_nothing_behind(function: Any) -> None:
    shape = LatentShape(21, 45, 3, 1, 5, 1)
    expected = results(function, shape, case(shape), torch.float32)
    larger = LatentShape(80, 61, 4, 3, 7, 3)
    results(function, larger, case(larger), torch.float32)
    assert_equal(results(function, shape, case(shape), torch.float32), expected)


@every_function
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.usefixtures("native")
def test_what_is_not_finite_is_seen(function: Any, value: float) -> None:
    shape = LatentShape(20, 20, 3, 2, 5, 1)
    values = case(shape)
    values["latents"][100] = value
    out, _ = results(function, shape, values, torch.float32)
    assert not np.isfinite(out).all()


@every_function
@pytest.mark.usefixtures("native")
def test_only_wanted_gradients_are_there(function: Any) -> None:
    shape = LatentShape(9, 10, 3, 0, 3, 0)
    leaves = {name: torch.from_numpy(v.astype(np.float32)) for name, v in case(shape).items()}
    assert not function(leaves["latents"], shape, leaves).requires_grad
    name = "mix1" if function is latent_cost else "lift"
    leaves[name].requires_grad_()
    function(leaves["latents"], shape, leaves).sum().backward()
    assert [name for name, leaf in leaves.items() if leaf.grad is not None] == [name]


@every_function
@pytest.mark.usefixtures("native")
def test_other_float_types_take_the_reference(function: Any) -> None:
    shape = LatentShape(9, 10, 3, 0, 3, 0)
    wide = results(function, shape, case(shape), torch.float64)
    assert wide[0].dtype == np.float64
    kernels.set_backend("torch")
    assert_equal(wide, results(function, shape, case(shape), torch.float64))


def test_native_arguments_of_the_cost_are_refused(native: ModuleType) -> None:
    n = 2 + 1
    good: dict[str, Any] = {
        "latents": np.zeros(2 + 6, np.float32),
        "parameters": np.zeros(2 * n * n + 6 * n + 2 + 2, np.float32),
        "grids": [1, 2, 0, 0, 2, 3, 0, 1],
        "neighbours": [0, -1, -3, 4],
        "widths": [1, 8, 1, 3],
        "latents_gradient": np.empty(8, np.float32),
        "parameters_gradient": np.empty(40, np.float32),
        "n_threads": 1,
    }
    native.latent_cost(**good)
    bad = [
        ("latents", np.zeros(7, np.float32), "latents must have shape"),
        ("latents", np.zeros(8), "latents must be float32"),
        ("parameters", np.zeros(39, np.float32), "parameters must have shape [40], got [39]"),
        ("grids", [1, 2, 0, 0, 2, 5, 0, 1], "a grid must be as large as the one before it"),
        ("grids", [1, 2, 0, 0, 2, 3, 0, 2], "features must see all grids before or none"),
        ("grids", [1, 2, 0, 0, 2, 3, 1, 1], "the last grid must be of latents"),
        ("grids", [1, 2, 0, 0, 2, 3, 0], "grids must be 4 numbers of 1 to 32 grids"),
        ("grids", [0, 2, 0, 0], "height must be in [1, "),
        ("grids", [], "grids must be 4 numbers"),
        ("neighbours", [0, 0, -3, 4], "neighbours must come before"),
        ("neighbours", [0, -5, -3, 4], "column must be in [-4, 4], got -5"),
        ("neighbours", [-4, 0, -3, 4], "row must be in [-3, 0], got -4"),
        ("neighbours", [0], "neighbours must be 1 to 32 pairs"),
        ("widths", [0, 8, 1, 3], "features must be in [1, 32], got 0"),
        ("widths", [1, 8, 1], "widths must be 4 numbers"),
        ("latents_gradient", np.empty((2, 4), np.float32), "latents_gradient must have shape"),
        ("parameters_gradient", np.empty(80, np.float32)[::2], "must be contiguous"),
        ("n_threads", 0, "threads must be at least 1, got 0"),
    ]
    for name, value, message in bad:
        with pytest.raises(ValueError, match=r"^latent_fit: .*, got ") as refusal:
            native.latent_cost(**{**good, name: value})
        assert message in str(refusal.value)


def test_native_arguments_of_the_pixels_are_refused(native: ModuleType) -> None:
    shape = {"grids": [1, 2, 0, 0, 2, 3, 0, 1], "neighbours": [0, -1], "widths": [1, 8, 1, 3]}
    n_floats = native.latent_kept(**shape)
    good: dict[str, Any] = {
        **shape,
        "gradient": np.zeros((3, 2, 3), np.float32),
        "latents": np.zeros(8, np.float32),
        "parameters": np.zeros(8 + 8 * (2 + 1 + 3) + 3 * 2 + 81 + 6, np.float32),
        "kept": np.zeros(n_floats, np.float32),
        "latents_gradient": np.empty(8, np.float32),
        "parameters_gradient": np.empty(149, np.float32),
        "n_threads": 1,
    }
    native.latent_pixels_gradients(**good)
    bad = [
        ("gradient", np.zeros((3, 3, 2), np.float32), "gradient must have shape [3, 2, 3]"),
        ("kept", np.zeros(n_floats - 1, np.float32), "kept must have shape"),
        ("parameters", np.zeros(148, np.float32), "parameters must have shape [149], got [148]"),
        ("widths", [1, 8, 1, 17], "channels must be in [1, 16], got 17"),
        ("widths", [1, 129, 1, 3], "hidden must be in [1, 128], got 129"),
        ("widths", [1, 8, 5, 3], "tail layers must be in [1, 4], got 5"),
        ("n_threads", -1, "threads must be at least 1, got -1"),
    ]
    for name, value, message in bad:
        with pytest.raises(ValueError, match=r"^latent_fit: .*, got ") as refusal:
            native.latent_pixels_gradients(**{**good, name: value})
        assert message in str(refusal.value)
    units = np.zeros(5, np.float32)
    with pytest.raises(ValueError, match=r"^latent_fit: temperature must be in \[0.001, 1000\]"):
        native.soft_latents(units, units, 16.0, 0.2, 0.0, units.copy(), units.copy(), 1)
    with pytest.raises(ValueError, match=r"^latent_fit: noise must have shape \[5\], got \[4\]"):
        native.soft_latents(units, units[:4], 16.0, 0.2, 0.1, units.copy(), units.copy(), 1)
