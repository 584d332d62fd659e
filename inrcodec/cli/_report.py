"""What a command tells its caller: results on stdout, everything else on stderr, and exit codes."""

from __future__ import annotations

import json
import math
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO, TypeVar

from inrcodec.cli._interrupt import EXIT_INTERRUPTED, ending_fit
from inrcodec.cli._progress import hidden_bars
from inrcodec.errors import InrcodecError

__all__ = [
    "EXIT_FAILED",
    "Report",
    "fail",
    "first_failure",
    "first_failure_of_many",
    "one_line_warnings",
    "say",
]

EXIT_FAILED = 1

_Job = TypeVar("_Job")


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """How results are shown. `stdout_taken`: by the output itself, so that they go to stderr."""

    quiet: bool = False
    as_json: bool = False
    stdout_taken: bool = False

    @property
    def silent(self) -> bool:
        """Whether progress is out of place: unwanted, or where JSON is to be read from."""
        return self.quiet or (self.as_json and self.stdout_taken)

    def show(self, fields: Mapping[str, object], text: str) -> None:
        """The fields as one line of JSON, else the text unless the command is quiet."""
        stream = sys.stderr if self.stdout_taken else sys.stdout
        if self.as_json:
            _write_line(stream, json.dumps(_finite(fields), allow_nan=False))
        elif not self.quiet:
            _write_line(stream, text)


def say(message: str) -> None:
    """One line on stderr under the program's name."""
    _write_line(sys.stderr, f"inrcodec: {' '.join(message.split())}")


def fail(error: InrcodecError | OSError | MemoryError, *, name: str = "") -> int:
    """Say what went wrong, with the name of the input unless the message has one; the exit code."""
    message = _message(error)
    named = name in message or isinstance(error, OSError)
    say(message if named else f"{name}: {message}")
    return error.exit_code if isinstance(error, InrcodecError) else EXIT_FAILED


def first_failure(
    jobs: Iterable[_Job], work: Callable[[_Job], int], name: Callable[[_Job], str]
) -> int:
    """Do every job, one's error not stopping the others; the exit code of the first that failed.

    An interrupted job ends it all.
    """
    codes = []
    for job in jobs:
        code = _code_of(job, work, name)
        if code == EXIT_INTERRUPTED:
            return code
        codes.append(code)
    return next((code for code in codes if code), 0)


def first_failure_of_many(
    jobs: Iterable[_Job],
    work: Callable[[_Job, threading.Event], int],
    name: Callable[[_Job], str],
    *,
    at_once: int,
) -> int:
    """The same with so many jobs at a time, each told of the event that is to end it."""
    with ending_fit() as cancel, ThreadPoolExecutor(at_once) as pool:

        def work_unless_ended(job: _Job) -> int:
            return EXIT_INTERRUPTED if cancel.is_set() else work(job, cancel)

        codes = list(pool.map(lambda job: _code_of(job, work_unless_ended, name), jobs))
    if EXIT_INTERRUPTED in codes:
        return EXIT_INTERRUPTED
    return next((code for code in codes if code), 0)


def _code_of(job: _Job, work: Callable[[_Job], int], name: Callable[[_Job], str]) -> int:
    try:
        return work(job)
    except BrokenPipeError:
        raise
    except (InrcodecError, OSError, MemoryError) as error:
        return fail(error, name=name(job))


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Inside, a warning is one line on stderr, without file and line of the code."""

    def show(message: Warning | str, *_where: object, **_more: object) -> None:
        say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.filterwarnings("default", category=UserWarning)
        warnings.showwarning = show
        yield


def _message(error: InrcodecError | OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror.lower()}"
    return str(error)


def _finite(value: object) -> object:
    """JSON has no infinity and no NaN: null stands for them."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write_line(stream: TextIO, line: str) -> None:
    """What the stream's encoding lacks, as bytes of a file name that are not UTF-8, is escaped."""
    encoding = stream.encoding or "utf-8"
    with hidden_bars():
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
