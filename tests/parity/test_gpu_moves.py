"""Steps of fits on a GPU against those on the CPU; the kernels themselves on the host as well."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from inrcodec import api, kernels, media, metrics  # noqa: E402
from inrcodec.errors import ConfigError  # noqa: E402
from inrcodec.kernels import (  # noqa: E402
    LatentShape,
    Soap,
    soap_step,
    torch_gpu_moves,
)
from inrcodec.representations.latentgrid.fit_graphs import own_stream  # noqa: E402
from inrcodec.representations.latentgrid.fit_target import Target  # noqa: E402
from inrcodec.representations.latentgrid.fit_tile import TileFit  # noqa: E402
from inrcodec.representations.latentgrid.schedule import Moment, moment_of  # noqa: E402

SHAPES = ((20, 20), (3, 48), (2, 18), (0, 4), (1, 7))
N_STEPS = 12  # bases turn at 1 and 11
BETAS, EPSILON = (0.5, 0.97), 1e-3  # large, so that it counts
RATE = 0.01
PHOTO = Path(__file__).parents[2] / "data" / "samples" / "kodim23.png"


def soap_of_shapes() -> Soap:
    return Soap(SHAPES, (0.5, 0.0, 0.5, 0.0, 0.5))


def gradients_of(count: int) -> Any:
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((N_STEPS, count))
    return (0.01 * (noise + 0.5 * noise[0])).astype(np.float32)


def by_soap_on_the_cpu() -> tuple[Any, Any]:
    soap = soap_of_shapes()
    values, state = np.ones(soap.n_values, np.float32), np.zeros(soap.n_state, np.float32)
    for count, gradient in enumerate(gradients_of(soap.n_values), start=1):
        soap_step(values, gradient, state, soap, rate=RATE, count=count)
    return values, state


def by_adam_on_the_cpu(gradients: Any) -> Any:
    values = torch.ones(gradients.shape[1], requires_grad=True)
    adam = torch.optim.Adam([values], lr=RATE, betas=BETAS, eps=EPSILON)
    for gradient in gradients:
        values.grad = torch.from_numpy(gradient)
        adam.step()
    return values.detach().numpy()


def pointer(array: Any) -> Any:
    kind = ctypes.c_int64 if array.dtype == np.int64 else ctypes.c_float
    return array.ctypes.data_as(ctypes.POINTER(kind))


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


def test_adam_matches_on_the_host(cuda_on_host: ctypes.CDLL) -> None:
    gradients = gradients_of(700)
    values, mean, square = np.ones(700, np.float32), *np.zeros((2, 700), np.float32)
    options = [ctypes.c_double(option) for option in (*(1.0 - beta for beta in BETAS), EPSILON)]
    for count, gradient in enumerate(gradients, start=1):
        for finite in (0.0, 1.0):  # the first of which does nothing
            scalars = floats(*torch_gpu_moves.adam_scalars(RATE, BETAS, count))
            arrays = (values, gradient, mean, square, scalars, floats(finite))
            cuda_on_host.cuda_adam_step(ctypes.c_int64(700), *map(pointer, arrays), *options)
    np.testing.assert_allclose(values, by_adam_on_the_cpu(gradients), rtol=1e-5)


def test_soap_matches_on_the_host(cuda_on_host: ctypes.CDLL) -> None:
    soap = soap_of_shapes()
    shapes = np.array(SHAPES, np.int64)
    values, state = np.ones(soap.n_values, np.float32), np.zeros(soap.n_state, np.float32)
    for count, gradient in enumerate(gradients_of(soap.n_values), start=1):
        scalars = floats(*torch_gpu_moves.soap_scalars(RATE, count))
        for finite in (0.0, 1.0):
            arrays = (floats(*soap.decays), values, gradient, state, scalars, floats(finite))
            pointers = map(pointer, (shapes, *arrays))
            cuda_on_host.cuda_soap_step(ctypes.c_int64(len(SHAPES)), *pointers)
    expected, _ = by_soap_on_the_cpu()
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_moves_match_on_a_gpu(cuda: ModuleType) -> None:
    assert cuda.cuda_runtime
    soap, finite = soap_of_shapes(), torch.ones(1, device="cuda")
    gradients = gradients_of(soap.n_values)
    by_soap, by_adam = torch.ones((2, soap.n_values), device="cuda").unbind()
    soap_moves = torch_gpu_moves.SoapMoves(soap, by_soap.device)
    adam_moves = torch_gpu_moves.AdamMoves(by_adam, BETAS, EPSILON)
    for count, gradient in enumerate(gradients, start=1):
        slope = torch.from_numpy(gradient).cuda()
        soap_scalars = slope.new_tensor(torch_gpu_moves.soap_scalars(RATE, count))
        adam_scalars = slope.new_tensor(torch_gpu_moves.adam_scalars(RATE, BETAS, count))
        for flag in (0.0 * finite, finite):
            soap_moves.move(by_soap, slope, soap_scalars, flag)
            adam_moves.move(slope, adam_scalars, flag)
    expected, _ = by_soap_on_the_cpu()
    np.testing.assert_allclose(by_soap.cpu().numpy(), expected, rtol=1e-4)
    np.testing.assert_allclose(by_adam.cpu().numpy(), by_adam_on_the_cpu(gradients), rtol=1e-5)


def fit_on(device: str) -> TileFit:
    shape = LatentShape(64, 96, 3, size=2, n_levels=6, n_hyper=2, prior=1)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    pixels = torch.stack([(x * y / 500).sin(), (x / 9).cos(), (y / 7).sin()]) / 4 + 0.5
    target = Target(pixels, None, torch.full((3, 1, 1), 0.5), 0.5).on(device)
    return TileFit(shape, target, n_samples=3 * 64 * 96, n_pixels=64 * 96, seed=4)


@pytest.fixture
def stream(cuda: ModuleType) -> Iterator[None]:
    """A GPU and a stream of it."""
    with own_stream():
        yield


def without_noise(fraction: float) -> Moment:
    moment = moment_of(fraction, resumed=False)._replace(noise=0.0)
    return moment._replace(weighing="free" if fraction < 0.7 else "rounded")


@pytest.mark.usefixtures("stream")
def test_from_each_state_a_gpu_goes_the_same_way() -> None:
    cpu, gpu = fit_on("cpu"), fit_on("cuda")
    for step in range(18):
        before = cpu.state()
        gpu.restore(before)
        measured = [fit.step(without_noise(step / 18), 1e-3) for fit in (cpu, gpu)]
        assert measured[1] == pytest.approx(measured[0], rel=1e-3)
        ways = [fit.state().latents.cpu() - before.latents for fit in (cpu, gpu)]
        assert torch.cosine_similarity(*ways, dim=0) > 0.99


@pytest.mark.usefixtures("stream")
def test_noise_is_new_in_each_run_of_a_graph() -> None:
    fit = fit_on("cuda")
    moment = moment_of(0.1, resumed=False)._replace(rate=0.0, weighing="free")
    errors = {fit.step(moment, 1e-3).error for _ in range(12)}
    assert len(errors) == 12


@pytest.mark.usefixtures("stream")
def test_a_fit_on_a_gpu_can_be_repeated() -> None:
    states = []
    for _ in range(2):
        fit = fit_on("cuda")
        for step in range(20):
            fit.step(moment_of(step / 20, resumed=False), 1e-3)
        states.append(fit.state())
    assert torch.equal(states[0].latents, states[1].latents)
    assert all(torch.equal(states[0].weights[n], states[1].weights[n]) for n in states[0].weights)


@pytest.mark.usefixtures("cuda")
def test_fits_of_several_threads_do_not_disturb_each_other() -> None:
    def latents(_: int) -> torch.Tensor:
        with own_stream():
            fit = fit_on("cuda")
            for step in range(40):
                fit.step(moment_of(step / 40, resumed=False), 1e-3)
            return fit.state().latents.cpu()

    with ThreadPoolExecutor(6) as pool:
        of_threads = list(pool.map(latents, range(40)))  # more than torch has streams
    alone = latents(0)
    assert all(torch.equal(one, alone) for one in of_threads)


@pytest.mark.usefixtures("stream")
def test_what_is_not_finite_moves_nothing_on_a_gpu() -> None:
    fit = fit_on("cuda")
    for _ in range(4):
        assert np.isfinite(sum(fit.step(moment_of(0.1, resumed=False), 1e-3)))
    before = fit.state()
    assert not np.isfinite(sum(fit.step(moment_of(0.1, resumed=False), float("inf"))))
    after = fit.state()
    assert torch.equal(before.latents, after.latents)
    assert all(torch.equal(before.weights[n], after.weights[n]) for n in before.weights)
    assert np.isfinite(sum(fit.step(moment_of(0.1, resumed=False), 1e-3)))


@pytest.mark.usefixtures("cuda", "_backend_is_put_back")
def test_the_device_can_be_chosen() -> None:
    kernels.set_device("cuda")
    assert kernels.device() == "cuda"
    kernels.set_device("cpu")
    assert kernels.device() == "cpu"


@pytest.mark.usefixtures("_backend_is_put_back")
def test_a_device_that_is_not_there_is_refused_with_the_reason() -> None:
    kernels.set_backend("torch")  # with which no GPU can be used
    with pytest.raises(ConfigError, match="device cuda is not available: "):
        kernels.set_device("cuda")
    with pytest.raises(ConfigError, match="device tpu is not one of auto, cpu, cuda"):
        kernels.set_device("tpu")  # type: ignore[arg-type]
    assert kernels.device() == "cpu"


@pytest.mark.usefixtures("cuda", "_backend_is_put_back")
@pytest.mark.parametrize("model", ["siren", "hashgrid", "simplexgrid"])
def test_networks_of_points_are_fitted_alike_on_a_gpu(model: str) -> None:
    signal = media.read(PHOTO)
    psnrs = []
    for device in ("cpu", "cuda"):
        kernels.set_device(device)
        data = api.encode(signal, model=model, bpp=0.5, iterations=200)
        psnrs.append(metrics.psnr_db(signal, api.decode(data)))
    assert psnrs[1] == pytest.approx(psnrs[0], abs=0.5)
