"""What kernels ask of their arrays, numpy's or torch's, whichever code runs them."""

from __future__ import annotations

from typing import Any

import numpy as np

from inrcodec.errors import ConfigError
from inrcodec.kernels import dispatch

__all__ = ["aligned", "check_alike", "check_arrays", "plain", "runs_natively"]


def check_arrays(op: str, **arrays: Any) -> None:
    """Raise ConfigError unless all are floats, of one library, and on one device."""
    given = list(arrays.values())
    libraries = {isinstance(array, np.ndarray) for array in given}
    if len(libraries) > 1 or not all(hasattr(array, "dtype") for array in given):
        kinds = " and ".join(type(array).__name__ for array in given)
        raise ConfigError(f"{op}: arrays must be numpy's or torch's, all alike, got {kinds}")
    for name, array in arrays.items():
        if not _is_float(array):
            raise ConfigError(f"{op}: {name} must be of floats, got {array.dtype}")
    if not isinstance(given[0], np.ndarray):
        devices = [array.device for array in given]
        if any(device != devices[0] for device in devices):
            places = " and ".join(map(str, devices))
            raise ConfigError(f"{op}: arrays must be on one device, got {places}")


def check_alike(op: str, **arrays: Any) -> None:
    """As `check_arrays`, and all must be of one type."""
    check_arrays(op, **arrays)
    types = [array.dtype for array in arrays.values()]
    if any(kind != types[0] for kind in types):
        names = " and ".join(map(str, types))
        raise ConfigError(f"{op}: arrays must be of one type, got {names}")


def runs_natively(*arrays: Any) -> bool:
    """Whether native code is chosen and takes these: float32, on the CPU."""
    return dispatch.native() is not None and all(
        str(array.dtype).endswith("float32")
        and (isinstance(array, np.ndarray) or array.device.type == "cpu")
        for array in arrays
    )


def plain(array: Any) -> Any:
    """The array, contiguous and aligned, without a record of gradients."""
    if isinstance(array, np.ndarray):
        return np.require(array, requirements=["C", "A"])
    return array.detach().contiguous()


def aligned(tensor: Any) -> Any:
    """The tensor as `plain` gives it and, as a GPU wants rows, aligned to 16 bytes."""
    array = plain(tensor)
    return array.clone() if array.is_cuda and array.data_ptr() % 16 else array


def _is_float(array: Any) -> bool:
    if isinstance(array, np.ndarray):
        return bool(np.issubdtype(array.dtype, np.floating))
    return bool(array.dtype.is_floating_point)
