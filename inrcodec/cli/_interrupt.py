"""Ctrl-C and SIGTERM: outside a fit they end the command, inside one they end the fit."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["EXIT_INTERRUPTED", "Interrupted", "ending_fit", "interruptible"]

EXIT_INTERRUPTED = 130
_ENDING = b"\ninrcodec: ending with what there is; once more to end at once\n"

_Handler = Callable[[int, FrameType | None], None]


class Interrupted(BaseException):
    """The command was asked to stop. Not an Exception, as KeyboardInterrupt is none."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM raise Interrupted."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    with _handling(stop):
        yield


@contextmanager
def ending_fit() -> Iterator[threading.Event]:
    """Inside, the first SIGINT or SIGTERM sets the event and says so; the next is Interrupted."""
    cancel = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            raise Interrupted
        cancel.set()
        if sys.stderr is not None:  # else 2 may be the number of any file
            with suppress(OSError):  # nobody may read it
                os.write(2, _ENDING)  # not by the stream, which may be in the middle of a line

    with _handling(stop):
        yield cancel


@contextmanager
def _handling(handler: _Handler) -> Iterator[None]:
    """Python lets only the main thread handle signals; in another one this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
