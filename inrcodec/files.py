"""Whole files in and out: `-` is a pipe, and a file appears complete or not at all.

A device or a named pipe is written as it is, never replaced.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from inrcodec.errors import ConfigError, SignalError

__all__ = ["check_writable", "read_bytes", "replacing", "write_bytes", "writing"]


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file, or of standard input for `-`. Raises SignalError if there are none."""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except IsADirectoryError:
        raise SignalError(f"{path} is a folder, not a file") from None
    except OSError as error:
        raise SignalError(f"cannot read {path}: {error.strerror}") from None


def check_writable(path: str | Path, *, force: bool) -> None:
    """Refuse, before any work is done, an output that exists (unless `force`) or has no folder."""
    if str(path) == "-":
        return
    target = Path(path)
    if target.is_dir():
        raise ConfigError(f"output {path} is a folder")
    if _is_device(target):
        return
    if target.exists() and not force:
        raise ConfigError(f"output {path} exists; -f overwrites it")
    if not target.parent.is_dir():
        raise ConfigError(f"output folder {target.parent} does not exist")
    if not os.access(target.parent, os.W_OK):
        raise ConfigError(f"output folder {target.parent} is not writable")


def write_bytes(path: str | Path, data: bytes, *, force: bool = True) -> None:
    """Write a whole file by a temporary name in the same folder, or standard output for `-`.

    Raises ConfigError as `check_writable` does, and OSError when the disk does not take it; then
    nothing is left behind.
    """
    with writing(path, force=force) as file:
        file.write(data)


@contextmanager
def writing(path: str | Path, *, force: bool = True) -> Iterator[BinaryIO]:
    """An open file, as `write_bytes` writes it; standard output for `-`.

    Raises ConfigError as `check_writable` does.
    """
    check_writable(path, force=force)
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with replacing(path) as file:
        yield file


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """An open file that takes the place of `path` when the block is left without an error.

    Until then it has a temporary name in the same folder; after an error nothing is left behind.
    """
    target = Path(path)
    try:
        if _is_device(target):
            with target.open("wb") as device:
                yield device
        else:
            with _replacement(target.resolve()) as file:  # what a link points to, not the link
                yield file
    except OSError as error:  # name the output, not the temporary file
        raise OSError(error.errno, error.strerror, str(path)) from None


def _is_device(path: Path) -> bool:
    """Whether something stands there that is neither a file nor a folder."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def _replacement(target: Path) -> Iterator[BinaryIO]:
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".part"
    )
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
