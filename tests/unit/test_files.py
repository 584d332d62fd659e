"""Whole files in and out: complete or not there at all, and every refusal in one line."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from pathlib import Path

import pytest

from inrcodec.errors import ConfigError, SignalError
from inrcodec.files import check_writable, read_bytes, write_bytes


def test_bytes_survive_a_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "x.inr", b"\x89\r\n\0")
    assert read_bytes(tmp_path / "x.inr") == b"\x89\r\n\0"
    assert [path.name for path in tmp_path.iterdir()] == ["x.inr"]


def test_a_dash_is_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\r\n\xff")))
    assert read_bytes("-") == b"\r\n\xff"
    write_bytes("-", b"\n\xfe")
    assert capfdbinary.readouterr().out == b"\n\xfe"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SignalError, match=r"nowhere\.png: No such file"):
        read_bytes(tmp_path / "nowhere.png")
    with pytest.raises(SignalError, match="is a folder"):
        read_bytes(tmp_path)


def test_an_existing_output_is_refused_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "x.inr"
    target.write_bytes(b"old")
    with pytest.raises(ConfigError, match="exists"):
        write_bytes(target, b"new", force=False)
    assert target.read_bytes() == b"old"
    write_bytes(target, b"new", force=True)
    assert target.read_bytes() == b"new"


def test_outputs_without_a_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        check_writable(tmp_path, force=True)
    with pytest.raises(ConfigError, match=r"folder .*missing does not exist"):
        check_writable(tmp_path / "missing" / "x.inr", force=True)
    check_writable("-", force=False)


def test_a_full_disk_leaves_nothing_and_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.inr"
    target.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes(target, b"new")
    assert caught.value.filename == str(target)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.inr"]


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "x.inr", b"new")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX")
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "ours", b"")
    (tmp_path / "usual").write_bytes(b"")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_long_name_still_finds_a_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 250 + ".inr")
    write_bytes(target, b"data")
    assert target.read_bytes() == b"data"


def test_a_long_name_of_wide_letters_still_finds_a_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / ("音" * 80 + ".inr")
    write_bytes(target, b"data")
    assert target.read_bytes() == b"data"


@pytest.mark.skipif(os.name != "posix", reason="links need no rights on POSIX")
def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "real.inr", tmp_path / "link.inr"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_named_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_bytes(pipe, b"data")
        assert os.read(reader, 10) == b"data"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
