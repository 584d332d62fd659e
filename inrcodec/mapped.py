"""Samples that lie in a file rather than in memory: those of long sounds.

They are arrays as any other. What was read of one stays in memory, as long as there is room for
it, until it is let go.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import SignalError

__all__ = ["Mapped", "gathered", "let_go", "map_file", "runs"]

_MOST_IN_MEMORY = 1 << 26  # bytes
_RUN = 1 << 22  # samples


class Mapped(mmap.mmap):
    """A file as bytes: a temporary one, or one that is only read; letting go of it loses nothing.

    `path` is its name, if it has one.
    """

    path: Path | None = None

    def open(self) -> BinaryIO:
        """The file again. OSError if it is gone by now."""
        assert self.path is not None, "a temporary file has no name"
        return self.path.open("rb")

    def let_go(self) -> None:
        """Take what was read or written out of memory; it stays in the file."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.madvise(mmap.MADV_DONTNEED)


def map_file(path: Path) -> Mapped:
    """The bytes of a file that is not empty, to be read."""
    with path.open("rb") as file:
        data = Mapped(file.fileno(), 0, access=mmap.ACCESS_READ)
    data.path = path
    return data


def gathered(blocks: Iterable[NDArray[np.generic]]) -> NDArray[np.generic]:
    """Blocks [n, ...], one at least, one after another, as one array.

    If they are many, it lies in a temporary file that goes with the last reference to it. Raises
    SignalError if there is no room for that.
    """
    known: list[NDArray[np.generic]] = []
    n_bytes = 0
    rest = iter(blocks)
    for block in rest:
        known.append(block)
        n_bytes += block.nbytes
        if n_bytes > _MOST_IN_MEMORY:
            return _in_file(known, rest)
    return np.concatenate(known)


def _in_file(
    known: list[NDArray[np.generic]], rest: Iterable[NDArray[np.generic]]
) -> NDArray[np.generic]:
    first = known[0]
    with _told():
        file = tempfile.TemporaryFile(prefix="inrcodec-")  # noqa: SIM115
    with file:
        for blocks in (known, rest):
            for block in blocks:
                with _told():
                    file.write(np.ascontiguousarray(block, first.dtype).data)
                    file.flush()
            known.clear()
        with _told():
            data = Mapped(file.fileno(), 0, access=mmap.ACCESS_WRITE)
    return np.frombuffer(data, first.dtype).reshape(-1, *first.shape[1:])


@contextmanager
def _told() -> Iterator[None]:
    """What the system says of a temporary file, in one line."""
    try:
        yield
    except OSError as error:
        raise SignalError(f"no temporary file for a long sound: {error.strerror}") from None


def runs(samples: NDArray[np.generic]) -> Iterator[NDArray[np.generic]]:
    """An array [n, ...], not empty, some rows at a time, which are let go for the next."""
    n_rows = max(1, _RUN * len(samples) // samples.size)
    for start in range(0, len(samples), n_rows):
        yield samples[start : start + n_rows]
        let_go(samples)


def let_go(samples: NDArray[np.generic]) -> None:
    """Take what was read of an array, or of the one that it is a part of, out of memory.

    Does nothing to arrays that do not lie in a file of this module.
    """
    holder: object = samples
    while isinstance(holder, np.ndarray):
        holder = holder.base
    if isinstance(holder, memoryview):
        holder = holder.obj
    if isinstance(holder, Mapped):
        holder.let_go()
