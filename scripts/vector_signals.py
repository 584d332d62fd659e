"""The signals behind the golden streams, from formulas. Used by make_vectors.py."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from inrcodec.signal import Colour, Labels, Metadata, SampleFormat, Signal


def signals() -> dict[str, Signal]:
    """The usual kinds of images and sounds."""
    image, sound = waves(17, 24, channels=4), waves(200, channels=2)
    metadata = Metadata(
        icc=b"profile " * 16, exif=b"II*\0\x08\0\0\0\0\0", xmp=b"<x:xmpmeta/>", dpi=(300.0, 72.5)
    )
    eight, sixteen = np.rint(image * 255).astype(np.uint8), np.rint(image * 65535).astype(np.uint16)
    stereo = np.rint((sound * 2.0 - 1.0) * (2**23 - 1)).astype(np.int32)
    whole = Signal.audio(stereo, 44100, sample_format=SampleFormat.S24)
    return {
        "rgb8": Signal.image(eight[..., :3]),
        "rgba8": Signal.image(eight),
        "grey16_metadata": Signal.image(sixteen[..., 0], metadata=metadata),
        "float32": Signal.image((image[..., 0] * 9.0 - 4.0).astype(np.float32)),
        "mono16": Signal.audio((sound[:, 0] * 6e4 - 3e4).astype(np.int16), 16000),
        "stereo24_part": whole.cut(30, 197),
    }


def arrays() -> dict[str, Signal]:
    """Arrays of each kind of range, rank and sample."""
    gaps = waves(6, 8, channels=1)[..., 0] * 1e-9
    gaps[2:5, 1:6] = np.nan
    labels = Metadata(labels=Labels("gaps", "m", ("y", "längs")))
    whole, half = waves(3, 5, 4, channels=1)[..., 0], waves(2, 3, 2, 3, channels=1)[..., 0]
    huge = (waves(5, 4, channels=1)[..., 0] * 2.0**63).astype(np.uint64) * 2
    return {
        "array4": Signal.array(solid(3, 4, 5, 2), channels_last=True),
        "array_int16": Signal.array((whole * 3000 - 1000).astype(np.int16)),
        "array_float64_mask": Signal.array(gaps, metadata=labels),
        "array_uint64": Signal.array(huge),
        "array_int8": Signal.array((waves(30, channels=1)[:, 0] * 255 - 128).astype(np.int8)),
        "array_float16": Signal.array((half * 9 - 4).astype(np.float16)),
    }


def films() -> tuple[Signal, Signal]:
    """An even film, and an uneven part of one in colours of its own; two channels each."""
    even = Signal.video(solid(3, 5, 7), Fraction(1, 25))
    times = np.array([0, 2, 3, 7, 8])
    colour = Metadata(colour=Colour(1, 13, 6, 1))
    uneven = Signal.video(solid(5, 4, 6), Fraction(1001, 30000), times=times, metadata=colour)
    return even, uneven.cut(1, 5)


def solid(*grid: int) -> NDArray[np.uint8]:
    """8-bit samples of two channels over any grid."""
    return np.rint(waves(*grid, channels=2) * 255).astype(np.uint8)


def waves(*sizes: int, channels: int) -> NDArray[np.float64]:
    """Smooth values [*sizes, channels] in [0, 1], different in each channel."""
    axes = np.meshgrid(*((np.arange(n) + 0.5) / n for n in sizes), indexing="ij")
    along = sum((i + 1) * axis for i, axis in enumerate(axes))
    shifts = [np.sin(6.0 * along + 2.0 * c) * np.cos(5.0 * axes[-1] - c) for c in range(channels)]
    return np.stack(shifts, axis=-1) * 0.5 + 0.5
