"""How probable a decision is, by integers alone: counters that adapt, and mixers of them.

The reference of `cuda_ext/cpu/cosine_mixing.h`. Odds are of true, in 1/65536; a stretched one is
its logistic in steps of 1/256, within 2047.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LoneCounters", "MixedDecisions", "squash"]

_LARGEST_STRETCH: Final = 2047
# 65536 / (1 + exp(-32 i / 256)).
_KNOTS: Final = (
    32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254, 47911, 49474, 50941, 52310, 53581,
    54754, 55834, 56822, 57724, 58544, 59287, 59959, 60565, 61109, 61598, 62036, 62428, 62778,
    63090, 63368, 63615, 63835, 64030, 64203, 64357, 64494, 64614, 64721, 64816, 64900, 64974,
    65039, 65097, 65149, 65194, 65234, 65269, 65300, 65328, 65352, 65374, 65393, 65410, 65425,
    65438, 65449, 65459, 65468, 65476, 65483, 65489, 65495, 65500, 65504, 65508, 65511, 65514,
)  # fmt: skip
_MOST_SEEN: Final = 255  # decisions that a counter counts
_RATES: Final = [max(655360 // (10 * n + 16), 65536 // _MOST_SEEN) for n in range(_MOST_SEEN + 1)]
_TRUST: Final = [0, 154, 154, 154] + [256] * (_MOST_SEEN - 3)
_EVEN: Final = 1 << 15
_LONE_SEEN: Final = 60
_LEAST_ODDS: Final = 32  # of a counter that decides by itself

_FIRST_WEIGHT: Final = 7500  # of a mixer, in 1/65536
_BIAS: Final = 77
_FASTEST: Final = 80  # how a mixer learns at first,
_SLOWEST: Final = 40  # and after so many decisions:
_SLOWING: Final = 300
_SET_BITS: Final = 16  # log2 of the counters of a set
_HASH: Final = 2654435761


def squash(stretched: int) -> int:
    """The odds of a stretched number."""
    knot, part = divmod(min(abs(stretched), _LARGEST_STRETCH), 32)
    squashed = _KNOTS[knot] + ((_KNOTS[knot + 1] - _KNOTS[knot]) * part + 16) // 32
    return 65536 - squashed if stretched < 0 else squashed


def _stretched() -> list[int]:
    """The inverse of `squash`: the least whose odds reach the top 12 bits of some odds."""
    table: list[int] = []
    for stretched in range(-_LARGEST_STRETCH, _LARGEST_STRETCH + 1):
        reached = squash(stretched) >> 4
        table += [stretched] * (reached + 1 - len(table))
    return table + [_LARGEST_STRETCH] * (4096 - len(table))


_STRETCHED: Final = _stretched()


class _Counters:
    """Odds that move to what was decided, the less the more was seen."""

    def __init__(self, n: int, most_seen: int) -> None:
        self.odds = array("H", [_EVEN]) * n
        self.n_seen = bytearray(n)
        self._most_seen = most_seen

    def learn(self, place: int, decision: bool) -> None:
        odds, n_seen = self.odds[place], self.n_seen[place]
        self.odds[place] = odds + (((65535 if decision else 0) - odds) * _RATES[n_seen] >> 16)
        if n_seen < self._most_seen:
            self.n_seen[place] = n_seen + 1


class LoneCounters:
    """Counters [rows, columns], each of which decides by itself."""

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self._n_columns = n_columns
        self._counters = _Counters(n_rows * n_columns, _LONE_SEEN)

    def predict(self, row: int, column: int) -> int:
        """The odds of a decision."""
        odds = self._counters.odds[row * self._n_columns + column]
        return min(max(odds, _LEAST_ODDS), 65536 - _LEAST_ODDS)

    def learn(self, row: int, column: int, decision: bool) -> None:
        """What the decision was."""
        self._counters.learn(row * self._n_columns + column, decision)


class _Mixers:
    """Weights of the inputs, a row for each number that chooses."""

    def __init__(self, n: int, n_inputs: int) -> None:
        self._weights = np.full((n, n_inputs), _FIRST_WEIGHT, np.int32)
        self._n_seen = [0] * n

    def sum(self, row: int, inputs: NDArray[np.int64]) -> int:
        return int(self._weights[row] @ inputs)

    def learn(self, row: int, inputs: NDArray[np.int64], error: int) -> None:
        """Weights wrap around, which takes 2^30 decisions that all are what was expected."""
        n_seen = self._n_seen[row]
        step = error * (_FASTEST - n_seen * (_FASTEST - _SLOWEST) // _SLOWING)
        self._weights[row] += ((step * inputs + (1 << 19)) >> 20).astype(np.int32)
        if n_seen < _SLOWING:
            self._n_seen[row] = n_seen + 1


class MixedDecisions:
    """Decisions of one kind: sets of counters, each with its context, and two mixers.

    `predict` and `learn` take turns.
    """

    def __init__(self, n_sets: int, n_first: int, n_second: int) -> None:
        self._n_sets = n_sets
        self._counters = _Counters(n_sets << _SET_BITS, _MOST_SEEN)
        n_inputs = 2 * n_sets + 1
        self._mixers = _Mixers(n_first, n_inputs), _Mixers(n_second, n_inputs)
        self._places: list[int] = []
        self._rows = 0, 0
        self._inputs = np.zeros(n_inputs, np.int64)
        self._predicted = 0

    def predict(self, contexts: Sequence[int], salt: int, rows: tuple[int, int]) -> int:
        """The odds of a decision, given contexts, to each of which `salt` is added."""
        self._places = [
            (number << _SET_BITS) | ((context + salt) * _HASH & 0xFFFFFFFF) >> (32 - _SET_BITS)
            for number, context in enumerate(contexts[: self._n_sets])
        ]
        inputs = []
        for place in self._places:
            odds = self._counters.odds[place]
            inputs.append(_STRETCHED[odds >> 4])
            inputs.append((odds - _EVEN) * _TRUST[self._counters.n_seen[place]] >> 15)
        self._inputs = np.array([*inputs, _BIAS], np.int64)
        self._rows = rows
        pairs = zip(self._mixers, rows, strict=True)
        total = sum(mixers.sum(row, self._inputs) for mixers, row in pairs) >> 17
        self._predicted = squash(min(max(total, -_LARGEST_STRETCH), _LARGEST_STRETCH))
        return self._predicted

    def learn(self, decision: bool) -> None:
        """What the decision was that was predicted last."""
        error = (65536 if decision else 0) - self._predicted
        for mixers, row in zip(self._mixers, self._rows, strict=True):
            mixers.learn(row, self._inputs, error)
        for place in self._places:
            self._counters.learn(place, decision)
