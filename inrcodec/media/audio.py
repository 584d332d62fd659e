"""WAV, FLAC, OGG and MP3 -> Signal, through libsndfile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import MissingExtraError, SignalError
from inrcodec.mapped import Mapped, gathered, runs
from inrcodec.media import audio_frames
from inrcodec.media.formats import HEAD_BYTES, MediaFormat, of_content
from inrcodec.media.guard import MAX_SOUND_SAMPLES, guarded
from inrcodec.signal import Kind, SampleFormat, Signal, SignalSpec

if TYPE_CHECKING:
    import types

    from soundfile import SoundFile

__all__ = ["is_sound_file", "need_soundfile", "probe", "read"]

_FORMAT_OF_SUBTYPE = {
    "PCM_U8": SampleFormat.U8,
    "PCM_S8": SampleFormat.U8,
    "PCM_16": SampleFormat.S16,
    "PCM_24": SampleFormat.S24,
    "PCM_32": SampleFormat.S32,
    "FLOAT": SampleFormat.F32,
    "DOUBLE": SampleFormat.F32,
    "ULAW": SampleFormat.S16,
    "ALAW": SampleFormat.S16,
    "IMA_ADPCM": SampleFormat.S16,
    "MS_ADPCM": SampleFormat.S16,
    "GSM610": SampleFormat.S16,
}
_BLOCK = 1 << 20
_UNKNOWN_LENGTH = (1 << 63) - 1
"""Frames of a FLAC file that was written to a pipe, as libsndfile has it."""
_TAGS_OF_THE_FILE = ("software", "encoder")


def is_sound_file(source: str | Path) -> bool:
    """Whether that is a file that begins like a sound; not so of one that begins with a tag."""
    if str(source) == "-" or not Path(source).is_file():
        return False
    try:
        with Path(source).open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:  # whoever reads all of it will say so
        return False
    found = None if head.startswith(b"ID3") else of_content(head, str(source))
    return found is not None and found.kind is Kind.AUDIO


def read(data: bytes | Mapped, media_format: MediaFormat, notes: list[str]) -> Signal:
    """A sound from the bytes of a file of a known format. Raises SignalError, MissingExtraError.

    A long one lies in a temporary file.

    Lossy files have no sample type of their own. They become 16-bit, as players play them, unless a
    peak beyond full scale would be clipped; then they stay float.
    """
    with guarded(media_format, notes), _open(data) as file:
        audio_frames.check_whole(data, media_format)
        notes += audio_frames.dropped_parts(data, media_format)
        tags = (tag for tag, text in file.copy_metadata().items() if text)
        notes += [f"tag {tag} is dropped" for tag in tags if tag not in _TAGS_OF_THE_FILE]
        if file.subtype == "DOUBLE":
            notes.append("64-bit floats are read as 32-bit")
        sample_format = _FORMAT_OF_SUBTYPE.get(file.subtype)
        if sample_format is None:
            samples = _as_16_bit(gathered(_blocks_of(file, "float32")))
        elif sample_format.is_float:
            samples = gathered(_blocks_of(file, "float32"))
        else:
            wide = "int16" if sample_format.bits <= 16 else "int32"
            samples = gathered(_narrow(x, sample_format) for x in _blocks_of(file, wide))
        rate = int(file.samplerate)
    return Signal.audio(samples, rate, sample_format=sample_format)


def probe(data: bytes | Mapped, media_format: MediaFormat) -> SignalSpec | None:
    """The spec from the header alone, or None if it takes the samples: floats and lossy files."""
    with guarded(media_format, []), _open(data) as file:
        sample_format = _FORMAT_OF_SUBTYPE.get(file.subtype, SampleFormat.F32)
        frames, channels, rate = int(file.frames), int(file.channels), int(file.samplerate)
    if sample_format.is_float or not 0 < frames * channels <= MAX_SOUND_SAMPLES:
        return None
    return SignalSpec(
        kind=Kind.AUDIO,
        sample_format=sample_format,
        grid=(frames,),
        channels=channels,
        value_range=sample_format.nominal_range,
        sample_rate=rate,
    )


def _blocks_of(file: SoundFile, dtype: str) -> Iterator[NDArray[np.generic]]:
    """All samples [frames, channels], in blocks, so that no header makes us allocate."""
    n_frames, expected = 0, int(file.frames)
    if expected == _UNKNOWN_LENGTH:  # soundfile seeks after each read, which then fails at the end
        expected, file._info.seekable = 0, False
    while len(block := _block_of(file, dtype, n_frames)):
        n_frames += len(block)
        if n_frames * file.channels > MAX_SOUND_SAMPLES:
            raise SignalError(
                f"sound of {max(expected, n_frames)} frames is over {MAX_SOUND_SAMPLES} samples"
            )
        yield block
    if n_frames == 0:
        raise SignalError("no samples")
    if n_frames < expected:
        raise SignalError(f"sound ends after {n_frames} of {expected} frames")


def _block_of(file: SoundFile, dtype: str, start: int) -> NDArray[np.generic]:
    try:
        block: NDArray[np.generic] = file.read(
            max(1, _BLOCK // file.channels), dtype=dtype, always_2d=True
        )
    except need_soundfile("reading sound").LibsndfileError:
        raise SignalError(f"sound ends or is damaged after frame {start}") from None
    return block


def _as_16_bit(samples: NDArray[np.generic]) -> NDArray[np.generic]:
    """Floats in [-1, 1] -> int16; floats as they are if that would clip."""
    if all(np.abs(wide).max() <= 1 << 15 for wide in _in_16_bit_steps(samples)):  # not so of NaN
        most = (1 << 15) - 1
        return gathered(
            np.minimum(wide, most).astype(np.int16) for wide in _in_16_bit_steps(samples)
        )
    return samples


def _in_16_bit_steps(samples: NDArray[np.generic]) -> Iterator[NDArray[np.floating]]:
    for part in runs(samples):
        yield np.rint(part.astype(np.float32, copy=False) * np.float32(1 << 15))


def _narrow(samples: NDArray[np.generic], sample_format: SampleFormat) -> NDArray[np.generic]:
    """libsndfile's integers fill their type from the top: shift those of 8 and 24 bits down."""
    if sample_format is SampleFormat.U8:
        return ((samples.astype(np.int16, copy=False) >> 8) + 128).astype(np.uint8)
    if sample_format is SampleFormat.S24:
        return samples.astype(np.int32, copy=False) >> 8
    return samples


@contextmanager
def _open(data: bytes | Mapped) -> Iterator[SoundFile]:
    """libsndfile on the bytes; of a file by its number, as signals must not strike in callbacks."""
    soundfile = need_soundfile("reading sound")
    with io.BytesIO(data) if isinstance(data, bytes) else data.open() as source:
        try:
            known = source if isinstance(source, io.BytesIO) else source.fileno()
            file = soundfile.SoundFile(known, closefd=False)
        except soundfile.LibsndfileError as error:
            text = error.error_string  # on MP3 without a frame it speaks of pipes
            raise ValueError("no sound found" if "regular file" in text else text) from None
        with file:
            yield file


def need_soundfile(what: str) -> types.ModuleType:
    """The package. Raises MissingExtraError, which says what it is needed for."""
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the package is there, libsndfile is not
        raise MissingExtraError(what, extra="audio") from None
    module: types.ModuleType = soundfile
    return module
