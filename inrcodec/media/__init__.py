"""Media files <-> Signals. What a file is decides its content, then its suffix.

Nothing is dropped silently: each `read`, `write` or `to_bytes` gives at most one UserWarning, which
lists all that could not be kept. Films can also be read and written some frames at a time, by
`open_film` and `create_film`, and sounds written so by `write_sound`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from inrcodec import files
from inrcodec.errors import ConfigError, SignalError
from inrcodec.mapped import Mapped, map_file
from inrcodec.media import audio, film
from inrcodec.media.audio_write import write_sound
from inrcodec.media.choice import Choice
from inrcodec.media.film import FilmSource, FilmWriter, create_film, open_film
from inrcodec.media.formats import HEAD_BYTES, MediaFormat, of_content, of_suffix
from inrcodec.media.guard import named
from inrcodec.signal import Kind, Signal, SignalSpec

__all__ = [
    "FilmSource",
    "FilmWriter",
    "MediaInfo",
    "create_film",
    "load",
    "open_film",
    "probe",
    "read",
    "to_bytes",
    "write",
    "write_sound",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaInfo:
    """What a media file holds: `spec` is that of the signal that `read` would give."""

    kind: Kind
    format: str
    spec: SignalSpec


def read(
    source: str | Path | bytes, *, variable: str | None = None, channels_last: bool = False
) -> Signal:
    """The signal in a media file (`-`: standard input), in the bytes of one, or in a sequence of
    images (`folder/%04d.png`).

    Of arrays only: `variable` names one among several in a file, and with `channels_last` the last
    axis is 2 to 64 channels. Raises SignalError for anything that is not readable media,
    ConfigError for options that do not fit it, MissingExtraError for sound without the extra
    'audio', film without 'video' and netCDF without 'arrays'.
    """
    loaded = load(source, variable=variable, channels_last=channels_last)
    if isinstance(loaded, Signal):
        return loaded
    with loaded:
        return loaded.read()


def load(
    source: str | Path | bytes,
    *,
    variable: str | None = None,
    channels_last: bool = False,
    rate: Fraction | None = None,
) -> Signal | FilmSource:
    """What `read` gives, but of a film its open source, whose frames are yet to be read.

    `rate`: as for `open_film`; ConfigError if the source is no film.
    """
    choice = Choice(variable=variable, channels_last=channels_last)
    loaded = open_film(source, rate=rate) if film.is_film(source) else _film_or_data(source)
    if isinstance(loaded, FilmSource):
        choice.check_unused(loaded.name)
        loaded.tell()
        return loaded
    data, name = loaded
    if rate is not None:
        raise ConfigError(f"rate {float(rate):g} is for images of a film, not for {name}")
    notes: list[str] = []
    media_format = _format_of(data, name)
    with named(name):
        signal = _parse(data, media_format, choice, notes)
    _warn(name, notes)
    return signal


def probe(
    source: str | Path | bytes, *, variable: str | None = None, channels_last: bool = False
) -> MediaInfo:
    """What `read` would give, from the header alone where that suffices."""
    loaded = _film_or_data(source)
    if isinstance(loaded, FilmSource):
        with loaded:
            return MediaInfo(kind=Kind.VIDEO, format=loaded.format_name, spec=loaded.spec)
    data, name = loaded
    media_format = _format_of(data, name)
    choice = Choice(variable=variable, channels_last=channels_last)
    with named(name):
        spec = _spec_of(data, media_format, choice) or _parse(data, media_format, choice, []).spec
    return MediaInfo(kind=spec.kind, format=media_format.name, spec=spec)


def write(signal: Signal, path: str | Path, *, force: bool = True) -> None:
    """Write a signal to a media file, whole or not at all. The suffix decides the format.

    A film can also be written to images, `folder/%04d.png`. Raises ConfigError for an unknown
    suffix, for a format that cannot hold the signal, and as `files.check_writable` does.
    """
    if signal.spec.kind is Kind.VIDEO and str(path) != "-":
        with create_film(path, signal.spec, signal.metadata, force=force) as writer:
            writer.write(signal.samples, signal.times)
        _warn(str(path), writer.notes)
        return
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


def _film_or_data(source: str | Path | bytes) -> FilmSource | tuple[bytes | Mapped, str]:
    """An open film, or the bytes of anything else and its name for messages."""
    if film.is_film(source):
        return open_film(source)
    data, name = _load(source)
    return open_film(data) if isinstance(data, bytes) and film.is_film(data) else (data, name)


def _parse(
    data: bytes | Mapped, media_format: MediaFormat, choice: Choice, notes: list[str]
) -> Signal:
    from inrcodec.media import array, image

    if media_format.kind is not Kind.ARRAY:
        choice.check_unused(media_format.name)
    if media_format.kind is Kind.AUDIO:
        return audio.read(data, media_format, notes)
    assert isinstance(data, bytes), "sounds alone stay in their files"
    if media_format.kind is Kind.ARRAY:
        return array.read(data, media_format, choice, notes)
    return image.read(data, media_format, notes)


def _spec_of(data: bytes | Mapped, media_format: MediaFormat, choice: Choice) -> SignalSpec | None:
    from inrcodec.media import image

    if media_format.kind is Kind.ARRAY:  # its range takes the samples
        return None
    choice.check_unused(media_format.name)
    if media_format.kind is Kind.AUDIO:
        return audio.probe(data, media_format)
    assert isinstance(data, bytes), "sounds alone stay in their files"
    return image.probe(data, media_format)


def _compose(signal: Signal, media_format: MediaFormat, notes: list[str]) -> bytes:
    from inrcodec.media import array, audio_write, image

    if media_format.kind is Kind.VIDEO:
        return film.to_bytes(signal, media_format.suffixes[0], notes)
    if media_format.kind is Kind.ARRAY:
        return array.to_bytes(signal, media_format, notes)
    if media_format.kind is Kind.IMAGE:
        return image.to_bytes(signal, media_format, notes)
    return audio_write.to_bytes(signal, media_format)


def _load(source: str | Path | bytes) -> tuple[bytes | Mapped, str]:
    """The bytes of a source and its name for messages; a sound stays in its file."""
    if isinstance(source, bytes):
        data, name = source, "input"
    elif audio.is_sound_file(source):
        return map_file(Path(source)), str(source)
    else:
        data, name = files.read_bytes(source), str(source)
    if not data:
        raise SignalError(f"{name} is empty")
    return data, name


def _format_of(data: bytes | Mapped, name: str) -> MediaFormat:
    media_format = of_content(data if isinstance(data, bytes) else data[:HEAD_BYTES], name)
    if media_format is None:
        raise SignalError(f"not a media file that inrcodec reads: {name}")
    return media_format


def _warn(name: str, notes: list[str]) -> None:
    if notes:
        warnings.warn(f"{name}: {'; '.join(dict.fromkeys(notes))}", stacklevel=3)
