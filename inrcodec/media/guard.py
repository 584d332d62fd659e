"""The fence around everything that parses foreign bytes.

Whatever a parser raises on hostile bytes becomes a SignalError of one line, and whatever it warns
of or logs joins the notes from which `read` makes its one warning.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import sys
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import RLock, get_ident
from typing import Final

from inrcodec.errors import InrcodecError, SignalError
from inrcodec.media import formats
from inrcodec.media.formats import MediaFormat

__all__ = [
    "MAX_SAMPLES",
    "MAX_SOUND_SAMPLES",
    "PARSER_ERRORS",
    "check_size",
    "guarded",
    "named",
    "one_line",
    "translated",
]

MAX_SAMPLES = 1 << 28
"""Most samples that are read from one file: as many as a decoder allows at once by default."""

MAX_SOUND_SAMPLES = 1 << 32
"""Most samples of a sound, which lies in a file if it is long."""

PARSER_ERRORS = (
    ArithmeticError,  # ZeroDivisionError, OverflowError: sizes of zero or beyond a C long
    AssertionError,
    AttributeError,  # Pillow and tifffile, on tags of the wrong type
    EOFError,
    LookupError,  # KeyError, IndexError: unknown codes and short tables
    MemoryError,
    OSError,  # Pillow's usual one
    RuntimeError,  # libsndfile, libavif, recursion
    SyntaxError,  # Pillow, for "broken PNG" and the like
    TypeError,
    zipfile.BadZipFile,
    ValueError,  # ours, tifffile's, numpy's, unicode
    struct.error,
    tokenize.TokenError,  # numpy, on headers as Python 2 wrote them
    zlib.error,
)
"""What our parsers, Pillow, tifffile, soundfile and PyAV raise on damaged files."""

_BARE = (AssertionError, AttributeError, LookupError, TypeError)
"""Errors whose text says nothing to a person."""


@contextmanager
def guarded(media_format: MediaFormat, notes: list[str]) -> Iterator[None]:
    """Run a parser of that format: its errors become SignalError, its warnings notes."""
    from PIL import Image

    with translated(media_format):
        try:
            with warnings.catch_warnings(record=True) as caught, _diverted(media_format, notes):
                warnings.simplefilter("always")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                yield
            notes.extend(one_line(str(warning.message)) for warning in caught)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise SignalError(f"image too large: {one_line(str(error))}") from None


@contextmanager
def translated(media_format: MediaFormat) -> Iterator[None]:
    """Errors of a parser of that format become SignalError."""
    foreign: tuple[type[Exception], ...] = (*PARSER_ERRORS, *_loaded_errors())
    try:
        yield
    except InrcodecError:
        raise
    except foreign as error:
        text = "" if isinstance(error, _BARE) else one_line(_said(error))
        message = f"damaged or unsupported {media_format.name} file"
        raise SignalError(f"{message}: {text}" if text else message) from None


@contextmanager
def named(name: str) -> Iterator[None]:
    """Put the name of the source before the message of a SignalError."""
    try:
        yield
    except SignalError as error:
        raise SignalError(f"cannot read {name}: {error}") from None


def check_size(width: int, height: int, channels: int) -> None:
    """Refuse, before allocation, images beyond Pillow's guard or the count of samples we read."""
    from PIL import Image

    most = Image.MAX_IMAGE_PIXELS
    if most is not None and width * height > most:
        raise SignalError(f"image of {width} x {height} pixels is over the limit of {most} pixels")
    if width * height * channels > MAX_SAMPLES:
        raise SignalError(f"image of {width} x {height} x {channels} samples is over {MAX_SAMPLES}")


def one_line(text: str) -> str:
    """At most 200 characters, without line breaks or the names of objects in memory."""
    return " ".join(re.sub(r"<[\w.]+ object at \w+>", "", text).split()).strip(": ")[:200]


def _loaded_errors() -> tuple[type[Exception], ...]:
    """Errors of tifffile and PyAV that derive from Exception; only what is loaded can raise one."""
    homes = (("tifffile", "TiffFileError"), ("av", "FFmpegError"))
    return tuple(getattr(sys.modules[home], name) for home, name in homes if sys.modules.get(home))


def _said(error: Exception) -> str:
    """The text of an error; PyAV's without the number, the name of our file object and the log."""
    text = getattr(error, "strerror", None) if hasattr(error, "log") else None
    return str(text or error)


@contextmanager
def _diverted(media_format: MediaFormat, notes: list[str]) -> Iterator[None]:
    """What tifffile logs goes to the notes; what libtiff and libmpg123 print goes nowhere."""
    logging.getLogger("tifffile").addFilter(_TIFFFILE)  # once, however often
    with (
        _TIFFFILE.into(notes),
        _muted() if media_format in (formats.TIFF, formats.MP3) else nullcontext(),
    ):
        yield


@contextmanager
def _muted() -> Iterator[None]:
    """Point file descriptor 2 elsewhere for a while."""
    try:
        saved = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)


class _Diversion(logging.Filter):
    """What is logged goes to the latest notes that are taken in the same thread, if there are any.

    Notes may end in any order: those of a generator that was left end when it is collected.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock, self._takers = RLock(), list[tuple[int, list[str]]]()

    @contextmanager
    def into(self, notes: list[str]) -> Iterator[None]:
        """Inside, it goes to these notes."""
        taker = get_ident(), notes
        with self._lock:
            self._takers.append(taker)
        try:
            yield
        finally:
            with self._lock:
                self._takers = [other for other in self._takers if other is not taker]

    def filter(self, record: logging.LogRecord) -> bool:
        here = [notes for thread, notes in self._takers if thread == get_ident()]
        if here and record.levelno >= logging.WARNING:
            message = one_line(record.getMessage())
            is_tag = "TiffTag" in message
            here[-1].append("damaged TIFF tags are dropped" if is_tag else message)
        return not here


_TIFFFILE: Final = _Diversion()
