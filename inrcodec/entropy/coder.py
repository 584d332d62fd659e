"""Symbols <-> 32-bit words: the only module that imports constriction.

Integer counts c_i with sum 2^24 are given as the float weights c_i - 1. constriction adds 1 to each
and leaves a free mass of exactly sum(c_i - 1), so its cumulative counts are ours and its words are
those of the plain range coder in `docs/format.md`.
"""

from __future__ import annotations

from typing import cast

import constriction
import numpy as np
from numpy.typing import NDArray

from inrcodec.entropy.laplace import laplace_counts
from inrcodec.entropy.tables import TOTAL
from inrcodec.errors import ConfigError, CorruptError

__all__ = [
    "MAX_ODDS",
    "SymbolDecoder",
    "SymbolEncoder",
    "no_encoder_writes",
    "words_of",
    "wrong_end",
]

_Model = constriction.stream.model.Categorical
_Family = _Model(lazy=False, perfect=False)
_PART_SYMBOLS = 1 << 16
_SEAL_WORDS = 2

MAX_ODDS = 1 << 16
"""Odds of a decision that is certain, which none may be."""


class SymbolEncoder:
    """Codes runs of symbols, each run by its own table, into one string of words."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def put(self, symbols: NDArray[np.integer], counts: NDArray[np.int64]) -> None:
        """Code symbols by counts [2M + 1] of -M..M. Raises ConfigError for a symbol outside."""
        max_symbol = _max_symbol_of(counts)
        flat = np.asarray(symbols, dtype=np.int64).ravel()
        if flat.size == 0:
            return
        low, high = int(flat.min()), int(flat.max())
        if low < -max_symbol or high > max_symbol:
            raise ConfigError(
                f"symbols in [{low}, {high}] are not all in [{-max_symbol}, {max_symbol}]"
            )
        if max_symbol > 0:
            self._coder.encode((flat + max_symbol).astype(np.int32), _model_of(counts))

    def put_laplace(
        self,
        symbols: NDArray[np.integer],
        means: NDArray[np.int64],
        scales: NDArray[np.int64],
        max_symbol: int,
    ) -> None:
        """Code symbols [n] in [-M, M], each by `laplace_counts` of its own indices [n]."""
        counts = laplace_counts(means, scales, max_symbol)
        self._coder.encode((symbols + max_symbol).astype(np.int32), _Family, _rows_of(counts))

    def put_decisions(self, decisions: NDArray[np.bool_], odds: NDArray[np.int64]) -> None:
        """Code decisions [n], each of which is true with its own odds [n], in 1/65536."""
        for at in range(0, decisions.size, _PART_SYMBOLS):
            part = slice(at, at + _PART_SYMBOLS)
            raw = decisions[part].astype(np.int32)
            self._coder.encode(raw, _Family, _rows_of(_decision_counts(odds[part])))

    def finish(self) -> bytes:
        """The words so far, little-endian; none if every symbol was certain."""
        return _coded_by(self._coder)


class SymbolDecoder:
    """Gives back the runs of one SymbolEncoder, in order and with the same tables.

    Raises CorruptError at once for a length that is not in whole words. Most words decode to some
    symbols, and symbols past the end come without complaint, so nothing is certain before `finish`;
    but symbols that would take more words than there are end soon after those words do.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._coder = constriction.stream.queue.RangeDecoder(words_of(data))
        self._echo = constriction.stream.queue.RangeEncoder()

    def take(self, n: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The next n symbols [n], coded by counts [2M + 1] of -M..M. The caller bounds n."""
        max_symbol = _max_symbol_of(counts)
        if n == 0 or max_symbol == 0:
            return np.zeros(n, dtype=np.int64)
        model = _model_of(counts)
        symbols = np.empty(n, dtype=np.int64)
        for part in np.split(symbols, range(_PART_SYMBOLS, n, _PART_SYMBOLS)):
            part[:] = self._take_part(model, part.size)
        symbols -= max_symbol
        return symbols

    def take_laplace(
        self, means: NDArray[np.int64], scales: NDArray[np.int64], max_symbol: int
    ) -> NDArray[np.int64]:
        """The next symbols [n] in [-M, M], each coded by `laplace_counts` of its indices [n]."""
        counts = laplace_counts(means, scales, max_symbol)
        return self._take_part(_Family, _rows_of(counts)).astype(np.int64) - max_symbol

    def take_decision(self, odds: int) -> bool:
        """The next decision, which is true with these odds, in 1/65536."""
        counts = _decision_counts(np.array([odds], dtype=np.int64))
        return bool(self._take_part(_Family, _rows_of(counts))[0])

    def _take_part(self, model: object, how: int | NDArray[np.float64]) -> NDArray[np.int32]:
        """Symbols from 0 on: so many of one model, or one for each row of weights."""
        if self._echo.num_words() > len(self._data) // 4 + _SEAL_WORDS:
            raise wrong_end(self._data)
        try:
            raw = cast("NDArray[np.int32]", self._coder.decode(model, how))
        except AssertionError:  # constriction: words that point above the last cumulative count
            raise no_encoder_writes() from None
        if isinstance(how, int):
            self._echo.encode(raw, model)
        else:
            self._echo.encode(raw, model, how)
        return raw

    def finish(self) -> None:
        """Raise CorruptError unless the words are exactly those that code the symbols taken.

        This catches words left over, words that ran out, and words that no encoder writes.
        """
        if _coded_by(self._echo) != self._data:
            raise wrong_end(self._data)


def words_of(data: bytes) -> NDArray[np.uint32]:
    """Coded symbols as words. Raises CorruptError for a length that is not in whole ones."""
    if len(data) % 4:
        raise CorruptError(f"coded symbols of {len(data)} bytes are not in whole 4-byte words")
    return np.frombuffer(data, dtype="<u4").astype(np.uint32)


def wrong_end(data: bytes) -> CorruptError:
    """The error of words that are not those that code the symbols in them."""
    return CorruptError(f"{len(data)} bytes of coded symbols do not end with the last symbol")


def no_encoder_writes() -> CorruptError:
    """The error of words that point above the last cumulative count."""
    return CorruptError("coded symbols hold words that no encoder writes")


def _coded_by(coder: constriction.stream.queue.RangeEncoder) -> bytes:
    return cast("bytes", coder.get_compressed().astype("<u4").tobytes())


def _max_symbol_of(counts: NDArray[np.int64]) -> int:
    assert counts.ndim == 1, counts.shape
    assert counts.size % 2 == 1, counts.size
    assert counts.min() >= 1, "a count below 1"
    assert counts.sum() == TOTAL, "counts do not sum to 2^24"
    return counts.size // 2


def _model_of(counts: NDArray[np.int64]) -> object:
    return _Model(_rows_of(counts), lazy=False, perfect=False)


def _decision_counts(odds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts [n, 2] of false and true."""
    assert odds.min() >= 1, "odds below 1"
    assert odds.max() < MAX_ODDS, "odds of 65536 or more"
    counts = odds * (TOTAL // MAX_ODDS)
    return np.stack([TOTAL - counts, counts], axis=1)


def _rows_of(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Counts as the weights of which constriction makes them."""
    return (counts - 1).astype(np.float64)
