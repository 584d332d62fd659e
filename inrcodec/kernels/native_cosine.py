"""Calls of the native functions that code the whole numbers of a transform of sound.

`shape`: frames, values of a channel in a frame, channels, most splits, whether there are signs. The
native side checks all.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels import dispatch

__all__ = ["Numbers", "coefficient_bits", "decode_coefficients", "encode_coefficients"]

Numbers = tuple[int, int, int, int, bool]


def encode_coefficients(
    splits: NDArray[np.uint8], values: NDArray[np.int32], shape: Numbers
) -> bytes:
    """The words, little-endian."""
    words: bytes = _module().encode_coefficients(shape, splits, values)
    return np.frombuffer(words, np.uint32).astype("<u4").tobytes()


def decode_coefficients(
    words: NDArray[np.uint32], shape: Numbers
) -> tuple[int, NDArray[np.uint8], NDArray[np.int32]]:
    """Splits and values, after 0: done; 1: the words end elsewhere; 2: no encoder's words."""
    n_frames, frame, n_channels, _, _ = shape
    splits = np.empty(n_frames, np.uint8)
    values = np.empty(n_frames * n_channels * frame, np.int32)
    end: int = _module().decode_coefficients(words, shape, splits, values)
    return end, splits, values


def coefficient_bits(splits: NDArray[np.uint8], values: NDArray[np.int32], shape: Numbers) -> float:
    """The bits of the words, but for the last one."""
    bits: float = _module().coefficient_bits(shape, splits, values)
    return bits


def _module() -> ModuleType:
    module = dispatch.native()
    assert module is not None
    return module
