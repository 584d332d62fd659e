"""The pipeline in one place: a fitted representation into bytes, bytes into a signal.

Knows representations by their table only. The rate is the length of what `encode` returns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import DecodeLimits, Group, SectionId, Stream
from inrcodec.errors import InrcodecError, LimitError, SignalError
from inrcodec.fields import ByteReader
from inrcodec.mask import resampled
from inrcodec.representations import by_id, id_of
from inrcodec.representations.base import Budget, FitGoal, Piece, Representation, Watch, Window
from inrcodec.representations.chain import Chain
from inrcodec.signal import Kind, Signal, SignalSpec

__all__ = [
    "Encoded",
    "Function",
    "check_same_integers",
    "check_work",
    "decode",
    "encode",
    "evaluate",
    "frame_of",
    "mask_at",
    "put_mask",
    "render",
    "unpack",
]

Function = Representation | Chain
"""What a stream holds: one function, or those of the groups of a film."""

_FINER_POINTS = 1 << 22


@dataclass(frozen=True, slots=True)
class Encoded:
    """A fit, the bytes that it makes, and what a decoder reads from those.

    `data` is a file; of a film, it is the payload of one group of frames.
    """

    data: bytes
    fitted: Representation
    unpacked: Representation


def encode(
    signal: Signal,
    representation: type[Representation],
    config: object,
    goal: FitGoal,
    *,
    budget: Budget,
    start: Representation | None = None,
    base: Representation | None = None,
    watch: Watch | None = None,
    verify: bool = True,
) -> Encoded:
    """Fit, pack, frame and read back; with `verify`, compare every integer.

    A film is fitted as one group; `base` is the function of the group before, to which its
    difference is stored. Raises SignalError, before the fit, for a signal that decoders would
    refuse for its size.
    """
    frame = frame_of(signal, representation)
    _check_within_limits(frame)
    visible = signal.filled()
    fitted = representation.fit(visible, config, goal, budget, start=start, base=base, watch=watch)
    sections = fitted.pack()
    if signal.spec.kind is Kind.VIDEO:
        data = Group(signal.spec.grid[0], base is not None, sections).to_bytes()
        read = Group.read(ByteReader(data)).sections
    else:
        data = replace(frame, sections=sections).to_bytes()
        read = Stream.from_bytes(data).sections
    unpacked = representation.unpack(read, signal.spec, DecodeLimits(), base=base)
    if verify:
        check_same_integers(fitted, unpacked)
    return Encoded(data, fitted, unpacked)


def frame_of(signal: Signal, representation: type[Representation]) -> Stream:
    """The stream of a signal, but for what a representation stores."""
    return Stream(
        spec=signal.spec,
        representation_id=id_of(representation),
        metadata=signal.metadata,
        times=signal.times,
        part_start=None if signal.part is None else signal.part[0],
        mask=signal.mask,
    )


def _check_within_limits(frame: Stream) -> None:
    """Raise SignalError if a decoder with the default limits would refuse the stream."""
    if frame.spec.kind is Kind.VIDEO:
        nothing = {int(SectionId.MODEL): b"", int(SectionId.SYMBOLS): b""}
        frame = replace(frame, groups=(Group(frame.spec.grid[0], False, nothing),))
    try:
        Stream.from_bytes(frame.to_bytes())
    except LimitError as error:
        raise SignalError(str(error)) from None


def check_same_integers(fitted: Representation, unpacked: Representation) -> None:
    """Raise InrcodecError unless what was unpacked is exactly what was fitted."""
    pairs = zip(fitted.runs(), unpacked.runs(), strict=True)
    if not all(np.array_equal(mine, theirs) for mine, theirs in pairs):
        raise InrcodecError("the encoded stream does not decode to what was encoded")


def unpack(
    data: bytes, limits: DecodeLimits | None = None, *, salvage: bool = False
) -> tuple[Stream, Function]:
    """The stream and the function that bytes hold; the groups of a film are unpacked when used.

    With `salvage`, tiles that are damaged or missing are no error: they come out grey,
    of a sound silent. Raises BitstreamError only.
    """
    limits = limits or DecodeLimits()
    stream = Stream.from_bytes(data, limits, salvage=salvage)
    family = by_id(stream.representation_id)
    if stream.spec.kind is Kind.VIDEO:
        return stream, Chain(family, stream.groups, stream.spec, limits)
    sections, starts = stream.sections, stream.starts
    function = family.unpack(sections, stream.spec, limits, salvage=salvage, starts=starts)
    return stream, function


def decode(data: bytes, *, limits: DecodeLimits | None = None, salvage: bool = False) -> Signal:
    """The signal that bytes hold, as `unpack` reads them. Raises BitstreamError, nothing else."""
    stream, function = unpack(data, limits, salvage=salvage)
    return render(stream, function, limits=limits)


def render(stream: Stream, function: Function, *, limits: DecodeLimits | None = None) -> Signal:
    """The signal, at the coded samples. Raises LimitError beforehand."""
    spec = stream.spec
    windows = tuple(Window.whole(size) for size in spec.grid)
    samples = evaluate(function, spec, windows, limits=limits)
    mask = put_mask(samples, stream, windows)
    start = stream.part_start
    return Signal(
        samples=samples,
        spec=spec,
        metadata=stream.metadata,
        part=None if start is None else (start, start + spec.grid[0]),
        times=stream.times,
        mask=mask,
    )


def evaluate(
    function: Function,
    spec: SignalSpec,
    windows: tuple[Window, ...],
    *,
    factors: tuple[int, ...] | None = None,
    limits: DecodeLimits | None = None,
) -> NDArray[np.generic]:
    """Samples [*lengths of the windows, channels] of a function, in the format of `spec`.

    Each is the mean of `factors` samples along each axis, which share its stretch evenly. Raises
    LimitError before more is computed than `limits` allow of all pieces together.
    """
    limits, factors = limits or DecodeLimits(), factors or (1,) * len(windows)
    shape = (*(len(window) for window in windows), spec.channels)
    n_samples = math.prod(shape)
    if n_samples > limits.max_samples:
        raise LimitError(f"{n_samples} samples are over the limit of {limits.max_samples}")
    samples, macs = np.empty(0, spec.sample_format.dtype), 0.0
    for piece in function.pieces(windows):
        macs += _macs_of(piece, factors)
        check_work(macs, limits)
        if samples.size == 0:
            samples = np.empty(shape, spec.sample_format.dtype)
        _fill(samples[piece.where], piece, factors, spec)
    return samples


def check_work(macs: float, limits: DecodeLimits) -> None:
    """Raise LimitError for more multiplications than that."""
    if macs > limits.max_macs:
        raise LimitError(f"{macs:.3g} multiplications are over the limit of {limits.max_macs:.3g}")


def _fill(
    samples: NDArray[np.generic], piece: Piece, factors: tuple[int, ...], spec: SignalSpec
) -> None:
    """Render a piece; where samples are means, so many rows at once that the finer ones are few."""
    finer = tuple(w.finer(factor) for w, factor in zip(piece.windows, factors, strict=True))
    if set(factors) == {1}:
        samples[...] = spec.from_unit(piece.function.render(finer))
        return
    first = piece.windows[0]
    n_per_row = factors[0] * math.prod(len(window) for window in finer[1:])
    n_rows = max(1, _FINER_POINTS // n_per_row)
    for row in range(0, first.count, n_rows):
        rows = Window(first.size, first.start + row, min(n_rows, first.count - row))
        values = piece.function.render((rows.finer(factors[0]), *finer[1:]))
        samples[row : row + n_rows] = spec.from_unit(_means(values, factors))


def _means(values: NDArray[np.float32], factors: tuple[int, ...]) -> NDArray[np.float32]:
    """Means over blocks of `factors` samples along the axes before the last."""
    pairs = zip(values.shape, factors, strict=False)
    shape = [part for size, factor in pairs for part in (size // factor, factor)]
    blocks = values.reshape(*shape, values.shape[-1])
    means: NDArray[np.float32] = blocks.mean(axis=tuple(range(1, len(shape), 2)))
    return means


def _macs_of(piece: Piece, factors: tuple[int, ...]) -> float:
    """Multiplications that the samples of a piece take, each the mean of `factors` finer ones."""
    n_points = math.prod(factors) * math.prod(len(window) for window in piece.windows)
    return piece.function.cost().macs_per_point * n_points


def put_mask(
    samples: NDArray[np.generic], stream: Stream, windows: tuple[Window, ...]
) -> NDArray[np.bool_] | None:
    """Make the samples of windows NaN where they are no numbers; where that is, as `mask_at`."""
    mask = mask_at(stream, windows)
    if mask is not None:
        samples[mask] = np.nan
    return mask


def mask_at(stream: Stream, windows: tuple[Window, ...]) -> NDArray[np.bool_] | None:
    """Where the samples of windows are no numbers; None: nowhere."""
    if stream.mask is None:
        return None
    mask = resampled(stream.mask, tuple((int(w.size), int(w.start), len(w)) for w in windows))
    return mask if mask.any() else None
