"""netCDF -> an array, through xarray: NetCDF-3 (also of 64 bits) and NetCDF-4."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrcodec.errors import MissingExtraError, SignalError
from inrcodec.media.choice import Choice
from inrcodec.media.guard import MAX_SAMPLES
from inrcodec.signal import Labels

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read"]


def read(data: bytes, choice: Choice) -> tuple[NDArray[np.generic], Labels]:
    """The chosen variable of a file, scaled, with NaN for its fill values, and what it is called.

    Without a choice: the only one that is no coordinate. Numbers that stand for times stay numbers.
    Raises SignalError, ConfigError, MissingExtraError; foreign errors are the caller's to catch.
    """
    with _opened(data) as dataset:
        names = [str(name) for name in dataset.data_vars]
        if choice.variable in dataset.variables:
            names = [str(name) for name in dataset.variables]
        name = choice.pick(names)
        raw = dataset.variables[name]
        if raw.size > MAX_SAMPLES:
            raise SignalError(f"array of {raw.size} samples is over {MAX_SAMPLES}")
        variable = _scaled(name, raw)
        units = variable.attrs.get("units", "")
        axes = tuple(str(axis) for axis in variable.dims)
        return variable.values, Labels(name, units if isinstance(units, str) else "", axes)


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    """A dataset of the bytes, by readers that bear damaged ones; netCDF's own C library does not.

    They are scipy's for NetCDF-3, and h5netcdf on h5py for NetCDF-4.
    """
    try:
        import scipy.io  # noqa: F401
        import xarray

        file: Any = io.BytesIO(data) if data[:3] == b"CDF" else _hdf5(data)
    except ImportError:
        raise MissingExtraError("reading netCDF", extra="arrays") from None
    if data[:4] == b"CDF\x05":
        raise SignalError("64-bit data of NetCDF-3 (CDF-5) is not read")
    engine: Any = "scipy" if data[:3] == b"CDF" else None
    with xarray.open_dataset(
        file,
        engine=engine,
        mask_and_scale=False,  # only the variable that is chosen
        decode_times=False,
        decode_timedelta=False,
        create_default_indexes=False,  # they read coordinates, however long those claim to be
    ) as dataset:
        yield dataset


def _scaled(name: str, variable: Any) -> Any:
    """A variable by its scale and its fill values; times stay numbers."""
    from xarray import conventions

    return conventions.decode_cf_variable(
        name, variable, mask_and_scale=True, decode_times=False, decode_timedelta=False
    )


def _hdf5(data: bytes) -> Any:
    """An open NetCDF-4 file for xarray."""
    import h5netcdf
    import h5py  # noqa: F401
    from xarray.backends import H5NetCDFStore

    class File(h5netcdf.File):  # type: ignore[misc]
        _writable = False  # a file that cannot be opened is closed without it, which is printed

    file = File(io.BytesIO(data), "r", decode_vlen_strings=True, phony_dims="access")
    return H5NetCDFStore(file)
