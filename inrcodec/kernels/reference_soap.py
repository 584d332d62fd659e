"""The meaning of `soap_step`, in the array API: Adam in the eigenbases of Shampoo.

Of a gradient G [rows, columns], with a basis L of the eigenvectors of a running mean of G G' and R
of one of G' G, Adam's square S is that of L' G R, and a step goes along L (L' M R / (sqrt S + eps))
R' with the mean M of gradients. The first step only sets the means and the bases.
Deviations from the paper: eigenvectors are not computed at first but come of power iteration from
the unit vectors on, several rounds at the first step; a vector of which next to nothing is left
beside the others is the old one made orthogonal to them. A tensor of more than two axes is a matrix
of its first axis by all others.
Source: Vyas et al. 2024, algorithms 3 and 4, arXiv:2409.11321.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels.soap import Soap, SoapMatrix

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")

__all__ = ["soap_step"]

_BETAS = (0.9, 0.95)
_EPSILON = 1e-8
_PERIOD = 10  # steps from turn to turn
_FIRST_TURNS = 4
_LARGEST_GRADIENT = 1e12  # so that no square overflows
_SMALLEST = 1e-30  # what is less counts as 0: denormals are slow
_NEGLIGIBLE = 1e-6  # of the trace of the mean of G G'
_DEPENDENT = 1e-3  # of a vector that is left beside the others


class _Axis(NamedTuple):
    """The mean of G G' or G' G, the basis, whose vectors are columns, and its transpose."""

    outer: Any
    columns: Any
    rows: Any


class _State(NamedTuple):
    """Views of one tensor's part of the state."""

    mean: Any
    square: Any
    axes: tuple[_Axis | None, _Axis | None]


def soap_step(
    parameters: Array, gradient: Array, state: Array, soap: Soap, *, rate: float, count: int
) -> bool:
    """`inrcodec.kernels.soap_step`."""
    xp = array_api_compat.array_namespace(gradient)
    if not bool(xp.all(xp.abs(gradient) <= _LARGEST_GRADIENT)):
        return False
    for matrix, decay, values, floats in _parts(soap):
        if matrix.size == 0:
            continue
        extent = (matrix.rows, matrix.columns)
        given = xp.reshape(gradient[values], extent)
        own = _state_of(xp, matrix, state[floats])
        if count == 1:
            for axis in filter(None, own.axes):
                axis.columns[...] = axis.rows[...] = xp.eye(axis.rows.shape[0], dtype=given.dtype)
        else:
            move = xp.reshape(_move(xp, given, own, count - 1), (-1,))
            moved = parameters[values] - rate * move
            parameters[values] = moved * (1.0 - decay * rate)
        _gather(given, own, xp)
        for _ in range(_FIRST_TURNS if count == 1 else count % _PERIOD == 1):
            _turn(xp, own, 0)
            _turn(xp, own, 1)
    return True


def _parts(soap: Soap) -> Iterator[tuple[SoapMatrix, float, slice, slice]]:
    """Each tensor, its decay, and its parts of the values and of the state."""
    values = floats = 0
    for matrix, decay in zip(soap.matrices, soap.decays, strict=True):
        ends = values + matrix.size, floats + matrix.n_state
        yield matrix, decay, slice(values, ends[0]), slice(floats, ends[1])
        values, floats = ends


def _state_of(xp: ModuleType, matrix: SoapMatrix, floats: Any) -> _State:
    size, extent = matrix.size, (matrix.rows, matrix.columns)
    axes: list[_Axis | None] = []
    at = 2 * size
    for length, turned in zip(extent, matrix[2:], strict=True):
        if not turned:
            axes.append(None)
            continue
        squares = xp.reshape(floats[at : at + 3 * length**2], (3, length, length))
        axes.append(_Axis(squares[0, ...], squares[1, ...], squares[2, ...]))
        at += 3 * length**2
    moments = [xp.reshape(floats[size * i : size * (i + 1)], extent) for i in range(2)]
    return _State(moments[0], moments[1], (axes[0], axes[1]))


def _move(xp: ModuleType, gradient: Any, state: _State, moved: int) -> Any:
    """The direction of step number `moved` after the first, and the moments for it."""
    _follow(xp, state.mean, gradient, 1.0 - _BETAS[0])
    _follow(xp, state.square, _rotate(gradient, state) ** 2, 1.0 - _BETAS[1])
    ratio = _rotate(state.mean, state) / (xp.sqrt(state.square) + _EPSILON)
    rows, columns = state.axes
    back = ratio if rows is None else rows.columns @ ratio
    back = back if columns is None else back @ columns.rows
    return back * ((1.0 - _BETAS[1] ** moved) ** 0.5 / (1.0 - _BETAS[0] ** moved))


def _rotate(values: Any, state: _State) -> Any:
    rows, columns = state.axes
    turned = values if rows is None else rows.rows @ values
    return turned if columns is None else turned @ columns.columns


def _follow(xp: ModuleType, mean: Any, values: Any, share: float) -> None:
    mean += share * (values - mean)
    mean[xp.abs(mean) < _SMALLEST] = 0.0


def _gather(gradient: Any, state: _State, xp: ModuleType) -> None:
    rows, columns = state.axes
    if rows is not None:
        _follow(xp, rows.outer, gradient @ gradient.T, 1.0 - _BETAS[1])
    if columns is not None:
        _follow(xp, columns.outer, gradient.T @ gradient, 1.0 - _BETAS[1])


def _turn(xp: ModuleType, state: _State, number: int) -> None:
    """One round of power iteration; largest eigenvalues first, and the square in their order."""
    axis = state.axes[number]
    if axis is None:
        return
    length = axis.outer.shape[0]
    trace = float(xp.sum(xp.linalg.diagonal(axis.outer)))
    if not trace >= _SMALLEST:
        return
    product = axis.outer @ axis.columns
    shares = xp.sum(axis.columns * product, axis=0)
    shares[shares < _NEGLIGIBLE * trace] = 0.0
    order = xp.argsort(shares, descending=True, stable=True)
    wanted = xp.take(product, order, axis=1)
    old = xp.take(axis.columns, order, axis=1)
    state.square[...] = xp.take(state.square, order, axis=number)
    units = xp.eye(length, dtype=old.dtype)
    for j in range(length):
        first = wanted[:, j]
        size = _length(xp, first)
        candidates = [first / size] if size >= _NEGLIGIBLE * trace else []
        others = (units[:, i] for i in range(length))
        vector = _set_apart(xp, chain(candidates, [old[:, j]], others), axis, j)
        axis.columns[:, j] = axis.rows[j, :] = vector


def _set_apart(xp: ModuleType, candidates: Iterator[Any], axis: _Axis, count: int) -> Any:
    """The first candidate of which enough is left beside the first `count` vectors, and that."""
    for vector in candidates:
        left = vector
        for _ in range(2):  # once loses digits
            left = left - (left @ axis.columns[:, :count]) @ axis.rows[:count, :]
            size = _length(xp, left)
            if not size >= _DEPENDENT:
                break
            left = left / size
        else:
            return left
    raise AssertionError("one of the unit vectors lies apart from fewer vectors than there are")


def _length(xp: ModuleType, vector: Any) -> float:
    return float(xp.sqrt(xp.sum(vector * vector)))
