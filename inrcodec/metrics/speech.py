"""How well speech is understood and how good it sounds, by models of listeners: the extra `speech`.

Both measures are means over channels, of sounds that hold speech; of music they say nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError, MissingExtraError, SignalError
from inrcodec.signal import Kind, Signal

__all__ = ["estoi", "pesq_wb"]

_PESQ_RATE = 16000


def estoi(reference: Signal, decoded: Signal) -> float:
    """Extended short-time objective intelligibility, up to 1.

    Source: Jensen & Taal 2016, by the package pystoi. Raises MissingExtraError, ConfigError for
    what is no sound or not alike, SignalError for less than half a second of speech.
    """
    pystoi = _package("pystoi")

    def of_channel(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                return float(pystoi.stoi(mine, theirs, reference.spec.sample_rate, extended=True))
            except RuntimeWarning as warning:
                raise SignalError(f"ESTOI finds too little speech: {warning}") from None

    return _mean(of_channel, reference, decoded)


def pesq_wb(reference: Signal, decoded: Signal) -> float:
    """Perceptual evaluation of speech quality, wide band, 1 to 4.64; sounds are brought to 16 kHz.

    Source: ITU-T P.862.2, by the package pesq. Raises as `estoi`.
    """
    pesq = _package("pesq")

    def of_channel(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
        pair = (_at_rate(x, reference.spec.sample_rate or _PESQ_RATE) for x in (mine, theirs))
        if np.ptp(mine) == 0.0:
            raise SignalError("PESQ finds no speech: there is silence alone")
        try:
            return float(pesq.pesq(_PESQ_RATE, *pair, "wb"))
        except pesq.PesqError as error:
            raise SignalError(f"PESQ finds no speech: {error}") from None

    return _mean(of_channel, reference, decoded)


def _package(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingExtraError("measuring speech", extra="speech") from None


def _mean(
    measure: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    reference: Signal,
    decoded: Signal,
) -> float:
    """A measure of each channel, of samples from -1 to 1, in the mean."""
    mine, theirs = reference.spec, decoded.spec
    if mine.kind is not Kind.AUDIO or theirs.kind is not Kind.AUDIO:
        raise ConfigError("speech is measured in sounds")
    if (mine.grid, mine.channels, mine.sample_rate) != (
        theirs.grid,
        theirs.channels,
        theirs.sample_rate,
    ):
        raise ConfigError("the sounds are not of one length, rate and number of channels")
    if 2 * mine.grid[0] < (mine.sample_rate or 0):
        raise SignalError("speech is measured in half a second at least")
    pairs = [2.0 * signal.spec.to_unit(signal.samples).astype(np.float64) - 1.0
             for signal in (reference, decoded)]  # fmt: skip
    return float(np.mean([measure(pairs[0][:, c], pairs[1][:, c]) for c in range(mine.channels)]))


def _at_rate(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    if rate == _PESQ_RATE:
        return samples
    signal: ModuleType = _package("scipy.signal")
    resampled: NDArray[np.float64] = signal.resample(
        samples, max(1, round(len(samples) * _PESQ_RATE / rate))
    )
    return resampled
