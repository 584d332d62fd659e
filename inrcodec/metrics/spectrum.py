"""What is known of a decoded sound by its spectrum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.metrics.distortion import pair_of, ratio_db
from inrcodec.signal import Kind, Signal, SignalSpec

__all__ = ["band_snr_db", "log_spectral_distance_db"]

_LOW_HZ, _HIGH_HZ, _HIGH_SHARE = 40.0, 16000.0, 7 / 16
_FRAME_SECONDS = 0.032
_FLOOR_DB = -90.0
_AT_ONCE = 256  # frames


def band_snr_db(reference: Signal, decoded: Signal) -> float:
    """The SNR from 40 Hz to 7/16 of the rate, at most 16 kHz, over the whole of all channels.

    It leaves out what codecs for ears drop on purpose, and silence, which may be off. Infinite for
    equal signals, minus infinite where the reference is silent there and the other is not. Raises
    ConfigError for what is no sound or not alike.
    """
    _check(reference, decoded)
    true, error = reference.samples.astype(np.float64), decoded.samples.astype(np.float64)
    error -= true
    rate = reference.spec.sample_rate or 1
    hertz = np.fft.rfftfreq(len(true), 1.0 / rate)
    inside = (hertz >= _LOW_HZ) & (hertz <= min(_HIGH_HZ, _HIGH_SHARE * rate))
    signal, noise = (
        float(np.square(np.abs(np.fft.rfft(values, axis=0)[inside])).sum())
        for values in (true, error)
    )
    return ratio_db(signal, noise)


def log_spectral_distance_db(reference: Signal, decoded: Signal) -> float:
    """The log spectral distance, in dB: over frames and channels the mean of RMS differences.

    Differences are of the power in each frequency, in dB, above a floor of 90 dB below a sine of
    full scale of the reference. Frames have the power of two of samples next to 32 ms, under a Hann
    window, and overlap by three quarters, as many as fit; a shorter sound is one frame. Of noise in
    place of like noise about 7; of silence far more. Source: Gray & Markel 1976. Raises ConfigError
    for what is no sound or not alike.
    """
    _check(reference, decoded)
    frame = _frame_of(reference.spec)
    total, count = 0.0, 0
    low, high = reference.spec.value_range
    unit = (high - low or 1.0) / 2.0
    levels = (_levels_db(signal, frame, unit) for signal in (reference, decoded))
    pairs = zip(*levels, strict=True)
    for mine, theirs in pairs:
        distances = np.sqrt(np.square(mine - theirs).mean(axis=-1))
        total += float(distances.sum())
        count += distances.size
    return total / count


def _check(reference: Signal, decoded: Signal) -> None:
    if reference.spec.kind is not Kind.AUDIO:
        raise ConfigError(f"{reference.spec.kind.name.lower()} has no spectrum over time")
    if reference.spec.sample_format is not decoded.spec.sample_format:
        formats = (signal.spec.sample_format.name for signal in (reference, decoded))
        raise ConfigError(f"sounds of {' and '.join(formats)} are not alike")
    pair_of(reference, decoded)


def _frame_of(spec: SignalSpec) -> int:
    samples = max(16.0, (spec.sample_rate or 1) * _FRAME_SECONDS)
    frame: int = 1 << round(float(np.log2(samples)))
    return frame


def _levels_db(signal: Signal, frame: int, unit: float) -> Iterator[NDArray[np.float64]]:
    """Of some frames at a time: dB of a sine of that amplitude [frames, channels, frequencies]."""
    n_samples = signal.spec.grid[0]
    window = np.hanning(frame + 1)[:-1]
    scale = unit * window.sum() / 2.0  # of such a sine
    firsts = np.arange(0, max(n_samples - frame, 0) + 1, frame // 4)
    for some in np.array_split(firsts, -(-len(firsts) // _AT_ONCE)):
        part = signal.samples[some[0] : some[-1] + frame].astype(np.float64)
        part = np.pad(part, ((0, max(frame - n_samples, 0)), (0, 0)))
        frames = np.lib.stride_tricks.sliding_window_view(part, frame, axis=0)[some - some[0]]
        powers = np.square(np.abs(np.fft.rfft(frames * window)) / scale)
        yield 10.0 * np.log10(powers + 10.0 ** (_FLOOR_DB / 10.0))
