"""The real command line, in this process or in one of its own, and small inputs for it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import inrcodec
from inrcodec import media
from inrcodec.cli import main
from inrcodec.kernels import dispatch
from inrcodec.signal import Signal


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, and the bytes on stdout and the text on stderr."""

    code: int
    stdout: bytes
    stderr: str


@pytest.fixture
def run(capfdbinary, monkeypatch) -> Callable[..., Outcome]:
    """Run a command line in this process."""
    for name in ("_choice", "_device"):  # set by --backend and --device: put back
        monkeypatch.setattr(dispatch, name, getattr(dispatch, name))

    def call(*arguments: object, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        code = caught.value.code or 0
        assert isinstance(code, int)
        stdout, stderr = capfdbinary.readouterr()
        return Outcome(code, stdout, stderr.decode())

    return call


@pytest.fixture
def spawn(tmp_path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a command line in a process of its own, with the package that is tested here."""
    package = str(Path(inrcodec.__file__).parents[1])
    processes: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}

    def call(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "inrcodec", *map(str, arguments)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, **{**pipes, **options})
        processes.append(process)
        return process

    yield call
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


@pytest.fixture(scope="session")
def photo(tmp_path_factory) -> Path:
    """A smooth RGB picture of 40 x 24 pixels."""
    y, x = np.mgrid[:24, :40]
    planes = [127 + 100 * np.sin(x / 9), 127 + 100 * np.cos(y / 5), 6 * x]
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    media.write(Signal.image(np.stack(planes, axis=2).astype(np.uint8)), path)
    return path


@pytest.fixture(scope="session")
def sound(tmp_path_factory) -> Path:
    """Half a second of a tone at 8 kHz, mono, 16 bits."""
    samples = 9000 * np.sin(np.arange(4000) * 2 * np.pi * 200 / 8000)
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    media.write(Signal.audio(samples.astype(np.int16), 8000), path)
    return path


@pytest.fixture(scope="session")
def photo_stream(photo) -> Path:
    """The picture as a stream."""
    path = photo.with_suffix(".inr")
    path.write_bytes(inrcodec.encode(photo, model="siren", iterations=30))
    return path


@pytest.fixture(scope="session")
def sound_stream(sound) -> Path:
    """The sound as a stream."""
    path = sound.with_suffix(".inr")
    path.write_bytes(inrcodec.encode(sound, model="hashgrid", iterations=30))
    return path


@pytest.fixture(scope="session")
def moving() -> Callable[..., np.ndarray]:
    """Makes RGB frames [n, height, width, 3], all different."""
    return _frames


def _frames(n: int, height: int = 12, width: int = 16) -> np.ndarray:
    """Smooth RGB frames, all different."""
    y, x = np.mgrid[:height, :width]
    planes = [np.stack([x * 9 + i * 5, y * 12, 200 - i * 9 + 0 * x], axis=-1) for i in range(n)]
    return np.array(planes).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def film(tmp_path_factory) -> Path:
    """A film of 5 frames of 16 x 12 pixels at 25 a second, without loss."""
    pytest.importorskip("av")
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    media.write(Signal.video(_frames(5), Fraction(1, 25)), path)
    return path


@pytest.fixture(scope="session")
def film_stream(film) -> Path:
    """The small film as a stream of three groups."""
    path = film.with_suffix(".inr")
    path.write_bytes(inrcodec.encode(film, model="siren", iterations=30, group_frames=2))
    return path
