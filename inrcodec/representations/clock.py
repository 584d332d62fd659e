"""How much of a budget a fit has spent, and when to say so."""

from __future__ import annotations

import math
import time

from inrcodec.representations.base import Budget

__all__ = ["Clock"]

_SECONDS_BETWEEN_REPORTS = 0.5


class Clock:
    """How much of a budget is spent.

    A fit counts its `iterations`, and what it does before them in `trials`, as so many of those.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._began = time.monotonic()
        self._seconds = budget.seconds_left
        self._reported = -math.inf
        self.iterations = 0
        self.trials = 0.0

    @property
    def fraction(self) -> float:
        """Share of the iterations or of the time that is spent, whichever is more; 1 is all."""
        by_time = (time.monotonic() - self._began) / self._seconds if self._seconds > 0 else 1.0
        limit = self._budget.iterations
        work = self.iterations + self.trials
        by_count = 0.0 if limit is None else work / limit
        if work == 0.0:
            return 0.0  # one iteration at least, so that there is something to store
        return min(1.0, max(by_time, by_count))

    def report_is_due(self) -> bool:
        """Whether the last report is half a second old."""
        now = time.monotonic()
        due = now - self._reported >= _SECONDS_BETWEEN_REPORTS
        if due:
            self._reported = now
        return due

    @property
    def seconds_left(self) -> float:
        """Seconds until the budget is spent, by the pace so far."""
        fraction = max(self.fraction, 1e-6)
        return (time.monotonic() - self._began) * (1.0 - fraction) / fraction
