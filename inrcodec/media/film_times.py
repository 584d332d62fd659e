"""When the frames of a film are shown: evenly, at an exact rate, or each at its own time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import SignalError

__all__ = ["DEFAULT_RATE", "Timing", "is_plain_rate", "timing"]

DEFAULT_RATE = Fraction(25)
"""Frames per second where nothing says how many."""

Timing = tuple[Fraction, NDArray[np.int64] | None]
"""The time base in seconds, and when each frame is shown in units of it, or None: evenly."""

_MILLISECOND = Fraction(1, 1000)
_NEAR = Fraction(1, 10**6)
_MAX_TICK = 1 << 62
_MAX_TERM = 30000
"""Largest term of a rate that FFmpeg makes of Matroska's nanoseconds between frames."""


def timing(shown: Sequence[int], tick: Fraction, rates: Iterable[Fraction | None] = ()) -> Timing:
    """The timing of frames shown at `shown`, in rising order, in units of `tick` seconds.

    `rates` are what the container says of frames per second. One of them is believed if it gives
    every time but for rounding to ticks. Raises SignalError, with the number of the frame, where
    times do not rise.
    """
    ticks = [time - shown[0] for time in shown]
    steps = [after - before for before, after in pairwise(ticks)]
    for number, step in enumerate(steps, 1):
        if step <= 0:
            raise SignalError(f"frame {number} is not shown after the one before it")
    if not 0 <= ticks[-1] < _MAX_TICK:
        raise SignalError(f"frame {len(ticks) - 1} is shown {ticks[-1]} ticks after the first")
    constant = bool(steps) and min(steps) == max(steps)
    if constant and tick != _MILLISECOND:
        return steps[0] * tick, None
    for rate in _plausible(rates):
        if _is_even(ticks, 1 / (rate * tick)):
            return 1 / rate, None
    if constant:
        return steps[0] * tick, None
    if not steps:
        return 1 / DEFAULT_RATE, None
    return tick, np.array(ticks, np.int64)


def is_plain_rate(rate: Fraction) -> bool:
    """Whether a rate comes back from a container that keeps nanoseconds, as Matroska does."""
    told = Fraction(10**9, max(1, round(10**9 / rate))).limit_denominator(_MAX_TERM)
    return rate in _plausible([told])


def _plausible(rates: Iterable[Fraction | None]) -> Iterator[Fraction]:
    """The rates above 0, first the round ones that containers round: whole, and 1000/1001 of it."""
    for rate in rates:
        if rate is None or rate <= 0:
            continue
        whole = Fraction(round(rate))
        nearly = Fraction(1000 * round(rate * 1001 / 1000), 1001)
        yield from (r for r in (whole, nearly) if r > 0 and abs(r - rate) <= _NEAR * rate)
        yield rate


def _is_even(ticks: list[int], step: Fraction) -> bool:
    """Whether ticks are whole multiples of a step, rounded: their errors lie within one tick."""
    top, bottom = step.numerator, step.denominator
    errors = [time * bottom - number * top for number, time in enumerate(ticks)]
    return max(errors) - min(errors) < bottom
