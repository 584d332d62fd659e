"""WAV, FLAC, OGG and MP3 -> Signal, and Signal -> FLAC, through libsndfile."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import MissingExtraError, SignalError
from inrcodec.media.guard import guarded
from inrcodec.signal import SampleFormat, Signal

if TYPE_CHECKING:
    import types

__all__ = ["read"]

_FORMAT_OF_SUBTYPE = {
    "PCM_U8": SampleFormat.U8,
    "PCM_S8": SampleFormat.U8,
    "PCM_16": SampleFormat.S16,
    "PCM_24": SampleFormat.S24,
    "PCM_32": SampleFormat.S32,
    "FLOAT": SampleFormat.F32,
    "DOUBLE": SampleFormat.F32,
}


def read(data: bytes, name: str, notes: list[str]) -> Signal:
    """A sound from the bytes of a WAV, FLAC, OGG or MP3 file."""
    soundfile = _soundfile()
    with guarded(name, notes), soundfile.SoundFile(io.BytesIO(data)) as file:
        sample_format = _FORMAT_OF_SUBTYPE.get(file.subtype, SampleFormat.S16)
        if sample_format is SampleFormat.F32:
            samples = file.read(dtype="float32", always_2d=True)
        else:
            wide = "int16" if sample_format.bits <= 16 else "int32"
            samples = _narrow(file.read(dtype=wide, always_2d=True), sample_format)
        rate = file.samplerate
    if samples.size == 0:
        raise SignalError(f"{name} holds no samples")
    return Signal.audio(samples, rate, sample_format=sample_format)


def _narrow(samples: NDArray[np.signedinteger], sample_format: SampleFormat) -> NDArray[np.generic]:
    """libsndfile's integers fill their type from the top: shift those of 8 and 24 bits down."""
    if sample_format is SampleFormat.U8:
        return ((samples >> 8) + 128).astype(np.uint8)
    return samples >> 8 if sample_format is SampleFormat.S24 else samples


def _soundfile() -> types.ModuleType:
    try:
        import soundfile
    except ImportError:
        raise MissingExtraError("reading sound", extra="audio") from None
    module: types.ModuleType = soundfile
    return module
