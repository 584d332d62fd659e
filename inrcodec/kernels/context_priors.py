"""Priors of the context model of latent grids: weights that ship with the package.

A stream names one by its number, and stores the differences to it. The numbers are part of the
format: a file beside this one never changes, another prior has another number.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["CONTEXT_PRIORS", "context_prior"]

CONTEXT_PRIORS: Final = (1,)
"""The numbers of all priors; 0 stands for none."""

_UNIT: Final = 1024


@lru_cache(maxsize=8)
def context_prior(number: int, size: int) -> Mapping[str, NDArray[np.float64]]:
    """The values of a prior by tensor, flat and in row-major order, for networks of a size.

    They are whole multiples of 1/1024. `number` is one of CONTEXT_PRIORS.
    """
    assert number in CONTEXT_PRIORS
    file = resources.files("inrcodec.kernels") / f"context_prior_{number}.txt"
    tensors = {}
    for line in file.read_text(encoding="ascii").splitlines():
        of_size, name, *values = line.split()
        if int(of_size) == size:
            tensors[name] = np.array(values, np.float64) / _UNIT
    return tensors
