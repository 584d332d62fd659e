"""What a bit costs while a network is fitted: lambda, or whatever holds bytes or error in place."""

from __future__ import annotations

import math

from inrcodec.representations.base import FitGoal

__all__ = ["Price"]

_MARGIN = 1.01  # of held bytes; a fit ends a little above and is trimmed
_FROM = 0.1  # of a fit: before that, bytes and error say little
_GAIN = 20.0
_RANGE = 64.0
_MOVE = 0.1  # of its logarithm, each time
_MOVE_OF_ALL = 4.0  # in the whole of a short fit
_SMOOTHING = 0.1
_HELD_TOLERANCE = 0.005
_NEAR = 0.3  # in its logarithm, of what is held
_MOST_FAR = 100.0


class Price:
    """The price `per_bit`, on the scale of the targets, that a fit pays.

    `mse_scale` turns the MSE of the targets into that of the [0, 1] scale; `first` is the lambda to
    begin with. `pace`: how far the price's logarithm can move in the whole of a fit that looks at
    it seldom. It moves between the fractions `since` and `until` alone. `promise`: by how much the
    logarithm of the error falls from the beginning to the end of a fit at one price; of it
    (1 - fraction)^3 is still to come. `smoothing`: what the newest error counts. `begins`: a fit
    that does is judged by bits and error together, where it is not far off; what it misses is for
    the next one to correct.
    """

    def __init__(
        self,
        goal: FitGoal,
        *,
        mse_scale: float,
        n_points: int,
        first: float,
        pace: float = _MOVE_OF_ALL,
        since: float = _FROM,
        until: float = 1.0,
        promise: float = 0.0,
        smoothing: float = _SMOOTHING,
        begins: bool = False,
    ) -> None:
        self._hold = goal.hold
        self._scale = mse_scale * n_points
        self._held = goal.held * 8.0 if goal.hold == "bytes" else goal.held / mse_scale
        self._pace, self._since, self._until = pace, since, until
        self._promise, self._smoothing, self._begins = promise, smoothing, begins
        self._mse: float | None = None
        self._fraction = 0.0
        self._first = self.per_bit = first / self._scale

    @property
    def held_bits(self) -> float | None:
        """The bits to hold, if bytes are held."""
        return self._held if self._hold == "bytes" else None

    @property
    def lam(self) -> float:
        """Lambda on the [0, 1] scale, per point."""
        return self.per_bit * self._scale

    def follow(self, mse: float, bits: float, fraction: float) -> None:
        """Raise the price while the bits are too many, or the error too small."""
        passed, self._fraction = fraction - self._fraction, fraction
        if self._hold == "lam" or not self._since <= fraction <= self._until:
            return
        self._mse = mse if self._mse is None else self._mse + self._smoothing * (mse - self._mse)
        if self._hold == "bytes":
            off = bits / (self._held * _MARGIN)
        else:
            to_come = self._promise * (1.0 - fraction) ** 3
            off = self._held / max(self._mse * math.exp(-to_come), 1e-30)
        far = math.log(max(off, 1e-9))
        move = _GAIN * passed * far
        most = max(_MOVE, self._pace * passed)
        price = self.per_bit * math.exp(min(max(move, -most), most))
        self.per_bit = min(max(price, self._first / _RANGE), self._first * _RANGE)

    def cost(self, mse: float, bits: float) -> float:
        """What a state is judged by: J, or its distance from what is held and then the rest."""
        if self._hold == "lam":
            return mse + self.per_bit * bits
        held, rest = (bits, mse) if self._hold == "bytes" else (mse, bits)
        over = abs(math.log(max(held, 1e-30) / self._held))
        if self._begins:  # half the bits are about twice the error
            return held * rest * math.exp(min((over / _NEAR) ** 2, _MOST_FAR))
        return max(over - _HELD_TOLERANCE, 0.0) * 1e3 * rest + rest
