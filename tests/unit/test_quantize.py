"""Steps and multiples of them: the nearest, exactly, on every machine."""

from fractions import Fraction

import numpy as np
import pytest

from inrcodec.errors import ConfigError
from inrcodec.quantize import (
    MAX_SYMBOL,
    N_STEPS,
    dequantize,
    nearest_index,
    quantize,
    step_size,
)


def test_steps_are_the_documented_fractions() -> None:
    for index in range(N_STEPS):
        exact = Fraction(8 + index % 8) * Fraction(2) ** (index // 8 - 27)
        assert Fraction(step_size(index)) == exact
    assert (step_size(0), step_size(255)) == (2.0**-24, 240.0)


def test_the_nearest_index_of_each_step_is_its_own() -> None:
    assert [nearest_index(step_size(index)) for index in range(N_STEPS)] == list(range(N_STEPS))


def test_the_nearest_index_goes_by_ratio_and_stops_at_the_ends() -> None:
    low, high = step_size(100), step_size(101)
    middle = (low * high) ** 0.5
    assert nearest_index(middle * 0.999) == 100
    assert nearest_index(middle * 1.001) == 101
    assert (nearest_index(1e-30), nearest_index(1e30)) == (0, N_STEPS - 1)


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan")])
def test_a_step_that_is_not_positive_is_refused(step: float) -> None:
    with pytest.raises(ConfigError, match="is not above 0"):
        nearest_index(step)


@pytest.mark.parametrize("index", [-1, 256])
def test_a_step_index_out_of_range_is_refused(index: int) -> None:
    with pytest.raises(ConfigError, match=r"is not in \[0, 255\]"):
        step_size(index)


def test_halves_go_to_even_and_large_values_are_clipped() -> None:
    index = nearest_index(1.0)
    values = np.array([0.5, 1.5, -0.5, -2.5, 1e9, -np.inf], dtype=np.float32)
    assert quantize(values, index).tolist() == [0, 2, 0, -2, MAX_SYMBOL, -MAX_SYMBOL]


def test_every_value_is_exact_in_float32() -> None:
    symbols = np.arange(-MAX_SYMBOL, MAX_SYMBOL + 1)
    for index in (0, 7, 101, 215, 255):
        values = dequantize(symbols, index)
        assert values.dtype == np.float32
        assert (values.astype(np.float64) == symbols * step_size(index)).all()
