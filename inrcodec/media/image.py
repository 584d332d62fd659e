"""PNG, JPEG, WebP, TIFF and AVIF -> Signal and back."""

from __future__ import annotations

import io

import numpy as np

from inrcodec.errors import ConfigError
from inrcodec.media.formats import MediaFormat
from inrcodec.media.guard import guarded
from inrcodec.signal import Signal, SignalSpec

__all__ = ["read", "to_bytes"]


def read(data: bytes, name: str, notes: list[str]) -> Signal:
    """An image from the bytes of a file."""
    from PIL import Image

    with guarded(name, notes), Image.open(io.BytesIO(data)) as image:
        samples = np.asarray(image)
    return Signal.image(samples)


def to_bytes(signal: Signal, media_format: MediaFormat) -> bytes:
    """A whole image file."""
    from PIL import Image

    _check_holds(signal.spec, media_format)
    sink = io.BytesIO()
    samples = signal.samples[:, :, 0] if signal.spec.channels == 1 else signal.samples
    Image.fromarray(np.ascontiguousarray(samples)).save(sink, format=media_format.name)
    return sink.getvalue()


def _check_holds(spec: SignalSpec, media_format: MediaFormat) -> None:
    if spec.sample_format.bits > 16:
        raise ConfigError(f"{media_format.name} cannot hold {spec.sample_format.name} samples")
