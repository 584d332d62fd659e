"""SOAP: native code against the reference, and that against what the paper says of it."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.errors import ConfigError
from inrcodec.kernels import LatentShape, Soap, soap_step

Floats = NDArray[np.floating]

SHAPES = ((20, 20), (5,), (3, 48), (2, 3, 3, 3), (0, 4), (1, 7), (300, 2), (1,))
RATE = 0.02
TRUE = [
    pytest.param(tuple(w.shape for w in LatentShape(256, 256, 3, size, 7, 3).weights), id=f"{size}")
    for size in range(4)
]


def soap_of(shapes: tuple[tuple[int, ...], ...]) -> Soap:
    return Soap(shapes, tuple(0.5 * (i % 2) for i in range(len(shapes))))


def gradients_of(soap: Soap, n_steps: int, dtype: Any = np.float32) -> Floats:
    """Of different sizes by the tensor; each much like the one before."""
    rng = np.random.default_rng(soap.n_values)
    sizes = [math.prod(shape) for shape in soap.shapes]
    scale = np.repeat(10.0 ** rng.uniform(-4, -1, len(sizes)), sizes)
    noise = rng.standard_normal((n_steps, soap.n_values))
    return ((noise + 0.5 * noise[0]) * scale).astype(dtype)


def run(soap: Soap, gradients: Floats) -> tuple[Floats, Floats]:
    """Parameters and state after steps along them, from 1."""
    parameters = np.ones(soap.n_values, gradients.dtype)
    state = np.zeros(soap.n_state, gradients.dtype)
    for count, gradient in enumerate(gradients, start=1):
        assert soap_step(parameters, gradient, state, soap, rate=RATE, count=count)
    return parameters, state


def parts(soap: Soap, state: Floats) -> list[dict[str, Floats]]:
    """Moments of each tensor; of its bases, by axis, the mean outer product and the vectors."""
    found, at = [], 0
    for matrix in soap.matrices:
        own: dict[str, Floats] = {}
        names = ["mean", "square"]
        lengths = dict.fromkeys(names, (matrix.rows, matrix.columns))
        for axis, turned in (("rows", matrix.turns_rows), ("columns", matrix.turns_columns)):
            length = getattr(matrix, axis)
            for name in ("outer", "basis", "transposed") if turned else ():
                lengths[f"{axis} {name}"] = (length, length)
        for name, extent in lengths.items():
            size = math.prod(extent)
            own[name] = state[at : at + size].reshape(extent)
            at += size
        found.append(own)
    assert at == soap.n_state
    return found


# --- native code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shapes", [*TRUE, pytest.param(SHAPES, id="odd")])
def test_every_instruction_set_goes_where_the_reference_goes(
    native: ModuleType, shapes: tuple[tuple[int, ...], ...]
) -> None:
    soap = soap_of(shapes)
    gradients = gradients_of(soap, 32)
    kernels.set_backend("torch")
    expected, _ = run(soap, gradients.astype(np.float64))
    kernels.set_backend("native")
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        parameters, state = run(soap, gradients)
        error = np.linalg.norm(parameters - expected) / np.linalg.norm(expected - 1.0)
        assert error < 1e-5
        assert np.isfinite(state).all()


@pytest.mark.parametrize("backend", ["native", "torch"])
def test_tensors_of_torch_are_taken(native: ModuleType, backend: Any) -> None:
    torch = pytest.importorskip("torch")
    kernels.set_backend(backend)
    soap = soap_of(SHAPES)
    gradients = gradients_of(soap, 12)
    expected, _ = run(soap, gradients)
    parameters, state = torch.ones(soap.n_values), torch.zeros(soap.n_state)
    for count, gradient in enumerate(torch.from_numpy(gradients), start=1):
        assert soap_step(parameters, gradient, state, soap, rate=RATE, count=count)
    np.testing.assert_allclose(parameters, expected, rtol=0, atol=1e-5)


def test_native_code_refuses_what_python_would_have_refused(native: ModuleType) -> None:
    arrays = [np.zeros(n, np.float32) for n in (4, 4, 32)]
    native.soap_step(*arrays, [[2, 2]], [0.0], 0.1, 1)
    for change, message in (
        ({"shapes": [[]]}, "must have an axis"),
        ({"shapes": [[2, -2]]}, "0 to 2"),
        ({"shapes": [[1 << 20, 1 << 20]]}, "0 to 2"),
        ({"shapes": [[1 << 24], [1]], "decays": [0.0, 0.0]}, "at most 2"),
        ({"decays": []}, "as many as shapes"),
        ({"decays": [-1.0]}, "a decay"),
        ({"rate": math.nan}, "a rate"),
        ({"count": 0}, "a count"),
        ({"state": arrays[0]}, r"state must have shape \[32\]"),
        ({"gradient": arrays[1][:3]}, r"gradient must have shape \[4\]"),
        ({"parameters": np.zeros(4)}, "parameters must be float32"),
    ):
        names = ("parameters", "gradient", "state")
        given: dict[str, Any] = dict(zip(names, arrays, strict=True))
        given |= {"shapes": [[2, 2]], "decays": [0.0], "rate": 0.1, "count": 1}
        with pytest.raises(ValueError, match=f"soap_step: .*{message}"):
            native.soap_step(**(given | change))


# --- both ----------------------------------------------------------------------------------------


@pytest.fixture(params=["native", "torch"])
def backend(request: pytest.FixtureRequest, _backend_is_put_back: None) -> str:
    """Both in turn; native code where it is built."""
    if request.param == "native":
        request.getfixturevalue("native")
    kernels.set_backend(request.param)
    return str(request.param)


def test_bases_are_orthonormal_and_become_eigenvectors_largest_first(backend: str) -> None:
    soap = Soap(((12, 5), (6, 2, 3)), (0.0, 0.0))
    rng = np.random.default_rng(1)
    mixers = [rng.standard_normal(60), rng.standard_normal(36)]
    scale = np.concatenate([np.outer(0.7 ** np.arange(12), 0.5 ** np.arange(5)).ravel(), mixers[1]])
    noise = rng.standard_normal((402, soap.n_values)) * scale
    _, state = run(soap, noise[:401].astype(np.float32))  # bases are turned at the last of these
    for own in parts(soap, state):
        for axis in ("rows", "columns"):
            basis, outer = own[f"{axis} basis"], own[f"{axis} outer"]
            np.testing.assert_array_equal(own[f"{axis} transposed"], basis.T)
            np.testing.assert_allclose(basis.T @ basis, np.eye(len(basis)), rtol=0, atol=1e-5)
            assert np.abs(outer - outer.T).max() <= 1e-6 * np.trace(outer)
    outer, basis = own_of(soap, state, "rows outer"), own_of(soap, state, "rows basis")
    shares = np.diag(basis.T @ outer @ basis)
    eigenvalues = np.linalg.eigvalsh(outer.astype(np.float64))[::-1]
    assert (np.diff(shares[:6]) < 0).all()
    np.testing.assert_allclose(shares[:6], eigenvalues[:6], rtol=0.25)
    assert shares[:6].sum() > 0.99 * eigenvalues[:6].sum()


def own_of(soap: Soap, state: Floats, name: str) -> Floats:
    return parts(soap, state)[0][name].astype(np.float64)


def test_gradients_of_few_directions_give_whole_bases(backend: str) -> None:
    soap = Soap(((9, 2), (7, 7)), (0.0, 0.0))
    gradients = np.zeros((21, soap.n_values), np.float32)
    gradients[:, 8:10] = 1e-9  # one direction of the first tensor, none of the second
    parameters, state = run(soap, gradients)
    for own in parts(soap, state):
        for axis in ("rows", "columns"):
            basis = own[f"{axis} basis"]
            np.testing.assert_allclose(basis.T @ basis, np.eye(len(basis)), rtol=0, atol=1e-5)
    assert (parameters[18:] == 1.0).all()
    assert np.isfinite(parameters).all()


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e13])
def test_a_gradient_that_is_no_number_changes_nothing(backend: str, wrong: float) -> None:
    soap = soap_of(SHAPES)
    gradients = gradients_of(soap, 12)
    parameters, state = run(soap, gradients)
    before = parameters.copy(), state.copy()
    for place in (0, -1):
        broken = gradients[0].copy()
        broken[place] = wrong
        for count in (1, 13):
            assert not soap_step(parameters, broken, state, soap, rate=RATE, count=count)
    np.testing.assert_array_equal(parameters, before[0])
    np.testing.assert_array_equal(state, before[1])


def test_a_vector_moves_as_by_adam_after_the_first_step(backend: str) -> None:
    torch = pytest.importorskip("torch")
    soap = Soap(((40,),), (0.5,))
    gradients = gradients_of(soap, 15)
    ours, _ = run(soap, gradients)
    theirs = torch.ones(40, requires_grad=True)
    adam = torch.optim.Adam([theirs], lr=RATE, betas=(0.9, 0.95), eps=0.0)
    for gradient in gradients[1:]:
        theirs.grad = torch.from_numpy(gradient)
        adam.step()
        with torch.no_grad():
            theirs *= 1.0 - 0.5 * RATE
    np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-4)


def test_turned_problems_are_solved_sooner_than_by_adam(backend: str) -> None:
    """Of a quadratic whose curvature is a product of two, in bases that are not the axes."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (8, 6))
    first = (left * 10.0 ** np.linspace(0, -2, 8)) @ left.T
    second = (right * 10.0 ** np.linspace(0, -2, 6)) @ right.T
    begin = left @ rng.standard_normal((8, 6)) @ right.T

    def loss_and_gradient(w: Floats) -> tuple[float, Floats]:
        gradient = first @ w @ second
        return 0.5 * float((w * gradient).sum()), gradient

    soap = Soap(((8, 6),), (0.0,))
    ours = begin.astype(np.float32).ravel()
    state = np.zeros(soap.n_state, np.float32)
    theirs = torch.from_numpy(begin.copy()).requires_grad_()
    adam = torch.optim.Adam([theirs], lr=0.02, betas=(0.9, 0.95))
    for count in range(1, 201):
        _, gradient = loss_and_gradient(ours.reshape(8, 6))
        single = gradient.astype(np.float32).ravel()
        assert soap_step(ours, single, state, soap, rate=0.02, count=count)
        theirs.grad = torch.from_numpy(loss_and_gradient(theirs.detach().numpy())[1])
        adam.step()
    loss = loss_and_gradient(ours.reshape(8, 6))[0]
    assert loss < 0.5 * loss_and_gradient(theirs.detach().numpy())[0]


