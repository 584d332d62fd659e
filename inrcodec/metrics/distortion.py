"""How close a decoded signal is, and what it costs: numbers for tables, units in the names.

Takes signals, or plain arrays [*grid, channels] with an explicit peak. Works through a signal in
blocks of rows, so that a large photograph needs little memory beside itself. Equal signals give
infinity where a ratio is asked for; those with numbers in other places are refused. Knows `Signal`
and numpy, nothing above them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.mapped import let_go
from inrcodec.signal import Kind, Signal, SignalSpec

__all__ = [
    "MOST_FRAME_DB",
    "MS_SSIM_MIN_SIDE",
    "Samples",
    "bpp",
    "film_psnr_db",
    "frame_psnrs_db",
    "kbps",
    "max_abs_error",
    "mean_psnr_db",
    "ms_ssim",
    "mse",
    "pair_of",
    "peak_of",
    "psnr_db",
    "ratio_db",
    "si_sdr_db",
    "signal_power",
    "snr_db",
    "ssim",
]

Samples = Signal | NDArray[np.generic]

MOST_FRAME_DB = 100.0
"""What a frame counts at most in the mean over the frames of a film, as an equal one does."""

MS_SSIM_MIN_SIDE = 161
"""Shorter sides leave less than one window at the coarsest of the five scales."""

_BLOCK = 1 << 20
_BAND = 64
_WINDOW = 11
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def peak_of(signal: Signal) -> float:
    """The peak of a signal's PSNR: 2^bits - 1 for integers, max - min of the samples for floats.

    Sound counts from -1 to 1, so its peak is 2 in floats and 2^bits in integers. Of an array, of
    integers too, it is max - min of the samples that are numbers.
    """
    sample_format = signal.spec.sample_format
    if signal.spec.kind is Kind.AUDIO:
        return 2.0 if sample_format.is_float else float(1 << sample_format.bits)
    if sample_format.is_float and signal.spec.kind is Kind.VIDEO:
        low, high = signal.spec.value_range  # of the whole film, of which these may be some frames
        return high - low
    if sample_format.is_float or signal.spec.kind is Kind.ARRAY:
        return float(np.nanmax(signal.samples)) - float(np.nanmin(signal.samples))
    return float((1 << sample_format.bits) - 1)


def mse(reference: Samples, decoded: Samples, *, unit: float = 1.0) -> float:
    """Mean squared difference over all samples that are numbers, in squares of `unit` units."""
    return _mean_square((true - other) / unit for true, other in _blocks(reference, decoded))


def max_abs_error(reference: Samples, decoded: Samples) -> float:
    """The largest difference of any sample, in sample units."""
    blocks = _blocks(reference, decoded)
    return max(float(np.abs(true - other).max(initial=0.0)) for true, other in blocks)


def psnr_db(reference: Samples, decoded: Samples, *, peak: float | None = None) -> float:
    """10 log10(peak^2 / MSE) over all samples; infinite for equal signals.

    `peak` is `peak_of(reference)` unless it is given; plain arrays need it.
    """
    peak = _peak(reference, peak)
    unit = peak or 1.0
    return ratio_db(peak / unit, mse(reference, decoded, unit=unit))


def frame_psnrs_db(reference: Signal, decoded: Signal) -> NDArray[np.float64]:
    """The PSNR [frames] of each frame of a film, over its samples; infinite for an equal frame."""
    peak, pairs = peak_of(reference), zip(*pair_of(reference, decoded), strict=True)
    return np.array([psnr_db(*pair, peak=peak) for pair in pairs])


def mean_psnr_db(decibels: NDArray[np.float64]) -> float:
    """The mean over frames of their PSNR, none counted above 100 dB; infinite if all are equal."""
    if np.isposinf(decibels).all():
        return math.inf
    return float(np.minimum(decibels, MOST_FRAME_DB).mean())


def film_psnr_db(reference: Signal, decoded: Signal) -> float:
    """The PSNR of a film: `mean_psnr_db` of its frames."""
    return mean_psnr_db(frame_psnrs_db(reference, decoded))


def signal_power(signal: Samples, *, unit: float = 1.0) -> float:
    """Mean square of all samples about silence, in squares of `unit` sample units.

    Silence is 0, in unsigned sound the middle of the range (128 of 8 bits). No mean is removed, so
    that a constant offset counts as power.
    """
    return _mean_square(true / unit for true, _ in _blocks(signal, signal, _silence_of(signal)))


def snr_db(reference: Samples, decoded: Samples) -> float:
    """10 log10(`signal_power` of the reference / MSE); a constant offset counts as signal.

    Infinite for equal signals, minus infinite where the reference is silent and the other is not.
    """
    unit = _largest(reference)
    error = mse(reference, decoded, unit=unit)
    return ratio_db(signal_power(reference, unit=unit), error)


def si_sdr_db(reference: Samples, decoded: Samples) -> float:
    """SNR of each channel after the best gain on its reference, mean over channels that have sound.

    Counts about silence as `signal_power` does. NaN when every channel of the reference is silent.
    Source: Le Roux et al. 2019, eq. 5, arXiv:1811.02508.
    """
    silence = _silence_of(reference)
    products = [
        ((true * other).sum(axis=0), np.square(true).sum(axis=0))
        for true, other in _blocks(reference, decoded, silence)
    ]
    product = np.sum([p for p, _ in products], axis=0)
    energy = np.sum([e for _, e in products], axis=0)
    gain = np.divide(product, energy, out=np.zeros_like(energy), where=energy > 0)
    blocks = _blocks(reference, decoded, silence)
    error = np.sum([np.square(gain * true - other).sum(axis=0) for true, other in blocks], axis=0)
    heard = [
        ratio_db(g * g * e, n)
        for g, e, n in zip(np.ravel(gain), np.ravel(energy), np.ravel(error), strict=True)
        if e > 0
    ]
    return float(np.mean(heard)) if heard else math.nan


def ssim(reference: Samples, decoded: Samples, *, peak: float | None = None) -> float:
    """Structural similarity of images: 11 x 11 Gaussian window, mean over windows and channels.

    Sides are at least 11 pixels. With a peak of 0: 1 for equal images, else NaN.
    Source: Wang et al. 2004, sections III.B and III.C.
    """
    planes = _planes(reference, decoded)
    smallest = min(planes[0][0].shape)
    if smallest < _WINDOW:
        raise ConfigError(f"ssim of an image with a side of {smallest} pixels; at least {_WINDOW}")
    peak = _peak(reference, peak)
    if peak == 0:
        return 1.0 if _equal(reference, decoded) else math.nan
    return float(np.mean([_similarity(true, other, peak)[0] for true, other in planes]))


def ms_ssim(reference: Samples, decoded: Samples, *, peak: float | None = None) -> float | None:
    """Structural similarity over five scales, mean over channels; None for a side below 161 pixels.

    None also for a peak of 0, as of a float image of one value, unless the images are equal.

    Each scale halves the image by means of 2 x 2 pixels, the last row or column of an odd size
    repeated; a negative term counts as 0. Source: Wang et al. 2003, eq. 7 and section 3.2.
    """
    planes = _planes(reference, decoded)
    if min(planes[0][0].shape) < MS_SSIM_MIN_SIDE:
        return None
    peak = _peak(reference, peak)
    if peak == 0:
        return 1.0 if _equal(reference, decoded) else None
    return float(np.mean([_multiscale(true, other, peak) for true, other in planes]))


def bpp(n_bytes: int, spec: SignalSpec) -> float:
    """Bits per grid point: per pixel of an image or of a film's frames, per frame of a sound."""
    return 8 * n_bytes / spec.n_points


