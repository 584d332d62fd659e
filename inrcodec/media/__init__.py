"""Media files <-> Signals. What a file is decides its content, then its suffix.

Nothing is dropped silently: each `read`, `write` or `to_bytes` gives at most one UserWarning, which
lists all that could not be kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inrcodec import files
from inrcodec.errors import ConfigError, SignalError
from inrcodec.media.choice import Choice
from inrcodec.media.formats import WAV, MediaFormat, of_content, of_suffix
from inrcodec.signal import Kind, Signal, SignalSpec

__all__ = ["MediaInfo", "probe", "read", "to_bytes", "write"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaInfo:
    """What a media file holds: `spec` is that of the signal that `read` would give."""

    kind: Kind
    format: str
    spec: SignalSpec


def read(
    source: str | Path | bytes, *, variable: str | None = None, channels_last: bool = False
) -> Signal:
    """The signal in a media file (`-`: standard input) or in the bytes of one.

    Of arrays only: `variable` names one among several in a file, and with `channels_last` the last
    axis is 2 to 64 channels. Raises SignalError for anything that is not readable media,
    ConfigError for options that do not fit it, MissingExtraError for sound without the extra
    'audio' and netCDF without 'arrays'.
    """
    data, name = _load(source)
    notes: list[str] = []
    media_format = _format_of(data, name)
    choice = Choice(variable=variable, channels_last=channels_last)
    with _named(name):
        signal = _parse(data, media_format, choice, notes)
    _warn(name, notes)
    return signal


def probe(
    source: str | Path | bytes, *, variable: str | None = None, channels_last: bool = False
) -> MediaInfo:
    """What `read` would give, from the header alone where that suffices."""
    data, name = _load(source)
    media_format = _format_of(data, name)
    choice = Choice(variable=variable, channels_last=channels_last)
    with _named(name):
        spec = _spec_of(data, media_format, choice) or _parse(data, media_format, choice, []).spec
    return MediaInfo(kind=spec.kind, format=media_format.name, spec=spec)


def write(signal: Signal, path: str | Path, *, force: bool = True) -> None:
    """Write a signal to a media file, whole or not at all. The suffix decides the format.

    Raises ConfigError for an unknown suffix, for a format that cannot hold the signal, and as
    `files.check_writable` does.
    """
    files.check_writable(path, force=force)
    files.write_bytes(path, to_bytes(signal, Path(path).suffix), force=force)


def to_bytes(signal: Signal, suffix: str) -> bytes:
    """The bytes of a media file of the format that `suffix` (".png") names. Raises ConfigError."""
    media_format = of_suffix(suffix)
    if media_format.kind is not signal.spec.kind:
        raise ConfigError(f"{media_format.name} cannot hold {signal.spec.kind.name.lower()}")
    notes: list[str] = []
    data = _compose(signal, media_format, notes)
    _warn(f"output {suffix}", notes)
    return data


def _parse(data: bytes, media_format: MediaFormat, choice: Choice, notes: list[str]) -> Signal:
    from inrcodec.media import array, audio, image

    if media_format.kind is Kind.ARRAY:
        return array.read(data, media_format, choice, notes)
    choice.check_unused(media_format.name)
    reader = audio.read if media_format.kind is Kind.AUDIO else image.read
    return reader(data, media_format, notes)


def _spec_of(data: bytes, media_format: MediaFormat, choice: Choice) -> SignalSpec | None:
    from inrcodec.media import audio, image

    if media_format.kind is Kind.ARRAY:  # its range takes the samples
        return None
    choice.check_unused(media_format.name)
    prober = audio.probe if media_format.kind is Kind.AUDIO else image.probe
    return prober(data, media_format)


def _compose(signal: Signal, media_format: MediaFormat, notes: list[str]) -> bytes:
    from inrcodec.media import array, audio, image, wav

    if media_format.kind is Kind.ARRAY:
        return array.to_bytes(signal, media_format, notes)
    if media_format.kind is Kind.IMAGE:
        return image.to_bytes(signal, media_format, notes)
    return wav.to_bytes(signal) if media_format is WAV else audio.to_flac(signal)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the name of the source before the message of a SignalError."""
    try:
        yield
    except SignalError as error:
        raise SignalError(f"cannot read {name}: {error}") from None


def _load(source: str | Path | bytes) -> tuple[bytes, str]:
    """The bytes of a source and its name for messages."""
    data, name = (
        (source, "input") if isinstance(source, bytes) else (files.read_bytes(source), str(source))
    )
    if not data:
        raise SignalError(f"{name} is empty")
    return data, name


def _format_of(data: bytes, name: str) -> MediaFormat:
    media_format = of_content(data, name)
    if media_format is None:
        raise SignalError(f"not a media file that inrcodec reads: {name}")
    return media_format


def _warn(name: str, notes: list[str]) -> None:
    if notes:
        warnings.warn(f"{name}: {'; '.join(dict.fromkeys(notes))}", stacklevel=3)
