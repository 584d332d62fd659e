"""Tables are the documented integers, and the coder writes the words of the plain range coder."""

import zlib
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec.container import ByteReader, ByteWriter
from inrcodec.entropy import (
    MAX_SYMBOL,
    TOTAL,
    Shape,
    SymbolDecoder,
    SymbolEncoder,
    Table,
    choose_table,
)
from inrcodec.errors import ConfigError, CorruptError

WORD = 1 << 32
FROZEN_COUNTS = {
    ("LAPLACE", 1): 0x460CDACC,
    ("LAPLACE", 30): 0xCAB1A48B,
    ("LAPLACE", 1000): 0x51A1F64D,
    ("LAPLACE", 32767): 0x6B130B93,
    ("GAUSSIAN", 1): 0x272AF8ED,
    ("GAUSSIAN", 30): 0x848040B8,
    ("GAUSSIAN", 1000): 0x8619E285,
    ("GAUSSIAN", 32767): 0xE3EB781F,
}


class PlainRangeCoder:
    """The coder of docs/format.md, word for word, in Python integers."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.low = 0
        self.range = (1 << 64) - 1
        self.is_empty = True

    def put(self, left: int, count: int) -> None:
        self.is_empty = False
        unit = self.range >> 24
        self.add(unit * left)
        self.range = unit * count
        if self.range < WORD:
            self.words.append(self.low >> 32)
            self.low = self.low % WORD << 32
            self.range <<= 32

    def add(self, amount: int) -> None:
        carry, self.low = divmod(self.low + amount, 1 << 64)
        at = len(self.words)
        while carry:
            at -= 1
            carry, self.words[at] = divmod(self.words[at] + 1, WORD)

    def finish(self) -> bytes:
        if not self.is_empty:
            end = (self.low + self.range) % (1 << 64)
            self.add(WORD - 1)
            self.words.append(self.low >> 32)
            if self.words[-1] == end >> 32:
                self.words.append(0)
        return np.array(self.words, dtype="<u4").tobytes()


def plain_bytes(runs: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> bytes:
    coder = PlainRangeCoder()
    for symbols, counts in runs:
        left = np.concatenate([[0], np.cumsum(counts)])
        for place in symbols + counts.size // 2:
            if counts.size > 1:
                coder.put(int(left[place]), int(counts[place]))
    return coder.finish()


def plain_counts(shape: Shape, scale_index: int, max_symbol: int) -> list[int]:
    """The counts of docs/format.md, step by step, in Python integers."""
    power = 1 if shape is Shape.LAPLACE else 2
    a = ((8 + scale_index % 8) << scale_index // 8) ** power
    ratios = [(a << 62) // (a + (1 << 20) ** power)]
    weights = []
    for size in range(max_symbol + 1):
        weight, exponent = 1 << 31, size**power
        for j in range(exponent.bit_length()):
            if j == len(ratios):
                ratios.append(ratios[-1] ** 2 >> 62)
            if exponent >> j & 1:
                weight = weight * (ratios[j] >> 31) >> 31
        weights.append(weight)
    weights = weights[:0:-1] + weights
    free, total = TOTAL - len(weights), sum(weights)
    counts = [1 + weight * free // total for weight in weights]
    counts[max_symbol] += TOTAL - sum(counts)
    return counts


def random_run(rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Symbols that follow their table, ignore it, or sit at one end of it, where carries are."""
    shape, scale_index = Shape(int(rng.integers(2))), int(rng.integers(256))
    table = Table(shape, scale_index, int(rng.choice([0, 1, 2, 5, 100, 3000])))
    counts, n = table.counts(), int(rng.integers(0, 40))
    places = (
        rng.choice(counts.size, n, p=counts / TOTAL),
        rng.integers(0, counts.size, n),
        np.full(n, counts.size - 1),
        np.zeros(n, dtype=np.int64),
    )[rng.integers(4)]
    return places - table.max_symbol, counts


