"""Native mlp against the reference in float64: any shape, every instruction set and thread count.

Deep networks multiply the error of each layer. So values and gradients may be off by TOLERANCE of
the largest one and four times the error of the reference in float32.
"""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.kernels import Activation, mlp, reference
from inrcodec.kernels.perceptron import Perceptron

Floats = NDArray[np.float32]
Layers = tuple[list[Floats], list[Floats] | None]

TOLERANCE = 2e-6
COUNTS = (0, 1, 31, 33, 129, 700)
SIZES = [
    (1, 1),
    (3, 64),
    (2, 4, 1),
    (26, 40, 40, 3),
    (10, 16, 16, 3),
    (17, 33, 66, 65, 31, 2),
    (64, 129, 5, 64),
]
DEEPEST = (9, *(24,) * 32, 3)
CASES = [
    *itertools.product(SIZES, get_args(Activation)),
    (DEEPEST, "sine"),  # damped sines are about squares near 0: each layer doubles an error
    (DEEPEST, "relu"),
]


every_activation = pytest.mark.parametrize("activation", get_args(Activation))
ONES = [np.ones((1, 1), np.float32)] * 2  # one unit: x in, its activation out
DAMPINGS: dict[str, tuple[Any, Any]] = {
    "sine": (np.ones_like, np.zeros_like),
    "sine_sqrt": (
        lambda x: np.sqrt(np.abs(x)),
        lambda x: np.sign(x) / (2.0 * np.sqrt(np.abs(x) + 1e-300)),
    ),
    "sine_arctan": (np.arctan, lambda x: 1.0 / (1.0 + x * x)),
    "sine_log": (lambda x: np.log1p(np.abs(x)), lambda x: np.sign(x) / (1.0 + np.abs(x))),
}  # each with its slope
every_sine = pytest.mark.parametrize("activation", list(DAMPINGS))


def network(sizes: tuple[int, ...], *, has_bias: bool, seed: int = 0) -> Layers:
    """Weights that keep the size of what goes through them, and biases."""
    rng = np.random.default_rng(seed)
    weights = [
        rng.uniform(-1, 1, (n_out, n_in)).astype(np.float32) * np.float32((4 / n_in) ** 0.5)
        for n_in, n_out in itertools.pairwise(sizes)
    ]
    biases = [rng.uniform(-1, 1, size).astype(np.float32) for size in sizes[1:]]
    return weights, biases if has_bias else None


def points(sizes: tuple[int, ...], n_points: int) -> tuple[Floats, Floats]:
    """x and a cotangent."""
    rng = np.random.default_rng(n_points)
    x = rng.standard_normal((n_points, sizes[0]), dtype=np.float32)
    return x, rng.standard_normal((n_points, sizes[-1]), dtype=np.float32)


def exact(arrays: list[Floats] | None) -> Any:
    return None if arrays is None else [array.astype(np.float64) for array in arrays]


def reference_results(x: Any, layers: Any, activation: Activation, cotangent: Any) -> list[Any]:
    """Values, then gradients of weights, biases and x."""
    values = reference.mlp(x, *layers, activation)
    of_weights, of_biases, of_x = reference.mlp_gradients(
        cotangent, x, *layers, activation=activation
    )
    return [values, *of_weights, *(of_biases or []), of_x]


def assert_close(got: Any, expected: Any, in_float32: Any) -> None:
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    error = np.abs(in_float32 - expected).max(initial=0.0)
    allowed = TOLERANCE * np.abs(expected).max(initial=1e-30) + 4.0 * error
    np.testing.assert_allclose(got, expected, rtol=0, atol=allowed)


def gradients(x: Floats, layers: Layers, activation: Activation, cotangent: Floats) -> list[Any]:
    """Gradients of weights, biases and x through the public function."""
    torch = pytest.importorskip("torch")
    weights, biases = layers
    tensors = [torch.from_numpy(a).requires_grad_() for a in (*weights, *(biases or []), x)]
    w, b = tensors[: len(weights)], tensors[len(weights) : -1]
    values = mlp(tensors[-1], w, b if biases is not None else None, activation)
    values.backward(torch.from_numpy(cotangent))
    return [tensor.grad.numpy() for tensor in tensors]


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("n_points", COUNTS)
@pytest.mark.parametrize(("sizes", "activation"), CASES, ids=str)
def test_values_and_gradients_match(
    native: ModuleType, sizes: Any, n_points: int, activation: Any, has_bias: bool
) -> None:
    layers = network(sizes, has_bias=has_bias)
    x, cotangent = points(sizes, n_points)
    in_float32 = reference_results(x, layers, activation, cotangent)
    wide = [exact(arrays) for arrays in ([x], *layers, [cotangent])]
    expected = reference_results(wide[0][0], wide[1:3], activation, wide[3][0])
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        got = [mlp(x, *layers, activation), *gradients(x, layers, activation, cotangent)]
        for ours, right, rounded in zip(got, expected, in_float32, strict=True):
            assert_close(ours, right, rounded)


