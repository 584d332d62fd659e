"""The numbers of the networks in fixed point: whole numbers, which binary64 holds exactly.

A product of two of them, and a sum of as many as any network has, stays below 2^53, so that no
order of additions and no fused multiplication changes a bit. This is the whole reason why every
machine decodes the same latents and the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels import LatentShape, Weight

__all__ = [
    "CONTEXT_BITS",
    "CONTEXT_WEIGHT_BITS",
    "LARGEST_CONTEXT",
    "LARGEST_PIXEL",
    "LATENT_BITS",
    "PIXEL_BITS",
    "TAIL_BITS",
    "WEIGHT_BITS",
    "Fixed",
    "fixed_weights",
    "fractional_bits",
    "rounded",
]

Fixed = NDArray[np.float64]
"""Whole numbers, in units that their name or their place states."""

CONTEXT_BITS: Final = 10  # fractional bits of what the context model computes between its layers
LATENT_BITS: Final = 12  # of upsampled latents and of the hidden layer of the synthesis
TAIL_BITS: Final = 18  # of the layers of the synthesis that have a value for each channel
PIXEL_BITS: Final = 20  # of what comes out
LARGEST_CONTEXT: Final = 2.0**21
LARGEST_PIXEL: Final = 2.0**25

CONTEXT_WEIGHT_BITS: Final = 14
WEIGHT_BITS: Final = 16
_LARGEST: Final = 16  # of a weight
_LARGEST_BIAS: Final = 256
_STEP_BITS: Final = 27


def fixed_weights(
    shape: LatentShape, symbols: Sequence[NDArray[np.int64]], step_indices: Sequence[int]
) -> dict[str, Fixed]:
    """The tensors of all networks by name, given the symbols and the step of each group.

    A value is its prior + symbol x step, rounded half up to its fractional bits and clipped.
    """
    tensors: dict[str, Fixed] = {}
    for group, run, index in zip(shape.groups, symbols, step_indices, strict=True):
        begin = 0
        for weight in group:
            part = run[begin : begin + weight.size]
            begin += weight.size
            tensors[weight.name] = _fixed(weight, part, index).reshape(weight.shape)
    return {
        weight.name: tensors.get(weight.name, np.zeros(weight.shape)) for weight in shape.weights
    }


def fractional_bits(weight: Weight) -> int:
    """Of the values of a tensor."""
    bits = CONTEXT_WEIGHT_BITS if weight.of_context else WEIGHT_BITS
    if not weight.is_bias:
        return bits
    if weight.of_context:
        return bits + CONTEXT_BITS
    return bits + (LATENT_BITS if weight.name in ("lift_bias", "lower_bias") else TAIL_BITS)


def rounded(values: Fixed, bits: int) -> Fixed:
    """values / 2^bits, rounded half up."""
    return np.floor((values + 2.0 ** (bits - 1)) * 2.0**-bits)


def _fixed(weight: Weight, symbols: NDArray[np.int64], step_index: int) -> Fixed:
    bits = fractional_bits(weight)
    octave, eighth = divmod(step_index, 8)
    shift = octave - _STEP_BITS + bits
    values = symbols * (8 + eighth)
    values = values << shift if shift >= 0 else (values + (1 << -shift - 1)) >> -shift
    prior = np.array(weight.prior) * 2.0**bits
    values = values + np.resize(prior, values.shape).astype(np.int64)
    limit = (_LARGEST_BIAS if weight.is_bias else _LARGEST) << bits
    return values.clip(-limit, limit).astype(np.float64)
