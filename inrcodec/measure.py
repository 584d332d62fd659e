"""What a search measures of a signal, and of what a function makes of it.

Squares are on the [0, 1] scale. A sound may be longer than memory: it is decoded a part at a time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inrcodec import codec, metrics
from inrcodec.mapped import let_go, runs
from inrcodec.representations.base import Representation, Window
from inrcodec.signal import Signal, SignalSpec

__all__ = ["decoded", "error_of_sound", "peak_power", "power", "unit_of", "variance"]

_AT_ONCE = 1 << 22  # samples
_LEAST_VARIANCE = 1e-12


def variance(signal: Signal) -> float:
    """Mean square of what is around each channel's mean; never 0."""
    if signal.mask is not None:
        values = signal.spec.to_unit(signal.samples).reshape(signal.spec.n_points, -1)
        known = ~signal.mask.reshape(values.shape)
        parts = [values[known[:, c], c] for c in range(values.shape[1])]
        variances = [float(part.var(dtype=np.float64)) for part in parts if part.size]
        return max(float(np.mean(variances)), _LEAST_VARIANCE)
    shares, means, around = [], [], []
    for rows in runs(signal.samples.reshape(signal.spec.n_points, -1)):
        values = signal.spec.to_unit(rows)
        shares.append(len(values) / signal.spec.n_points)
        means.append(values.mean(axis=0, dtype=np.float64))
        around.append(values.var(axis=0, dtype=np.float64))
    weights, centres = np.array(shares)[:, None], np.array(means)
    away = centres - (weights * centres).sum(axis=0)
    variances = (weights * (np.array(around) + np.square(away))).sum(axis=0)
    return max(float(variances.mean()), _LEAST_VARIANCE)


def decoded(signal: Signal, function: Representation) -> Signal:
    """What a function makes of a signal."""
    windows = tuple(Window.whole(size) for size in signal.spec.grid)
    return replace(signal, samples=codec.evaluate(function, signal.spec, windows))


def error_of_sound(signal: Signal, function: Representation) -> float:
    """Mean square error of what a function makes of a sound."""
    n_frames, total = signal.spec.grid[0], 0.0
    n_at_once = max(1, _AT_ONCE // signal.spec.channels)
    for start in range(0, n_frames, n_at_once):
        part = signal.cut(start, min(start + n_at_once, n_frames))
        window = Window.span(n_frames, start, start + len(part.samples))
        samples = codec.evaluate(function, part.spec, (window,))
        error = metrics.mse(part, replace(part, samples=samples), unit=unit_of(signal.spec))
        total += error * len(samples)
        let_go(signal.samples)
    return total / n_frames


def peak_power(signal: Signal) -> float:
    """The square of the peak of a signal's PSNR."""
    return (metrics.peak_of(signal) / unit_of(signal.spec)) ** 2


def power(signal: Signal) -> float:
    """`metrics.signal_power`."""
    return metrics.signal_power(signal, unit=unit_of(signal.spec))


def unit_of(spec: SignalSpec) -> float:
    """What 1 on the [0, 1] scale is in samples; 1 for a constant."""
    low, high = spec.value_range
    return high - low or 1.0
