"""What a coordinate network is: a few integers that shape it, named tensors, and one formula.

A family subclasses `Network` as a frozen dataclass whose fields are all made by `shape_field`; the
fields, in order but those per axis last, are what a stream stores of it. The formula, and what is
off with its gradient, are calls of `kernels`, for numpy's arrays and torch's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from _typeshed import DataclassInstance

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")

__all__ = ["Array", "Network", "StoredField", "TensorSpec", "check_integers", "shape_field"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSpec:
    """One tensor of a network: its shape, and how its fit begins.

    Values start uniform in [-bound, bound], quantized with about `step`, and move with
    `learning_rate` (Adam's, in units of the values).
    """

    shape: tuple[int, ...]
    bound: float
    step: float
    learning_rate: float

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


def check_integers(config: DataclassInstance, **ranges: tuple[int, int]) -> None:
    """Raise ConfigError unless each named field of `config` is an integer in its range.

    None is allowed where it is the default.
    """
    optional = {item.name for item in fields(config) if item.default is None}
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        left_open = value is None and name in optional
        if not left_open and not (whole and low <= value <= high):
            raise ConfigError(f"{name} {value!r} is not an integer in [{low}, {high}]")


def shape_field(low: int, high: int, *, per_axis: bool = False) -> Any:
    """A dataclass field: an integer in [low, high] that a stream stores as a varint.

    With `per_axis` a tuple of them, one for each of `n_dims` axes.
    """
    return field(metadata={"range": (low, high), "per_axis": per_axis})


class StoredField(NamedTuple):
    """The name of a field, its maximum, and whether it has a value for each axis."""

    name: str
    maximum: int
    per_axis: bool


@dataclass(frozen=True, kw_only=True)
class Network(ABC):
    """A function from `n_dims` coordinates to `n_channels` values. Raises ConfigError off range.

    `has_grid`: whether `kernels.grid_encode` is in its formula.
    """

    has_grid: ClassVar[bool] = False
    n_dims: int = shape_field(1, 4)
    n_channels: int = shape_field(1, 64)

    def __post_init__(self) -> None:
        for item in fields(self):
            low, high = item.metadata["range"]
            values = getattr(self, item.name)
            if not item.metadata["per_axis"]:
                values = (values,)
            elif len(values) != self.n_dims:
                raise ConfigError(f"{item.name} {values} are not {self.n_dims}")
            for value in values:
                if not low <= value <= high:
                    raise ConfigError(f"{item.name} {value} is not in [{low}, {high}]")

    @classmethod
    def stored_fields(cls) -> tuple[StoredField, ...]:
        """What a stream stores beside the signal's own header, in its order."""
        own = [item for item in fields(cls) if item.name not in ("n_dims", "n_channels")]
        stored = (
            StoredField(item.name, item.metadata["range"][1], item.metadata["per_axis"])
            for item in own
        )
        return tuple(sorted(stored, key=lambda item: item.per_axis))

    def stored_values(self) -> Iterator[int]:
        """The integers of the stored fields, one after the other."""
        for item in self.stored_fields():
            value = getattr(self, item.name)
            yield from value if item.per_axis else (value,)

    @abstractmethod
    def tensors(self) -> tuple[TensorSpec, ...]:
        """The tensors, in the order in which they are stored and `apply` takes their values."""

    @abstractmethod
    def apply(self, values: Array, coords: Array) -> Array:
        """What is put out, [n, n_channels], at coords [n, n_dims] in [0, 1].

        `values` [n_parameters]: those of all tensors, one after the other.
        """

    @abstractmethod
    def descent(self, values: Array, coords: Array, targets: Array) -> tuple[float, Array]:
        """The mean square of what `apply` is off `targets` [n, n_channels], and its gradient by
        `values`."""

    @abstractmethod
    def macs_per_point(self) -> float:
        """Multiplications for one point."""

    @property
    def n_parameters(self) -> int:
        """Number of stored values."""
        return sum(spec.size for spec in self.tensors())

    @classmethod
    def of(cls, n_dims: int, n_channels: int, **shape: int | tuple[int, ...]) -> Self:
        """A network from the signal's dimensions and the stored fields by name."""
        return cls(n_dims=n_dims, n_channels=n_channels, **shape)
