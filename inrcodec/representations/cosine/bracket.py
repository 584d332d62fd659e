"""The search for a step: indices next to each other, between which a measure passes 0."""

from __future__ import annotations

import math
from collections.abc import Callable

from inrcodec.representations.cosine.pack import STEPS_PER_OCTAVE

__all__ = ["MOST_TRIES", "bracket"]

MOST_TRIES = 12


def bracket(
    excess: Callable[[int], float], first: int, finest: int, *, go_on: Callable[[], bool]
) -> tuple[int, int]:
    """Indices next to each other in [0, `finest` + 1], where `excess`, which grows, passes 0.

    `go_on` is asked after each try. If tries run out before, those that are known; what is not
    known of one side is guessed.
    """
    low, high = -1, finest + 1  # not over, over
    ends: dict[int, float] = {}
    index, last_side, in_a_row = max(first, 0), 0, 0
    while high - low > 1 and len(ends) < MOST_TRIES:
        ends[index] = excess(index)
        side = 1 if ends[index] > 0.0 else -1
        low, high = (low, index) if side > 0 else (index, high)
        in_a_row = in_a_row + 1 if side == last_side else 0
        last_side = side
        if not go_on():
            break
        index = (low + high) // 2 if in_a_row > 1 else _between(ends, low, high)
    if low < 0 and high > 0:
        low = _between(ends, low, high)
    return max(low, 0), high


def _between(ends: dict[int, float], low: int, high: int) -> int:
    """Where to look next, strictly between: an octave of steps is about a factor of two."""
    if low in ends and high in ends:
        share = -ends[low] / max(ends[high] - ends[low], 1e-9)
        guess = round(low + share * (high - low))
    elif low in ends:
        guess = low + math.ceil(-ends[low] * STEPS_PER_OCTAVE * 1.5) + 2
    else:
        guess = high - math.ceil(ends[high] * STEPS_PER_OCTAVE * 1.5) - 2
    return min(max(guess, low + 1), high - 1)