@every_activation
@pytest.mark.parametrize("sizes", [(5, 33, 17, 3), (3, 200, 200, 3)], ids=str)
@pytest.mark.usefixtures("native")
def test_no_bit_depends_on_the_number_of_threads(sizes: Any, activation: Any) -> None:
    layers = network(sizes, has_bias=True)
    x, cotangent = points(sizes, 5000)
    kernels.set_threads(1)
    values = mlp(x, *layers, activation)
    alone = gradients(x, layers, activation, cotangent)
    for n_threads in (1, 2, 3, 8):
        kernels.set_threads(n_threads)
        np.testing.assert_array_equal(mlp(x, *layers, activation), values)
        for got, expected in zip(gradients(x, layers, activation, cotangent), alone, strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.usefixtures("native")
def test_the_value_at_a_point_does_not_depend_on_its_neighbours() -> None:
    layers = network((5, 33, 17, 3), has_bias=True)
    x, _ = points((5, 3), 700)
    values = mlp(x, *layers, "sine")
    np.testing.assert_array_equal(mlp(x[300:431], *layers, "sine"), values[300:431])
    x[699] = np.nan
    np.testing.assert_array_equal(mlp(x, *layers, "sine")[:699], values[:699])


@every_sine
@pytest.mark.parametrize("largest", [1e-20, 1e-6, 0.5, 3.0, 100.0, 1e4, 1e5, 1e9, 3e38])
def test_sines_and_their_slopes_are_good_over_the_whole_range(
    native: ModuleType, largest: float, activation: Any
) -> None:
    x = np.linspace(-largest, largest, 40001, dtype=np.float32)[:, None]
    wide = x.astype(np.float64)
    damping, slope = (function(wide) for function in DAMPINGS[activation])
    sines, cosines = np.sin(wide), np.cos(wide)
    scale = np.abs(damping) + np.abs(slope) * np.minimum(np.abs(wide), 1.0) + 1e-30
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        values = mlp(x, ONES, None, activation)
        assert np.max(np.abs(values - sines * damping) / scale) < 3e-7
        *_, slopes = gradients(x, (ONES, None), activation, np.ones_like(x))
        assert np.max(np.abs(slopes - (cosines * damping + sines * slope)) / scale) < 3e-7


@every_activation
def test_around_zero_nothing_is_lost(native: ModuleType, activation: Any) -> None:
    tiny = [0.0, 1e-45, 1e-40, 1.2e-38, 1e-30, 1e-20]
    x = np.array([*tiny, *(-value for value in tiny)], np.float32)[:, None]
    expected = reference_results(exact([x])[0], (exact(ONES), None), activation, np.ones((12, 1)))
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        values = mlp(x, ONES, None, activation)
        np.testing.assert_allclose(values, expected[0], rtol=4e-7, atol=3e-45)
        *_, slopes = gradients(x, (ONES, None), activation, np.ones_like(x))
        np.testing.assert_allclose(slopes, expected[-1], rtol=4e-7, atol=1e-19)
        assert slopes[0] == slopes[6] == (1.0 if activation == "sine" else 0.0)


@every_activation
def test_what_is_not_finite_gives_what_the_reference_gives(
    native: ModuleType, activation: Any
) -> None:
    x = np.array([[np.nan], [np.inf], [-np.inf], [2.0]], np.float32)
    cotangent = np.ones_like(x)
    with np.errstate(invalid="ignore"):
        values, *_, slopes = reference_results(x, (ONES, None), activation, cotangent)
    assert np.isfinite(values).ravel().tolist() == [False, False, activation == "relu", True]
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        np.testing.assert_allclose(mlp(x, ONES, None, activation), values, rtol=1e-6)
        *_, ours = gradients(x, (ONES, None), activation, cotangent)
        np.testing.assert_allclose(ours, slopes, rtol=1e-6)


@pytest.mark.usefixtures("native")
def test_strides_alignment_and_read_only_arrays_change_nothing() -> None:
    weights, biases = network((4, 9, 2), has_bias=True)
    x, _ = points((4, 2), 129)
    expected = mlp(x, weights, biases, "relu")
    misaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(-1, 4)
    frozen = [np.asfortranarray(weight) for weight in weights]
    frozen[0].flags.writeable = False
    for same in (np.asfortranarray(x), np.repeat(x, 2, 0)[::2], misaligned):
        np.testing.assert_array_equal(mlp(same, frozen, biases, "relu"), expected)


@pytest.mark.usefixtures("native")
def test_other_float_types_take_the_reference() -> None:
    torch = pytest.importorskip("torch")
    weights, biases = map(exact, network((4, 9, 2), has_bias=True))
    x = points((4, 2), 33)[0].astype(np.float64)
    values = mlp(x, weights, biases, "sine")
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, reference.mlp(x, weights, biases, "sine"))
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, *weights, *biases)]
    assert torch.autograd.gradcheck(lambda x, *rest: mlp(x, rest[:2], rest[2:], "sine"), tensors)


