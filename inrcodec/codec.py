"""The pipeline in one place: a fitted representation into bytes, bytes into a signal.

Knows representations by their table only. The rate is the length of what `encode` returns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import DecodeLimits, Stream
from inrcodec.errors import InrcodecError, LimitError, SignalError
from inrcodec.mask import resampled
from inrcodec.representations import by_id, id_of
from inrcodec.representations.base import Budget, FitGoal, Representation, Watch, Window
from inrcodec.signal import Signal

__all__ = ["Encoded", "check_same_integers", "decode", "encode", "render", "unpack"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file, the fit that was packed into it, and what a decoder reads from its bytes."""

    data: bytes
    fitted: Representation
    stream: Stream
    unpacked: Representation


def encode(
    signal: Signal,
    representation: type[Representation],
    config: object,
    goal: FitGoal,
    *,
    budget: Budget,
    start: Representation | None = None,
    watch: Watch | None = None,
    verify: bool = True,
) -> Encoded:
    """Fit, pack, frame and read back; with `verify`, compare every integer.

    Raises SignalError, before the fit, for a signal that decoders would refuse for its size.
    """
    frame = Stream(
        spec=signal.spec,
        representation_id=id_of(representation),
        sections={},
        metadata=signal.metadata,
        part_start=None if signal.part is None else signal.part[0],
        mask=signal.mask,
    )
    _check_within_limits(frame)
    fitted = representation.fit(signal.filled(), config, goal, budget, start=start, watch=watch)
    data = replace(frame, sections=fitted.pack()).to_bytes()
    stream, unpacked = unpack(data)
    if verify:
        check_same_integers(fitted, unpacked)
    return Encoded(data, fitted, stream, unpacked)


def _check_within_limits(frame: Stream) -> None:
    """Raise SignalError if a decoder with the default limits would refuse the stream."""
    try:
        Stream.from_bytes(frame.to_bytes())
    except LimitError as error:
        raise SignalError(str(error)) from None


def check_same_integers(fitted: Representation, unpacked: Representation) -> None:
    """Raise InrcodecError unless what was unpacked is exactly what was fitted."""
    pairs = zip(fitted.symbols, unpacked.symbols, strict=True)
    if not all(np.array_equal(mine, theirs) for mine, theirs in pairs):
        raise InrcodecError("the encoded stream does not decode to what was encoded")


def unpack(data: bytes, limits: DecodeLimits | None = None) -> tuple[Stream, Representation]:
    """The stream and the representation that bytes hold. Raises BitstreamError only."""
    limits = limits or DecodeLimits()
    stream = Stream.from_bytes(data, limits)
    family = by_id(stream.representation_id)
    return stream, family.unpack(stream.sections, stream.spec, limits)


def decode(data: bytes, *, limits: DecodeLimits | None = None) -> Signal:
    """The signal that bytes hold. Raises BitstreamError, and nothing else."""
    stream, representation = unpack(data, limits)
    return render(stream, representation, limits=limits)


def render(
    stream: Stream,
    representation: Representation,
    *,
    windows: tuple[Window, ...] | None = None,
    limits: DecodeLimits | None = None,
) -> Signal:
    """Evaluate at the coded samples, or at those of `windows`. Raises LimitError beforehand."""
    limits = limits or DecodeLimits()
    spec = stream.spec
    windows = windows or tuple(Window.whole(size) for size in spec.grid)
    spec = replace(spec, grid=tuple(len(window) for window in windows))
    macs = representation.cost().macs_per_point * spec.n_points
    if macs > limits.max_macs:
        raise LimitError(f"{macs:.3g} multiplications are over the limit of {limits.max_macs:.3g}")
    if spec.n_points * spec.channels > limits.max_samples:
        n_samples = spec.n_points * spec.channels
        raise LimitError(f"{n_samples} samples are over the limit of {limits.max_samples}")
    samples = spec.from_unit(representation.render(windows))
    start = stream.part_start
    part = None if start is None else (start, start + stream.spec.grid[0])
    mask = _mask_at(stream, windows)
    if mask is not None:
        samples[mask] = np.nan
    return Signal(samples=samples, spec=spec, metadata=stream.metadata, part=part, mask=mask)


def _mask_at(stream: Stream, windows: tuple[Window, ...]) -> NDArray[np.bool_] | None:
    """Where the samples of windows are no numbers; None: nowhere."""
    if stream.mask is None:
        return None
    mask = resampled(stream.mask, tuple((one.size, one.start, one.stop) for one in windows))
    return mask if mask.any() else None
