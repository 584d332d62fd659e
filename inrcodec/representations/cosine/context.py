"""Coefficients <-> coded words, one decision after the other: the context model in whole numbers.

The reference, one walk for both ways; native code writes and reads the same words. A coefficient is
told by decisions, whose odds `mixing` finds from contexts: sizes of coefficients around it.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from inrcodec import kernels
from inrcodec.entropy import MAX_ODDS, SymbolDecoder, SymbolEncoder
from inrcodec.entropy.coder import no_encoder_writes, words_of, wrong_end
from inrcodec.errors import ConfigError
from inrcodec.kernels import native_cosine
from inrcodec.representations.cosine.around import (
    LEVELS,
    LEVELS_AND_BANDS,
    MARGIN,
    ZONES_AND_LEVELS,
    Around,
    Sight,
    look_around,
)
from inrcodec.representations.cosine.config import (
    LEAST_BLOCK,
    LEAST_FRAME,
    MOST_FRAME,
    MOST_SPLITS,
)
from inrcodec.representations.cosine.mixing import LoneCounters, MixedDecisions

__all__ = [
    "LARGEST_COEFFICIENT",
    "CoefficientShape",
    "coefficient_bits",
    "decode_coefficients",
    "encode_coefficients",
]

LARGEST_COEFFICIENT: Final = 1 << 20

_GROUPS: Final = 128  # at most, of the values of a block
_GROUP_BITS: Final = 8
_UNARY: Final = 12  # sizes below it are told one by one
_LARGEST_EXPONENT: Final = 20
_EVEN: Final = MAX_ODDS // 2
_SALT: Final = 131071  # keeps the kinds of decisions apart
_WRONG_END: Final = 1  # of what native code gives

Splits = NDArray[np.uint8]
"""How often each frame is split [n_frames]."""

Values = NDArray[np.int32]
"""Frame after frame, block after block, channel after channel, low frequencies first."""


@dataclass(frozen=True, slots=True)
class CoefficientShape:
    """How many coefficients there are: a frame has 2^split blocks of frame >> split of a channel.

    Raises ConfigError for others than: a `frame` that is a power of two, 128 to 16384; 1 to 255
    channels; up to 4 splits, which leave blocks of at least 32. Without signs none is below 0.
    """

    n_frames: int
    frame: int
    n_channels: int
    most_splits: int
    has_signs: bool = True

    def __post_init__(self) -> None:
        if self.n_frames < 0:
            raise ConfigError(f"{self.n_frames} frames are fewer than none")
        if self.frame.bit_count() != 1 or not LEAST_FRAME <= self.frame <= MOST_FRAME:
            bounds = f"[{LEAST_FRAME}, {MOST_FRAME}]"
            raise ConfigError(f"a frame of {self.frame} is no power of two in {bounds}")
        if not 1 <= self.n_channels <= 255:
            raise ConfigError(f"{self.n_channels} channels are not in [1, 255]")
        if not 0 <= self.most_splits <= MOST_SPLITS:
            raise ConfigError(f"{self.most_splits} splits are not in [0, {MOST_SPLITS}]")
        if self.frame >> self.most_splits < LEAST_BLOCK:
            raise ConfigError(
                f"{self.most_splits} splits of {self.frame} leave less than {LEAST_BLOCK}"
            )

    @property
    def n_values(self) -> int:
        """Coefficients of all channels."""
        return self.n_frames * self.n_channels * self.frame


def encode_coefficients(splits: Splits, values: Values, shape: CoefficientShape) -> bytes:
    """The words that code all coefficients; none if there are no frames.

    Raises ConfigError for arrays that are not of that shape, and for sizes above 2^20.
    """
    splits, values = _checked(splits, values, shape)
    if kernels.uses_native():
        return native_cosine.encode_coefficients(splits, values, astuple(shape))
    record, encoder = _record_of(splits, values, shape), SymbolEncoder()
    encoder.put_decisions(np.array(record.decisions, np.bool_), np.array(record.odds, np.int64))
    return encoder.finish()


def decode_coefficients(data: bytes, shape: CoefficientShape) -> tuple[Splits, Values]:
    """The inverse of `encode_coefficients`. Raises CorruptError for words that it does not write.

    The caller bounds the shape.
    """
    if kernels.uses_native():
        end, splits, values = native_cosine.decode_coefficients(words_of(data), astuple(shape))
        if end:
            raise wrong_end(data) if end == _WRONG_END else no_encoder_writes()
        return splits, values
    decoder = SymbolDecoder(data)
    splits, values = np.zeros(shape.n_frames, np.uint8), np.zeros(shape.n_values, np.int32)
    _Walk(shape, _Reader(decoder)).run(splits, values)
    decoder.finish()
    return splits, values


def coefficient_bits(splits: Splits, values: Values, shape: CoefficientShape) -> float:
    """The bits that `encode_coefficients` takes, but for its last word or two; makes no words."""
    splits, values = _checked(splits, values, shape)
    if kernels.uses_native():
        return native_cosine.coefficient_bits(splits, values, astuple(shape))
    record = _record_of(splits, values, shape)
    odds, decisions = np.array(record.odds), np.array(record.decisions, np.bool_)
    return float(-np.log2(np.where(decisions, odds, MAX_ODDS - odds) / MAX_ODDS).sum())


def _checked(splits: Splits, values: Values, shape: CoefficientShape) -> tuple[Splits, Values]:
    if splits.shape != (shape.n_frames,) or values.shape != (shape.n_values,):
        raise ConfigError(
            f"{splits.shape} splits and {values.shape} coefficients are not those of {shape}"
        )
    if shape.n_frames:
        if splits.min() < 0 or splits.max() > shape.most_splits:
            raise ConfigError(f"splits are not all in [0, {shape.most_splits}]")
        low, high = int(values.min()), int(values.max())
        if low < -LARGEST_COEFFICIENT or high > LARGEST_COEFFICIENT:
            raise ConfigError(f"coefficients in [{low}, {high}] are above 2^20 in size")
        if low < 0 and not shape.has_signs:
            raise ConfigError(f"coefficients in [{low}, {high}] are below 0, without signs")
    return np.require(splits, np.uint8, ["C", "A"]), np.require(values, np.int32, ["C", "A"])


# --- who takes decisions -------------------------------------------------------------------------


class _Decider(Protocol):
    """Is told the odds of a decision and what it is, if that is known, and says what it is."""

    def decide(self, odds: int, wanted: bool) -> bool: ...


class _Record:
    """All decisions of coefficients that are known."""

    def __init__(self) -> None:
        self.odds: list[int] = []
        self.decisions: list[bool] = []

    def decide(self, odds: int, wanted: bool) -> bool:
        self.odds.append(odds)
        self.decisions.append(wanted)
        return wanted


class _Reader:
    """Decisions from words."""

    def __init__(self, decoder: SymbolDecoder) -> None:
        self._decoder = decoder

    def decide(self, odds: int, wanted: bool) -> bool:
        return self._decoder.take_decision(odds)


def _record_of(splits: Splits, values: Values, shape: CoefficientShape) -> _Record:
    record = _Record()
    _Walk(shape, record).run(splits.copy(), values.copy())
    return record


# --- one coefficient -----------------------------------------------------------------------------


class _ValueCoder:
    """Is it more than 0, than 1, ... than 11 in size; beyond, exponent and bits; any sign."""

    def __init__(self, decider: _Decider, has_signs: bool) -> None:
        self._decider, self._has_signs = decider, has_signs
        n_second = ZONES_AND_LEVELS
        self._zero = MixedDecisions(8, LEVELS_AND_BANDS, n_second)
        self._one = MixedDecisions(8, LEVELS_AND_BANDS, n_second)
        self._more = MixedDecisions(6, _UNARY * 32, n_second)
        self._high = MixedDecisions(6, (_LARGEST_EXPONENT + 1) * 32, n_second)
        self._tops = LoneCounters(_LARGEST_EXPONENT + 1, LEVELS)

    def take(self, around: Around, wanted: int) -> int:
        size = self._size(around, abs(wanted))
        if size > LARGEST_COEFFICIENT:
            raise no_encoder_writes()
        if size == 0 or not self._has_signs:
            return size
        return -size if self._decider.decide(_EVEN, wanted < 0) else size

    def _size(self, around: Around, wanted: int) -> int:
        first = around.level_and_band
        if not self._decide(self._zero, around, salt=0, first=first, wanted=wanted > 0):
            return 0
        if not self._decide(self._one, around, salt=2, first=first, wanted=wanted > 1):
            return 1
        for size in range(2, _UNARY):
            salt, first = 4 + 8 * size, size * 32 + around.level
            if not self._decide(self._more, around, salt=salt, first=first, wanted=wanted > size):
                return size
        return _UNARY - 1 + self._rest(around, wanted - _UNARY + 1)

    def _rest(self, around: Around, wanted: int) -> int:
        """A whole number from 1 on."""
        wanted, exponent = max(wanted, 1), 0
        while self._decide(
            self._high,
            around,
            salt=4 + 8 * exponent,
            first=exponent * 32 + around.level,
            wanted=wanted >> 1 >> exponent > 0,
        ):
            exponent += 1
            if exponent > _LARGEST_EXPONENT:
                raise no_encoder_writes()
        rest = 1
        for bit in reversed(range(exponent)):
            is_set = bool(wanted >> bit & 1)
            if bit == exponent - 1:
                is_set = _decide_alone(self._decider, self._tops, (exponent, around.level), is_set)
            else:
                is_set = self._decider.decide(_EVEN, is_set)
            rest = 2 * rest + is_set
        return rest

    def _decide(
        self, kind: MixedDecisions, around: Around, *, salt: int, first: int, wanted: bool
    ) -> bool:
        """A decision of some kind; `salt` tells it from others, `first` chooses a mixer."""
        odds = kind.predict(around.contexts, (around.parity + salt) * _SALT, (first, around.zone))
        decision = self._decider.decide(odds, wanted)
        kind.learn(decision)
        return decision


def _decide_alone(
    decider: _Decider, counters: LoneCounters, place: tuple[int, int], wanted: bool
) -> bool:
    decision = decider.decide(counters.predict(*place), wanted)
    counters.learn(*place, decision)
    return decision


# --- all coefficients ----------------------------------------------------------------------------


class _Channel:
    """What is kept of a channel: sizes of its last blocks, and the groups coded of the last."""

    def __init__(self, frame: int) -> None:
        self.own, self.previous = [0] * frame, [0] * frame
        self.n_groups = 0


class _Walk:
    """Goes through all coefficients; writes them where they are read."""

    def __init__(self, shape: CoefficientShape, decider: _Decider) -> None:
        self._shape = shape
        self._decider = decider
        self._values = _ValueCoder(decider, shape.has_signs)
        self._splits = LoneCounters(MOST_SPLITS + 1, MOST_SPLITS)
        self._groups = LoneCounters(_GROUPS // 8 + 1, 1 << _GROUP_BITS)
        self._channels = [_Channel(shape.frame) for _ in range(shape.n_channels)]

    def run(self, splits: Splits, values: Values) -> None:
        at, split = 0, 0
        for number in range(self._shape.n_frames):
            split = self._split(split, int(splits[number]))
            splits[number] = split
            n_values = self._shape.frame >> split
            for _ in range(1 << split):
                for channel in range(self._shape.n_channels):
                    self._block(channel, split, values[at : at + n_values])
                    at += n_values

    def _split(self, last: int, wanted: int) -> int:
        split = 0
        while split < self._shape.most_splits and _decide_alone(
            self._decider, self._splits, (last, split), wanted > split
        ):
            split += 1
        return split

    def _block(self, channel: int, split: int, values: Values) -> None:
        group = max(1, values.size // _GROUPS)
        own = self._channels[channel]
        n_groups = self._n_groups(own.n_groups, _groups_of(values, group))
        if n_groups * group > values.size:
            raise no_encoder_writes()
        own.n_groups = n_groups
        sight = self._sight(channel, split, values.size)
        for place in range(n_groups * group):
            value = self._values.take(look_around(sight, place), int(values[place]))
            values[place] = value
            sight.own[place + MARGIN] = abs(value)
        if _groups_of(values, group) != n_groups:
            raise no_encoder_writes()
        own.own, own.previous = sight.own[MARGIN:-MARGIN], own.own

    def _n_groups(self, last: int, wanted: int) -> int:
        node = 1
        for bit in reversed(range(_GROUP_BITS)):
            place = last >> 3, node
            is_set = bool(wanted >> bit & 1)
            node = 2 * node + _decide_alone(self._decider, self._groups, place, is_set)
        return node - (1 << _GROUP_BITS)

    def _sight(self, channel: int, split: int, n_values: int) -> Sight:
        own, zeros = self._channels[channel], [0] * n_values
        return Sight(
            own=_with_margins(zeros),
            previous=_with_margins(_brought(own.own, n_values)),
            before=_with_margins(_brought(own.previous, n_values)),
            side=_with_margins(self._channels[channel - 1].own if channel % 2 else zeros),
            split=split,
            parity=channel % 2,
        )


def _with_margins(sizes: list[int]) -> list[int]:
    return [0] * MARGIN + sizes + [0] * MARGIN


def _groups_of(values: Values, group: int) -> int:
    """Groups of values up to the last that is not 0."""
    places = np.flatnonzero(values)
    return 0 if places.size == 0 else int(places[-1]) // group + 1


def _brought(sizes: list[int], n_values: int) -> list[int]:
    """Sizes of another block brought to n values; of more, the largest of those that share one."""
    share, n_times = len(sizes) // n_values, n_values // len(sizes)
    if share > 1:
        return [max(sizes[at : at + share]) for at in range(0, len(sizes), share)]
    return [size for size in sizes for _ in range(n_times)]
