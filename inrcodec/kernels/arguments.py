"""What every kernel asks of its arrays, whichever code runs it."""

from __future__ import annotations

from typing import Any

import numpy as np

from inrcodec.errors import ConfigError

__all__ = ["check_arrays"]


def check_arrays(op: str, **arrays: Any) -> None:
    """Raise ConfigError unless all are floats, of one library, and on one device."""
    given = list(arrays.values())
    if len({isinstance(array, np.ndarray) for array in given}) > 1:
        kinds = " and ".join(type(array).__name__ for array in given)
        raise ConfigError(f"{op}: arrays must be numpy's or torch's, all alike, got {kinds}")
    for name, array in arrays.items():
        if not _is_float(array):
            raise ConfigError(f"{op}: {name} must be of floats, got {array.dtype}")
    if not isinstance(given[0], np.ndarray):
        devices = [str(array.device) for array in given]
        if any(device != devices[0] for device in devices):
            places = " and ".join(devices)
            raise ConfigError(f"{op}: arrays must be on one device, got {places}")


def _is_float(array: Any) -> bool:
    if isinstance(array, np.ndarray):
        return bool(np.issubdtype(array.dtype, np.floating))
    return bool(array.dtype.is_floating_point)
