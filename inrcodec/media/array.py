"""NPY, NPZ and netCDF -> Signal, and Signal -> NPY and NPZ. Nothing is ever unpickled."""

from __future__ import annotations

import io
import math
import re
import zipfile
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from inrcodec.errors import ConfigError, SignalError
from inrcodec.media import formats, netcdf
from inrcodec.media.choice import Choice
from inrcodec.media.formats import MediaFormat
from inrcodec.media.guard import MAX_SAMPLES, guarded
from inrcodec.signal import Labels, Metadata, Signal

__all__ = ["read", "to_bytes"]

_UNNAMED = "arr_0"
"""What numpy calls an array that was saved without a name."""
_FLOATS = (2, 4, 8)
_MAX_LABEL = 1024
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_REFUSED = {
    "O": "objects",
    "S": "strings",
    "U": "strings",
    "T": "strings",
    "V": "structures",
    "c": "complex numbers",
    "M": "dates",
    "m": "durations",
}


def read(data: bytes, media_format: MediaFormat, choice: Choice, notes: list[str]) -> Signal:
    """An array from the bytes of a file of a known format. Raises SignalError.

    ConfigError for a variable that the file does not have, MissingExtraError for netCDF without the
    extra 'arrays'.
    """
    with guarded(media_format, notes):
        samples, labels = _open(data, media_format, choice, notes)
        samples = _plain(samples, notes)
        metadata = Metadata(labels=_storable(labels, choice, notes))
    return Signal.array(samples, channels_last=choice.channels_last, metadata=metadata)


def to_bytes(signal: Signal, media_format: MediaFormat, notes: list[str]) -> bytes:
    """A whole NPY or NPZ file: samples [*grid], or [*grid, channels] if there are several."""
    samples = signal.samples[..., 0] if signal.spec.channels == 1 else signal.samples
    sink = io.BytesIO()
    npy.write_array(sink, np.ascontiguousarray(samples), allow_pickle=False)
    name, units, axes = signal.metadata.labels or Labels("", "", ())
    for what, there in (("unit", units), ("names of axes", any(axes))):
        if there:
            notes.append(f"{what} dropped")
    if media_format is formats.NPY:
        if name:
            notes.append("name dropped")
        return sink.getvalue()
    archive, member = io.BytesIO(), zipfile.ZipInfo(f"{_member_name(name)}.npy")
    member.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(member, sink.getvalue())  # dated 1980: equal arrays give equal bytes
    return archive.getvalue()


def _open(
    data: bytes, media_format: MediaFormat, choice: Choice, notes: list[str]
) -> tuple[NDArray[np.generic], Labels | None]:
    """The array as its file has it, and what the file calls it."""
    if media_format is formats.NPY:
        if choice.variable is not None:
            raise ConfigError(f"variable '{choice.variable}': an NPY file has no names")
        return _npy_array(io.BytesIO(data), len(data), notes), None
    if media_format is formats.NETCDF:
        return netcdf.read(data, choice)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {one.filename.removesuffix(".npy"): one for one in file.infolist()}
        name = choice.pick(members)
        if members[name].compress_type not in _METHODS:
            raise SignalError(f"member compressed by method {members[name].compress_type}")
        with file.open(members[name]) as member:
            samples = _npy_array(member, members[name].file_size, notes)
    rank = samples.ndim
    return samples, None if name == _UNNAMED else Labels(name, "", ("",) * rank)


def _npy_array(file: IO[bytes], n_bytes: int, notes: list[str]) -> NDArray[np.generic]:
    """The array in a NPY file of `n_bytes`, which is read no further than its header asks for."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise SignalError(f"NPY version {version[0]}.{version[1]} is not 1.0 or 2.0")
    read_header = npy.read_array_header_1_0 if version[0] == 1 else npy.read_array_header_2_0
    shape, column_major, dtype = read_header(file)
    _check_type(dtype)
    n_samples = math.prod(shape)
    if min(shape, default=0) < 0 or n_samples > MAX_SAMPLES:
        raise SignalError(f"array of {n_samples} samples is over {MAX_SAMPLES}")
    left, needed = n_bytes - file.tell(), n_samples * dtype.itemsize
    data = file.read(needed) if needed <= left else b""
    if len(data) < needed:
        raise SignalError(f"array of {needed} bytes ends after {min(left, needed)}")
    if file.read(1):
        notes.append("what follows the array is dropped")
    flat = np.frombuffer(data, dtype)
    return flat.reshape(shape, order="F" if column_major else "C")


def _check_type(dtype: np.dtype[np.generic]) -> None:
    """Raise SignalError for whatever is neither an integer, nor a float of up to 64 bits."""
    if dtype.kind in _REFUSED:
        raise SignalError(f"holds {_REFUSED[dtype.kind]} (dtype {dtype}), not numbers"[:200])
    if dtype.kind == "f" and dtype.itemsize not in _FLOATS:
        raise SignalError(f"holds {dtype}, floats of over 64 bits")


def _plain(samples: NDArray[np.generic], notes: list[str]) -> NDArray[np.generic]:
    """A row-major array of our own in this machine's byte order."""
    _check_type(samples.dtype)
    if samples.dtype.kind == "b":
        notes.append("truth values are read as 8-bit integers")
        return samples.astype(np.uint8, order="C")
    return samples.astype(samples.dtype.newbyteorder("="), order="C")


def _storable(labels: Labels | None, choice: Choice, notes: list[str]) -> Labels | None:
    """Labels of the grid axes alone, without those that no stream holds."""
    if labels is None:
        return None
    axes = labels.axes
    if choice.channels_last and axes:
        axes = axes[:-1]
    texts = [_storable_text(text, notes) for text in (labels.name, labels.units, *axes)]
    return Labels(texts[0], texts[1], tuple(texts[2:]))


def _storable_text(text: str, notes: list[str]) -> str:
    """The text with spaces for control characters; none if it is too long or no text at all."""
    clean = re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)
    data = clean.encode("utf-8", "replace")
    if len(data) > _MAX_LABEL or data.decode() != clean:
        notes.append("a name is dropped")
        return ""
    return clean


def _member_name(name: str) -> str:
    """A name for a member of an archive that stays in the folder where it is unpacked."""
    return re.sub(r"[/\\:]", "_", name).lstrip(".") or _UNNAMED
