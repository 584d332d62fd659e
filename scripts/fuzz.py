"""Decodes damaged copies of streams and looks for anything but a BitstreamError or a Signal.

    python scripts/fuzz.py FILE... --runs N --seed S [--seconds 5] [--memory 1024] [--save DIR]

Bytes are cut, changed, inserted and spliced, half of the time inside the sections, with checksums
made right again, and within groups of frames their lengths too. Every run decodes with small
DecodeLimits, a film also frame by frame, in a child process that may take --seconds and --memory
MiB more than at its start. Bytes with another outcome are saved in --save. Exits 1 if there were
any. The same seed gives the same bytes. Needs a POSIX system.
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import resource
import signal
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from inrcodec import codec
from inrcodec.container import ByteReader, DecodeLimits, Group
from inrcodec.errors import BitstreamError
from inrcodec.reader import Reader
from inrcodec.signal import Kind, Signal

LIMITS = DecodeLimits(
    max_bytes=1 << 16,
    max_samples=1 << 13,
    max_channels=16,
    max_parameters=1 << 13,
    max_metadata_bytes=1 << 16,
    max_macs=1 << 22,
)
MAGIC_AND_VERSION = 5
LAST = 0x80
GROUP = 4
NUMBERS = (0, 1, 2, 3, 7, 63, 64, 127, 128, 255, 1 << 14, 1 << 16, 1 << 22, 1 << 24, (1 << 32) - 1)
MAX_FAILURES = 20
POLL_SECONDS = 0.02
TELL_SECONDS = 10.0


def main() -> int:
    """Fuzz every file of the command line in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--runs", type=int, default=20_000, help="for each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one run")
    parser.add_argument("--memory", type=int, default=1024, help="MiB of all runs")
    parser.add_argument("--save", type=Path, default=Path("fuzz-failures"), metavar="DIR")
    options = parser.parse_args()
    contents = [path.read_bytes() for path in options.files]
    failures = 0
    for path, data in zip(options.files, contents, strict=True):
        mutator = Mutator(data, contents, f"{options.seed}/{path.name}")
        failures += Hunt(path, mutator, options).run()
    return 1 if failures else 0


# --- damage --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mutator:
    """Damaged copies of one stream; the others lend their bytes."""

    data: bytes
    others: Sequence[bytes]
    seed: str

    def mutant(self, run: int) -> bytes:
        """The bytes of one run, the same for the same seed."""
        chance = random.Random(f"{self.seed}/{run}")
        other = chance.choice(self.others)
        if chance.random() < 0.25:
            return changed(self.data, other, chance)
        sections = split(self.data)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            change_sections(sections, split(other), chance)
        data = joined(self.data[:MAGIC_AND_VERSION], sections)
        return changed(data, other, chance) if chance.random() < 0.05 else data


