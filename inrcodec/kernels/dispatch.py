"""Which code runs the kernels, and on how many threads: the one place that loads the native module.

INRCODEC_NATIVE=0 leaves native code out; INRCODEC_THREADS=N sets the number of threads of CPU code.
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from types import ModuleType
from typing import Final, Literal, get_args

from inrcodec.errors import ConfigError

__all__ = [
    "Choice",
    "Device",
    "backend",
    "device",
    "gpu_is_asked_for",
    "gpu_problem",
    "installed",
    "native",
    "native_problem",
    "set_backend",
    "set_device",
    "set_threads",
    "tcnn_problem",
    "threads",
    "uses_native",
]

Choice = Literal["auto", "native", "torch", "tcnn"]
Device = Literal["auto", "cpu", "cuda"]

_MAX_THREADS: Final = 256
_LEAST_CAPABILITY: Final = (8, 0)  # as of cuda_ext/CMakeLists.txt
_NO_TCNN: Final = (
    "the package tinycudann is not installed; it is built from github.com/NVlabs/tiny-cuda-nn"
)
_choice: Choice = "auto"
_device: Device = "auto"
_threads: int | None = None


def backend() -> Literal["native", "torch", "tcnn"]:
    """What runs float32 kernels now: native code or the reference.

    "tcnn": tiny-cuda-nn runs grids on a GPU, and all else is run as by "auto".
    """
    if _choice == "tcnn":
        return "tcnn"
    return "native" if uses_native() else "torch"


def uses_native() -> bool:
    """Whether native code runs what it takes."""
    return native() is not None


def set_backend(choice: Choice) -> None:
    """Choose native code, the reference ("torch"), or native code where it is built ("auto").

    "tcnn" is "auto", but grids on a GPU are run by tiny-cuda-nn, and fits of grids run there.
    Raises ConfigError for a choice that this installation does not have, with the reason, and for
    "tcnn" when the CPU is chosen for fits.
    """
    global _choice
    if choice not in get_args(Choice):
        raise ConfigError(f"backend {choice} is not one of {', '.join(get_args(Choice))}")
    if choice == "tcnn":
        _check_not_on_cpu(choice, _device)
        if problem := tcnn_problem():
            raise ConfigError(f"backend tcnn is not available: {problem}")
    if choice == "native" and native_problem():
        raise ConfigError(f"backend native is not available: {native_problem()}")
    _choice = choice


def device(*, grid: bool = False) -> Literal["cpu", "cuda"]:
    """Where fits that can do so run now; with backend tcnn one of a `grid` needs no native code.

    Raises ConfigError where that has become impossible.
    """
    if grid and _choice == "tcnn":
        return "cuda"
    problem = None if _device == "cpu" else gpu_problem()
    if problem and _device == "cuda":
        raise ConfigError(f"device cuda is not available: {problem}")
    return "cpu" if problem or _device == "cpu" else "cuda"


def set_device(choice: Device) -> None:
    """Choose where fits run: on the CPU, on a GPU, or on a GPU where one can be used ("auto").

    Fits of coordinate networks run on the CPU unless a GPU is asked for. Raises ConfigError for a
    choice that this machine or this installation does not have, with the reason, and for the CPU
    with backend tcnn.
    """
    global _device
    if choice not in get_args(Device):
        raise ConfigError(f"device {choice} is not one of {', '.join(get_args(Device))}")
    _check_not_on_cpu(_choice, choice)
    if choice == "cuda" and _choice != "tcnn" and (problem := gpu_problem()):
        raise ConfigError(f"device cuda is not available: {problem}")
    _device = choice


def gpu_is_asked_for(*, grid: bool = False) -> bool:
    """Whether fits have to run on a GPU; with backend tcnn those of a `grid` have to."""
    return _device == "cuda" or (grid and _choice == "tcnn")


def gpu_problem() -> str | None:
    """Why fits cannot run on a GPU, or None when they can."""
    module = native()
    if module is None:
        return native_problem() or "native code is not chosen"
    if module.cuda_runtime is None:
        return "native code was compiled without CUDA"
    if module.cuda_device_count() == 0:
        return "there is no GPU that its driver can use"
    return _torch_problem() or _capability_problem()


def tcnn_problem() -> str | None:
    """Why tiny-cuda-nn cannot run grids, or None when it can."""
    try:
        importlib.import_module("tinycudann")
    except (ImportError, OSError) as error:  # OSError: it finds no GPU, or is built for another
        if isinstance(error, ImportError) and error.name == "tinycudann":
            return _NO_TCNN
        said = " ".join(str(error).split())
        return _torch_problem() or f"tinycudann cannot be imported: {said}"
    return _torch_problem()


@cache
def _torch_problem() -> str | None:
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    return None if torch.cuda.is_available() else "torch has no CUDA here"


@cache
def _capability_problem() -> str | None:
    import torch

    capability = torch.cuda.get_device_capability()
    if capability < _LEAST_CAPABILITY:
        return f"the GPU has compute capability {capability[0]}.{capability[1]}, not 8.0"
    return None


def native() -> ModuleType | None:
    """The native module, when it is there and chosen."""
    return None if _choice == "torch" else installed()


def installed() -> ModuleType | None:
    """The native module, when it is there, chosen or not."""
    return _load()[0]


def native_problem() -> str | None:
    """Why the native module cannot be used, or None when it can."""
    return _load()[1]


def threads() -> int:
    """Threads that CPU kernels use: as set, else INRCODEC_THREADS, else all cores given to us."""
    return _default_threads() if _threads is None else _threads


def set_threads(n_threads: int | None) -> None:
    """Set the threads of CPU kernels, 1 to 256; None: back to the default.

    Results do not depend on it.
    """
    global _threads
    if n_threads is not None and not 1 <= n_threads <= _MAX_THREADS:
        raise ConfigError(f"threads {n_threads} is not in [1, {_MAX_THREADS}]")
    _threads = n_threads


@cache
def _load() -> tuple[ModuleType | None, str | None]:
    if os.environ.get("INRCODEC_NATIVE") == "0":
        return None, "switched off by INRCODEC_NATIVE=0"
    try:
        return importlib.import_module("inrcodec._native"), None
    except ImportError as error:
        return None, str(error)


@cache
def _default_threads() -> int:
    text = os.environ.get("INRCODEC_THREADS")
    if text is None:
        return min(_available_cores(), _MAX_THREADS)
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_THREADS:
        raise ConfigError(f"INRCODEC_THREADS {text!r} is not in [1, {_MAX_THREADS}]")
    return int(text)


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_not_on_cpu(choice: Choice, where: Device) -> None:
    if choice == "tcnn" and where == "cpu":
        raise ConfigError("backend tcnn runs on a GPU, not on device cpu")
