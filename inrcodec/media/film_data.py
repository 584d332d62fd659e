"""The bytes of a film, which are opened again for every pass over its frames."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from inrcodec.errors import SignalError

__all__ = ["FilmData"]


@dataclass(frozen=True, slots=True)
class FilmData:
    """`open` gives a file that can be sought in; `close` removes what is held beside the source."""

    open: Callable[[], BinaryIO]
    close: Callable[[], None]

    @staticmethod
    def of(source: str | Path | bytes) -> FilmData:
        """A file, `-` for standard input, or bytes; a pipe is copied to a temporary file.

        Raises SignalError for what cannot be read.
        """
        if isinstance(source, bytes):
            return FilmData(lambda: io.BytesIO(source), lambda: None)
        try:
            if str(source) == "-":
                return _copied(sys.stdin.buffer)
            path = Path(source)
            with path.open("rb") as file:
                return (
                    FilmData(lambda: path.open("rb"), lambda: None)
                    if path.is_file()
                    else (_copied(file))
                )
        except IsADirectoryError:
            raise SignalError("it is a folder, not a file") from None
        except OSError as error:
            raise SignalError(str(error.strerror)) from None


def _copied(pipe: BinaryIO) -> FilmData:
    copy = tempfile.NamedTemporaryFile(prefix="inrcodec-", suffix=".film")  # noqa: SIM115
    shutil.copyfileobj(pipe, copy)
    copy.flush()
    return FilmData(lambda: Path(copy.name).open("rb"), copy.close)