@pytest.mark.usefixtures("_backend_is_put_back")
def test_in_bases_that_stay_a_step_is_that_of_adam_along_them() -> None:
    """Source: Vyas et al. 2024, algorithm 3: where bases do not change, SOAP is Adam in them."""
    kernels.set_backend("torch")
    rng = np.random.default_rng(3)
    left, right = (np.linalg.qr(rng.standard_normal((2, 2)))[0] for _ in range(2))
    along = rng.uniform(0.5, 2.0, (30, 2)) * [1.0, 0.02]
    gradients = np.stack([(left * sizes) @ right.T for sizes in along])
    soap = Soap(((2, 2),), (0.0,))
    parameters, _ = run(soap, gradients.reshape(30, 4))
    mean, square, moved = np.zeros(2), np.zeros(2), np.zeros(2)
    for step, sizes in enumerate(along[1:], start=1):
        mean, square = 0.9 * mean + 0.1 * sizes, 0.95 * square + 0.05 * sizes**2
        root = np.sqrt(square / (1.0 - 0.95**step))
        moved -= RATE * mean / (1.0 - 0.9**step) / root
    expected = 1.0 + (left * moved) @ right.T
    np.testing.assert_allclose(parameters.reshape(2, 2), expected, rtol=0, atol=1e-5)


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"decays": (0.0,)},
        {"decays": (0.0, -0.1)},
        {"decays": (0.0, math.nan)},
        {"shapes": ((3, 2), ())},
        {"shapes": ((3, 2), (-1,))},
        {"shapes": ((3, 2), (1 << 24,))},
    ],
    ids=str,
)
def test_tensors_that_cannot_be_moved_are_refused(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"shapes": ((3, 2), (4,)), "decays": (0.0, 0.0)}
    with pytest.raises(ConfigError, match="soap_step: "):
        Soap(**{**fields, **change})


def test_other_sizes_rates_and_counts_are_refused() -> None:
    soap = Soap(((3, 2), (4,)), (0.0, 0.0))
    values, state = np.zeros(10), np.zeros(soap.n_state)
    with pytest.raises(ConfigError, match=r"10, 10 and 59 values, got \[\[10\], \[9\], \[59\]\]"):
        soap_step(values, np.zeros(9), state, soap, rate=0.1, count=1)
    with pytest.raises(ConfigError, match=r"got \[\[10\], \[10\], \[10\]\]"):
        soap_step(values, values, values, soap, rate=0.1, count=1)
    for rate, count in ((-0.1, 1), (math.nan, 1), (math.inf, 1), (0.1, 0)):
        with pytest.raises(ConfigError, match="rate must be at least 0, count 1"):
            soap_step(values, values, state, soap, rate=rate, count=count)
