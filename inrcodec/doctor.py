"""What this installation can do, and why not more: the library side of `inrcodec doctor`."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from types import ModuleType

from inrcodec import __version__
from inrcodec.errors import ConfigError
from inrcodec.kernels import dispatch

__all__ = ["as_text", "report"]

_NEEDED = ("numpy", "constriction", "array-api-compat", "pillow", "tifffile", "typer", "rich")
_OPTIONAL = {
    "torch": "fit",
    "soundfile": "audio",
    "matplotlib": "bench",
}


def report() -> dict[str, object]:
    """Versions, native code and optional packages; plain values, ready for JSON.

    `native_problem` is the actual error when the native module cannot be loaded, else None, and
    `tcnn_problem` why backend tcnn cannot be chosen.
    `cuda_runtime` is the CUDA version that the native module was compiled with, None without CUDA.
    `decoded_by`, `latentgrid_fitted_by` and `others_fitted_by` say what computes, and why nothing
    faster does.
    """
    module = dispatch.installed()
    return {
        "inrcodec": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in (*_NEEDED, *_OPTIONAL)},
        "missing_extras": sorted({e for name, e in _OPTIONAL.items() if _version(name) is None}),
        "backend": dispatch.backend(),
        "native_problem": dispatch.native_problem(),
        "native_path": None if module is None else module.__file__,
        "threads": _threads(),
        **_instruction_sets(module),
        **_cuda(module),
        "gpu_problem": dispatch.gpu_problem(),
        **_workers(module),
        "tcnn_problem": dispatch.tcnn_problem(),
    }


def as_text(fields: Mapping[str, object]) -> str:
    """A report as lines of `name: value`, for people."""
    return "\n".join(f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in fields.items())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _threads() -> int | str:
    try:
        return dispatch.threads()
    except ConfigError as error:
        return str(error)


def _instruction_sets(module: ModuleType | None) -> dict[str, object]:
    if module is None:
        return {"instruction_set": None, "instruction_sets": []}
    return {
        "instruction_set": module.instruction_set(),
        "instruction_sets": module.instruction_sets(),
    }


def _cuda(module: ModuleType | None) -> dict[str, object]:
    if module is None or module.cuda_runtime is None:
        return {"cuda_runtime": None, "cuda_devices": 0}
    return {"cuda_runtime": module.cuda_runtime, "cuda_devices": module.cuda_device_count()}


def _workers(module: ModuleType | None) -> dict[str, str]:
    if dispatch.uses_native() and module is not None:
        on_cpu = f"native code on the CPU ({module.instruction_set()}, {_threads()} threads)"
    else:
        problem = dispatch.native_problem() or "native code is not chosen"
        on_cpu = f"the reference on the CPU ({problem})"
    if _version("torch") is None:
        nothing = "nothing: torch is not installed"
        return {"decoded_by": on_cpu, "latentgrid_fitted_by": nothing, "others_fitted_by": nothing}
    latents = others = on_cpu
    if no_gpu := dispatch.gpu_problem():
        latents = f"{on_cpu}; no GPU: {no_gpu}"
    elif dispatch.device() == "cuda":
        latents = "native code on the GPU, of more than 8 channels on the CPU"
        others = (
            f"{on_cpu}; with --device cuda on the GPU, networks but small ones of grids by torch"
        )
    if dispatch.tcnn_problem() is None:
        others += "; with --backend tcnn, hashgrid on the GPU"
    return {"decoded_by": on_cpu, "latentgrid_fitted_by": latents, "others_fitted_by": others}


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