def kbps(n_bytes: int, seconds: float) -> float:
    """Thousands of bits per second of a sound or a film that lasts so long."""
    return 8 * n_bytes / seconds / 1000


def _mean_square(blocks: Iterable[NDArray[np.float64]]) -> float:
    total, count = 0.0, 0
    for block in blocks:
        total += float(np.square(block).sum())
        count += block.size
    return total / count


def ratio_db(signal_energy: float, error_energy: float) -> float:
    """10 log10 of signal over error; infinite without error, else minus infinite without signal."""
    if error_energy == 0:
        return math.inf
    return 10 * math.log10(signal_energy / error_energy) if signal_energy > 0 else -math.inf


def _silence_of(signal: Samples) -> float:
    """The sample of a sound without sound; 0 for whatever is not unsigned sound."""
    if not isinstance(signal, Signal) or signal.spec.kind is not Kind.AUDIO:
        return 0.0
    sample_format = signal.spec.sample_format
    unsigned = not sample_format.is_float and sample_format.nominal_range[0] == 0
    return float(1 << (sample_format.bits - 1)) if unsigned else 0.0


def _equal(reference: Samples, decoded: Samples) -> bool:
    return np.array_equal(*pair_of(reference, decoded))


def _largest(signal: Samples) -> float:
    """A unit in which no sample is large, so that squares stay within what a float holds."""
    samples = signal.samples if isinstance(signal, Signal) else signal
    if samples.dtype != np.float64:
        return 1.0
    return float(np.nanmax(np.abs(samples), initial=0.0)) or 1.0


def _peak(reference: Samples, peak: float | None) -> float:
    if peak is not None:
        return peak
    if not isinstance(reference, Signal):
        raise ConfigError("samples without a signal need an explicit peak")
    return peak_of(reference)


