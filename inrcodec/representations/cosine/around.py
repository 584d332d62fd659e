"""What is around a coefficient, and the contexts that are made of it.

Sizes before it in its block, at its place in the two blocks before, and beside it in the channel
before. The reference of `cuda_ext/cpu/cosine_contexts.h`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

__all__ = [
    "LEVELS",
    "LEVELS_AND_BANDS",
    "MARGIN",
    "ZONES_AND_LEVELS",
    "Around",
    "Sight",
    "look_around",
]

_LEVEL_LIMITS: Final = (
    2, 3, 4, 5, 7, 10, 14, 20, 27, 39, 54, 77, 108, 153, 216, 305, 431, 609, 862, 1218, 1723, 2436,
    3445,
)  # fmt: skip
_BAND_LIMITS: Final = (
    1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 16, 21, 26, 32, 41, 51, 64, 81, 102, 128, 162, 204, 256, 323,
    407, 512, 646, 813, 1024, 1291, 1626,
)  # fmt: skip
_BANDS: Final = len(_BAND_LIMITS) + 1
_ZONES: Final = 64

MARGIN: Final = 16
"""Zeros on both sides of the sizes of a block."""

LEVELS: Final = len(_LEVEL_LIMITS) + 1
LEVELS_AND_BANDS: Final = LEVELS * _BANDS
ZONES_AND_LEVELS: Final = _ZONES * 32


@dataclass(slots=True)
class Sight:
    """Sizes with margins, as far as they are known: of a block, and of those that are like it."""

    own: list[int]
    previous: list[int]
    before: list[int]
    side: list[int]
    split: int
    parity: int
    wide_own: int = 0
    wide_previous: int = 0

    def __post_init__(self) -> None:
        self.wide_previous = sum(self.previous[MARGIN : MARGIN + 6])


@dataclass(slots=True)
class Around:
    """Contexts of a coefficient, and the numbers that choose its mixers."""

    parity: int
    level: int
    level_and_band: int
    zone: int
    contexts: list[int]


def _level(total: int) -> int:
    return bisect_right(_LEVEL_LIMITS, total)


def look_around(sight: Sight, place: int) -> Around:
    """What is around a place; places are to be asked for in order."""
    at, n_values = place + MARGIN, len(sight.own) - 2 * MARGIN
    own, p, o, s = sight.own, sight.previous, sight.before, sight.side
    sight.wide_own += own[at - 1] - own[at - 9]
    sight.wide_previous += p[at + 6] - p[at - 7]
    of_own = 8 * own[at - 1] + 4 * own[at - 2] + 2 * own[at - 3]
    of_previous = 8 * p[at] + 4 * (p[at + 1] + p[at - 1]) + 2 * (p[at + 2] + p[at - 2])
    of_before = 8 * o[at] + 4 * (o[at + 1] + o[at - 1])
    of_side = 8 * s[at] + 4 * (s[at + 1] + s[at - 1])
    of_both = of_own + (13 * of_previous >> 4)
    level = _level(of_both + (13 * of_before >> 5) + (of_side >> 1))
    band = bisect_right(_BAND_LIMITS, place * 2048 // n_values)
    zone = place * _ZONES // n_values * 32 + _level(of_previous)
    sizes = min(p[at], 2) * 3 + min(o[at], 2)
    here = 5 + place * 8 + sight.parity
    wide = _level(4 * sight.wide_own) * 1024 + _level(4 * sight.wide_previous) * 32
    close = _close_contexts(sight, at)
    contexts = [
        level * 64 + band,
        close[0],
        99991 + _level(of_previous) * 1024 + _level(of_before) * 32 + _level(of_own),
        here + sizes * (1 << 18) + sight.split * (1 << 22),
        13 + wide + band,
        55555 + _level(of_side) * 256 + _level(of_both) * 8 + sight.parity,
        *close[1:],
    ]
    return Around(sight.parity, level, level * _BANDS + band, zone, contexts)


def _close_contexts(sight: Sight, at: int) -> tuple[int, int, int]:
    """Contexts 1, 6 and 7: single sizes, up to some limit."""
    a, b, o0 = sight.own[at - 1], sight.own[at - 2], sight.before[at]
    pm, p0, p1 = sight.previous[at - 1 : at + 2]
    wide = _level(2 * (sight.wide_previous + sight.wide_own))
    return (
        777 + min(a, 7) * 4096 + min(b, 7) * 512 + min(p0, 7) * 64 + min(p1 + pm, 7) * 8,
        3333
        + min(p0, 5) * 1296 + min(o0, 5) * 216 + min(a, 5) * 36 + min(p1, 5) * 6 + min(pm, 5),
        8888 + wide * 1024
        + min(a, 3) * 256 + min(b, 3) * 64 + min(p0, 3) * 16 + min(p1, 3) * 4 + min(pm, 3),
    )  # fmt: skip
