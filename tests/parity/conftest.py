"""What tests of native code share: the driver that runs it under AddressSanitizer and
UndefinedBehaviorSanitizer, its CUDA kernels on the host, damage to coded words."""

from __future__ import annotations

import ctypes
import itertools
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

SOURCES = Path(__file__).resolve().parents[2] / "cuda_ext"
OPS = ("Fit", "Grid", "Latent", "Mlp", "Quantize", "Soap", "Synthesis")

VARIANTS: dict[str, list[str]] = {"Baseline": []}
if platform.machine() in ("x86_64", "AMD64"):
    VARIANTS["Avx2"] = ["-mavx2", "-mfma"]
    VARIANTS["Avx512"] = [f"-mavx512{part}" for part in ("f", "vl", "dq", "bw")] + ["-mfma"]


class Driver(NamedTuple):
    """The sanitizer driver, among what it is made of."""

    program: Path

    @property
    def folder(self) -> Path:
        """Where files of its calls may lie."""
        return self.program.parent

    def outcome(self, data: bytes, result: Path | None = None) -> tuple[int, str]:
        """Exit code and stderr on a file with these bytes; what it computes goes to `result`."""
        file = self.folder / "call"
        file.write_bytes(data)
        command = [self.program, file] if result is None else [self.program, file, result]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory, skip: Callable[[str, str], None]) -> Driver:
    """The sanitizer driver, built as cuda_ext/CMakeLists.txt builds the module."""
    compiler = shutil.which("g++")
    if compiler is None or not SOURCES.is_dir():
        skip("native", "there is no g++ or no native source")
    assert compiler is not None
    folder = tmp_path_factory.mktemp("sanitize")
    base = [compiler, "-std=c++17", "-O1", "-g", "-fno-sanitize-recover=all"]
    base.append("-fsanitize=address,undefined,float-cast-overflow")
    if _run([*base, "-x", "c++", "-", "-o", folder / "probe"], text="int main() {}") != 0:
        skip("native", "g++ has no sanitizers here")
    if len(VARIANTS) > 1:
        base.append("-DINRCODEC_X86_VARIANTS")
    jobs = []
    for op, (name, flags) in itertools.product(OPS, VARIANTS.items()):
        defined = f"-DINRCODEC_{op.upper()}_VARIANT=k{op}Kernels{name}"
        kernels = SOURCES / "cpu" / f"{op.lower()}_kernels.cpp"
        jobs.append([*flags, defined, "-c", kernels, "-o", folder / f"{op}{name}.o"])
    for path in (SOURCES / "sanitize" / "driver.cpp", *(SOURCES / "cpu").glob("*.cpp")):
        if "_kernels" not in path.name:
            jobs.append(["-c", path, "-o", folder / f"{path.stem}.o"])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(lambda job: _run([*base, *job]), jobs))
    assert done == [0] * len(jobs)
    program, objects = folder / "driver", [job[-1] for job in jobs]
    assert _run([*base, *objects, "-pthread", "-o", program]) == 0
    return Driver(program)


@pytest.fixture(scope="session")
def cuda_on_host(
    tmp_path_factory: pytest.TempPathFactory, skip: Callable[[str, str], None]
) -> ctypes.CDLL:
    """The CUDA kernels, compiled for the host."""
    compiler = shutil.which("g++")
    if compiler is None or not SOURCES.is_dir() or platform.system() != "Linux":
        skip("native", "there is no g++ on Linux or no native source")
    assert compiler is not None
    library = tmp_path_factory.mktemp("cuda") / "on_host.so"
    kernels = sorted((SOURCES / "cuda").glob("*.cu"))
    flags = ["-std=c++17", "-O1", "-fPIC", "-shared", "-DINRCODEC_CUDA_ON_HOST", "-DINRCODEC_CUDA"]
    parts = ["-x", "c++", *kernels, SOURCES / "cuda" / "on_host.cpp", "-o", library]
    assert _run([compiler, *flags, *parts]) == 0
    return ctypes.CDLL(str(library))


@pytest.fixture
def damaged() -> Callable[[bytes, np.random.Generator], bytes]:
    """Changes some bytes of coded words, cuts some off, puts some in or adds some."""
    return _damaged


def _damaged(data: bytes, rng: np.random.Generator) -> bytes:
    at, kind = int(rng.integers(len(data) + 1)), rng.integers(6)
    if kind == 0:
        return data[: at // 4 * 4]
    if kind == 1:
        return data + bytes(4 * int(rng.integers(1, 4)))
    if kind == 2:
        return data[:at] + b"\xff" * int(rng.integers(1, 12)) + data[at:]
    changed = bytearray(data)
    last = kind == 3  # the words of the end alone
    for place in rng.integers(max(0, len(data) - 8) if last else 0, len(data), rng.integers(1, 4)):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _run(command: list[str | Path], text: str | None = None) -> int:
    done = subprocess.run(command, check=False, input=text, text=True, capture_output=True)
    return done.returncode
