"""The fence around the libraries that parse foreign bytes.

Whatever they raise on hostile bytes becomes a SignalError of one line, and whatever they warn of or
log joins the notes from which `read` and `write` make their one warning.
"""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from inrcodec.errors import InrcodecError, SignalError

__all__ = ["PARSER_ERRORS", "guarded"]

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
    ValueError,  # tifffile, numpy, unicode
    struct.error,
    zlib.error,
)
"""What Pillow, tifffile, pypng and soundfile were seen to raise on damaged files."""


@contextmanager
def guarded(name: str, notes: list[str]) -> Iterator[None]:
    """Run a parser on the bytes of `name`: errors become SignalError, warnings become notes."""
    from PIL import Image

    handler = _NoteHandler(notes)
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
        notes.extend(_one_line(str(warning.message)) for warning in caught)
    except InrcodecError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise SignalError(f"{name} is too large: {_one_line(str(error))}") from None
    except (*PARSER_ERRORS, *_foreign_errors()) as error:
        raise SignalError(
            f"cannot read {name}: {_one_line(str(error)) or type(error).__name__}"
        ) from None
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _foreign_errors() -> tuple[type[Exception], ...]:
    """The libraries' own exceptions that derive from Exception directly."""
    import png
    from tifffile import TiffFileError

    return png.Error, TiffFileError


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


class _NoteHandler(logging.Handler):
    """Collects what tifffile logs, which would otherwise go to stderr."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        self.notes.append(_one_line(record.getMessage()))
