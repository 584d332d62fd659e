"""The coefficients of a segment as a fit has them: exact, to be rounded in whatever steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrcodec.representations.cosine.hearing import Cells, Hearing, Shades, gains_of, levels_of
from inrcodec.representations.cosine.pack import Segment, in_coded_order
from inrcodec.representations.cosine.rounding import rounded
from inrcodec.representations.cosine.transform import Blocks
from inrcodec.representations.cosine.turning import Angles, turned

__all__ = ["Part"]

Floats = NDArray[np.float64]


class Part:
    """Frames of a segment and their coefficients [samples, channels], turned by the angles.

    `hearing`, if the sound is tuned for it: their steps differ, and `exact` is in units of those.
    """

    def __init__(
        self,
        frames: range,
        splits: NDArray[np.uint8],
        coefficients: Floats,
        *,
        angles: Angles,
        rate: int,
        hearing: Hearing | None,
    ) -> None:
        self.frames, self.splits = frames, splits
        self._frame = len(coefficients) // len(frames)
        self._angles, self._blocks = angles, Blocks.of_splits(self._frame, splits)
        self._rate, self._hearing = rate, hearing
        self.exact = turned(coefficients, angles, self._blocks, rate)
        if hearing is not None:
            self._gains = gains_of(self.exact, self._frame)
            self.exact /= hearing.steps(self._blocks, self._gains, rate)[:, None]

    def size(self) -> int:
        """Of the coefficients."""
        return self.exact.size

    def rounded(self, step: float) -> NDArray[np.int32]:
        """Whole numbers of steps."""
        return rounded(self._sizes(step), self._blocks)

    def too_large(self, whole: NDArray[np.int32], step: float) -> tuple[Floats, Floats]:
        """By how many steps numbers of size 1, and larger ones, are too large; how many are so."""
        sizes, exact = np.abs(whole), np.abs(self._sizes(step))
        chosen = sizes == 1, sizes > 1
        sums = [float((sizes[one] - exact[one]).sum()) for one in chosen]
        return np.array(sums), np.array([float(one.sum()) for one in chosen])

    def coded(self, whole: NDArray[np.int32], step: float) -> Segment:
        """The segment of these numbers."""
        values, shades = in_coded_order(whole, self._blocks), None
        if self._hearing is not None:
            cells = Cells.of(self._frame, self.splits, self._rate)
            shades = Shades(self._gains, levels_of(self.exact / step, whole, cells))
        return Segment(self.splits, self._angles, values, shades)

    def _sizes(self, step: float) -> Floats:
        """As they are rounded."""
        sizes: Floats = self.exact / step
        return sizes if self._hearing is None else self._hearing.raised(sizes)
