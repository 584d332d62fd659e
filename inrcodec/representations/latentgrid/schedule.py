"""What a fit does at each fraction of its budget: learning rates, softness, noise. Needs no torch.

First latents are rounded softly, with noise that gets less (Ladune et al. 2026, arXiv:2605.02726;
Kim et al. 2023, sec. 3, arXiv:2312.02753); at the end they are whole, and only the networks move.
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

__all__ = [
    "GAIN",
    "Moment",
    "Weighing",
    "lambda_factor",
    "moment_of",
    "trial_moment",
]

GAIN: Final = 16.0
"""Latents over the parameters of which they are rounded."""

_LAMBDA_FALLS_UNTIL: Final = 0.4
"""The fraction of a fit up to which its lambda falls to that of its goal."""

_RATE, _LEAST_RATE = 1e-2, 1e-5
_HARD_RATE: Final = 1e-4
_NOISY_FROM: Final = 0.02
_HARD_FROM: Final = 0.95
_TRIED: Final = 0.3  # how far a trial goes, of a whole fit
_RESUMED_SHARE: Final = 0.05
_TEMPERATURES: Final = (0.35, 0.08)
_NOISES: Final = (0.22, 0.15)
_MOST_FACTOR: Final = 4.0
_PLAIN_LAMBDA: Final = 0.02  # one that is as high as this does not fall

Weighing = Literal["free", "noisy", "rounded"]
"""Weights move as they like; at the price of their bits and with noise in place of rounding; or
rounded as they will be stored."""


class Moment(NamedTuple):
    """What holds now: Adam's and SOAP's learning `rate`; `temperature` of soft rounding and
    standard deviation of its `noise`, in latents; whether latents are whole; how weights are."""

    rate: float
    temperature: float
    noise: float
    hard: bool
    weighing: Weighing


def moment_of(fraction: float, *, resumed: bool) -> Moment:
    """What holds at a fraction of the budget of a fit, which may go on from an earlier one."""
    hard = fraction >= _HARD_FROM
    if hard:
        part = (fraction - _HARD_FROM) / (1.0 - _HARD_FROM)
        return Moment(_HARD_RATE * _cosine(part, 0.01), 0.0, 0.0, True, "rounded")
    part = fraction / _HARD_FROM
    rate = _RATE * _cosine(part, _LEAST_RATE / _RATE)
    if resumed:
        rate *= _RESUMED_SHARE  # more would undo what has been found, in as few iterations
        part = 1.0
    temperature = _TEMPERATURES[0] + (_TEMPERATURES[1] - _TEMPERATURES[0]) * part
    noise = _NOISES[0] + (_NOISES[1] - _NOISES[0]) * part
    weighing: Weighing = "rounded" if resumed else "noisy"
    if not resumed and fraction < _NOISY_FROM:
        weighing = "free"
    return Moment(rate, temperature, noise, False, weighing)


def lambda_factor(fraction: float, lam: float) -> float:
    """What lambda is multiplied with at a fraction of a fit that begins: it falls, at high rates.

    So what is coarse finds its place before what is fine. After 1,000 iterations of 256 x 256
    pixels, J is 1 to 3 % lower for it at lambdas from 0.0004 to 0.004; at 0.02 nothing is won, nor
    after 2,000 iterations of half a megapixel.
    """
    most = min(max(math.sqrt(_PLAIN_LAMBDA / lam), 1.0), _MOST_FACTOR) if lam > 0.0 else 1.0
    return float(most ** max(1.0 - fraction / _LAMBDA_FALLS_UNTIL, 0.0))


def trial_moment(part: float) -> Moment:
    """What holds at a part of the way of a trial, which ends where a fit is still soft."""
    return moment_of(_TRIED * part, resumed=False)._replace(weighing="free")


def _cosine(part: float, least: float) -> float:
    """From 1 to `least`."""
    return 0.5 * (1.0 + math.cos(math.pi * part)) * (1.0 - least) + least
