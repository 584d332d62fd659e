"""Fixed encodings of coordinates, which cost no bits.

Source: Mildenhall et al. 2020, sec. 5.1, arXiv:2003.08934.
"""

from __future__ import annotations

import math

from array_api_compat import array_namespace

from inrcodec.representations.coordinate.network import Array

__all__ = ["fourier_features", "n_fourier_features"]


def fourier_features(coords: Array, octaves: int) -> Array:
    """coords, then sin and cos of pi 2^k coords for k < octaves: [n, d] -> [n, d (1 + 2 octaves)].

    Angles are reduced to [-pi, pi] exactly, by powers of two, before the one rounding of pi.
    """
    xp = array_namespace(coords)
    columns = [coords]
    for octave in range(octaves):
        turns = coords * float(1 << octave)
        angle = (turns - 2.0 * xp.round(turns * 0.5)) * math.pi
        columns += [xp.sin(angle), xp.cos(angle)]
    return columns[0] if octaves == 0 else xp.concat(columns, axis=1)


def n_fourier_features(n_dims: int, octaves: int) -> int:
    """Number of features."""
    return n_dims * (1 + 2 * octaves)
