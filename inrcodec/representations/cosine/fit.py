"""The fit of a sum of cosines: no descent, as the transform keeps sums of squares.

What an error in a coefficient costs is its square, whatever the others are. Blocks are chosen frame
by frame, by what their coefficients would cost about; then the step is searched for with which the
bytes or the error come to what is to be held.

A sound is gone through segment by segment, over and over: coefficients that were let go are made
anew, which takes less than counting their bits. Of a long sound some segments stand for all, until
the step is about right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inrcodec.container import DecodeLimits
from inrcodec.errors import SignalError
from inrcodec.mapped import let_go
from inrcodec.representations.base import Budget, FitGoal, Step, Watch, Window
from inrcodec.representations.cosine.bracket import MOST_TRIES, bracket
from inrcodec.representations.cosine.config import CosineConfig
from inrcodec.representations.cosine.context import LARGEST_COEFFICIENT
from inrcodec.representations.cosine.hearing import HEARING, smear_of
from inrcodec.representations.cosine.kept import Kept
from inrcodec.representations.cosine.pack import STEPS_PER_OCTAVE, CosineModel, Segment
from inrcodec.representations.cosine.part import Part
from inrcodec.representations.cosine.rendering import Rendering, silence_of
from inrcodec.representations.cosine.rounding import STEPS_SQUARED_PER_PRICE
from inrcodec.representations.cosine.transform import Blocks, forward
from inrcodec.representations.cosine.turning import Angles, angles_of
from inrcodec.signal import Signal, SignalSpec

__all__ = ["Fitted", "fit_sound"]

Floats = NDArray[np.float64]

_LEAST_ERROR = 1e-30
_FINER_FOR_EARS = 64.0  # than steps that are all alike; by how much loud frames and sizes grow
_SETTLED = STEPS_PER_OCTAVE // 2
_ROUNDS = 3
_MOST_CHOSEN = 16  # segments that stand for all of a sound while the step is far
_BYTES_OF_FRAME = 60.0  # of what is around the segments, and of each
_BYTES_OF_SEGMENT = 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """The integers of a fit, and the price of a bit that they are right for.

    `segment` gives those of a segment by its number, made anew from the signal.
    """

    model: CosineModel
    segment: Callable[[int], Segment]
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
    """One fit. `chosen` are the segments that are looked at, by number."""

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
        self._samples = signal.samples
        frame = config.frame_at(spec.sample_rate)
        most_splits = config.splits_of(frame)
        n_frames = max(1, -(-spec.grid[0] // frame))
        most = max(1, DecodeLimits().max_parameters // (frame * spec.channels))
        segment_frames = min(config.segment_frames(spec.sample_rate), most, n_frames)
        hearing = HEARING if goal.tune == "perceptual" else None
        self._rate = spec.sample_rate
        self._model = CosineModel(frame, most_splits, segment_frames, 0, (0, 0), hearing)
        self._splits = np.zeros(n_frames, np.uint8)
        self._angles: dict[int, Angles] = {}
        self._chosen: Sequence[int] = range(self._model.n_segments(spec))
        self._iterations = 0

    def fit(self) -> Fitted:
        """Blocks and step, in turns until both stay."""
        index, everything = CosineModel.index_of(self._step_of(self._goal.lam)), self._chosen
        if self._goal.hold != "lam" and len(everything) > _MOST_CHOSEN:
            self._chosen = everything[:: -(-len(everything) // _MOST_CHOSEN)]
            index = self._settled(index, _ROUNDS)
            self._chosen = everything
            if self._ends:
                self._transform()
                return self._result(min(index, self._finest))
            return self._result(self._settled(index, 1))
        return self._result(self._settled(index, _ROUNDS))

    def _settled(self, index: int, rounds: int) -> int:
        """The index, and blocks for it, after some rounds at most."""
        for _ in range(rounds):
            before = index
            self._choose_splits(self._at(index).step)
            self._transform()
            index = self._search(index)
            if abs(index - before) <= _SETTLED or self._goal.hold == "lam" or self._ends:
                break
        return index

    def _values(self, frames: range) -> Floats:
        """Samples of frames [up to samples, channels] around silence, on the [0, 1] scale."""
        part = slice(frames.start * self._model.frame, frames.stop * self._model.frame)
        values = self._spec.to_unit(self._samples[part]).astype(np.float64)
        let_go(self._samples)
        return values - silence_of(self._spec)

    # --- blocks ----------------------------------------------------------------------------------

    def _choose_splits(self, step: float) -> None:
        """How each frame is best split, by the bits of its coefficients, if all are split alike."""
        model = self._model
        for number in self._chosen:
            if self._ends:
                break
            self._report(CosineModel.index_of(step), float("nan"))
            frames = model.segment(number, self._spec)
            part = self._values(frames)
            costs = [self._costs(part, len(frames), s, step) for s in range(model.most_splits + 1)]
            self._splits[frames.start : frames.stop] = np.argmin(costs, axis=0)

    def _costs(self, part: Floats, n_frames: int, split: int, step: float) -> Floats:
        """About twice the bits of each frame; more of what smears, for ears."""
        blocks = Blocks.of_splits(self._model.frame, np.full(n_frames, split))
        sizes = np.log2(1.0 + np.square(forward(part, blocks) / step))
        costs: Floats = sizes.reshape(n_frames, -1).sum(axis=1)
        if self._model.hearing is not None:
            costs *= smear_of((self._model.frame >> split) / self._rate)
        return costs

    def _transform(self) -> None:
        """The coefficients of all blocks, each two channels turned so that one has most."""
        self._parts = Kept(Part.size)
        self._angles, largest = {}, 0.0
        for number in self._chosen:
            largest = max(largest, float(np.abs(self._part(number).exact).max(initial=0.0)))
        hearing, exact = self._model.hearing, _exact_step(self._spec)
        most = float(LARGEST_COEFFICIENT)
        if hearing is not None:  # whose steps are multiplied, and grow
            most, exact = hearing.lowered(np.array(most)).item(), exact / _FINER_FOR_EARS
        least = max(1.1 * largest / most, exact, 1e-30)
        self._finest = CosineModel.index_of(least)

    def _part(self, number: int) -> Part:
        return self._parts.get(number, self._transformed)

    def _transformed(self, number: int) -> Part:
        """A segment; its neighbours cross over to it no further than their next frame."""
        frames, n_frames = self._model.segment(number, self._spec), len(self._splits)
        around = range(max(frames.start - 1, 0), min(frames.stop + 1, n_frames))
        blocks = Blocks.of_splits(self._model.frame, self._splits[around.start : around.stop])
        first = (frames.start - around.start) * self._model.frame
        own = slice(first, first + len(frames) * self._model.frame)
        coefficients = forward(self._values(around), blocks)[own]
        splits = self._splits[frames.start : frames.stop]
        own_blocks = Blocks.of_splits(self._model.frame, splits)
        if number not in self._angles:  # once: what is made anew must be the same
            self._angles[number] = angles_of(coefficients, own_blocks, self._rate)
        return Part(
            frames,
            splits,
            coefficients,
            angles=self._angles[number],
            rate=self._rate,
            hearing=self._model.hearing,
        )

    # --- the step --------------------------------------------------------------------------------

    def _search(self, index: int) -> int:
        """The index with which what is to be held is held."""
        index, goal = min(index, self._finest), self._goal
        if goal.hold == "bytes":
            below, _ = self._bracket(lambda i: math.log(self._bytes(i) / goal.held), index)
            return below
        if goal.hold == "mse":
            held = max(goal.held, _LEAST_ERROR)
            _, above = self._bracket(
                lambda i: math.log(held / max(self._error(i), _LEAST_ERROR)), index
            )
            return min(above, self._finest)
        return index

    def _bracket(self, excess: Callable[[int], float], index: int) -> tuple[int, int]:
        return bracket(excess, index, self._finest, go_on=self._try)

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
        step, bits, n_frames = self._at(index).step, 0.0, 0
        for number in self._seen(index):
            part = self._part(number)
            shape = self._model.shape(part.frames, self._spec)
            bits += part.coded(part.rounded(step), step).bits(shape)
            n_frames += len(part.frames)
        share = len(self._splits) / n_frames
        n_segments = self._model.n_segments(self._spec)
        n_bytes = bits / 8.0 * share + _BYTES_OF_FRAME + _BYTES_OF_SEGMENT * n_segments
        self._report(index, n_bytes)
        return n_bytes

    def _error(self, index: int) -> float:
        """The mean square error of what a decoder gives with this step."""
        rendering = self._rendering(index)
        total, count = 0.0, 0
        for number in self._seen(index):
            samples = self._measured(number)
            mine = self._samples[samples.start : samples.stop]
            window = Window.span(self._spec.grid[0], samples.start, samples.stop)
            decoded = self._spec.from_unit(rendering.values(window))
            errors = self._spec.to_unit(decoded).astype(np.float64) - self._spec.to_unit(mine)
            let_go(self._samples)
            total += float(np.square(errors).sum())
            count += errors.size
        mse = total / count
        self._report(index, float("nan"), mse)
        return mse

    def _measured(self, number: int) -> range:
        """The samples of a segment, without frames that cross over to what is not looked at."""
        frames, seen = self._model.segment(number, self._spec), set(self._chosen)
        last = self._model.n_segments(self._spec) - 1
        first = frames.start + (number > 0 and number - 1 not in seen and len(frames) > 2)
        stop = frames.stop - (number < last and number + 1 not in seen and len(frames) > 2)
        return range(first * self._model.frame, min(stop * self._model.frame, self._spec.grid[0]))

    def _seen(self, index: int) -> Iterator[int]:
        """The chosen segments one after another; a few of them if nobody waits for more."""
        for done, number in enumerate(self._chosen, 1):
            yield number
            if done > _MOST_CHOSEN:
                if self._budget.cancelled:
                    return
                self._report(index, float("nan"))

    def _report(self, index: int, n_bytes: float, mse: float | None = None) -> None:
        if self._watch is None:
            return
        mse = self._at(index).step ** 2 / 12.0 if mse is None else mse
        fraction = min(0.95, self._iterations / MOST_TRIES)
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

    def _rendering(self, index: int) -> Rendering:
        """What a decoder gives, by the integers of a step as they are asked for.

        The model says what those are too large by in the mean.
        """
        model, segments = self._at(index), Kept(Segment.size)
        too_large: dict[int, tuple[Floats, Floats]] = {}

        def coded(number: int) -> Segment:
            part = self._part(number)
            whole = part.rounded(model.step)
            too_large[number] = part.too_large(whole, model.step)
            return part.coded(whole, model.step)

        for number in self._seen(index):
            segments.get(number, coded)
        sums, counts = (np.sum(both, axis=0) for both in zip(*too_large.values(), strict=True))
        shrinks = CosineModel.shrinks_of(sums / np.maximum(counts, 1.0))
        model = replace(model, shrinks=shrinks)
        return Rendering(self._spec, model, lambda number: segments.get(number, coded))

    def _result(self, index: int) -> Fitted:
        coded = self._rendering(index)
        return Fitted(
            model=coded.model,
            segment=coded.segment,
            lam=coded.model.step**2 / (STEPS_SQUARED_PER_PRICE * self._spec.channels),
            iterations=max(self._iterations, 1),
        )

    def _step_of(self, lam: float) -> float:
        return math.sqrt(STEPS_SQUARED_PER_PRICE * lam * self._spec.channels)


def _exact_step(spec: SignalSpec) -> float:
    """A step with which samples that are whole numbers come back exactly; finer ones are waste."""
    low, high = spec.value_range
    return 0.0 if spec.sample_format.dtype.kind == "f" else 0.25 / (high - low)
