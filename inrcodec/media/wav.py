"""Sound -> WAV, with nothing but numpy: the base install writes what it decodes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import ConfigError
from inrcodec.signal import SampleFormat, SignalSpec

__all__ = ["SPEAKERS", "head_of", "parts_of"]

_PCM, _IEEE_FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_TAIL = bytes.fromhex("0000 0000 1000 8000 00aa 0038 9b71")
_LARGEST = (1 << 32) - 1
# Speakers of the usual layouts, as libsndfile and ffmpeg choose them; others get no assignment (0).
SPEAKERS = {1: 0x4, 2: 0x3, 3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x13F, 8: 0x63F}


def head_of(spec: SignalSpec) -> bytes:
    """What stands before the samples of a RIFF/WAVE file of `spec`.

    Raises ConfigError for samples that WAV has no type for, or over 4 GiB. WAVE_FORMAT_EXTENSIBLE
    is used where Microsoft asks for it: over 2 channels or over 16 bits.
    Source: Microsoft, "Multiple channel audio data and WAVE files", 2007.
    """
    assert spec.sample_rate is not None
    width = _width_of(spec.sample_format)
    block = width * spec.channels
    if block >= 1 << 16 or spec.sample_rate * block > _LARGEST:
        raise ConfigError(f"WAV cannot hold {spec.channels} channels at {spec.sample_rate} Hz")
    tag = _IEEE_FLOAT if spec.sample_format.is_float else _PCM
    fields = (spec.channels, spec.sample_rate, spec.sample_rate * block, block, 8 * width)
    if tag == _PCM and spec.channels <= 2 and width <= 2:
        form = struct.pack("<HHIIHH", tag, *fields)
    else:
        form = struct.pack("<HHIIHH", _EXTENSIBLE, *fields)
        form += struct.pack("<HHI", 22, 8 * width, SPEAKERS.get(spec.channels, 0))
        form += struct.pack("<H", tag) + _GUID_TAIL
    if spec.grid[0] * block > _LARGEST:
        raise ConfigError(f"WAV cannot hold {spec.grid[0] * block} bytes; .flac can")
    chunks = b"WAVE" + _chunk(b"fmt ", form)
    if tag != _PCM:
        chunks += _chunk(b"fact", struct.pack("<I", spec.grid[0]))
    return _riff(chunks, spec.grid[0] * block)


def parts_of(spec: SignalSpec, blocks: Iterable[NDArray[np.generic]]) -> Iterator[bytes]:
    """The file of a sound, piece by piece, of its samples [frames, channels] in order."""
    yield head_of(spec)
    for block in blocks:
        yield _little_endian(block, spec.sample_format)
    yield _padding(spec.n_points * spec.channels * _width_of(spec.sample_format))


def _chunk(name: bytes, payload: bytes) -> bytes:
    return name + struct.pack("<I", len(payload)) + payload


def _riff(chunks: bytes, n_bytes: int) -> bytes:
    """The frame of type WAVE around chunks and one of `n_bytes` of data, as far as its samples."""
    size = len(chunks) + 8 + n_bytes + len(_padding(n_bytes))
    if size > _LARGEST:
        raise ConfigError(f"WAV cannot hold {size} bytes; .flac can")
    return b"RIFF" + struct.pack("<I", size) + chunks + b"data" + struct.pack("<I", n_bytes)


def _padding(n_bytes: int) -> bytes:
    """What makes the length of a chunk even."""
    return bytes(n_bytes % 2)


def _width_of(sample_format: SampleFormat) -> int:
    """Bytes of a sample."""
    if sample_format is SampleFormat.U16:
        raise ConfigError("WAV cannot hold U16 samples, only U8, S16, S24, S32 and floats")
    return 4 if sample_format.is_float else sample_format.bits // 8


def _little_endian(samples: NDArray[np.generic], sample_format: SampleFormat) -> bytes:
    if sample_format is SampleFormat.F16:
        return samples.astype("<f4").tobytes()
    if sample_format is SampleFormat.S24:
        words = np.ascontiguousarray(samples, "<i4")
        return words.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()