def pair_of(
    reference: Samples, decoded: Samples
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """The samples of both. Raises ConfigError for other shapes than one, and for none."""
    true = reference.samples if isinstance(reference, Signal) else reference
    other = decoded.samples if isinstance(decoded, Signal) else decoded
    if true.shape != other.shape:
        raise ConfigError(f"signals differ in shape: {true.shape} and {other.shape}")
    if true.size == 0:
        raise ConfigError(f"no samples to compare: shape {true.shape}")
    return true, other


def _blocks(
    reference: Samples, decoded: Samples, zero: float = 0.0
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Both signals less `zero` in float64, about a million samples at a time by the first axis."""
    (true, other), numbers = pair_of(reference, decoded), _numbers(reference, decoded)
    step = max(1, _BLOCK * len(true) // true.size)
    for start in range(0, len(true), step):
        rows = slice(start, start + step)
        chosen = ... if numbers is None else numbers[rows]
        pair = true[rows].astype(np.float64)[chosen], other[rows].astype(np.float64)[chosen]
        for block in pair:
            block -= zero
        yield pair
        let_go(true)
        let_go(other)


def _numbers(reference: Samples, decoded: Samples) -> NDArray[np.bool_] | None:
    """Where both arrays hold numbers; None: everywhere. Raises ConfigError if that differs."""
    masks = [one.mask if isinstance(one, Signal) else None for one in (reference, decoded)]
    if masks[0] is None and masks[1] is None:
        return None
    if masks[0] is None or masks[1] is None or not np.array_equal(masks[0], masks[1]):
        raise ConfigError("signals differ in where they hold no number")
    return ~masks[0]


def _planes(
    reference: Samples, decoded: Samples
) -> list[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """The channels [height, width] of two images, as views."""
    true, other = pair_of(reference, decoded)
    if true.ndim not in (2, 3):
        raise ConfigError(
            f"similarity is of images [height, width, channels], got shape {true.shape}"
        )
    if true.ndim == 2:
        return [(true, other)]
    return [(true[..., c], other[..., c]) for c in range(true.shape[2])]


def _blur(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """[..., h, w] -> [..., h - 10, w - 10]: means under the Gaussian window where it fits."""
    weights = np.exp(-0.5 * ((np.arange(_WINDOW) - _WINDOW // 2) / _SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (-2, -1):
        size = planes.shape[axis] - _WINDOW + 1
        moved = np.moveaxis(planes, axis, -1)
        blurred = weights[0] * moved[..., :size]
        for i in range(1, _WINDOW):
            blurred += weights[i] * moved[..., i : i + size]
        planes = np.moveaxis(blurred, -1, axis)
    return planes


def _similarity(
    true: NDArray[np.generic], other: NDArray[np.generic], peak: float
) -> tuple[float, float]:
    """Mean similarity of two planes, and the mean of its contrast-structure factor alone."""
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    whole, contrast, count = 0.0, 0.0, 0
    for top in range(0, true.shape[0] - _WINDOW + 1, _BAND):
        rows = slice(top, top + _BAND + _WINDOW - 1)
        x, y = true[rows].astype(np.float64), other[rows].astype(np.float64)
        mean_x, mean_y, xx, yy, xy = _blur(np.stack((x, y, x * x, y * y, x * y)))
        squares = mean_x * mean_x + mean_y * mean_y
        structure = (2 * (xy - mean_x * mean_y) + c2) / (xx + yy - squares + c2)
        whole += float((structure * (2 * mean_x * mean_y + c1) / (squares + c1)).sum())
        contrast += float(structure.sum())
        count += structure.size
    return whole / count, contrast / count


def _multiscale(true: NDArray[np.generic], other: NDArray[np.generic], peak: float) -> float:
    product = 1.0
    for weight in _SCALE_WEIGHTS[:-1]:
        contrast = _similarity(true, other, peak)[1]
        product *= max(contrast, 0.0) ** weight
        true, other = _halved(true), _halved(other)
    last = _similarity(true, other, peak)[0]
    return float(product * max(last, 0.0) ** _SCALE_WEIGHTS[-1])


def _halved(plane: NDArray[np.generic]) -> NDArray[np.float64]:
    """Means of 2 x 2 pixels; an odd last row or column is repeated."""
    rows = plane[0::2].astype(np.float64)
    rows[: plane.shape[0] // 2] += plane[1::2].astype(np.float64)
    if plane.shape[0] % 2:
        rows[-1] *= 2
    halved = rows[:, 0::2].copy()
    halved[:, : rows.shape[1] // 2] += rows[:, 1::2]
    if rows.shape[1] % 2:
        halved[:, -1] *= 2
    halved *= 0.25
    return halved
