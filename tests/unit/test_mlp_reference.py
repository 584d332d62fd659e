"""The reference of mlp against its formula, its gradients, and what shapes are refused."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from inrcodec import kernels
from inrcodec.errors import ConfigError
from inrcodec.kernels import Activation, mlp, reference

FORMULAS: dict[Activation, Any] = {
    "sine": np.sin,
    "relu": lambda h: np.maximum(h, 0.0),
    "sine_sqrt": lambda h: np.sin(h) * np.sqrt(np.abs(h)),
    "sine_arctan": lambda h: np.sin(h) * np.arctan(h),
    "sine_log": lambda h: np.sin(h) * np.log(1.0 + np.abs(h)),
}
every_activation = pytest.mark.parametrize("activation", get_args(Activation))


def layers(*sizes: int) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(3)
    weights = [rng.standard_normal(shape) for shape in zip(sizes[1:], sizes[:-1], strict=True)]
    return weights, [rng.standard_normal(size) for size in sizes[1:]]


@every_activation
def test_a_layer_is_the_activation_of_an_affine_map_and_the_last_one_is_linear(
    activation: Activation,
) -> None:
    weights, biases = layers(2, 3, 1)
    x = np.array([[0.25, -2.0]])
    hidden = [FORMULAS[activation](weights[0][o] @ x[0] + biases[0][o]) for o in range(3)]
    expected = sum(weights[1][0][o] * hidden[o] for o in range(3)) + biases[1][0]
    got = mlp(x, weights, biases, activation)
    np.testing.assert_allclose(got, [[expected]], rtol=1e-14)


def test_one_layer_without_bias_is_a_product() -> None:
    weights, _ = layers(4, 3)
    x = np.random.default_rng(0).standard_normal((7, 4))
    np.testing.assert_array_equal(mlp(x, weights, None, "relu"), x @ weights[0].T)


def slopes_at(x: np.ndarray, activation: Activation) -> np.ndarray:
    """Slopes [n] of the activation at x [n], by one unit of the reference."""
    one = np.ones((1, 1), x.dtype)
    *_, of_x = reference.mlp_gradients(
        np.ones((len(x), 1), x.dtype), x[:, None], [one, one], None, activation=activation
    )
    return of_x[:, 0]


@every_activation
def test_slopes_are_differences_of_values(activation: Activation) -> None:
    x = np.concatenate([np.linspace(-40.0, 40.0, 802), [-1e-3, 1e-3, 1e-2, 1e3]])
    step = 1e-6 * np.minimum(np.abs(x), 1.0)
    formula = FORMULAS[activation]
    expected = (formula(x + step) - formula(x - step)) / (2.0 * step)
    np.testing.assert_allclose(slopes_at(x, activation), expected, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_activation
def test_slopes_are_finite_and_small_at_zero_and_beside_it(
    activation: Activation, dtype: Any
) -> None:
    smallest = np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, smallest, -smallest, 1e-30, -1e-30], dtype)
    slopes = slopes_at(x, activation)
    assert slopes.dtype == dtype
    assert slopes[:2].tolist() == [1.0 if activation == "sine" else 0.0] * 2
    if activation.startswith("sine_"):
        assert np.abs(slopes).max() < 1e-14


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_activation
def test_a_unit_at_zero_has_finite_gradients_under_autograd(
    activation: Activation, dtype: str
) -> None:
    torch = pytest.importorskip("torch")
    x = torch.zeros(3, 2, dtype=getattr(torch, dtype), requires_grad=True)
    weights = [torch.ones(size, dtype=x.dtype, requires_grad=True) for size in ((4, 2), (1, 4))]
    mlp(x, weights, None, activation).sum().backward()
    for tensor in (x, *weights):
        assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize("with_bias", [True, False])
@every_activation
def test_gradients_are_those_of_autograd(activation: Any, with_bias: bool) -> None:
    torch = pytest.importorskip("torch")
    arrays, offsets = layers(4, 9, 5, 2)
    weights = [torch.from_numpy(array).requires_grad_() for array in arrays]
    biases = [torch.from_numpy(array).requires_grad_() for array in offsets] if with_bias else None
    x = torch.randn(11, 4, dtype=torch.float64, requires_grad=True)
    cotangent = torch.randn(11, 2, dtype=torch.float64)
    reference.mlp(x, weights, biases, activation).backward(cotangent)
    with torch.no_grad():
        of_weights, of_biases, of_x = reference.mlp_gradients(
            cotangent, x, weights, biases, activation=activation
        )
    for got, tensor in zip(
        [*of_weights, *(of_biases or [])], [*weights, *(biases or [])], strict=True
    ):
        torch.testing.assert_close(got, tensor.grad)
    torch.testing.assert_close(of_x, x.grad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((3, 5))}, r"x must have shape \[n, 4\], got \[3, 5\]"),
        ({"x": np.zeros(4)}, r"x must have shape \[n, 4\], got \[4\]"),
        ({"weights": []}, "layers must be 1 to 33, got 0"),
        ({"weights": [np.zeros((4, 4))] * 34}, "layers must be 1 to 33, got 34"),
        ({"weights": [np.zeros((9, 4)), np.zeros((2, 8))]}, "parameters must have shapes"),
        ({"weights": [np.zeros((1025, 4)), np.zeros((2, 1025))]}, r"sizes must be in \[1, 1024\]"),
        ({"weights": [np.zeros((0, 4)), np.zeros((2, 0))]}, r"sizes must be in \[1, 1024\]"),
        ({"biases": [np.zeros(9)]}, "parameters must have shapes"),
        ({"biases": [np.zeros(9), np.zeros(3)]}, "parameters must have shapes"),
        ({"activation": "tanh"}, "activation must be one of .*, sine_log, got tanh"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    weights, biases = layers(4, 9, 2)
    good = {"x": np.zeros((3, 4)), "weights": weights, "biases": biases, "activation": "sine"}
    with pytest.raises(ConfigError, match=f"^mlp: {message}"):
        kernels.mlp(**{**good, **change})
