"""The driver that runs native code under AddressSanitizer and UndefinedBehaviorSanitizer."""

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

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "cuda_ext"
OPS = ("Fit", "Grid", "Latent", "Mlp", "Quantize", "Soap", "Synthesis")

VARIANTS: dict[str, list[str]] = {"Baseline": []}
if platform.machine() in ("x86_64", "AMD64"):
    VARIANTS["Avx2"] = ["-mavx2", "-mfma"]
    VARIANTS["Avx512"] = [f"-mavx512{part}" for part in ("f", "vl", "dq", "bw")] + ["-mfma"]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory, skip: Callable[[str, str], None]) -> Path:
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
    return program


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


def _run(command: list[str | Path], text: str | None = None) -> int:
    done = subprocess.run(command, check=False, input=text, text=True, capture_output=True)
    return done.returncode
