"""Any bytes give a signal or a BitstreamError: small damage here, more by scripts/fuzz.py."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import inrcodec
from inrcodec import codec
from inrcodec.container import DecodeLimits
from inrcodec.errors import BitstreamError

ROOT = Path(__file__).parents[2]
FUZZ = ROOT / "scripts" / "fuzz.py"
VALID = sorted((ROOT / "data" / "vectors" / "v0" / "valid").glob("*.inr"))
SMALLEST = ["siren_1x1", "hashgrid_one_sample"]
LIMITS = DecodeLimits(
    max_samples=1 << 13, max_channels=16, max_parameters=1 << 13, max_macs=1 << 22
)
START = 5  # bytes of magic and version

Section = tuple[int, bytes]


def golden(name: str) -> bytes:
    return next(path for path in VALID if path.stem == name).read_bytes()


def split(data: bytes) -> list[Section]:
    """Tag and payload of each section; all lengths here take one byte."""
    sections, at = [], START
    while at < len(data):
        length = data[at + 1]
        assert length < 0x80
        sections.append((data[at], data[at + 2 : at + 2 + length]))
        at += 2 + length + 4
    return sections


def joined(sections: list[Section]) -> bytes:
    """The stream of these sections, with right lengths and checksums."""
    frames = []
    for tag, payload in sections:
        body = bytes([tag, len(payload)]) + payload
        frames.append(body + zlib.crc32(body).to_bytes(4, "little"))
    return b"\x89INR\0" + b"".join(frames)


def resealed(data: bytes) -> Iterator[tuple[list[Section], int]]:
    """The sections of a stream, once for each of them, with its number."""
    sections = split(data)
    assert joined(sections) == data
    for number in range(len(sections)):
        yield sections.copy(), number


def decodes(data: bytes) -> bool:
    """Whether bytes give a signal within the limits; any but a BitstreamError goes through."""
    try:
        decoded = codec.decode(data, limits=LIMITS)
    except BitstreamError:
        return False
    assert decoded.samples.size <= LIMITS.max_samples
    gaps = np.zeros(()) if decoded.mask is None else decoded.mask
    assert (np.isfinite(decoded.samples) != gaps).all()
    return True


# --- every small damage --------------------------------------------------------------------------


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_no_truncation_decodes(path: Path) -> None:
    data = path.read_bytes()
    assert decodes(data)
    assert [length for length in range(len(data)) if decodes(data[:length])] == []


@pytest.mark.parametrize("name", SMALLEST)
def test_no_change_of_a_byte_decodes_against_the_checksums(name: str) -> None:
    data = golden(name)
    for at in range(len(data)):
        others = (data[:at] + bytes([value]) + data[at + 1 :] for value in range(256))
        assert sum(decodes(other) for other in others) == 1, f"byte {at}"


@pytest.mark.parametrize("name", SMALLEST)
def test_every_truncation_inside_a_section_is_refused(name: str) -> None:
    for sections, number in resealed(golden(name)):
        tag, payload = sections[number]
        for length in range(len(payload)):
            sections[number] = tag, payload[:length]
            assert not decodes(joined(sections)), f"section {number} of {length} bytes"


@pytest.mark.parametrize("name", SMALLEST)
def test_every_change_of_a_byte_inside_a_section_has_a_documented_outcome(name: str) -> None:
    outcomes = []
    for sections, number in resealed(golden(name)):
        tag, payload = sections[number]
        for at in range(len(payload)):
            for value in range(256):
                changed = payload[:at] + bytes([value]) + payload[at + 1 :]
                sections[number] = tag, changed
                outcomes.append(decodes(joined(sections)))
    assert 0 < sum(outcomes) < len(outcomes)


@pytest.mark.parametrize("name", SMALLEST)
def test_every_tag_in_place_of_another_has_a_documented_outcome(name: str) -> None:
    for sections, number in resealed(golden(name)):
        tag, payload = sections[number]
        for other in range(256):
            sections[number] = other, payload
            assert decodes(joined(sections)) == (other == tag)


# --- the search ----------------------------------------------------------------------------------


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = dict(os.environ, PYTHONPATH=str(Path(inrcodec.__file__).parents[1]))
    command = [sys.executable, str(FUZZ), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="scripts/fuzz.py forks")
def test_damaged_goldens_have_documented_outcomes(tmp_path: Path) -> None:
    files = [str(path) for path in VALID]
    done = fuzz(*files, "--runs", "300", "--seed", "11", "--save", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 300 runs") == len(files)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="scripts/fuzz.py forks")
def test_an_undocumented_outcome_is_saved_and_fails(tmp_path: Path) -> None:
    def failures(folder: Path) -> dict[str, bytes]:
        done = fuzz(str(VALID[0]), "--runs", "9", "--seconds", "0", "--save", str(folder))
        assert done.returncode == 1
        assert done.stdout.count(".inr: took 0.") == 9
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    first = failures(tmp_path / "first")
    assert len(first) == 9
    assert failures(tmp_path / "again") == first