# --- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("max_symbol", [0, 1, 2, 17, 255, MAX_SYMBOL])
def test_counts_are_positive_symmetric_and_sum_to_2_24(shape: Shape, max_symbol: int) -> None:
    for scale_index in (0, 1, 60, 128, 159, 160, 200, 255):
        counts = Table(shape, scale_index, max_symbol).counts()
        assert counts.shape == (2 * max_symbol + 1,)
        assert counts.dtype == np.int64
        assert counts.min() >= 1
        assert counts.sum() == TOTAL
        assert (counts == counts[::-1]).all()
        assert (np.diff(counts[max_symbol:]) <= 0).all()


def test_a_table_of_zeros_is_certain() -> None:
    assert Table(Shape.LAPLACE, 0, 0).counts().tolist() == [TOTAL]


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("max_symbol", [1, 9, 300, 5000])
def test_counts_are_those_of_the_format(shape: Shape, max_symbol: int) -> None:
    for scale_index in (0, 51, 160, 203, 255):
        found = Table(shape, scale_index, max_symbol).counts().tolist()
        assert found == plain_counts(shape, scale_index, max_symbol)


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("scale_index", [0, 77, 143, 160, 187, 230])
def test_counts_follow_the_exact_fractions_within_one_and_the_remainder(
    shape: Shape, scale_index: int
) -> None:
    max_symbol = 40
    odds = Fraction(8 + scale_index % 8) * Fraction(2) ** (scale_index // 8 - 20)
    sizes = [abs(k) for k in range(-max_symbol, max_symbol + 1)]
    if shape is Shape.GAUSSIAN:
        odds, sizes = odds**2, [size * size for size in sizes]
    whole, part = odds.numerator + odds.denominator, odds.numerator
    weights = [part**size * whole ** (max(sizes) - size) for size in sizes]
    free = TOTAL - len(weights)
    exact = np.array([1 + float(Fraction(free * weight, sum(weights))) for weight in weights])
    error = Table(shape, scale_index, max_symbol).counts() - exact
    error[max_symbol] -= len(weights) / 2  # the remainder of rounding down sits on symbol 0
    assert np.abs(error).max() <= len(weights) / 2 + 1
    assert np.abs(np.delete(error, max_symbol)).max() <= 1.1


def test_counts_never_change() -> None:
    """Streams depend on every count: a new checksum here is a new stream version."""
    found = {
        (shape.name, max_symbol): zlib.crc32(
            b"".join(
                Table(shape, scale_index, max_symbol).counts().astype("<i4").tobytes()
                for scale_index in range(0, 256, step)
            )
        )
        for shape in Shape
        for max_symbol, step in ((1, 1), (30, 1), (1000, 5), (MAX_SYMBOL, 51))
    }
    assert found == FROZEN_COUNTS


def test_counts_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Table(Shape.LAPLACE, 100, 3).counts()[0] = 7


@pytest.mark.parametrize(("scale_index", "max_symbol"), [(-1, 5), (256, 5), (9, -1), (9, 32768)])
def test_a_table_out_of_range_is_refused(scale_index: int, max_symbol: int) -> None:
    with pytest.raises(ConfigError, match="is not in"):
        Table(Shape.LAPLACE, scale_index, max_symbol)


@pytest.mark.parametrize(("max_symbol", "n_bytes"), [(63, 2), (64, 3), (8191, 3), (32767, 4)])
def test_a_table_takes_these_few_bytes(max_symbol: int, n_bytes: int) -> None:
    table = Table(Shape.GAUSSIAN, 201, max_symbol)
    writer = ByteWriter()
    table.write(writer)
    assert len(writer.to_bytes()) == n_bytes
    assert Table.read(ByteReader(writer.to_bytes())) == table


def test_a_table_header_out_of_range_is_corrupt() -> None:
    with pytest.raises(CorruptError, match=r"65536, not in \[0, 65535\]"):
        Table.read(ByteReader(b"\x00\x80\x80\x04"))


# --- the choice of a table -----------------------------------------------------------------------


def symbols_of(law: str, scale: float) -> NDArray[np.int64]:
    rng = np.random.default_rng(5)
    values = rng.laplace(0, scale, 3000) if law == "laplace" else rng.normal(0, scale, 3000)
    return np.clip(np.rint(values), -MAX_SYMBOL, MAX_SYMBOL).astype(np.int64)


@pytest.mark.parametrize("law", ["laplace", "gaussian"])
@pytest.mark.parametrize("scale", [0.12, 0.4, 0.8, 3, 50, 700])
def test_the_chosen_table_is_the_cheapest_of_all(law: str, scale: float) -> None:
    symbols = symbols_of(law, scale)
    chosen = choose_table(symbols)
    costs = [
        Table(shape, scale_index, chosen.max_symbol).cost_bits(symbols)
        for shape in Shape
        for scale_index in range(256)
    ]
    assert chosen.cost_bits(symbols) == pytest.approx(min(costs), rel=1e-12)


def test_laplacian_symbols_cost_little_more_than_their_entropy() -> None:
    symbols = symbols_of("laplace", 3)
    frequencies = np.unique(symbols, return_counts=True)[1] / symbols.size
    entropy = -float(frequencies @ np.log2(frequencies))
    assert choose_table(symbols).cost_bits(symbols) / symbols.size < entropy + 0.03


def test_nearly_all_zeros_cost_nearly_nothing() -> None:
    symbols = np.zeros(100_000, dtype=np.int64)
    symbols[::2000] = 1
    table = choose_table(symbols)
    coder = SymbolEncoder()
    coder.put(symbols, table.counts())
    assert 8 * len(coder.finish()) / symbols.size < 0.01


def test_zeros_alone_cost_nothing() -> None:
    table = choose_table(np.zeros(50, dtype=np.int64))
    coder = SymbolEncoder()
    coder.put(np.zeros(50, dtype=np.int64), table.counts())
    assert (table.max_symbol, table.cost_bits(np.zeros(50, np.int64))) == (0, 0.0)
    assert coder.finish() == b""
    assert SymbolDecoder(b"").take(50, table.counts()).tolist() == [0] * 50
    assert choose_table(np.zeros(0, dtype=np.int64)) == table


@pytest.mark.parametrize("symbol", [32768, -32768, np.iinfo(np.int64).min])
def test_symbols_beyond_any_table_are_refused(symbol: int) -> None:
    with pytest.raises(ConfigError, match=r"is not in \[0, 32767\]"):
        choose_table(np.array([0, symbol]))


def test_symbols_beyond_this_table_have_no_cost() -> None:
    with pytest.raises(ConfigError, match=r"symbol of size 4 is not in a table of \+-3"):
        Table(Shape.LAPLACE, 100, 3).cost_bits(np.array([-4]))


# --- the coder -----------------------------------------------------------------------------------


def test_words_are_those_of_the_plain_range_coder() -> None:
    rng = np.random.default_rng(1)
    for _ in range(400):
        runs = [random_run(rng) for _ in range(rng.integers(1, 4))]
        coder = SymbolEncoder()
        for symbols, counts in runs:
            coder.put(symbols, counts)
        data = coder.finish()
        assert data == plain_bytes(runs)
        decoder = SymbolDecoder(data)
        for symbols, counts in runs:
            assert decoder.take(symbols.size, counts).tolist() == symbols.tolist()
        decoder.finish()


def test_a_file_is_as_long_as_its_cost_says() -> None:
    symbols = symbols_of("laplace", 20)
    table = choose_table(symbols)
    coder = SymbolEncoder()
    coder.put(symbols, table.counts())
    assert 0 <= 8 * len(coder.finish()) - table.cost_bits(symbols) <= 64


def coded() -> tuple[bytes, NDArray[np.int64]]:
    symbols = symbols_of("laplace", 2)[:200]
    coder = SymbolEncoder()
    coder.put(symbols, Table(Shape.LAPLACE, 140, 50).counts())
    return coder.finish(), symbols


@pytest.mark.parametrize("change", [lambda d: d + bytes(4), lambda d: d[:-4], lambda d: b""])
def test_words_that_are_left_over_or_missing_are_corrupt(change) -> None:
    data, symbols = coded()
    decoder = SymbolDecoder(change(data))
    decoder.take(symbols.size, Table(Shape.LAPLACE, 140, 50).counts())
    with pytest.raises(CorruptError, match="do not end with the last symbol"):
        decoder.finish()


def test_symbols_that_are_not_taken_are_corrupt() -> None:
    data, symbols = coded()
    decoder = SymbolDecoder(data)
    decoder.take(symbols.size - 20, Table(Shape.LAPLACE, 140, 50).counts())
    with pytest.raises(CorruptError, match="do not end with the last symbol"):
        decoder.finish()


def test_words_that_no_encoder_writes_are_corrupt() -> None:
    decoder = SymbolDecoder(b"\xff" * 16)
    with pytest.raises(CorruptError, match="no encoder writes"):
        decoder.take(100, Table(Shape.LAPLACE, 140, 50).counts())


@pytest.mark.parametrize("n_bytes", [1, 6, 7])
def test_bytes_that_are_not_whole_words_are_corrupt(n_bytes: int) -> None:
    with pytest.raises(CorruptError, match="whole 4-byte words"):
        SymbolDecoder(bytes(n_bytes))


def test_a_symbol_outside_its_table_is_refused_and_leaves_the_coder_as_it_was() -> None:
    coder = SymbolEncoder()
    with pytest.raises(ConfigError, match=r"symbols in \[0, 4\] are not all in \[-3, 3\]"):
        coder.put(np.array([0, 4]), Table(Shape.LAPLACE, 100, 3).counts())
    assert coder.finish() == b""


@pytest.mark.parametrize("counts", [[1, 2, 3], [0, TOTAL, 0], [TOTAL // 2, TOTAL // 2]])
def test_counts_that_are_no_table_are_our_own_mistake(counts: list[int]) -> None:
    with pytest.raises(AssertionError):
        SymbolEncoder().put(np.array([0]), np.array(counts))


def random_decisions(rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Decisions that follow their odds, or are all the less likely."""
    n = int(rng.integers(1, 200))
    odds = np.where(rng.random(n) < 0.5, rng.integers(1, 65536, n), rng.choice([1, 65535], n))
    follow = rng.random(n) * 65536 < odds
    return (follow if rng.random() < 0.7 else odds < 32768), odds


def test_words_of_decisions_are_those_of_the_plain_range_coder() -> None:
    rng = np.random.default_rng(6)
    for _ in range(60):
        decisions, odds = random_decisions(rng)
        coder, plain = SymbolEncoder(), PlainRangeCoder()
        coder.put_decisions(decisions, odds)
        for decision, count in zip(decisions, (odds << 8).tolist(), strict=True):
            plain.put(TOTAL - count if decision else 0, count if decision else TOTAL - count)
        data = coder.finish()
        assert data == plain.finish()
        decoder = SymbolDecoder(data)
        assert [decoder.take_decision(int(number)) for number in odds] == decisions.tolist()
        decoder.finish()


def test_no_decisions_take_no_words() -> None:
    coder = SymbolEncoder()
    coder.put_decisions(np.zeros(0, np.bool_), np.zeros(0, np.int64))
    assert coder.finish() == b""


def test_decisions_that_take_more_words_than_there_are_end_soon() -> None:
    decoder = SymbolDecoder(b"\x12\x34\x56\x78")
    with pytest.raises(CorruptError, match="do not end with the last symbol"):
        sum(decoder.take_decision(32768) for _ in range(200))


@pytest.mark.parametrize("odds", [0, 65536])
def test_odds_that_are_certain_are_our_own_mistake(odds: int) -> None:
    with pytest.raises(AssertionError):
        SymbolEncoder().put_decisions(np.ones(1, np.bool_), np.array([odds]))
