"""The reference of mlp against its formula, its gradients, and what shapes are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inrcodec import kernels
from inrcodec.errors import ConfigError
from inrcodec.kernels import mlp, reference


def layers(*sizes: int) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(3)
    weights = [rng.standard_normal(shape) for shape in zip(sizes[1:], sizes[:-1], strict=True)]
    return weights, [rng.standard_normal(size) for size in sizes[1:]]


def test_a_layer_is_the_activation_of_an_affine_map_and_the_last_one_is_linear() -> None:
    weights, biases = layers(2, 3, 1)
    x = np.array([[0.25, -2.0]])
    for name, activation in (("sine", np.sin), ("relu", lambda h: np.maximum(h, 0.0))):
        hidden = [activation(weights[0][o] @ x[0] + biases[0][o]) for o in range(3)]
        expected = sum(weights[1][0][o] * hidden[o] for o in range(3)) + biases[1][0]
        got = mlp(x, weights, biases, name)  # type: ignore[arg-type]
        np.testing.assert_allclose(got, [[expected]], rtol=1e-14)


def test_one_layer_without_bias_is_a_product() -> None:
    weights, _ = layers(4, 3)
    x = np.random.default_rng(0).standard_normal((7, 4))
    np.testing.assert_array_equal(mlp(x, weights, None, "relu"), x @ weights[0].T)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("activation", ["sine", "relu"])
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
        ({"activation": "tanh"}, "activation must be sine or relu, got tanh"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    weights, biases = layers(4, 9, 2)
    good = {"x": np.zeros((3, 4)), "weights": weights, "biases": biases, "activation": "sine"}
    with pytest.raises(ConfigError, match=f"^mlp: {message}"):
        kernels.mlp(**{**good, **change})