def changed(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Bytes after one to four changes that know nothing of the format."""
    edited = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        chance.choice(EDITS)(edited, other, chance)
    return bytes(edited)


def cut_off(data: bytearray, other: bytes, chance: random.Random) -> None:
    """Lose the end."""
    del data[chance.randrange(len(data) + 1) :]


def cut_out(data: bytearray, other: bytes, chance: random.Random) -> None:
    """Lose a few bytes."""
    at = chance.randrange(len(data) + 1)
    del data[at : at + chance.randint(1, 8)]


def flip_bit(data: bytearray, other: bytes, chance: random.Random) -> None:
    """Change a bit."""
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def set_byte(data: bytearray, other: bytes, chance: random.Random) -> None:
    """Change a byte to any or to one at an end of its range."""
    if data:
        value = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        data[chance.randrange(len(data))] = value


def insert(data: bytearray, other: bytes, chance: random.Random) -> None:
    """Insert random bytes."""
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.randbytes(chance.randint(1, 8))


def repeat(data: bytearray, other: bytes, chance: random.Random) -> None:
    """Insert a copy of some bytes."""
    start, at = chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)
    data[at:at] = data[start : start + chance.randint(1, 64)]


def splice(data: bytearray, other: bytes, chance: random.Random) -> None:
    """Go on with another's bytes from some point on."""
    at = chance.randrange(len(data) + 1)
    data[at:] = other[chance.randrange(len(other) + 1) :] if chance.random() < 0.5 else other[at:]


def set_number(data: bytearray, other: bytes, chance: random.Random) -> None:
    """Put a number with a meaning for varints in place of a byte."""
    at = chance.randrange(len(data) + 1)
    data[at : at + 1] = varint(chance.choice((*NUMBERS, chance.getrandbits(32))))


def set_words(data: bytearray, other: bytes, chance: random.Random) -> None:
    """Put whole 32-bit words at a place of one."""
    at = chance.randrange(len(data) // 4 + 1) * 4
    word = chance.choice((b"\0" * 4, b"\xff" * 4, chance.randbytes(4)))
    data[at : at + chance.choice((0, 4))] = word


Edit = Callable[[bytearray, bytes, random.Random], None]
EDITS: tuple[Edit, ...] = (
    cut_off, cut_out, flip_bit, set_byte, insert, repeat, splice, set_number, set_words,
)  # fmt: skip

Section = tuple[int, bytes]


def change_sections(sections: list[Section], others: list[Section], chance: random.Random) -> None:
    """One change to a list of tags and payloads."""
    at = chance.randrange(len(sections))
    tag, payload = sections[at]
    what = chance.random()
    if what < 0.8:
        same = [theirs for key, theirs in others if key & ~LAST == tag & ~LAST]
        change = group_changed if tag & ~LAST == GROUP and chance.random() < 0.8 else edited_once
        sections[at] = tag, change(payload, same[0] if same else payload, chance)
    elif what < 0.86:
        sections[at] = (
            chance.choice((tag ^ 1 << chance.randrange(8), chance.randrange(256))),
            payload,
        )
    elif what < 0.90 and len(sections) > 1:
        del sections[at]
    elif what < 0.94:
        sections.insert(chance.randrange(len(sections) + 1), chance.choice(sections + others))
    elif what < 0.97:
        metadata = chance.randbytes(8) + bytes(chance.choice((0, 1, 100, 1 << 15, 1 << 17)))
        sections.insert(at, (0x40 | chance.choice((16, 17, 18)), zlib.compress(metadata)))
    else:
        chance.shuffle(sections)


def edited_once(payload: bytes, other: bytes, chance: random.Random) -> bytes:
    """Bytes after one change that knows nothing of the format."""
    edited = bytearray(payload)
    chance.choice(EDITS)(edited, other, chance)
    return bytes(edited)


def group_changed(payload: bytes, other: bytes, chance: random.Random) -> bytes:
    """A GROUP after a change of its frames, its flags, its MODEL or its SYMBOLS."""
    try:
        group, lender = (Group.read(ByteReader(data)) for data in (payload, other))
    except BitstreamError:  # damaged before
        return edited_once(payload, other, chance)
    what = chance.random()
    if what < 0.1:
        return group._replace(n_frames=chance.choice(NUMBERS)).to_bytes()
    if what < 0.2:
        return group._replace(predicted=not group.predicted).to_bytes()
    key = chance.choice(tuple(group.sections))
    part = edited_once(group.sections[key], lender.sections[key], chance)
    return group._replace(sections={**group.sections, key: part}).to_bytes()


def split(data: bytes) -> list[Section]:
    """Tag and payload of each section of a sound stream."""
    sections, at = [], MAGIC_AND_VERSION
    while at < len(data):
        tag, length, shift = data[at], 0, 0
        while True:
            at += 1
            length |= (data[at] & 0x7F) << shift
            shift += 7
            if data[at] < 0x80:
                break
        sections.append((tag, data[at + 1 : at + 1 + length]))
        at += 1 + length + 4
    return sections


def joined(start: bytes, sections: Sequence[Section]) -> bytes:
    """A stream with right lengths and checksums, its last section marked."""
    frames = [start]
    for number, (tag, payload) in enumerate(sections):
        tag = tag & ~LAST | (LAST if number == len(sections) - 1 else 0)
        body = bytes([tag]) + varint(len(payload)) + payload
        frames += [body, zlib.crc32(body).to_bytes(4, "little")]
    return b"".join(frames)


def varint(value: int) -> bytes:
    """A number as a stream holds it."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


# --- search --------------------------------------------------------------------------------------

RUN, BEGAN, SIGNALS, ERRORS, FAILURES, SLOWEST = range(6)
BOARD_BYTES = 6 * 8


class Hunt:
    """All runs on one file. A child decodes; the board tells its parent how far it has come."""

    def __init__(self, path: Path, mutator: Mutator, options: argparse.Namespace) -> None:
        self._path, self._mutator, self._options = path, mutator, options
        self._board = memoryview(mmap.mmap(-1, BOARD_BYTES)).cast("q")
        self._started = self._told = time.monotonic()

    def run(self) -> int:
        """Number of undocumented outcomes. A child that dies or hangs is followed by another."""
        first = 0
        while first < self._options.runs and self._board[FAILURES] < MAX_FAILURES:
            self._board[RUN], self._board[BEGAN] = first, time.monotonic_ns()
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                self._decode_all(first)
            first = self._watch(child)
        self._tell()
        return int(self._board[FAILURES])

    # --- the child -------------------------------------------------------------------------------

    def _decode_all(self, first: int) -> NoReturn:
        allow_memory(self._options.memory << 20)
        warnings.simplefilter("error")
        for run in range(first, self._options.runs):
            data = self._mutator.mutant(run)
            self._board[RUN], self._board[BEGAN] = run, time.monotonic_ns()
            what, problem = outcome_of(data)
            took = time.monotonic_ns() - self._board[BEGAN]
            self._board[what] += 1
            self._board[SLOWEST] = max(self._board[SLOWEST], took)
            if took > self._options.seconds * 1e9:
                problem = f"took {took / 1e9:.2f} s"
            if problem:
                self._report(run, problem)
            if self._board[FAILURES] == MAX_FAILURES:
                break
        os._exit(0)

    # --- the parent ------------------------------------------------------------------------------

    def _watch(self, child: int) -> int:
        """The run to go on with, after the child has ended or was ended."""
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended and status == 0:
                return int(self._options.runs)
            if ended:
                self._report(self._board[RUN], f"the process died with status {status}")
                return int(self._board[RUN]) + 1
            if time.monotonic_ns() - self._board[BEGAN] > (self._options.seconds + 5.0) * 1e9:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                self._report(self._board[RUN], f"no answer in {self._options.seconds + 5.0} s")
                return int(self._board[RUN]) + 1
            if time.monotonic() - self._told > TELL_SECONDS:
                self._tell()
            time.sleep(POLL_SECONDS)

    def _tell(self) -> None:
        """One line of progress."""
        self._told = time.monotonic()
        runs = self._board[RUN] + 1
        print(
            f"{self._path.name}: {runs} runs, {runs / (self._told - self._started):.0f} a second: "
            f"{self._board[SIGNALS]} signals, {self._board[ERRORS]} errors, "
            f"{self._board[FAILURES]} failures; slowest {self._board[SLOWEST] / 1e6:.0f} ms",
            flush=True,
        )

    def _report(self, run: int, problem: str) -> None:
        """Save the bytes of a run and say what happened."""
        self._board[FAILURES] += 1
        data = self._mutator.mutant(run)
        self._options.save.mkdir(parents=True, exist_ok=True)
        path = self._options.save / f"{self._path.stem}-{self._options.seed}-{run}.inr"
        path.write_bytes(data)
        print(f"{path}: {problem}", flush=True)


def outcome_of(data: bytes) -> tuple[int, str]:
    """SIGNALS or ERRORS, and what is wrong about it, if anything."""
    try:
        decoded = codec.decode(data, limits=LIMITS)
        if decoded.spec.kind is Kind.VIDEO:
            read_frame_by_frame(data)
    except BitstreamError as error:
        return ERRORS, "" if str(error).isprintable() else f"message {str(error)!r}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # panics of native code are no Exceptions
        return ERRORS, f"{type(error).__name__}: {error}"
    return SIGNALS, problem_of(decoded)


def read_frame_by_frame(data: bytes) -> None:
    """What a player does with a film that decodes: its groups in order, and again from the last."""
    reader = Reader(data, limits=LIMITS)
    n_frames = sum(len(part.samples) for part in reader.film(n_frames=1))
    assert n_frames == reader.shape[0], f"{n_frames} frames are not {reader.shape[0]}"
    assert reader.cost.n_parameters <= LIMITS.max_parameters
    assert reader.seconds is not None
    reader[-1], reader[0]


def problem_of(decoded: Signal) -> str:
    """What is wrong about a signal, if anything."""
    samples, metadata = decoded.samples, decoded.metadata
    carried = sum(len(part or b"") for part in (metadata.icc, metadata.exif, metadata.xmp))
    if samples.size > LIMITS.max_samples or decoded.spec.channels > LIMITS.max_channels:
        return f"samples {samples.shape} are over the limits"
    if carried > LIMITS.max_metadata_bytes:
        return f"{carried} bytes of metadata are over the limit"
    gaps = False if decoded.mask is None else decoded.mask  # NaN, and nothing else is
    sound = (np.isfinite(samples) != gaps).all() and np.isnan(samples[~np.isfinite(samples)]).all()
    return "" if sound else "samples are not finite"


def allow_memory(n_bytes: int) -> None:
    """Limit the address space of this process to what it has and n_bytes more."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + n_bytes, now + n_bytes))


if __name__ == "__main__":
    sys.exit(main())
