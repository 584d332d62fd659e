"""Measure the memory and the time that encoding, decoding and measuring long sounds takes.

    python scripts/sound_memory.py SOUNDS --work FOLDER --seconds 60 600 3600 \
        --targets kbps=64 snr=20 --rows data/bench/sound_memory.csv

SOUNDS is a folder of sounds; the long ones are made of them, one after another in any order, each
as loud as chance has it, in 16-bit stereo at 44.1 kHz. Every work is a command of its own, whose
peak of resident memory is what the system says of it when it has ended. FOLDER needs room for three
times the longest sound. Not for Windows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rows import Origin, append, now

from inrcodec import media
from inrcodec.signal import Signal

RATE = 44100
MOST_SECONDS = 30  # of one sound after another
QUIETEST_DB = -18.0
UNIT_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024

Samples = NDArray[np.generic]


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundMemoryRow:
    """One command. `real_time` is seconds of sound for each second that it took."""

    work: str
    sound_seconds: float
    target: str
    peak_mib: float
    seconds: float
    real_time: float
    n_bytes: int
    kbps: float
    snr_db: float | None
    threads: str
    date: str
    commit: str
    machine: str
    command: str


def main() -> None:
    """Make the sounds, run the commands, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 600.0, 3600.0])
    parser.add_argument("--targets", nargs="+", default=["kbps=64"], help="as in kbps=64")
    parser.add_argument("--rows", type=Path, required=True, help="CSV to add to")
    options = parser.parse_args()
    origin = Origin.here({options.sounds: "SOUNDS", options.work: "FOLDER"})
    clips = [stereo(media.read(path)) for path in sorted(options.sounds.iterdir())]
    for seconds in options.seconds:
        source = options.work / f"sound_{seconds:g}.wav"
        write(source, clips, round(seconds * RATE))
        for target in options.targets:
            for row in works(source, seconds, target, origin):
                append(options.rows, row)
                print(f"{row.work} {seconds:g} s, {target}: {row.peak_mib} MiB, {row.seconds} s")


def stereo(signal: Signal) -> Samples:
    """Some of a sound as floats [frames, 2] at 44.1 kHz."""
    spec = signal.spec
    values = spec.to_unit(signal.samples).astype(np.float64) * 2.0 - 1.0
    n_frames = min(round(spec.grid[0] * RATE / (spec.sample_rate or RATE)), MOST_SECONDS * RATE)
    times = np.arange(n_frames) * (spec.sample_rate or RATE) / RATE
    places = np.arange(spec.grid[0])
    channels = (0, min(1, spec.channels - 1))
    return np.stack([np.interp(times, places, values[:, c]) for c in channels], axis=1)


def write(path: Path, clips: list[Samples], n_frames: int) -> None:
    """A sound of so many frames, the same each time."""
    spec = Signal.audio(np.zeros((1, 2), np.int16), RATE).spec
    media.write_sound(path, replace(spec, grid=(n_frames,)), blocks(clips, n_frames))


def blocks(clips: list[Samples], n_frames: int) -> Iterator[Samples]:
    """The samples, a clip at a time."""
    rng = np.random.default_rng(0)
    while n_frames > 0:
        gain = 10.0 ** (rng.uniform(QUIETEST_DB, 0.0) / 20.0)
        clip = clips[rng.integers(len(clips))][:n_frames]
        yield np.rint(32767.0 * np.clip(gain * clip, -1.0, 1.0)).astype(np.int16)
        n_frames -= len(clip)


def works(
    source: Path, sound_seconds: float, target: str, origin: Origin
) -> Iterator[SoundMemoryRow]:
    """The rows of a sound and a target."""
    measure, value = target.split("=")
    stream, back = source.with_suffix(".inr"), source.with_suffix(".back.wav")
    lines = {
        "encode": ["encode", str(source), "-o", str(stream), f"--{measure}", value],
        "decode": ["decode", str(stream), "-o", str(back)],
        "eval": ["eval", str(source), str(stream)],
    }
    for work, line in lines.items():
        force = [] if work == "eval" else ["-f"]
        peak_mib, seconds, told = run([*line, *force, "--quiet", "--json"])
        n_bytes = stream.stat().st_size
        yield SoundMemoryRow(
            work=work,
            sound_seconds=sound_seconds,
            target=target,
            peak_mib=peak_mib,
            seconds=round(seconds, 1),
            real_time=round(sound_seconds / seconds, 2),
            n_bytes=n_bytes,
            kbps=round(8e-3 * n_bytes / sound_seconds, 2),
            snr_db=told.get("snr_db"),
            threads=os.environ.get("INRCODEC_THREADS", "all"),
            date=now(),
            **origin._asdict(),
        )


def run(words: list[str]) -> tuple[float, float, dict[str, float]]:
    """The most memory of a command in MiB, its seconds, and what it tells."""
    began = time.monotonic()
    line = [sys.executable, "-m", "inrcodec", *words]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 5):
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    peak_mib = round(usage.ru_maxrss * UNIT_OF_MAXRSS / 2**20, 1)
    return peak_mib, time.monotonic() - began, json.loads(told)


if __name__ == "__main__":
    main()
