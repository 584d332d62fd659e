"""How far a fit is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inrcodec.representations.base import Step, Watch

__all__ = ["format_bytes", "format_seconds", "watching"]

_SECONDS_BETWEEN_LINES = 5.0
_FRACTION_OF_A_GUESS = 0.01  # before that the pace says nothing of the time left


@contextmanager
def watching(name: str, *, quiet: bool) -> Iterator[Watch | None]:
    """A function to be told of a fit's steps, or None if nothing is to be shown."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar(name) as watch:
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


@contextmanager
def _bar(name: str) -> Iterator[Watch]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(escape(name), total=1.0, state="")

        def watch(step: Step) -> None:
            progress.update(task, completed=step.fraction, state=_state(step))

        yield watch
