"""Targets in users' terms: one search around `codec.encode`.

A fit moves lambda, the price of a bit, until its own estimate of bytes or error is what it was told
to hold. The search corrects what to hold by what the real file misses, and goes on from there; a
fit whose size was guessed wrong is begun anew. Only real file lengths and real decoded signals are
compared with the target.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from inrcodec import codec, measure, metrics
from inrcodec.errors import ConfigError
from inrcodec.representations.base import (
    ERROR_AT_ONE_BIT,
    ERROR_POWER,
    Budget,
    FitGoal,
    Representation,
    Step,
    Watch,
)
from inrcodec.request import EncodeRequest, Target
from inrcodec.signal import Kind, Signal, SignalSpec

__all__ = ["EncodeResult", "encode_to_target"]

_DECODE_SECONDS_PER_POINT = 1e-6
_MOST_FOR_DECODING = 0.25
_DB_TOLERANCE = 0.1
_SIZE_TOLERANCE = 0.02
_AIM = 0.99  # of a wanted size, which a file must not exceed
_SHARES = {
    "lam": (1.0,),
    "bytes": (0.7, 0.1, 0.1, 0.1),
    "mse": (0.3, 0.4, 0.1, 0.1, 0.1),
}
_REFIT_RATIO = 1.6
_FLAT = 0.97  # of the variance
_REVIVAL = 64.0  # by which a bit is cheaper after a fit that gave up
_REVIVAL_SIZE = 4.0
_LEAST_ERROR = 1e-15
_TYPICAL_VARIANCE = 0.05  # of a photograph on the [0, 1] scale


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodeResult:
    """A file, or a group of a film, with what is known of it.

    `function` is what decodes to it, `mse` its error on the [0, 1] scale, `lam` the price of a bit
    at which its fit ended. `decoded` is None for a sound, which need not fit into memory.
    """

    data: bytes
    decoded: Signal | None
    mse: float
    function: Representation
    lam: float | None
    reached: bool
    cancelled: bool
    iterations: int
    seconds: float
    model: str

    @property
    def signal(self) -> Signal:
        """What the file decodes to; a sound is decoded at each call. LimitError for a long one."""
        return codec.decode(self.data) if self.decoded is None else self.decoded


@dataclass(frozen=True, slots=True)
class _Aim:
    """A target on the scale of the search: a lambda, a length in bytes, or a mean square error."""

    scale: Literal["lam", "bytes", "mse"]
    value: float
    low: float
    high: float

    @staticmethod
    def of(target: Target, signal: Signal, variance: float) -> _Aim:
        """The aim of a target. Raises ConfigError if the signal has no such measure."""
        spec = signal.spec
        if target.measure in ("quality", "lambda"):
            lam = target.value if target.measure == "lambda" else _lambda_of(target.value)
            if target.measure == "quality" and spec.kind in (Kind.AUDIO, Kind.ARRAY):
                lam *= variance / _TYPICAL_VARIANCE
            return _Aim("lam", lam, 0.0, math.inf)
        if target.measure in ("psnr", "snr"):
            of = measure.peak_power if target.measure == "psnr" else measure.power
            power = max(of(signal), _LEAST_ERROR)
            decibels = (target.value, target.value + _DB_TOLERANCE, target.value - _DB_TOLERANCE)
            return _Aim("mse", *(power * 10.0 ** (-value / 10.0) for value in decibels))
        n_bytes = _bytes_of(target, spec)
        above = 1.0 if target.measure == "size" else 1.0 + _SIZE_TOLERANCE
        return _Aim("bytes", _AIM * n_bytes, (1.0 - _SIZE_TOLERANCE) * n_bytes, above * n_bytes)


@dataclass(frozen=True, slots=True)
class _Try:
    """One fit of a search: its file, what that decodes to, and the value that the aim is for."""

    goal: FitGoal
    encoded: codec.Encoded
    decoded: Signal | None
    mse: float
    achieved: float


def encode_to_target(
    signal: Signal,
    request: EncodeRequest,
    *,
    started: float | None = None,
    base: Representation | None = None,
    lam: float | None = None,
    watch: Watch | None = None,
    cancel: threading.Event | None = None,
) -> EncodeResult:
    """Encode a signal, or a group of a film, to a target.

    `started`: time.monotonic() when the command began. `base`: the function of the group before;
    `lam`: the price at which its fit ended, where this search begins. A target that is missed is no
    error: `reached` is False and the nearest file is given. Raises ConfigError for a target that
    the signal has no measure for.
    """
    started = time.monotonic() if started is None else started
    cancel = cancel or threading.Event()
    before = _Before(base, lam)
    search = _Search(signal, request, started, before=before, watch=watch, cancel=cancel)
    best = search.run()
    return EncodeResult(
        data=best.encoded.data,
        decoded=best.decoded,
        mse=best.mse,
        function=best.encoded.unpacked,
        lam=best.encoded.fitted.lam,
        reached=search.reached(best),
        cancelled=search.cancel.is_set(),
        iterations=search.iterations,
        seconds=time.monotonic() - started,
        model=request.representation(signal.spec).name,
    )


class _Before(NamedTuple):
    """What is known of the group of a film before this one."""

    base: Representation | None
    lam: float | None


class _Search:
    """The fits of one request, and which of them is the best."""

    def __init__(
        self,
        signal: Signal,
        request: EncodeRequest,
        started: float,
        *,
        before: _Before,
        watch: Watch | None,
        cancel: threading.Event,
    ) -> None:
        self._signal, self._request, self._watch = signal, request, watch
        self._before = before
        self._representation = request.representation(signal.spec)
        self._config = request.config(signal.spec)
        self._weights = request.weights(signal.spec)
        self._variance = measure.variance(signal)
        self._aim = _Aim.of(request.target, signal, self._variance)
        self._end = None if request.seconds is None else started + request.seconds
        self._count = request.iteration_limit
        self._decode_seconds = _DECODE_SECONDS_PER_POINT * signal.spec.n_points
        self._tries: list[_Try] = []
        self._began = time.monotonic()
        self._share, self._share_spent = 1.0, 0.0
        self.cancel = cancel

    @property
    def iterations(self) -> int:
        """Iterations of all fits together."""
        return sum(one.encoded.fitted.iterations for one in self._tries)

    def run(self) -> _Try:
        """Try until the budget is spent; give the best."""
        shares = _SHARES[self._aim.scale]
        if self._aim.scale == "mse" and not self._representation.sized_by_goal:
            shares = _SHARES["bytes"]  # no share is needed to find the size
        for index, share in enumerate(shares):
            budget = self._budget(share, shares[index:])
            self._share, self._share_spent = share, sum(shares[:index])
            if self._tries and (budget is None or self.cancel.is_set()):
                break
            self._tries.append(self._attempt(budget or Budget(iterations=1)))
            is_done = self.reached(self._tries[-1]) or self._aim.scale == "mse"
            if self._representation.holds_exactly and is_done:
                break
        return min(reversed(self._tries), key=self._rank)

    def reached(self, one: _Try) -> bool:
        """Whether a try hits the target within its tolerance, or is exact and not too large."""
        least = 0.0 if one.mse == 0.0 else self._aim.low
        return least <= one.achieved <= self._aim.high

    # --- one fit ---------------------------------------------------------------------------------

    def _budget(self, share: float, shares_left: tuple[float, ...]) -> Budget | None:
        """A share of the seconds that are left and of all iterations; None if nothing is left."""
        deadline, iterations = None, None
        if self._end is not None:
            now = time.monotonic()
            left = self._end - now
            if self._tries and left <= 2.0 * self._decode_seconds:
                return None
            left -= min(self._decode_seconds * len(shares_left), left * _MOST_FOR_DECODING)
            deadline = now + left * share / sum(shares_left)
        if self._count is not None:
            left_count = self._count - self.iterations
            if left_count <= 0:
                return None
            iterations = min(max(1, round(self._count * share)), left_count)
        return Budget(iterations=iterations, deadline=deadline, cancel=self.cancel)

    def _attempt(self, budget: Budget) -> _Try:
        goal, start = self._plan()
        encoded = codec.encode(
            self._signal,
            self._representation,
            self._config,
            goal,
            budget=budget,
            start=start,
            base=self._before.base,
            watch=self._overall,
            verify=self._request.verify,
        )
        began = time.monotonic()
        decoded = None
        if self._signal.spec.kind is Kind.AUDIO:
            mse = measure.error_of_sound(self._signal, encoded.unpacked)
        else:
            decoded = measure.decoded(self._signal, encoded.unpacked)
            mse = _unit_mse(self._signal, decoded, self._request.target)
        self._decode_seconds = time.monotonic() - began
        values = {"lam": goal.lam, "bytes": float(len(encoded.data)), "mse": mse}
        return _Try(goal, encoded, decoded, mse, values[self._aim.scale])

    def _overall(self, step: Step) -> None:
        """Report a step of one fit as one of the whole search."""
        if self._watch is None:
            return
        fraction = self._share_spent + self._share * step.fraction
        left = self._end - time.monotonic() if self._end else None
        if left is None:
            left = (time.monotonic() - self._began) * (1.0 - fraction) / max(fraction, 1e-6)
        iteration = self.iterations + step.iteration
        whole = replace(step, iteration=iteration, fraction=fraction, seconds_left=max(left, 0.0))
        self._watch(whole)

    def _plan(self) -> tuple[FitGoal, Representation | None]:
        """What the next fit is to hold, and the fit to go on from.

        Held bytes are corrected by what the last file missed; for a MSE the next fit goes on with
        the price of the last. If the first fit could not hold a MSE because its size was guessed
        wrong, a second one begins anew with a better guess; so does any after one that gave up.
        """
        if not self._tries:
            return self._first_goal(), None
        last = self._tries[-1]
        goal, miss = last.goal, self._aim.value / max(last.achieved, 1e-30)
        if self._is_flat(last):
            n_bytes = max(goal.n_bytes, float(len(last.encoded.data))) * _REVIVAL_SIZE
            if self._aim.scale == "bytes":
                n_bytes = goal.n_bytes
            lam, held = goal.lam / _REVIVAL, self._aim.value
            return replace(goal, lam=lam, n_bytes=n_bytes, held=held), None
        resized = self._representation.sized_by_goal and len(self._tries) == 1
        if resized and self._aim.scale == "mse":
            size = miss ** (-1.0 / ERROR_POWER)
            if not 1.0 / _REFIT_RATIO < size < _REFIT_RATIO:
                n_bytes = len(last.encoded.data) * min(max(size, 0.1), 10.0)
                lam = last.encoded.fitted.lam or goal.lam
                return replace(goal, n_bytes=n_bytes, lam=lam), None
        is_film = self._signal.spec.kind is Kind.VIDEO  # whose error is not the fit's, but near it
        if self._aim.scale == "bytes" or (is_film and self._aim.scale == "mse"):
            goal = replace(goal, held=goal.held * miss)  # where a fit ends that believes it holds
        return goal, last.encoded.fitted

    def _is_flat(self, one: _Try) -> bool:
        """Whether a fit gave up everything but the mean, though the aim asks for more."""
        wants_more = {
            "lam": False,
            "bytes": one.achieved < self._aim.low,
            "mse": one.achieved > self._aim.high,
        }
        return wants_more[self._aim.scale] and one.mse > _FLAT * self._variance

    def _first_goal(self) -> FitGoal:
        spec, aim = self._signal.spec, self._aim
        if aim.scale == "lam":
            return self._goal(aim.value, _expected_bytes(aim.value, spec, self._variance))
        if aim.scale == "bytes":
            bits = 8.0 * aim.value / spec.n_points
        else:
            share = aim.value / (ERROR_AT_ONE_BIT * self._variance)
            bits = min(share ** (-1.0 / ERROR_POWER), float(spec.sample_format.bits))
        lam = self._before.lam or self._representation.expected_lam(
            bits_per_point=bits,
            mse=aim.value if aim.scale == "mse" else None,
            variance=self._variance,
            n_points=spec.n_points,
        )
        goal = self._goal(lam, bits * spec.n_points / 8.0)
        return replace(goal, hold=aim.scale, held=aim.value)

    def _goal(self, lam: float, n_bytes: float) -> FitGoal:
        seed, tune = self._request.seed, self._request.tune
        return FitGoal(lam=lam, n_bytes=n_bytes, seed=seed, weights=self._weights, tune=tune)

    def _rank(self, one: _Try) -> tuple[bool, bool, float]:
        """Reached first, and there the best; then what is not too large; then what is nearest."""
        n_bytes, holds_bytes = float(len(one.encoded.data)), self._aim.scale == "bytes"
        if self.reached(one):
            return False, False, n_bytes if self._aim.scale == "mse" else one.mse
        miss = abs(math.log(max(one.achieved, 1e-30) / max(self._aim.value, 1e-30)))
        return True, holds_bytes and one.achieved > self._aim.high, miss


# --- what a bit is worth: guesses that only decide where a search begins --------------------------


def _lambda_of(quality: float) -> float:
    """0.1 at quality 0, falling by a factor of 1000 to quality 100."""
    return float(10.0 ** (-1.0 - 0.03 * quality))


def _expected_bytes(lam: float, spec: SignalSpec, variance: float) -> float:
    """The inverse of `Representation.expected_lam`, as a file length within reason."""
    slope = lam / max(variance, 1e-9) / (ERROR_POWER * ERROR_AT_ONE_BIT)
    bits = min(
        slope ** (-1.0 / (1.0 + ERROR_POWER)), float(spec.sample_format.bits * spec.channels)
    )
    return float(max(bits * spec.n_points / 8.0, 200.0))


def _bytes_of(target: Target, spec: SignalSpec) -> float:
    if target.measure == "bpp":
        return target.value * spec.n_points / 8.0
    if target.measure == "kbps":
        if spec.seconds is None:
            raise ConfigError(f"kbps is a measure of sounds, not of this {spec.kind.name.lower()}")
        return target.value * 1000.0 * spec.seconds / 8.0
    return target.value


def _unit_mse(signal: Signal, decoded: Signal, target: Target) -> float:
    """Mean square error on the [0, 1] scale; for the PSNR of a film, that of one frame of it."""
    if signal.spec.kind is not Kind.VIDEO or target.measure != "psnr":
        return metrics.mse(signal, decoded, unit=measure.unit_of(signal.spec))
    decibels = metrics.film_psnr_db(signal, decoded)
    return float(measure.peak_power(signal) * 10.0 ** (-decibels / 10.0))
