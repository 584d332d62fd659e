"""What a sound that is tuned for hearing stores beside its coefficients, and what is made of it.

Ears forgive an error beside something loud, and miss the power of what was rounded to 0 more than
its shape. So steps follow the loudness of a frame, are finer at low frequencies, and grow with the
coefficients; and where those are 0, there is noise of about the power that was there: levels of
bands in time say how much (perceptual noise substitution: Herre & Schulz 1998). It is a level times
-1 or 1, by a hash of whole numbers, the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import ByteReader, ByteWriter
from inrcodec.entropy.coder import no_encoder_writes
from inrcodec.errors import CorruptError
from inrcodec.representations.cosine.bands import N_BANDS, bands_of, hertz_of
from inrcodec.representations.cosine.context import (
    CoefficientShape,
    coefficient_bits,
    decode_coefficients,
    encode_coefficients,
)
from inrcodec.representations.cosine.transform import Blocks

__all__ = ["HEARING", "Cells", "Hearing", "Shades", "gains_of", "levels_of", "smear_of"]

Floats = NDArray[np.float64]
Splits = NDArray[np.uint8]

_UNIT, _LEAST_POWER = 64, 16  # of power and tilt
_LOW_HZ, _HIGH_HZ = 100.0, 4000.0
_GROUPS: Final = 4  # of a frame at most, each with levels of its own
_ROW: Final = 32  # numbers of a group and channel: levels, then a gain, then zeros
_CUT: Final = 2  # splits of a frame of the coder, which has a row for each of its blocks
_LEAST_GAIN, _MOST_GAIN = -64, 63
_GAINS_PER_OCTAVE: Final = 4
_MOST_LEVEL: Final = 8
_LOUDEST: Final = 0.625  # the amplitude of that level, in steps

# Measured by PESQ on speech at 8 to 24 kbps.
_GAIN_SHARE: Final = 0.4  # of a frame's level in dB by which its steps grow
_GAIN_POWER: Final = 2.0**-14  # with a gain of 0
_SILENT_POWER: Final = 1e-9
_LONE_SHARE: Final = 0.5  # of the amplitude, of bands in which all is 0
_LEVEL_AMONG: Final = 5  # of those where some is not


@dataclass(frozen=True, slots=True)
class Hearing:
    """How steps grow: coefficients are rounded as their (`power` / 64)th power.

    Of a frequency f Hz within [100, 4000] the step is (f / 1000)^(`tilt` / 64) times as large.
    """

    power: int
    tilt: int

    def write(self, writer: ByteWriter) -> None:
        """To MODEL, after all else."""
        writer.u8(self.power)
        writer.u8(self.tilt)

    @classmethod
    def read(cls, reader: ByteReader) -> Self:
        """The inverse of `write`. Raises CorruptError."""
        power, tilt = reader.u8(), reader.u8()
        if not _LEAST_POWER <= power <= _UNIT or tilt > _UNIT:
            raise CorruptError(
                f"power {power}, tilt {tilt} of hearing is not in "
                f"[{_LEAST_POWER}, {_UNIT}], [0, {_UNIT}]"
            )
        return cls(power, tilt)

    def raised(self, sizes: Floats) -> Floats:
        """Coefficients in steps as they are rounded."""
        raised: Floats = np.copysign(np.abs(sizes) ** (self.power / _UNIT), sizes)
        return raised

    def lowered(self, sizes: Floats) -> Floats:
        """The inverse of `raised`, of sizes from 0 on."""
        lowered: Floats = sizes ** (_UNIT / self.power)
        return lowered

    def steps(self, blocks: Blocks, gains: NDArray[np.integer], rate: int) -> Floats:
        """What the step of each coefficient of a channel is multiplied by: [samples]."""
        steps = np.repeat(np.exp2(gains / _GAINS_PER_OCTAVE), blocks.n_samples // len(gains))
        for length, span in blocks.runs():
            tilts = hertz_of(length, rate).clip(_LOW_HZ, _HIGH_HZ) / 1000.0
            steps[span] *= np.resize(tilts ** (self.tilt / _UNIT), span.stop - span.start)
        return steps


HEARING: Final = Hearing(48, 19)


class Cells(NamedTuple):
    """Where each coefficient of a channel is, by group of blocks and by band: [samples]."""

    groups: NDArray[np.int64]
    bands: NDArray[np.int64]

    @classmethod
    def of(cls, frame: int, splits: Splits, rate: int) -> Self:
        """Of frames; groups are counted from the first of them."""
        first = _first_groups(splits)
        parts = [
            start + np.arange(1 << split) * min(1 << split, _GROUPS) // (1 << split)
            for start, split in zip(first[:-1].tolist(), splits.tolist(), strict=True)
        ]
        blocks = Blocks.of_splits(frame, splits)
        groups = np.repeat(np.concatenate(parts), blocks.lengths)
        return cls(groups, bands_of(blocks, rate))


@dataclass(frozen=True, slots=True)
class Shades:
    """Gains [frames] of a segment, in quarter octaves; levels [groups, channels, bands].

    Noise of a level L from 1 to 8 is 0.625 x 2^(L - 8) steps in size; 0: there is none.
    """

    gains: NDArray[np.int64]
    levels: NDArray[np.int64]

    def bits(self, splits: Splits) -> float:
        """What `to_bytes` takes, but for its last word."""
        return coefficient_bits(*self._numbers(splits))

    def to_bytes(self, splits: Splits) -> bytes:
        """The words of all numbers."""
        return encode_coefficients(*self._numbers(splits))

    def _numbers(self, splits: Splits) -> tuple[Splits, NDArray[np.int32], CoefficientShape]:
        first, n_channels = _first_groups(splits), self.levels.shape[1]
        shape = _shape(int(first[-1]), n_channels)
        rows = np.zeros((shape.n_frames << _CUT, n_channels, _ROW), np.int32)
        rows[: len(self.levels), :, :N_BANDS] = self.levels
        rises = np.diff(self.gains, prepend=0)
        rows[first[:-1], 0, N_BANDS] = np.where(rises < 0, -2 * rises - 1, 2 * rises)
        return np.full(shape.n_frames, _CUT, np.uint8), rows.ravel(), shape

    @classmethod
    def from_bytes(cls, data: bytes, splits: Splits, n_channels: int) -> Self:
        """The inverse of `to_bytes`. Raises CorruptError."""
        first = _first_groups(splits)
        n_groups = int(first[-1])
        shape = _shape(n_groups, n_channels)
        cuts, values = decode_coefficients(data, shape)
        rows = values.reshape(-1, n_channels, _ROW).astype(np.int64)
        rises = rows[first[:-1], 0, N_BANDS]
        gains = np.cumsum(np.where(rises % 2 == 1, -(rises + 1) // 2, rises // 2))
        shades = cls(gains, rows[:n_groups, :, :N_BANDS])
        is_odd = bool(np.any(cuts != _CUT)) or np.any(shades.levels > _MOST_LEVEL)
        is_odd = is_odd or np.any(gains < _LEAST_GAIN) or np.any(gains > _MOST_GAIN)
        if is_odd or not np.array_equal(shades._numbers(splits)[1], values):
            raise no_encoder_writes()
        return shades

    def noise(self, frame: int, splits: Splits, rate: int, frames: range) -> Floats:
        """Of coefficients [samples, channels] of some frames of the segment, in steps.

        `splits`: of all its frames.
        """
        cells = Cells.of(frame, splits[frames.start : frames.stop], rate)
        groups = cells.groups + _first_groups(splits)[frames.start]
        amplitudes = np.where(self.levels > 0, _LOUDEST * np.exp2(self.levels - _MOST_LEVEL), 0.0)
        sizes: Floats = amplitudes.swapaxes(1, 2)[groups, cells.bands]
        return sizes * _signs(frames.start * frame, sizes.shape)


def gains_of(coefficients: Floats, frame: int) -> NDArray[np.int64]:
    """The gain of each frame, by the power of its coefficients [samples, channels]."""
    powers = np.square(coefficients).reshape(-1, frame * coefficients.shape[1]).mean(axis=1)
    octaves = 0.5 * np.log2((powers + _SILENT_POWER) / _GAIN_POWER)
    gains = np.rint(_GAINS_PER_OCTAVE * _GAIN_SHARE * octaves)
    clipped: NDArray[np.int64] = gains.clip(_LEAST_GAIN, _MOST_GAIN).astype(np.int64)
    return clipped


def levels_of(sizes: Floats, whole: NDArray[np.int32], cells: Cells) -> NDArray[np.int64]:
    """Levels [groups, channels, bands] for coefficients [samples, channels] in steps.

    `whole`: what they are rounded to. Noise is weaker than what it stands for, as it is not that.
    Where some are not 0 it is the same always, and where none is 0 as before, which takes no bits.
    """
    n_cells = (int(cells.groups[-1]) + 1) * N_BANDS
    places, levels = cells.groups * N_BANDS + cells.bands, []
    n_all = np.bincount(places, None, n_cells)
    for channel in range(sizes.shape[1]):
        is_zero = whole[:, channel] == 0
        powers = np.bincount(places, np.square(sizes[:, channel]) * is_zero, n_cells)
        n_zeros = np.bincount(places, is_zero, n_cells)
        amplitudes = _LONE_SHARE * np.sqrt(powers / np.maximum(n_zeros, 1))
        own = np.rint(_MOST_LEVEL + np.log2(np.maximum(amplitudes, 1e-9) / _LOUDEST))
        own = np.where(n_zeros < n_all, _LEVEL_AMONG, own.clip(0, _MOST_LEVEL))
        levels.append(_held(own.reshape(-1, N_BANDS), (n_zeros == 0).reshape(-1, N_BANDS)))
    return np.stack(levels, axis=1).astype(np.int64)


def _held(levels: Floats, is_idle: NDArray[np.bool_]) -> Floats:
    """Levels [groups, bands] that are those of the group before where they are idle, or 0."""
    before = np.zeros(levels.shape[1])
    for own, idle in zip(levels, is_idle, strict=True):
        own[idle] = before[idle]
        before = own
    return levels


def smear_of(seconds: float) -> float:
    """What blocks that long are worse by than their bits say, as they smear sounds in time."""
    return 1.1 if seconds >= 0.04 else 1.05 if seconds >= 0.02 else 1.0


def _first_groups(splits: Splits) -> NDArray[np.int64]:
    """The first group of each frame, and how many there are of all: [frames + 1]."""
    counts = np.minimum(1 << splits.astype(np.int64), _GROUPS)
    return np.concatenate(([0], np.cumsum(counts)))


def _shape(n_groups: int, n_channels: int) -> CoefficientShape:
    """Rows of groups, as blocks of frames of the coder."""
    n_frames = -(-n_groups >> _CUT)
    return CoefficientShape(n_frames, _ROW << _CUT, n_channels, _CUT, has_signs=False)


def _signs(first: int, shape: tuple[int, ...]) -> Floats:
    """-1 or 1 for coefficients [samples, channels], by their places in the segment."""
    n_samples, n_channels = shape
    ends = first * n_channels, (first + n_samples) * n_channels
    places = np.arange(*ends, dtype=np.int64).astype(np.uint32)
    mixed = (places + np.uint32(1)) * np.uint32(0x9E3779B1)
    mixed = (mixed ^ (mixed >> np.uint32(15))) * np.uint32(0x85EBCA77)
    mixed ^= mixed >> np.uint32(13)
    signs: Floats = np.where(mixed >> np.uint32(31), -1.0, 1.0).reshape(shape)
    return signs
