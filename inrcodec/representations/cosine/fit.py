"""The fit of a sum of cosines: no descent, as the transform keeps sums of squares.

What an error in a coefficient costs is its square, whatever the others are. Blocks are chosen frame
by frame, by what their coefficients would cost about; then the step is searched for with which the
bytes or the error come to what is to be held.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import DecodeLimits
from inrcodec.errors import SignalError
from inrcodec.representations.base import Budget, FitGoal, Step, Watch
from inrcodec.representations.cosine.config import CosineConfig
from inrcodec.representations.cosine.context import LARGEST_COEFFICIENT, coefficient_bits
from inrcodec.representations.cosine.pack import (
    ANGLES,
    STEPS_PER_OCTAVE,
    CosineModel,
    Segment,
    in_coded_order,
    turned,
)
from inrcodec.representations.cosine.rounding import STEPS_SQUARED_PER_PRICE, rounded
from inrcodec.representations.cosine.transform import Blocks, forward, inverse
from inrcodec.signal import Signal, SignalSpec

__all__ = ["Fitted", "fit_sound", "silence_of"]

Floats = NDArray[np.float64]

_LEAST_ERROR = 1e-30
_SETTLED = STEPS_PER_OCTAVE // 2
_ROUNDS = 3
_MOST_TRIES = 12
_BYTES_OF_FRAME = 60.0  # of what is around the segments, and of each
_BYTES_OF_SEGMENT = 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """The integers of a fit, and the price of a bit that they are right for."""

    model: CosineModel
    segments: tuple[Segment, ...]
    lam: float
    iterations: int


def fit_sound(
    signal: Signal,
    config: CosineConfig,
    goal: FitGoal,
    *,
    budget: Budget,
    watch: Watch | None = None,
) -> Fitted:
    """Fit to a sound. Raises SignalError for one that has no rate."""
    return _Fitter(signal, config, goal, budget=budget, watch=watch).fit()


class _Fitter:
    """One fit. `samples` are those of the signal around silence, on the [0, 1] scale."""

    def __init__(
        self,
        signal: Signal,
        config: CosineConfig,
        goal: FitGoal,
        *,
        budget: Budget,
        watch: Watch | None,
    ) -> None:
        spec = signal.spec
        if spec.sample_rate is None:
            raise SignalError("cosine takes sounds, which have a rate")
        self._spec, self._goal, self._budget, self._watch = spec, goal, budget, watch
        self._samples = spec.to_unit(signal.samples).astype(np.float64) - silence_of(spec)
        frame = config.frame_at(spec.sample_rate)
        most_splits = config.splits_of(frame)
        n_frames = max(1, -(-spec.grid[0] // frame))
        most = max(1, DecodeLimits().max_parameters // (frame * spec.channels))
        segment_frames = min(config.segment_frames(spec.sample_rate), most, n_frames)
        self._model = CosineModel(frame, most_splits, segment_frames, 0, (0, 0))
        self._parts: list[_Part] = []
        self._iterations = 0

    def fit(self) -> Fitted:
        """Blocks and step, in turns until both stay."""
        index = CosineModel.index_of(self._step_of(self._goal.lam))
        for _ in range(_ROUNDS):
            before = index
            self._transform(self._splits(self._at(index).step))
            index = self._search(index)
            if abs(index - before) <= _SETTLED or self._goal.hold == "lam" or self._ends:
                break
        return self._result(index)

    # --- blocks ----------------------------------------------------------------------------------

    def _splits(self, step: float) -> NDArray[np.uint8]:
        """How each frame is best split, by the bits of its coefficients, if all are split alike."""
        model, spec = self._model, self._spec
        splits = np.zeros(model.n_frames(spec), np.uint8)
        for frames in model.segments(spec):
            if self._ends:
                break
            self._report(CosineModel.index_of(step), float("nan"))
            part = self._samples[frames.start * model.frame : frames.stop * model.frame]
            costs = [self._costs(part, len(frames), s, step) for s in range(model.most_splits + 1)]
            splits[frames.start : frames.stop] = np.argmin(costs, axis=0)
        return splits

    def _costs(self, part: Floats, n_frames: int, split: int, step: float) -> Floats:
        """About twice the bits of each frame."""
        blocks = Blocks.of_splits(self._model.frame, np.full(n_frames, split))
        sizes = np.log2(1.0 + np.square(forward(part, blocks) / step))
        costs: Floats = sizes.reshape(n_frames, -1).sum(axis=1)
        return costs

    def _transform(self, splits: NDArray[np.uint8]) -> None:
        """The coefficients of all blocks, each two channels turned so that one has most."""
        model = self._model
        self._blocks = Blocks.of_splits(model.frame, splits)
        coefficients, self._parts, largest = forward(self._samples, self._blocks), [], 0.0
        for frames in model.segments(self._spec):
            own = coefficients[frames.start * model.frame : frames.stop * model.frame]
            part = _Part(frames, splits[frames.start : frames.stop], own, model.frame)
            self._parts.append(part)
            largest = max(largest, float(np.abs(part.exact).max(initial=0.0)))
        least = max(1.1 * largest / LARGEST_COEFFICIENT, _exact_step(self._spec), 1e-30)
        self._finest = CosineModel.index_of(least)

    # --- the step --------------------------------------------------------------------------------

    def _search(self, index: int) -> int:
        """The index with which what is to be held is held."""
        index, goal = min(index, self._finest), self._goal
        if goal.hold == "bytes":
            below, above = self._bracket(lambda i: math.log(self._bytes(i) / goal.held), index)
            return below
        if goal.hold == "mse":
            held = max(goal.held, _LEAST_ERROR)
            below, above = self._bracket(
                lambda i: math.log(held / max(self._error(i), _LEAST_ERROR)), index
            )
            return min(above, self._finest)
        return index

    def _bracket(self, excess: Callable[[int], float], first: int) -> tuple[int, int]:
        """Indices next to each other, where a measure that grows with them passes 0.

        If tries run out before, those that are known; what is not known of one side is guessed.
        """
        low, high = -1, self._finest + 1  # not over, over
        ends: dict[int, float] = {}
        index, last_side, in_a_row = max(first, 0), 0, 0
        while high - low > 1 and len(ends) < _MOST_TRIES:
            ends[index] = excess(index)
            side = 1 if ends[index] > 0.0 else -1
            low, high = (low, index) if side > 0 else (index, high)
            in_a_row = in_a_row + 1 if side == last_side else 0
            last_side = side
            if not self._try():
                break
            index = (low + high) // 2 if in_a_row > 1 else _between(ends, low, high)
        if low < 0 and high > 0:
            low = _between(ends, low, high)
        return max(low, 0), high

    def _try(self) -> bool:
        """Count a try; False if no more are wanted."""
        self._iterations += 1
        return not self._ends

    @property
    def _ends(self) -> bool:
        most = self._budget.iterations
        spent = most is not None and self._iterations >= most
        return spent or self._budget.cancelled or self._budget.seconds_left <= 0.0

    def _bytes(self, index: int) -> float:
        """About the bytes of a file with this step."""
        step, bits = self._at(index).step, 0.0
        for part in self._parts:
            shape = self._model.shape(part.frames, self._spec)
            bits += coefficient_bits(part.splits, part.coded(part.rounded(step)).values, shape)
        n_bytes = bits / 8.0 + _BYTES_OF_FRAME + _BYTES_OF_SEGMENT * len(self._parts)
        self._report(index, n_bytes)
        return n_bytes

    def _error(self, index: int) -> float:
        """The mean square error of what a decoder gives with this step."""
        model, segments = self._coded(index)
        parts = [model.coefficients(segment, self._spec.channels) for segment in segments]
        values = inverse(np.concatenate(parts), self._blocks)[: len(self._samples)]
        silence = silence_of(self._spec)
        decoded = self._spec.from_unit((values + silence).astype(np.float32))
        errors = self._spec.to_unit(decoded) - silence - self._samples
        mse = float(np.square(errors).mean())
        self._report(index, float("nan"), mse)
        return mse

    def _report(self, index: int, n_bytes: float, mse: float | None = None) -> None:
        if self._watch is None:
            return
        mse = self._at(index).step ** 2 / 12.0 if mse is None else mse
        fraction = min(0.95, self._iterations / _MOST_TRIES)
        step = Step(
            iteration=self._iterations,
            fraction=fraction,
            psnr_db=-10.0 * math.log10(max(mse, 1e-30)),
            n_bytes=n_bytes,
            seconds_left=self._budget.seconds_left,
        )
        self._watch(step)

    # --- the result ------------------------------------------------------------------------------

    def _at(self, index: int) -> CosineModel:
        return replace(self._model, step_index=index)

    def _coded(self, index: int) -> tuple[CosineModel, tuple[Segment, ...]]:
        """The integers of a step, and the model with what they are too large by in the mean."""
        model, segments = self._at(index), []
        sums, counts = np.zeros(2), np.zeros(2)
        for part in self._parts:
            whole = part.rounded(model.step)
            sizes = np.abs(whole)
            for number, where in enumerate((sizes == 1, sizes > 1)):
                sums[number] += float((sizes[where] - np.abs(part.exact[where]) / model.step).sum())
                counts[number] += int(where.sum())
            segments.append(part.coded(whole))
        shrinks = CosineModel.shrinks_of(sums / np.maximum(counts, 1.0))
        return replace(model, shrinks=shrinks), tuple(segments)

    def _result(self, index: int) -> Fitted:
        model, segments = self._coded(index)
        lam = model.step**2 / (STEPS_SQUARED_PER_PRICE * self._spec.channels)
        return Fitted(model=model, segments=segments, lam=lam, iterations=max(self._iterations, 1))

    def _step_of(self, lam: float) -> float:
        return math.sqrt(STEPS_SQUARED_PER_PRICE * lam * self._spec.channels)


class _Part:
    """The frames of a segment and their coefficients [samples, channels], turned by the angles."""

    def __init__(
        self, frames: range, splits: NDArray[np.uint8], coefficients: Floats, frame: int
    ) -> None:
        self.frames, self.splits = frames, splits
        self._angles, self._blocks = _angles(coefficients), Blocks.of_splits(frame, splits)
        self.exact = turned(coefficients, self._angles)

    def rounded(self, step: float) -> NDArray[np.int32]:
        """Whole numbers of steps."""
        return rounded(self.exact / step, self._blocks)

    def coded(self, whole: NDArray[np.int32]) -> Segment:
        """The segment of these numbers."""
        return Segment(self.splits, self._angles, in_coded_order(whole, self._blocks))


def silence_of(spec: SignalSpec) -> float:
    """Where a sample of 0 lies on the [0, 1] scale; half where there is none."""
    low, high = spec.value_range
    return -low / (high - low) if low < 0.0 < high else 0.5


def _exact_step(spec: SignalSpec) -> float:
    """A step with which samples that are whole numbers come back exactly; finer ones are waste."""
    low, high = spec.value_range
    return 0.0 if spec.sample_format.dtype.kind == "f" else 0.25 / (high - low)


def _angles(coefficients: Floats) -> tuple[int, ...]:
    """For each two channels, by how much they are turned so that the first has most."""
    angles = []
    for first in range(0, coefficients.shape[1] - 1, 2):
        a, b = coefficients[:, first], coefficients[:, first + 1]
        radians = 0.5 * math.atan2(2.0 * float(a @ b), float(a @ a) - float(b @ b))
        angles.append(round(radians / math.pi * ANGLES) % ANGLES)
    return tuple(angles)


def _between(ends: dict[int, float], low: int, high: int) -> int:
    """Where to look next, strictly between: an octave of steps is about a factor of two."""
    if low in ends and high in ends:
        share = -ends[low] / max(ends[high] - ends[low], 1e-9)
        guess = round(low + share * (high - low))
    elif low in ends:
        guess = low + math.ceil(-ends[low] * STEPS_PER_OCTAVE * 1.5) + 2
    else:
        guess = high - math.ceil(ends[high] * STEPS_PER_OCTAVE * 1.5) - 2
    return min(max(guess, low + 1), high - 1)
