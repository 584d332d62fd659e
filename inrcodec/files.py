"""Whole files in and out: `-` is a pipe, and a file appears complete or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from inrcodec.errors import ConfigError, SignalError

__all__ = ["check_writable", "read_bytes", "write_bytes"]


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file, or of standard input for `-`. Raises SignalError if it cannot be read."""
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
    if target.exists() and not force:
        raise ConfigError(f"output {path} exists; -f overwrites it")
    if not target.parent.is_dir():
        raise ConfigError(f"output folder {target.parent} does not exist")


def write_bytes(path: str | Path, data: bytes, *, force: bool = True) -> None:
    """Write a whole file through a temporary name in the same folder, or to standard output for `-`.

    Raises ConfigError as `check_writable` does, and OSError when the disk does not take it; then
    nothing is left behind.
    """
    check_writable(path, force=force)
    if str(path) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
