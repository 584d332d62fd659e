"""Signal -> WAV and FLAC, as its samples come: all at once, or block after block."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from inrcodec import files
from inrcodec.errors import ConfigError
from inrcodec.media import formats, wav
from inrcodec.media.audio import need_soundfile
from inrcodec.media.formats import MediaFormat
from inrcodec.signal import Kind, SampleFormat, Signal, SignalSpec

__all__ = ["to_bytes", "write_sound"]

_SUBTYPE_OF_FLAC = {
    SampleFormat.U8: "PCM_S8",
    SampleFormat.S16: "PCM_16",
    SampleFormat.S24: "PCM_24",
}
_FLAC_CHANNELS, _FLAC_RATE = 8, 655350

Blocks = Iterable[NDArray[np.generic]]
"""The samples [frames, channels] of a sound, in order."""


def to_bytes(signal: Signal, media_format: MediaFormat) -> bytes:
    """The bytes of a sound file. Raises ConfigError for what the format cannot hold."""
    if media_format is formats.WAV:
        return b"".join(wav.parts_of(signal.spec, [signal.samples]))
    sink = io.BytesIO()
    _write_flac(sink, signal.spec, [signal.samples])
    return sink.getvalue()


def write_sound(
    path: str | Path,
    spec: SignalSpec,
    blocks: Blocks,
    *,
    suffix: str | None = None,
    force: bool = True,
) -> int:
    """Write a sound in the memory of a block, whole or not at all; gives the bytes of the file.

    `suffix` (".wav") is believed instead of the path's. FLAC for standard output, or for a pipe,
    is held in memory. Raises ConfigError, before the first block, for what the format cannot hold
    and as `files.check_writable` does.
    """
    media_format = formats.of_suffix(suffix or Path(path).suffix)
    if media_format.kind is not Kind.AUDIO:
        raise ConfigError(f"{media_format.name} cannot hold audio")
    (_subtype_of if media_format is formats.FLAC else wav.head_of)(spec)
    with files.writing(path, force=force) as file:
        if media_format is formats.WAV:
            return sum(file.write(part) for part in wav.parts_of(spec, blocks))
        if str(path) != "-" and file.seekable():
            _write_flac(file, spec, blocks)
            return file.seek(0, io.SEEK_END)
        sink = io.BytesIO()
        _write_flac(sink, spec, blocks)
        return file.write(sink.getbuffer())


def _write_flac(file: BinaryIO, spec: SignalSpec, blocks: Blocks) -> None:
    """A FLAC file into one that can be sought in.

    One on a disk is given by its number: neither signals nor errors may strike in callbacks.
    """
    soundfile = need_soundfile("writing FLAC")
    known = file if isinstance(file, io.BytesIO) else file.fileno()
    options = {"format": "FLAC", "subtype": _subtype_of(spec), "closefd": False}
    try:
        with soundfile.SoundFile(known, "w", spec.sample_rate, spec.channels, **options) as flac:
            for block in blocks:
                flac.write(_widen(block, spec.sample_format))
    except soundfile.LibsndfileError as error:
        file.write(bytes(1))  # raises what the system has against it, which libsndfile keeps
        file.flush()
        raise OSError(errno.EIO, error.error_string) from None


def _subtype_of(spec: SignalSpec) -> str:
    """Raises ConfigError for floats, 32-bit samples, over 8 channels and odd rates."""
    subtype = _SUBTYPE_OF_FLAC.get(spec.sample_format)
    if subtype is None:
        raise ConfigError(
            f"FLAC cannot hold {spec.sample_format.name} samples, only U8, S16 and S24"
        )
    if spec.channels > _FLAC_CHANNELS:
        raise ConfigError(f"FLAC cannot hold {spec.channels} channels (at most 8); .wav can")
    rate = spec.sample_rate
    assert rate is not None
    if rate > _FLAC_RATE or (rate > 65535 and rate % 10):
        raise ConfigError(f"FLAC cannot hold a sample rate of {rate} Hz; .wav can")
    return subtype


def _widen(samples: NDArray[np.generic], sample_format: SampleFormat) -> NDArray[np.generic]:
    """Integers of 8 and 24 bits in the top bits of their type, as libsndfile takes them."""
    if sample_format is SampleFormat.U8:
        return (samples.astype(np.int16) - 128) << 8
    return samples.astype(np.int32) << 8 if sample_format is SampleFormat.S24 else samples
