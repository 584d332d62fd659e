"""Ctrl-C and SIGTERM end a fit, not the file."""

import os
import signal

import numpy as np
import pytest

from inrcodec import media
from inrcodec.signal import Signal

LONG = ("--iters", 1_000_000)


@pytest.fixture
def large(tmp_path):
    """A picture whose fit would take far longer than the test."""
    samples = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    media.write(Signal.image(samples), tmp_path / "large.png")
    return tmp_path / "large.png"


def fitting(spawn, large, *arguments):
    """A process that has reported its first step: so its fit is under way."""
    process = spawn("encode", large, "-o", "large.inr", *LONG, *arguments)
    line = process.stderr.readline()
    assert line.startswith(b"large.png: "), line
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_the_best_so_far_and_gives_130(run, spawn, large, number):
    process = fitting(spawn, large)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.count(b"ending with what there is; once more to end at once") == 1
    assert b"interrupted; large.inr holds the best so far" in stderr
    assert run("verify", large.with_suffix(".inr")).code == 0


def test_the_next_input_is_not_begun_after_an_interrupt(spawn, large):
    process = spawn("encode", large, large.parent / "never.png", "-o", "out/", *LONG)
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"never.png" not in stderr
    assert [path.name for path in (large.parent / "out").iterdir()] == ["large.inr"]


def test_an_interrupt_ends_all_fits_that_are_side_by_side(spawn, large):
    paths = [large, large.with_name("b.png"), large.with_name("c.png")]
    for path in paths[1:]:
        path.write_bytes(large.read_bytes())
    process = spawn("encode", *paths, "-o", "out/", *LONG, "--jobs", 2)
    begun = {process.stderr.readline().split(b":")[0] for _ in range(2)}
    assert begun == {b"large.png", b"b.png"}
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert sorted(path.name for path in (large.parent / "out").iterdir()) == ["b.inr", "large.inr"]


def test_an_interrupt_before_the_fit_gives_130_and_no_file(spawn, tmp_path):
    source = tmp_path / "pipe.png"
    os.mkfifo(source)
    process = spawn("encode", source, "-o", "x.inr", *LONG)
    with source.open("wb"):  # opens when the command has begun to read
        process.send_signal(signal.SIGINT)
        stderr = process.stderr.read()
    assert process.wait(timeout=60) == 130
    assert stderr == b"inrcodec: interrupted; no unfinished output is left\n"
    assert list(tmp_path.iterdir()) == [source]
