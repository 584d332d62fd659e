"""Counts of quantized Laplace distributions: exact sums, the norm's formulas, and the coder."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from inrcodec.entropy import (
    LAPLACE_SCALES,
    TOTAL,
    SymbolDecoder,
    SymbolEncoder,
    laplace_counts,
)
from inrcodec.entropy.laplace import decays, laplace_cumulative, powers
from inrcodec.errors import CorruptError


def plain_cumulative(mean: int, scale: int, symbol: int, max_symbol: int) -> int:
    """The count below a symbol, as `docs/format.md` has it, in Python's own integers."""
    if symbol == -max_symbol:
        return 0
    if symbol == max_symbol + 1:
        return 1 << 24
    distance = 256 * symbol - 128 - mean
    exponent = abs(distance) * int(decays()[scale])
    whole, part = min(exponent >> 32, 32), exponent & 0xFFFFFFFF
    step, between = part >> 22, (part & 0x3FFFFF) >> 6
    high, low = int(powers()[step]), int(powers()[step + 1])
    power = (high - ((high - low) * between >> 16)) >> whole
    below = power if distance < 0 else (1 << 32) - power
    return symbol + max_symbol + (below * ((1 << 24) - (2 * max_symbol + 1)) >> 32)


def test_stored_tables_are_rounded_to_the_nearest() -> None:
    """Checked by exact bounds: a half more or less lies on the other side of the true value."""
    for step, value in enumerate(powers().tolist()):
        # 2^31 * 2^(-j/1024) within 1/2 of the entry, by powers of 1024
        for bound, sign in ((2 * value - 1, -1), (2 * value + 1, 1)):
            power = Fraction(bound, 1 << 32) ** 1024
            assert (power > Fraction(1, 1 << step)) is (sign > 0)
    for scale, value in enumerate(decays().tolist()):
        exact = 2.0**32 * math.log2(math.e) / 256 / 2.0 ** (scale / 16 - 5)
        assert abs(value - exact) < 0.5 + 1e-6


@pytest.mark.parametrize("max_symbol", [1, 7, 60, 2047])
def test_counts_are_at_least_one_and_sum_to_the_total(max_symbol: int) -> None:
    rng = np.random.default_rng(max_symbol)
    means = rng.integers(-(1 << 20), (1 << 20) + 1, 40)
    means[:20] //= 4096
    scales = rng.integers(0, LAPLACE_SCALES, 40)
    counts = laplace_counts(means, scales, max_symbol)
    assert counts.shape == (40, 2 * max_symbol + 1)
    assert counts.min() >= 1
    assert (counts.sum(axis=1) == TOTAL).all()


def test_cumulative_counts_are_those_of_the_norm() -> None:
    rng = np.random.default_rng(5)
    means, scales = rng.integers(-3000, 3000, 200), rng.integers(0, LAPLACE_SCALES, 200)
    symbols = rng.integers(-30, 32, 200)
    mine = laplace_cumulative(means, scales, symbols, 30)
    rows = zip(means.tolist(), scales.tolist(), symbols.tolist(), strict=True)
    assert mine.tolist() == [plain_cumulative(m, s, k, 30) for m, s, k in rows]


def test_counts_follow_the_laplace_distribution() -> None:
    mean, scale = 77, 96  # 0.30, b = 2
    counts = laplace_counts(np.array([mean]), np.array([scale]), 40)[0] / TOTAL
    edges = np.arange(-40, 42) - 0.5 - mean / 256
    below = np.where(edges < 0, 0.5 * np.exp(edges / 2), 1 - 0.5 * np.exp(-edges / 2))
    np.testing.assert_allclose(counts, np.diff(below), atol=5e-6)


def coded(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, bytes]:
    means, scales = rng.integers(-600, 600, n), rng.integers(0, 150, n)
    deviates = rng.laplace(means / 256, 2.0 ** (scales / 16 - 5))
    symbols = np.rint(deviates).astype(np.int64).clip(-50, 50)
    coder = SymbolEncoder()
    for part in np.array_split(np.arange(n), 7):
        coder.put_laplace(symbols[part], means[part], scales[part], 50)
    return symbols, means, scales, coder.finish()


def test_symbols_come_back_however_they_are_cut_into_parts() -> None:
    symbols, means, scales, data = coded(np.random.default_rng(1), 3000)
    decoder = SymbolDecoder(data)
    parts = np.array_split(np.arange(3000), 100)
    back = [decoder.take_laplace(means[part], scales[part], 50) for part in parts]
    decoder.finish()
    assert np.concatenate(back).tolist() == symbols.tolist()


def test_the_length_is_the_cost_by_the_counts() -> None:
    symbols, means, scales, data = coded(np.random.default_rng(2), 5000)
    counts = laplace_counts(means, scales, 50)[np.arange(5000), symbols + 50]
    bits = float((24 - np.log2(counts)).sum())
    assert bits <= 8 * len(data) <= bits + 96


def test_words_that_are_cut_or_changed_are_refused() -> None:
    _, means, scales, data = coded(np.random.default_rng(3), 800)
    for damaged in (data[:-4], data + bytes(4), bytes([data[0] ^ 1]) + data[1:], b"\xff" * 64):
        decoder = SymbolDecoder(damaged)
        with pytest.raises(CorruptError):
            take_all(decoder, means, scales)


def take_all(decoder: SymbolDecoder, means: np.ndarray, scales: np.ndarray) -> None:
    for part in np.array_split(np.arange(len(means)), 20):
        decoder.take_laplace(means[part], scales[part], 50)
    decoder.finish()
