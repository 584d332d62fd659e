"""What a step of SOAP is told of the tensors that it moves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from inrcodec.errors import ConfigError

__all__ = ["SOAP_BETAS", "SOAP_PERIOD", "Soap", "SoapMatrix"]

SOAP_BETAS: Final = (0.9, 0.95)
"""What the means of gradients and of their squares keep at each step."""

SOAP_PERIOD: Final = 10
"""Steps from one turn of the bases to the next."""

_LONGEST_TURNED = 256
_MAX_VALUES = 1 << 24


class SoapMatrix(NamedTuple):
    """A tensor as a matrix: its first axis, and all others together; which of the two have a basis.

    Axes of one value or more than 256 have none, nor has a tensor of one axis.
    """

    rows: int
    columns: int
    turns_rows: bool
    turns_columns: bool

    @property
    def size(self) -> int:
        """Number of values."""
        return self.rows * self.columns

    @property
    def n_state(self) -> int:
        """Floats of its state: two moments, and three square matrices for each basis."""
        rows, columns = self.turns_rows * self.rows, self.turns_columns * self.columns
        return 2 * self.size + 3 * (rows * rows + columns * columns)


@dataclass(frozen=True)
class Soap:
    """Tensors of these shapes, all their values one after the other, each with its weight decay.

    At most 2^24 values together. A step takes `decays`, 0 or more, times its rate from what a value
    is. Raises ConfigError.
    """

    shapes: tuple[tuple[int, ...], ...]
    decays: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.shapes) != len(self.decays):
            raise ConfigError(f"soap_step: decays must be {len(self.shapes)}: {self.decays}")
        if not all(0.0 <= decay < math.inf for decay in self.decays):
            raise ConfigError(f"soap_step: decays must be at least 0, got {self.decays}")
        if any(not shape or min(shape) < 0 for shape in self.shapes):
            raise ConfigError(f"soap_step: shapes must have axes, got {self.shapes}")
        if self.n_values > _MAX_VALUES:
            raise ConfigError(f"soap_step: values must be at most 2^24, got {self.n_values}")

    @cached_property
    def matrices(self) -> tuple[SoapMatrix, ...]:
        """The tensors as a step sees them."""
        return tuple(_matrix(shape) for shape in self.shapes)

    @cached_property
    def n_values(self) -> int:
        """Values of all tensors."""
        return sum(math.prod(shape) for shape in self.shapes)

    @cached_property
    def n_state(self) -> int:
        """Floats of the state of all tensors."""
        return sum(matrix.n_state for matrix in self.matrices)


def _matrix(shape: tuple[int, ...]) -> SoapMatrix:
    size = math.prod(shape)
    if size == 0:
        return SoapMatrix(0, 0, False, False)
    rows, columns = shape[0], size // shape[0]
    turned = [len(shape) > 1 and 1 < length <= _LONGEST_TURNED for length in (rows, columns)]
    return SoapMatrix(rows, columns, *turned)
