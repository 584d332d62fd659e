"""What fits change of their process while they run, one or several at once."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final, Generic, TypeVar

from inrcodec.kernels import native

__all__ = ["FREED_MEMORY_KEPT", "Shared"]

T = TypeVar("T")


class Shared(Generic[T]):
    """Something that holds while any fit runs: what the first one does, and the last one undoes."""

    def __init__(self, do: Callable[[], T], undo: Callable[[T], object]) -> None:
        self._do, self._undo = do, undo
        self._before: T | None = None
        self._lock, self._n_holders = Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if self._n_holders == 0:
                self._before = self._do()
            self._n_holders += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._n_holders -= 1
            if self._n_holders == 0 and self._before is not None:
                self._undo(self._before)


FREED_MEMORY_KEPT: Final = Shared(native.keep_freed_memory, lambda give_back: give_back())
"""Inside, memory that is freed stays with the process, where native code knows how.

Whatever the process had set of glibc's malloc is overwritten by that."""
