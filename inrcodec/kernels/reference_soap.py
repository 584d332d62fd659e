"""The meaning of `soap_step`, in numpy: Adam in the eigenbases of Shampoo.

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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels.soap import SOAP_BETAS, SOAP_PERIOD, Soap, SoapMatrix

Array = NDArray[np.floating]

__all__ = ["soap_step"]

_EPSILON = 1e-8
_FIRST_TURNS = 4
_LARGEST_GRADIENT = 1e12  # so that no square overflows
_SMALLEST = 1e-30  # what is less counts as 0: denormals are slow
_NEGLIGIBLE = 1e-6  # of the trace of the mean of G G'
_DEPENDENT = 1e-3  # of a vector that is left beside the others


class _Axis(NamedTuple):
    """The mean of G G' or G' G, the basis, whose vectors are columns, and its transpose."""

    outer: Array
    columns: Array
    rows: Array


class _State(NamedTuple):
    """Views of one tensor's part of the state."""

    mean: Array
    square: Array
    axes: tuple[_Axis | None, _Axis | None]


def soap_step(
    parameters: Array, gradient: Array, state: Array, soap: Soap, *, rate: float, count: int
) -> bool:
    """`inrcodec.kernels.soap_step`."""
    if not bool(np.all(np.abs(gradient) <= _LARGEST_GRADIENT)):
        return False
    for matrix, decay, values, floats in _parts(soap):
        if matrix.size == 0:
            continue
        extent = (matrix.rows, matrix.columns)
        given = gradient[values].reshape(extent)
        own = _state_of(matrix, state[floats])
        if count == 1:
            for axis in filter(None, own.axes):
                axis.columns[...] = axis.rows[...] = np.eye(len(axis.rows))
        else:
            move = _move(given, own, count - 1).ravel()
            moved = parameters[values] - rate * move
            parameters[values] = moved * (1.0 - decay * rate)
        _gather(given, own)
        for _ in range(_FIRST_TURNS if count == 1 else count % SOAP_PERIOD == 1):
            _turn(own, 0)
            _turn(own, 1)
    return True


def _parts(soap: Soap) -> Iterator[tuple[SoapMatrix, float, slice, slice]]:
    """Each tensor, its decay, and its parts of the values and of the state."""
    values = floats = 0
    for matrix, decay in zip(soap.matrices, soap.decays, strict=True):
        ends = values + matrix.size, floats + matrix.n_state
        yield matrix, decay, slice(values, ends[0]), slice(floats, ends[1])
        values, floats = ends


def _state_of(matrix: SoapMatrix, floats: Array) -> _State:
    size, extent = matrix.size, (matrix.rows, matrix.columns)
    axes: list[_Axis | None] = []
    at = 2 * size
    for length, turned in zip(extent, matrix[2:], strict=True):
        if not turned:
            axes.append(None)
            continue
        squares = floats[at : at + 3 * length**2].reshape(3, length, length)
        axes.append(_Axis(*squares))
        at += 3 * length**2
    moments = [floats[size * i : size * (i + 1)].reshape(extent) for i in range(2)]
    return _State(moments[0], moments[1], (axes[0], axes[1]))


def _move(gradient: Array, state: _State, moved: int) -> Array:
    """The direction of step number `moved` after the first, and the moments for it."""
    _follow(state.mean, gradient, 1.0 - SOAP_BETAS[0])
    _follow(state.square, _rotate(gradient, state) ** 2, 1.0 - SOAP_BETAS[1])
    ratio = _rotate(state.mean, state) / (np.sqrt(state.square) + _EPSILON)
    rows, columns = state.axes
    ratio = ratio if rows is None else rows.columns @ ratio
    ratio = ratio if columns is None else ratio @ columns.rows
    unbiased: float = (1.0 - SOAP_BETAS[1] ** moved) ** 0.5 / (1.0 - SOAP_BETAS[0] ** moved)
    return ratio * unbiased


def _rotate(values: Array, state: _State) -> Array:
    rows, columns = state.axes
    turned = values if rows is None else rows.rows @ values
    return turned if columns is None else turned @ columns.columns


def _follow(mean: Array, values: Array, share: float) -> None:
    mean += share * (values - mean)
    mean[np.abs(mean) < _SMALLEST] = 0.0


def _gather(gradient: Array, state: _State) -> None:
    rows, columns = state.axes
    if rows is not None:
        _follow(rows.outer, gradient @ gradient.T, 1.0 - SOAP_BETAS[1])
    if columns is not None:
        _follow(columns.outer, gradient.T @ gradient, 1.0 - SOAP_BETAS[1])


def _turn(state: _State, number: int) -> None:
    """One round of power iteration; largest eigenvalues first, and the square in their order."""
    axis = state.axes[number]
    if axis is None:
        return
    length = len(axis.outer)
    trace = float(np.trace(axis.outer))
    if not trace >= _SMALLEST:
        return
    product = axis.outer @ axis.columns
    shares = np.sum(axis.columns * product, axis=0)
    shares[shares < _NEGLIGIBLE * trace] = 0.0
    order = np.argsort(-shares, kind="stable")
    wanted = np.take(product, order, axis=1)
    old = np.take(axis.columns, order, axis=1)
    state.square[...] = np.take(state.square, order, axis=number)
    units = np.eye(length, dtype=old.dtype)
    for j in range(length):
        first = wanted[:, j]
        size = _length(first)
        candidates = [first / size] if size >= _NEGLIGIBLE * trace else []
        others = (units[:, i] for i in range(length))
        vector = _set_apart(chain(candidates, [old[:, j]], others), axis, j)
        axis.columns[:, j] = axis.rows[j, :] = vector


def _set_apart(candidates: Iterator[Array], axis: _Axis, count: int) -> Array:
    """The first candidate of which enough is left beside the first `count` vectors, and that."""
    for vector in candidates:
        left = vector
        for _ in range(2):  # once loses digits
            left = left - (left @ axis.columns[:, :count]) @ axis.rows[:count, :]
            size = _length(left)
            if not size >= _DEPENDENT:
                break
            left = left / size
        else:
            return left
    raise AssertionError("one of the unit vectors lies apart from fewer vectors than there are")


def _length(vector: Array) -> float:
    return float(np.sqrt(np.sum(vector * vector)))
