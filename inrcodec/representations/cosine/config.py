"""What may be chosen of a sum of cosines, and what is chosen else."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inrcodec.errors import ConfigError

__all__ = ["LEAST_BLOCK", "LEAST_FRAME", "MOST_FRAME", "MOST_SPLITS", "CosineConfig", "frame_of"]

LEAST_FRAME, MOST_FRAME = 128, 16384
MOST_SPLITS = 4
LEAST_BLOCK = 32
_FRAME_SECONDS = 0.04  # a frame is the next power of two of samples
_SEGMENT_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CosineConfig:
    """None: chosen by the rate.

    `frame`: samples of a frame, a power of two from 128 to 16384; `splits` 0 to 4: a frame has 1 to
    2**splits blocks, of 32 samples at least; `segment_seconds`, over 0: how much of a sound is
    coded apart, in whole frames, so that reading a part of it begins there.
    """

    frame: int | None = None
    splits: int = MOST_SPLITS
    segment_seconds: float = _SEGMENT_SECONDS

    def __post_init__(self) -> None:
        if self.frame is not None and not _is_frame(self.frame):
            raise ConfigError(
                f"frame {self.frame!r} is not a power of two in [{LEAST_FRAME}, {MOST_FRAME}]"
            )
        if type(self.splits) is not int or not 0 <= self.splits <= MOST_SPLITS:
            raise ConfigError(f"splits {self.splits!r} is not an integer in [0, {MOST_SPLITS}]")
        seconds = self.segment_seconds
        if not isinstance(seconds, int | float) or not 0.0 < seconds < 1e6:
            raise ConfigError(f"segment_seconds {seconds!r} is not a number in (0, 1e6)")

    def frame_at(self, rate: int) -> int:
        """Samples of a frame of a sound of `rate` Hz."""
        return self.frame or frame_of(rate)

    def splits_of(self, frame: int) -> int:
        """The most splits of such a frame."""
        return min(self.splits, (frame // LEAST_BLOCK).bit_length() - 1)

    def segment_frames(self, rate: int) -> int:
        """Frames that are coded together."""
        return max(1, round(self.segment_seconds * rate / self.frame_at(rate)))


def frame_of(rate: int) -> int:
    """Samples of a frame: 40 ms or the next power of two above."""
    wanted = 1 << max(0, math.ceil(math.log2(rate * _FRAME_SECONDS)))
    return min(max(wanted, LEAST_FRAME), MOST_FRAME)


def _is_frame(frame: object) -> bool:
    if type(frame) is not int or not LEAST_FRAME <= frame <= MOST_FRAME:
        return False
    return frame & (frame - 1) == 0
