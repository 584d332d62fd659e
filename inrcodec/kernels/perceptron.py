"""The shape of a small network, alone or behind a grid: all that a kernel knows beside numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.kernels.geometry import GridGeometry

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")

__all__ = ["Activation", "GridPerceptron", "Perceptron"]

Activation = Literal["sine", "relu", "sine_sqrt", "sine_arctan", "sine_log"]

_MAX_LAYERS = 33
_MAX_SIZE = 1024


@dataclass(frozen=True, slots=True)
class Perceptron:
    """`sizes`: of inputs, each hidden layer, outputs; 1 to 33 layers, each size in [1, 1024].

    Raises ConfigError for others, and for an activation that is none of `Activation`.
    """

    sizes: tuple[int, ...]
    has_bias: bool
    activation: Activation

    def __post_init__(self) -> None:
        if self.activation not in get_args(Activation):
            names = ", ".join(get_args(Activation))
            raise ConfigError(f"mlp: activation must be one of {names}, got {self.activation}")
        if not 1 <= len(self.sizes) - 1 <= _MAX_LAYERS:
            n_layers = len(self.sizes) - 1
            raise ConfigError(f"mlp: layers must be 1 to {_MAX_LAYERS}, got {n_layers}")
        if not all(1 <= size <= _MAX_SIZE for size in self.sizes):
            raise ConfigError(f"mlp: sizes must be in [1, {_MAX_SIZE}], got {list(self.sizes)}")

    @classmethod
    def of(
        cls,
        x: Array,
        weights: Sequence[Array],
        biases: Sequence[Array] | None,
        activation: Activation,
    ) -> Self:
        """The shape of a call. Raises ConfigError if there is none that all arrays fit."""
        first = weights[0].shape[-1] if weights else 1
        sizes = (first, *(weight.shape[0] for weight in weights))
        shape = cls(sizes, biases is not None, activation)
        got = [tuple(array.shape) for array in (*weights, *(biases or ()))]
        expected = shape._weight_shapes() + (shape._bias_shapes() if biases is not None else [])
        if got != expected:
            raise ConfigError(f"mlp: parameters must have shapes {expected}, got {got}")
        if x.ndim != 2 or x.shape[1] != sizes[0]:
            raise ConfigError(f"mlp: x must have shape [n, {sizes[0]}], got {list(x.shape)}")
        return shape

    @property
    def n_parameters(self) -> int:
        """Weights and biases, all together."""
        extra = 1 if self.has_bias else 0
        return sum((i + extra) * o for i, o in zip(self.sizes[:-1], self.sizes[1:], strict=True))

    def runs(self, weights: Sequence[Array], biases: Sequence[Array] | None) -> list[Array]:
        """All parameters as vectors: layer by layer, weights before biases."""
        runs: list[Array] = []
        for number, weight in enumerate(weights):
            runs.append(weight.reshape(-1))
            if biases is not None:
                runs.append(biases[number])
        return runs

    def split(self, parameters: Array) -> tuple[list[Array], list[Array] | None]:
        """The weights and biases of the vector that all runs make; views."""
        weights: list[Array] = []
        biases: list[Array] = []
        at = 0
        for n_outputs, n_inputs in self._weight_shapes():
            weights.append(parameters[at : at + n_outputs * n_inputs].reshape(n_outputs, n_inputs))
            at += n_outputs * n_inputs
            if self.has_bias:
                biases.append(parameters[at : at + n_outputs])
                at += n_outputs
        return weights, biases if self.has_bias else None

    def _weight_shapes(self) -> list[tuple[int, ...]]:
        return list(zip(self.sizes[1:], self.sizes[:-1], strict=True))

    def _bias_shapes(self) -> list[tuple[int, ...]]:
        return [(size,) for size in self.sizes[1:]]


@dataclass(frozen=True, slots=True)
class GridPerceptron:
    """A network of the features of a grid. Raises ConfigError if its inputs are not as many."""

    grid: GridGeometry
    perceptron: Perceptron

    def __post_init__(self) -> None:
        n_inputs, n_features = self.perceptron.sizes[0], self.grid.n_outputs
        if n_inputs != n_features:
            raise ConfigError(f"grid_mlp: inputs must be {n_features}, got {n_inputs}")

    @property
    def n_values(self) -> int:
        """Those of the table, and the parameters."""
        return self.grid.n_entries * self.grid.n_features + self.perceptron.n_parameters

    def split(self, values: Array) -> tuple[Array, Array]:
        """The table [n_entries, n_features] and the parameters, as views of one vector of both."""
        n_table = self.grid.n_entries * self.grid.n_features
        table = values[:n_table].reshape(self.grid.n_entries, self.grid.n_features)
        return table, values[n_table:]
