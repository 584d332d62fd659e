"""What a stream stores of a sum of cosines: MODEL for the whole sound, a TILE for each segment.

A segment is a run of frames whose integers are coded apart from all others: how each frame is split
into blocks, and the coefficients in units of the step. Two channels are turned by an angle before.
A sound that is tuned for hearing has more of both (`hearing`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import ByteReader, ByteWriter, DecodeLimits
from inrcodec.errors import ConfigError, CorruptError, LimitError
from inrcodec.representations.cosine.config import LEAST_FRAME, MOST_FRAME, MOST_SPLITS
from inrcodec.representations.cosine.context import (
    CoefficientShape,
    coefficient_bits,
    decode_coefficients,
    encode_coefficients,
)
from inrcodec.representations.cosine.hearing import Hearing, Shades
from inrcodec.representations.cosine.transform import Blocks
from inrcodec.representations.cosine.turning import (
    Angles,
    angles_to_bytes,
    read_angles,
    turned,
)
from inrcodec.signal import Kind, SignalSpec

__all__ = [
    "STEPS_PER_OCTAVE",
    "CosineModel",
    "Segment",
    "from_coded_order",
    "in_coded_order",
]

Floats = NDArray[np.float64]
_Number = TypeVar("_Number", np.int32, np.float64)

STEPS_PER_OCTAVE = 128
LARGEST_STEP = 4.0

_MOST_STEP_INDEX = 26 * STEPS_PER_OCTAVE
_SHRINK_UNIT = 1.0 / 512.0


@dataclass(frozen=True, slots=True)
class CosineModel:
    """MODEL: what all segments share.

    Coefficients are rounded in steps of LARGEST_STEP 2^-(step_index / 128), of samples in [0, 1]
    in size. A size of 1 counts `shrinks[0]` / 512 less, larger ones `shrinks[1]` / 512. `hearing`:
    how steps differ, if they do.
    """

    frame: int
    most_splits: int
    segment_frames: int
    step_index: int
    shrinks: tuple[int, int]
    hearing: Hearing | None = None

    @property
    def step(self) -> float:
        """Of the coefficients."""
        return LARGEST_STEP * math.exp2(-self.step_index / STEPS_PER_OCTAVE)

    def n_frames(self, spec: SignalSpec) -> int:
        """Of a whole sound."""
        return -(-spec.grid[0] // self.frame)

    def n_segments(self, spec: SignalSpec) -> int:
        """Of a whole sound."""
        return -(-self.n_frames(spec) // self.segment_frames)

    def segment(self, number: int, spec: SignalSpec) -> range:
        """The frames of a segment."""
        start = number * self.segment_frames
        return range(start, min(start + self.segment_frames, self.n_frames(spec)))

    def segments(self, spec: SignalSpec) -> Iterator[range]:
        """The frames of each segment."""
        return (self.segment(number, spec) for number in range(self.n_segments(spec)))

    def shape(self, frames: range, spec: SignalSpec) -> CoefficientShape:
        """What the coder is told of a segment."""
        return CoefficientShape(len(frames), self.frame, spec.channels, self.most_splits)

    def to_bytes(self) -> bytes:
        """The payload of MODEL."""
        writer = ByteWriter()
        writer.u8(self.frame.bit_length() - 1)
        writer.u8(self.most_splits)
        writer.varint(self.segment_frames)
        writer.u16(self.step_index)
        for shrink in self.shrinks:
            writer.u8(shrink)
        if self.hearing is not None:
            self.hearing.write(writer)
        return writer.to_bytes()

    @staticmethod
    def read(reader: ByteReader, spec: SignalSpec, limits: DecodeLimits) -> CosineModel:
        """The inverse of `to_bytes`. Raises BitstreamError."""
        if spec.kind is not Kind.AUDIO:
            raise CorruptError(f"cosine of {spec.kind.name.lower()}")
        log2_frame, most_splits = reader.u8(), reader.u8()
        segment_frames, step_index = reader.varint(), reader.u16()
        shrinks = reader.u8(), reader.u8()
        hearing = Hearing.read(reader) if reader.bytes_left >= 2 else None
        reader.finish()
        frame = 1 << log2_frame
        is_odd = not LEAST_FRAME <= frame <= MOST_FRAME or most_splits > MOST_SPLITS
        if is_odd or segment_frames == 0:
            raise CorruptError(
                f"frames of 2^{log2_frame}, {most_splits} splits, {segment_frames} a segment"
            )
        if step_index > _MOST_STEP_INDEX:
            raise CorruptError(f"step index {step_index} is over {_MOST_STEP_INDEX}")
        model = CosineModel(frame, most_splits, segment_frames, step_index, shrinks, hearing)
        n_values = min(model.n_frames(spec), segment_frames) * frame * spec.channels
        if n_values > limits.max_parameters:
            raise LimitError(f"{n_values} numbers of a segment are over {limits.max_parameters}")
        try:
            model.shape(range(0), spec)
        except ConfigError as error:
            raise CorruptError(f"MODEL: {error}") from None
        return model

    @staticmethod
    def index_of(step: float) -> int:
        """The index of the step next to this one, within the range."""
        index = round(STEPS_PER_OCTAVE * math.log2(LARGEST_STEP / step))
        return min(max(index, 0), _MOST_STEP_INDEX)

    @staticmethod
    def shrinks_of(too_large: Floats) -> tuple[int, int]:
        """What is stored of by how much, in steps, sizes of 1 and larger ones are too large."""
        one, more = (min(max(round(float(x) / _SHRINK_UNIT), 0), 255) for x in too_large)
        return one, more

    def coefficients(
        self, segment: Segment, spec: SignalSpec, frames: range | None = None
    ) -> Floats:
        """Those of a segment, or of some of its frames: [samples, channels]."""
        frames = range(len(segment.splits)) if frames is None else frames
        part = slice(frames.start, frames.stop)
        symbols = segment.values.reshape(len(segment.splits), -1)[part].ravel()
        blocks = Blocks.of_splits(self.frame, segment.splits[part])
        ordered = from_coded_order(self._values(symbols), blocks, spec.channels)
        rate, shades = spec.sample_rate or 1, segment.shades
        if self.hearing is not None and shades is not None:
            noise = shades.noise(self.frame, segment.splits, rate, frames)
            ordered = np.where(ordered == 0.0, noise, ordered)
            ordered *= self.hearing.steps(blocks, shades.gains[part], rate)[:, None]
        return turned(ordered * self.step, segment.angles, blocks, rate, back=True)

    def _values(self, symbols: NDArray[np.int32]) -> Floats:
        """What coded integers stand for, in steps."""
        sizes = np.abs(symbols).astype(np.float64)
        shrunk = np.where(sizes == 1.0, self.shrinks[0], self.shrinks[1]) * _SHRINK_UNIT
        sizes = np.where(sizes > 0.0, sizes - shrunk, 0.0)
        if self.hearing is not None:
            sizes = self.hearing.lowered(sizes)
        return np.copysign(sizes, symbols)


@dataclass(frozen=True, slots=True)
class Segment:
    """The integers of a segment: splits [frames], an angle for each two channels, coefficients.

    `values` [frames x frame x channels] lie in the order in which they are coded: block after
    block, in a block channel after channel. `shades`: of a sound that is tuned for hearing.
    """

    splits: NDArray[np.uint8]
    angles: Angles
    values: NDArray[np.int32]
    shades: Shades | None = None

    def size(self) -> int:
        """Of the values."""
        return self.values.size

    def bits(self, shape: CoefficientShape) -> float:
        """About what the payload of TILE takes."""
        bits = coefficient_bits(self.splits, self.values, shape)
        return bits if self.shades is None else bits + self.shades.bits(self.splits)

    def to_bytes(self, shape: CoefficientShape) -> bytes:
        """The payload of TILE."""
        writer, words = ByteWriter(), encode_coefficients(self.splits, self.values, shape)
        writer.raw(angles_to_bytes(self.angles))
        if self.shades is not None:
            writer.varint(len(words))
        writer.raw(words)
        if self.shades is not None:
            writer.raw(self.shades.to_bytes(self.splits))
        return writer.to_bytes()

    @staticmethod
    def from_bytes(
        payload: bytes, shape: CoefficientShape, *, is_heard: bool, start: int = 0
    ) -> Segment:
        """The inverse of `to_bytes`; `start`: where it is in the file. Raises BitstreamError.

        `is_heard`: whether there are shades.
        """
        reader = ByteReader(payload, name="it", base=start)
        angles = read_angles(reader, shape.n_channels, start=start)
        words = reader.take(reader.varint() if is_heard else reader.bytes_left)
        splits, values = decode_coefficients(words, shape)
        if not is_heard:
            return Segment(splits, angles, values)
        shades = Shades.from_bytes(reader.take(reader.bytes_left), splits, shape.n_channels)
        return Segment(splits, angles, values, shades)


def in_coded_order(values: NDArray[_Number], blocks: Blocks) -> NDArray[_Number]:
    """Values [n, channels] as they are coded: block after block, channel after channel."""
    parts = [
        values[span].reshape(-1, length, values.shape[1]).swapaxes(1, 2).ravel()
        for length, span in blocks.runs()
    ]
    return np.concatenate(parts) if parts else values.ravel()


def from_coded_order(values: Floats, blocks: Blocks, n_channels: int) -> Floats:
    """The inverse of `in_coded_order`."""
    out = np.empty((blocks.n_samples, n_channels))
    for length, span in blocks.runs():
        part = values[span.start * n_channels : span.stop * n_channels]
        out[span] = part.reshape(-1, n_channels, length).swapaxes(1, 2).reshape(-1, n_channels)
    return out
