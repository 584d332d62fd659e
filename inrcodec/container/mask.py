"""MASK: where an array holds no number, <-> bytes."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from inrcodec.container.sections import Section
from inrcodec.errors import CorruptError
from inrcodec.signal import Kind, SignalSpec

__all__ = ["mask_to_payload", "read_mask"]


def mask_to_payload(mask: NDArray[np.bool_]) -> bytes:
    """One bit per sample, row-major, channels last, the first in the highest bit; in zlib data."""
    return zlib.compress(np.packbits(mask.reshape(-1)).tobytes(), 9)


def read_mask(section: Section, spec: SignalSpec) -> NDArray[np.bool_]:
    """The inverse of `mask_to_payload`: [*grid, channels]. Raises BitstreamError.

    Inflates no more than the samples of the header take, which its limits cover.
    """
    if spec.kind is not Kind.ARRAY or not spec.sample_format.is_float:
        what = f"{spec.kind.name.lower()} of {spec.sample_format.name}"
        raise CorruptError(f"MASK in a stream of {what}", offset=section.start)
    n_samples = spec.n_points * spec.channels
    packed = _inflate(section, (n_samples + 7) // 8)
    bits = np.frombuffer(packed, np.uint8)
    if -n_samples % 8 and bits[-1] & ((1 << -n_samples % 8) - 1):
        raise CorruptError("MASK has bits after its last sample", offset=section.start)
    mask = np.unpackbits(bits, count=n_samples).view(np.bool_)
    if not mask.any() or mask.all():
        raise CorruptError("MASK covers all samples or none", offset=section.start)
    return mask.reshape(*spec.grid, spec.channels)


def _inflate(section: Section, n_bytes: int) -> bytes:
    """Exactly so many bytes. Raises CorruptError."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(section.payload, n_bytes + 1)
    except zlib.error:
        raise CorruptError("MASK is not zlib data", offset=section.start) from None
    if len(data) != n_bytes or not inflater.eof or inflater.unused_data:
        raise CorruptError(f"MASK does not hold {n_bytes} bytes", offset=section.start)
    return data
