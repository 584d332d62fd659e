"""How many bytes one curve of rate and quality takes beside another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError

__all__ = ["BdRate", "bd_rate"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BdRate:
    """How many percent more bytes a curve takes (negative: fewer), and where that was measured.

    `low_db` to `high_db` is what both curves cover, `overlap` its share of what either covers.
    """

    percent: float
    low_db: float
    high_db: float
    overlap: float


def bd_rate(anchor: Sequence[tuple[float, float]], test: Sequence[tuple[float, float]]) -> BdRate:
    """Mean difference in rate of `test` over `anchor` at equal quality, by PCHIP on log-rate.

    Curves are (rate, quality in dB) pairs in any order, at least two, quality rising with rate.
    Source: Bjontegaard 2001, VCEG-M33; PCHIP: Fritsch and Butland 1984.
    """
    (q_anchor, r_anchor), (q_test, r_test) = _curve("anchor", anchor), _curve("test", test)
    low, high = float(max(q_anchor[0], q_test[0])), float(min(q_anchor[-1], q_test[-1]))
    if high <= low:
        raise ConfigError(
            f"curves do not overlap: anchor {q_anchor[0]:.2f}..{q_anchor[-1]:.2f} dB,"
            f" test {q_test[0]:.2f}..{q_test[-1]:.2f} dB"
        )
    difference = _integral(q_test, r_test, low, high) - _integral(q_anchor, r_anchor, low, high)
    union = float(max(q_anchor[-1], q_test[-1]) - min(q_anchor[0], q_test[0]))
    percent = 100 * math.expm1(difference / (high - low))
    return BdRate(percent=percent, low_db=low, high_db=high, overlap=(high - low) / union)


@np.errstate(over="ignore")
def _curve(
    name: str, points: Sequence[tuple[float, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quality and log-rate of a curve, sorted by rate."""
    values = np.array(sorted(points), dtype=np.float64).reshape(-1, 2)
    if len(values) < 2:
        raise ConfigError(f"{name} curve has {len(values)} points; at least 2")
    if not (np.isfinite(values).all() and values[0, 0] > 0):
        raise ConfigError(f"{name} curve has a rate or quality that is not finite and positive")
    rate, quality = values[:, 0], values[:, 1]
    if not (np.diff(rate) > 0).all() or not (np.diff(quality) > 0).all():
        raise ConfigError(
            f"{name} curve does not rise: {[(float(r), float(q)) for r, q in values]}"
        )
    return quality, np.log(rate)


def _slopes(widths: NDArray[np.float64], secants: NDArray[np.float64]) -> NDArray[np.float64]:
    """PCHIP's slopes at the points between and around increasing pieces."""
    if len(secants) == 1:
        return np.repeat(secants, 2)
    before, after = 2 * widths[1:] + widths[:-1], widths[1:] + 2 * widths[:-1]
    inner = (before + after) / (before / secants[:-1] + after / secants[1:])
    ends = [
        ((2 * w[0] + w[1]) * s[0] - w[0] * s[1]) / (w[0] + w[1])
        for w, s in ((widths, secants), (widths[::-1], secants[::-1]))
    ]
    return np.array([max(ends[0], 0.0), *inner, max(ends[1], 0.0)])


def _integral(x: NDArray[np.float64], y: NDArray[np.float64], low: float, high: float) -> float:
    """Integral from `low` to `high` of the PCHIP curve through increasing (x, y)."""
    widths, rises = np.diff(x), np.diff(y)
    slopes = _slopes(widths, rises / widths)
    first, last = widths * slopes[:-1], widths * slopes[1:]
    square, cube = 3 * rises - 2 * first - last, first + last - 2 * rises

    def antiderivative(position: float) -> NDArray[np.float64]:
        t = np.clip((position - x[:-1]) / widths, 0.0, 1.0)
        return t * (y[:-1] + t * (first / 2 + t * (square / 3 + t * cube / 4)))

    return float((widths * (antiderivative(high) - antiderivative(low))).sum())
