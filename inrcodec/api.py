"""The library in four functions: `encode` and `decode` for whole signals, `open` for parts of one.

Everything here is a thin face of `rate.py`, `codec.py` and `media`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrcodec import codec, files, media
from inrcodec.container import DecodeLimits
from inrcodec.errors import ConfigError, SignalError
from inrcodec.film import FramesOfSignal, encode_film
from inrcodec.rate import encode_to_target
from inrcodec.reader import Reader
from inrcodec.representations.base import Tune
from inrcodec.request import EncodeRequest, Measure, Target
from inrcodec.signal import Kind, Signal

__all__ = ["Reader", "Source", "choose_target", "decode", "encode", "open", "read_roi"]

Source = Signal | NDArray[np.generic] | str | Path | bytes
"""A signal, its samples, or a media file by its path or bytes."""


def encode(
    x: Source,
    *,
    model: str = "auto",
    quality: float | None = None,
    lam: float | None = None,
    bpp: float | None = None,
    size: float | None = None,
    psnr: float | None = None,
    kbps: float | None = None,
    snr: float | None = None,
    preset: str | None = None,
    seconds: float | None = None,
    iterations: int | None = None,
    seed: int = 0,
    group_frames: int | None = None,
    verify: bool = True,
    options: Mapping[str, object] | None = None,
    roi: Source | None = None,
    tune: Tune = "mse",
    sample_rate: int | None = None,
    variable: str | None = None,
    channels_last: bool = False,
) -> bytes:
    """The bytes of an `.inr` file that holds `x`; at most one of the seven targets may be given.

    A numpy array is an image [height, width] or [height, width, channels], with `sample_rate` (Hz)
    a sound [frames] or [frames, channels]; to code it as an array of 1 to 4 axes, give
    `Signal.array(x)`, as a film `Signal.video(x, ...)`. `variable` and `channels_last` are for
    files of arrays, as in `media.read`. `size` is in bytes, `seconds` is wall time, `options` are
    fields of the model's Config, `group_frames` says how many frames of a film are fitted together.
    `roi` is an image of the same size: an error where it is black counts a 16th of one where it is
    white. `tune` is what is made small beside the bits: "mse"; "ms-ssim", for the most MS-SSIM of
    an image; or "perceptual", what is heard of the error of a sound. Raises SignalError,
    ConfigError or MissingExtraError. A target that cannot be reached gives the best that was found.
    """
    started = time.monotonic()
    targets: dict[Measure, float | None] = {
        "quality": quality,
        "lambda": lam,
        "bpp": bpp,
        "size": size,
    }
    targets |= {"psnr": psnr, "kbps": kbps, "snr": snr}
    request = EncodeRequest(
        model=model,
        target=choose_target(targets),
        preset=preset,
        seconds=seconds,
        iterations=iterations,
        seed=seed,
        group_frames=group_frames,
        verify=verify,
        options=options or {},
        roi=None if roi is None else read_roi(roi),
        tune=tune,
    )
    source = _source_of(x, sample_rate, variable=variable, channels_last=channels_last)
    if isinstance(source, media.FilmSource):
        with source:
            return encode_film(source, request, started=started).data
    if source.spec.kind is Kind.VIDEO:
        return encode_film(FramesOfSignal(source), request, started=started).data
    return encode_to_target(source, request, started=started).data


def decode(
    data: bytes | str | Path, *, limits: DecodeLimits | None = None, salvage: bool = False
) -> Signal:
    """The signal that an `.inr` file, given by its bytes or its path, holds.

    With `salvage`, damaged tiles of an image are grey, damaged segments of a sound silent;
    `open(...).damaged()` tells which. Raises SignalError if the file cannot be read and
    BitstreamError if it is not a stream.
    """
    return codec.decode(_bytes_of(data), limits=limits or DecodeLimits(), salvage=salvage)


def open(
    source: bytes | str | Path, *, limits: DecodeLimits | None = None, salvage: bool = False
) -> Reader:
    """A reader of parts of an `.inr` file; arguments and errors as of `decode`."""
    return Reader(_bytes_of(source), limits=limits, salvage=salvage)


def read_roi(x: Source) -> NDArray[np.float32]:
    """A mask [height, width], from 0 for black to 1 for white, of a grey image; of RGB the mean.

    Alpha is passed over; truth values and floats from 0 to 1 are taken as they are. Raises
    SignalError for what is no image, and for other floats.
    """
    if isinstance(x, np.ndarray):
        is_whole = np.issubdtype(x.dtype, np.integer)
        source: Signal | media.FilmSource = Signal.image(x if is_whole else x.astype(np.float32))
    else:
        source = x if isinstance(x, Signal) else media.load(x)
    if isinstance(source, media.FilmSource):
        source.close()
        raise SignalError("roi is an image, not a film")
    spec = source.spec
    if spec.kind is not Kind.IMAGE:
        raise SignalError(f"roi is an image, not {spec.kind.name.lower()}")
    colours = source.samples[..., : spec.channels - (spec.channels in (2, 4))]
    values = colours.astype(np.float32) if spec.sample_format.is_float else spec.to_unit(colours)
    if values.min() < 0.0 or values.max() > 1.0:
        raise SignalError(f"roi from {values.min():g} to {values.max():g} is not in [0, 1]")
    mask: NDArray[np.float32] = values.mean(axis=2)
    return mask


def choose_target(values: Mapping[Measure, float | None]) -> Target:
    """The one target that has a value, the default one if none has. Raises ConfigError for two."""
    given = {measure: value for measure, value in values.items() if value is not None}
    if len(given) > 1:
        raise ConfigError(f"targets {' and '.join(given)} contradict each other; give one at most")
    return Target(*given.popitem()) if given else Target()


def _source_of(
    x: Source, sample_rate: int | None, *, variable: str | None, channels_last: bool
) -> Signal | media.FilmSource:
    if isinstance(x, np.ndarray | Signal) and (variable is not None or channels_last):
        raise ConfigError("variable and channels_last are for files; Signal.array takes an array")
    if isinstance(x, np.ndarray):
        return Signal.image(x) if sample_rate is None else Signal.audio(x, sample_rate)
    if sample_rate is not None:
        raise ConfigError(
            f"sample_rate {sample_rate} is for arrays; {type(x).__name__} has its own"
        )
    if isinstance(x, Signal):
        return x
    return media.load(x, variable=variable, channels_last=channels_last)


def _bytes_of(source: bytes | str | Path) -> bytes:
    return source if isinstance(source, bytes) else files.read_bytes(source)