@pytest.mark.usefixtures("native")
def test_only_wanted_gradients_are_there() -> None:
    torch = pytest.importorskip("torch")
    weights, _ = network((4, 9, 2), has_bias=False)
    x = torch.from_numpy(points((4, 2), 33)[0])
    w = [torch.from_numpy(weight) for weight in weights]
    mlp(x, [w[0], w[1].requires_grad_()], None, "relu").sum().backward()
    assert (x.grad, w[0].grad) == (None, None)
    assert w[1].grad.shape == (2, 9)


@pytest.mark.parametrize("choice", ["native", "torch"])
@pytest.mark.parametrize("needs_x", [True, False])
@pytest.mark.usefixtures("native")
def test_torch_operators_pass_their_own_checks(choice: Any, needs_x: bool) -> None:
    torch = pytest.importorskip("torch")
    kernels.set_backend(choice)
    sizes = (4, 9, 2)
    weights, biases = network(sizes, has_bias=True)
    parameters = torch.from_numpy(
        np.concatenate(Perceptron(sizes, True, "sine").runs(weights, biases))
    )
    x, cotangent = (torch.from_numpy(array) for array in points(sizes, 33))
    mlp(x, [torch.from_numpy(w) for w in weights], None, "sine")
    ops, fields = torch.ops.inrcodec, (list(sizes), True, "sine")
    with_gradient = (x.clone().requires_grad_(needs_x), parameters.clone().requires_grad_())
    torch.library.opcheck(ops.mlp.default, (*with_gradient, *fields))
    torch.library.opcheck(ops.mlp_gradients.default, (cotangent, x, parameters, needs_x, *fields))


@pytest.mark.usefixtures("native")
def test_the_operator_compiles_into_one_graph() -> None:
    torch = pytest.importorskip("torch")
    weights, _ = network((4, 9, 2), has_bias=False)
    x = torch.from_numpy(points((4, 2), 33)[0])
    w = [torch.from_numpy(weight).requires_grad_() for weight in weights]
    loss = torch.compile(
        lambda *layers: mlp(x, layers, None, "sine").square().sum(), backend="eager", fullgraph=True
    )
    loss(*w).backward()
    compiled, w[0].grad = w[0].grad, None
    mlp(x, w, None, "sine").square().sum().backward()
    torch.testing.assert_close(compiled, w[0].grad)


def test_native_arguments_are_refused_with_what_and_got(native: ModuleType) -> None:
    x, cotangent = points((4, 2), 5)
    good: dict[str, Any] = {
        "gradient": cotangent,
        "x": x,
        "parameters": np.zeros(9 * 4 + 9 + 9 * 2 + 2, np.float32),
        "network": ((4, 9, 2), True, "sine"),
        "parameters_gradient": np.empty(65, np.float32),
        "x_gradient": None,
        "n_threads": 1,
    }
    native.mlp_gradients(**good)
    bad = [
        ("gradient", cotangent[:-1], "gradient must have shape"),
        ("x", x.astype(np.float64), "x must be float32"),
        ("parameters", np.zeros(64, np.float32), r"parameters must have shape [65], got [64]"),
        ("network", ((4, 0, 2), True, "sine"), "a size must be in [1, 1024], got 0"),
        ("network", ((4, 9, 2), False, "sine"), "parameters must have shape"),
        ("network", ((4, 9, 2), True, "tanh"), "activation must be one of sine, relu, sine_sqrt, "),
        ("parameters_gradient", np.empty(1, np.float32), "parameters_gradient must have shape"),
        ("x_gradient", x[:, ::2], "x_gradient must have shape"),
        ("n_threads", 0, "threads must be at least 1, got 0"),
    ]
    for name, value, message in bad:
        with pytest.raises(ValueError, match=r"^mlp: .*, got ") as refusal:
            native.mlp_gradients(**{**good, name: value})
        assert message in str(refusal.value)
    with pytest.raises(ValueError, match=r"^mlp: sizes must be of 1 to 33 layers"):
        native.mlp_gradients(**{**good, "network": ((4,) * 35, True, "sine")})
