"""How far a fit is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inrcodec.representations.base import Step, Watch

__all__ = ["format_bytes", "format_seconds", "hidden_bars", "watching"]

_SECONDS_BETWEEN_LINES = 5.0
_FRACTION_OF_A_GUESS = 0.01  # before that the pace says nothing of the time left


@contextmanager
def watching(name: str, *, quiet: bool) -> Iterator[Watch | None]:
    """A function to be told of a fit's steps, or None if nothing is to be shown."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _BARS.bar(name) as watch:
            yield watch
    else:
        yield _lines(name)


def format_bytes(n_bytes: float) -> str:
    """'812 B', '24.9 KB', '1.3 MB'; '?' when unknown."""
    if not math.isfinite(n_bytes):
        return "?"
    for unit, size in (("MB", 1e6), ("KB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes:.0f} B"


def format_seconds(seconds: float) -> str:
    """'8 s', '3:07', '1:00:00'; '?' when unknown."""
    if not math.isfinite(seconds):
        return "?"
    whole = math.ceil(max(seconds, 0.0))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _state(step: Step) -> str:
    quality = f"{step.psnr_db:.2f} dB" if math.isfinite(step.psnr_db) else "? dB"
    state = f"{quality}, about {format_bytes(step.n_bytes)}"
    if step.fraction < _FRACTION_OF_A_GUESS:
        return state
    return f"{state}, {format_seconds(step.seconds_left)} left"


def _lines(name: str) -> Watch:
    last = -math.inf

    def watch(step: Step) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            sys.stderr.write(f"{name}: {step.fraction:4.0%}, {_state(step)}\n")
            sys.stderr.flush()

    return watch


class _Bars:
    """The bars of all fits that go on, one below the other; no two may be shown by themselves."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._shown: Any = None  # rich is imported when there is something to show
        self._n_tasks = 0

    @contextmanager
    def bar(self, name: str) -> Iterator[Watch]:
        from rich.markup import escape

        with self._lock:
            if self._shown is None:
                self._shown = _new_progress()
                self._shown.start()
            self._n_tasks += 1
            progress = self._shown
            task = progress.add_task(escape(name), total=1.0, state="")

        def watch(step: Step) -> None:
            progress.update(task, completed=step.fraction, state=_state(step))

        try:
            yield watch
        finally:
            with self._lock:
                self._n_tasks -= 1
                if self._n_tasks == 0:
                    progress.stop()  # which shows the end of the last fit before it clears
                    self._shown = None
                else:
                    progress.remove_task(task)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        with self._lock:
            if self._shown is not None:
                self._shown.stop()
            try:
                yield
            finally:
                if self._shown is not None:
                    self._shown.start()


_BARS = _Bars()


@contextmanager
def hidden_bars() -> Iterator[None]:
    """Inside, no bar is on the terminal, so that a line can be written there."""
    with _BARS.hidden():
        yield


def _new_progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}"),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
