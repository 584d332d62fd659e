"""Progress on stderr: lines in a log, a bar on a terminal, nothing when quiet."""

import math
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import inrcodec
from inrcodec.cli._progress import format_bytes, format_seconds, watching
from inrcodec.representations.base import Step


def step(fraction: float) -> Step:
    return Step(
        iteration=int(fraction * 100),
        fraction=fraction,
        psnr_db=31.25,
        n_bytes=24_900.0,
        seconds_left=187.0,
    )


def test_a_log_gets_its_first_line_at_once_and_the_next_seconds_later(capsys):
    with watching("a.png", quiet=False) as watch:
        for percent in range(100):
            watch(step(percent / 100))
    assert capsys.readouterr().err == "a.png:   0%, 31.25 dB, about 24.9 KB\n"


def test_a_line_says_how_long_it_will_take(capsys):
    with watching("a.png", quiet=False) as watch:
        watch(step(0.4))
    assert capsys.readouterr().err == "a.png:  40%, 31.25 dB, about 24.9 KB, 3:07 left\n"


def test_quiet_watches_nothing():
    with watching("a.png", quiet=True) as watch:
        assert watch is None


def test_a_terminal_gets_a_bar(photo, tmp_path):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(inrcodec.__file__).parents[1])}
    environment["COLUMNS"] = "120"
    command = [sys.executable, "-m", "inrcodec", "encode", photo, "-o", "x.inr", "--iters", "50"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=theirs, stderr=theirs
    ) as it:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    assert it.returncode == 0
    assert b"photo.png" in shown
    assert b"100%" in shown
    assert b"dB" in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # Linux, when the other side is closed
        return b""


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(812, "812 B"), (24_900, "24.9 KB"), (1_300_000, "1.3 MB"), (math.inf, "?")],
)
def test_bytes_are_rounded_for_people(n_bytes, text):
    assert format_bytes(n_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (7.2, "8 s"), (187, "3:07"), (3600, "1:00:00"), (math.inf, "?"), (-1, "0 s")],
)
def test_seconds_are_rounded_up_for_people(seconds, text):
    assert format_seconds(seconds) == text
