"""Latents <-> coded words, one value after the other: the context model in whole numbers.

The reference: numpy computes what a wave of values has for contexts, constriction codes it.
`kernels.native.decode_latents` reads the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.entropy import LAPLACE_SCALES, SymbolDecoder, SymbolEncoder
from inrcodec.entropy.coder import no_encoder_writes, words_of, wrong_end
from inrcodec.entropy.laplace import decays, powers
from inrcodec.kernels import Grid, LatentShape
from inrcodec.representations.latentgrid.fixed import (
    CONTEXT_BITS,
    CONTEXT_WEIGHT_BITS,
    LARGEST_CONTEXT,
    Fixed,
    rounded,
)

__all__ = ["ContextModel", "decode_latents", "encode_latents"]

_MEAN_BITS = 16  # from the 24 fractional bits of a sum to 1/256
_SCALE_BITS = 20  # to 1/16 of an octave
_LARGEST_MEAN = 1 << 20
_CHUNK = 1 << 15
_WRONG_END = 1  # of what native code gives

Latents = NDArray[np.int32]
"""The values [height, width] of a grid."""


def encode_latents(
    grids: Sequence[Latents], shape: LatentShape, weights: dict[str, Fixed]
) -> tuple[bytes, tuple[int, ...]]:
    """The words that code all grids, and the largest size of a value in each."""
    model, coder = ContextModel(shape, weights), SymbolEncoder()
    maxima = tuple(int(np.abs(values).max(initial=0)) for values in grids)
    for number, (grid, values) in enumerate(zip(shape.grids, grids, strict=True)):
        if maxima[number] == 0:
            continue
        means, scales = model.parameters_of(values, model.features(grid, grids[:number]))
        order = _wave_order(grid, shape.slope)
        symbols, means, scales = values.ravel()[order], means[order], scales[order]
        for at in range(0, grid.n_values, _CHUNK):
            part = slice(at, at + _CHUNK)
            coder.put_laplace(symbols[part], means[part], scales[part], maxima[number])
    return coder.finish(), maxima


def decode_latents(
    data: bytes, shape: LatentShape, weights: dict[str, Fixed], maxima: Sequence[int]
) -> tuple[Latents, ...]:
    """The inverse of `encode_latents`. Raises CorruptError for words that it does not write."""
    if kernels.uses_native():
        return _decode_natively(data, shape, weights, maxima)
    model, decoder = ContextModel(shape, weights), SymbolDecoder(data)
    grids: list[Latents] = []
    for grid, maximum in zip(shape.grids, maxima, strict=True):
        values = np.zeros((grid.height, grid.width), np.int32)
        if maximum:
            features = model.features(grid, grids)
            waves = _Waves(grid, model, features)
            for wave in waves:
                means, scales = model.parameters(wave.contexts())
                waves.put(wave, decoder.take_laplace(means, scales, maximum))
            values = waves.values()
        grids.append(values)
    decoder.finish()
    return tuple(grids)


def _decode_natively(
    data: bytes, shape: LatentShape, weights: dict[str, Fixed], maxima: Sequence[int]
) -> tuple[Latents, ...]:
    tables = decays(), powers()
    end, values = kernels.native.decode_latents(
        words_of(data), shape, weights, maxima=maxima, tables=tables
    )
    if end:
        raise wrong_end(data) if end == _WRONG_END else no_encoder_writes()
    parts = np.split(values, np.cumsum([grid.n_values for grid in shape.grids])[:-1])
    return tuple(
        part.reshape(grid.height, grid.width) for grid, part in zip(shape.grids, parts, strict=True)
    )


class ContextModel:
    """The mean and the scale of a value, given its neighbours and the features of its place."""

    def __init__(self, shape: LatentShape, weights: dict[str, Fixed]) -> None:
        self.shape = shape
        n = shape.n_context
        residual = np.eye(n) * 2.0**CONTEXT_WEIGHT_BITS
        self._layers = [
            (weights[f"mix{i}"] + residual, weights[f"mix_bias{i}"][:, None]) for i in range(2)
        ]
        self._head, self._direct = weights["head"], weights["direct"]
        self._head_bias = weights["head_bias"][:, None]
        self._features = {
            grid.feature_inputs: (
                weights[f"feature{grid.feature_inputs}"],
                weights[f"feature_bias{grid.feature_inputs}"][:, None],
            )
            for grid in shape.grids
            if grid.feature_inputs
        }

    def parameters(self, contexts: Fixed) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices [n] of mean and scale, given contexts [neighbours and features, n]."""
        hidden = contexts
        for matrix, bias in self._layers:
            hidden = rounded(matrix @ hidden + bias, CONTEXT_WEIGHT_BITS).clip(0.0, LARGEST_CONTEXT)
        sums = self._head @ hidden + self._direct @ contexts + self._head_bias
        means = rounded(sums[0], _MEAN_BITS).clip(-_LARGEST_MEAN, _LARGEST_MEAN)
        scales = rounded(sums[1], _SCALE_BITS).clip(0, LAPLACE_SCALES - 1)
        return means.astype(np.int64), scales.astype(np.int64)

    def features(self, grid: Grid, decoded: Sequence[Latents]) -> Fixed:
        """Features [n, height, width] of the places of a grid, of the grids decoded before it."""
        n_features = self.shape.networks.n_features
        if grid.feature_inputs == 0:
            return np.zeros((n_features, grid.height, grid.width))
        height, width = -(-grid.height // 2), -(-grid.width // 2)
        inputs = np.empty((grid.feature_inputs, height * width))
        for row, (coarser, values) in zip(inputs, zip(self.shape.grids, decoded, strict=False),
                                          strict=True):  # fmt: skip
            shift = coarser.level - grid.level - 1
            rows, columns = np.arange(height) >> shift, np.arange(width) >> shift
            row[:] = values[rows[:, None], columns].ravel()
        matrix, bias = self._features[grid.feature_inputs]
        sums = matrix @ (inputs * 2.0**CONTEXT_BITS) + bias
        features = rounded(sums, CONTEXT_WEIGHT_BITS).clip(-LARGEST_CONTEXT, LARGEST_CONTEXT)
        features = features.reshape(n_features, height, width)
        return features.repeat(2, axis=1).repeat(2, axis=2)[:, : grid.height, : grid.width]

    def parameters_of(
        self, values: Latents, features: Fixed
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices [height x width] of mean and scale of all values of a grid, row by row."""
        height, width = values.shape
        n_up, n_aside = _reach(self.shape)
        padded = np.zeros((height + n_up, width + 2 * n_aside))
        padded[n_up:, n_aside:-n_aside] = values * 2.0**CONTEXT_BITS
        means = np.empty(values.size, np.int64)
        scales = np.empty(values.size, np.int64)
        n_rows = max(1, _CHUNK // width)
        for top in range(0, height, n_rows):
            stop = min(top + n_rows, height)
            contexts = [
                padded[n_up + top + row : n_up + stop + row, n_aside + column :][:, :width]
                for row, column in self.shape.neighbours
            ]
            stack = np.concatenate([np.stack(contexts), features[:, top:stop]])
            part = slice(top * width, stop * width)
            means[part], scales[part] = self.parameters(stack.reshape(len(stack), -1))
        return means, scales


def _reach(shape: LatentShape) -> tuple[int, int]:
    """How many rows above and columns aside the farthest neighbours are."""
    rows, columns = zip(*shape.neighbours, strict=True)
    return -min(rows), max(abs(column) for column in columns)


def _wave_order(grid: Grid, slope: int) -> NDArray[np.int64]:
    """The places of a grid, row by row, in the order in which they are coded."""
    rows, columns = np.divmod(np.arange(grid.n_values), grid.width)
    return np.lexsort((rows, columns + slope * rows))


class _Wave(NamedTuple):
    """Values decoded together, in `length` rows, one in each; `at`: place of the first, skewed."""

    waves: _Waves
    at: int
    length: int

    def contexts(self) -> Fixed:
        """What the context model sees of each: [neighbours and features, length]."""
        places = self.at + np.arange(self.length)
        values = self.waves.skewed.take(self.waves.offsets[:, None] + places)
        return np.concatenate([values, self.waves.features.take(places, axis=1)])


class _Waves:
    """The waves of a grid, in order.

    Values lie skewed: row r, column c at [c + slope * r, r], so that a wave is one run, and so is
    each neighbour of all of its values.
    """

    def __init__(self, grid: Grid, model: ContextModel, features: Fixed) -> None:
        shape = model.shape
        self._grid, self._slope = grid, shape.slope
        n_up, n_aside = _reach(shape)
        self._before = n_aside + self._slope * n_up
        self._stride = grid.height + n_up
        n_waves = grid.width + self._slope * (grid.height - 1)
        self._n_up, self._n_waves = n_up, n_waves
        size = (self._before + n_waves + n_aside) * self._stride
        self.skewed = np.zeros(size)
        self.offsets = np.array(
            [(column + self._slope * row) * self._stride + row for row, column in shape.neighbours]
        )
        self.features = np.zeros((len(features), size))
        self._places = self._place(np.arange(grid.height)[:, None], np.arange(grid.width))
        self.features[:, self._places] = features

    def _place(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
        wave = columns + self._slope * rows + self._before
        return wave * self._stride + rows + self._n_up

    def __iter__(self) -> Iterator[_Wave]:
        height, width = self._grid.height, self._grid.width
        for wave in range(self._n_waves):
            first = max(0, -(-(wave - width + 1) // self._slope))
            last = min(height - 1, wave // self._slope)
            at = (wave + self._before) * self._stride + first + self._n_up
            if last >= first:
                yield _Wave(self, at, last - first + 1)

    def put(self, wave: _Wave, symbols: NDArray[np.int64]) -> None:
        """What was decoded of a wave."""
        self.skewed[wave.at : wave.at + wave.length] = symbols * 2.0**CONTEXT_BITS

    def values(self) -> Latents:
        """All values of the grid."""
        return (self.skewed[self._places] * 2.0**-CONTEXT_BITS).astype(np.int32)
