"""The small languages of option values."""

import pytest

from inrcodec.cli._parse import (
    integer_parser,
    number_parser,
    parse_region,
    parse_size,
    parse_span,
)
from inrcodec.errors import ConfigError

NINES = pytest.param("9" * 5000, id="nines")


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("25000", 25000),
        ("80KB", 80_000),
        ("80kb", 80_000),
        ("80KiB", 81_920),
        ("1.5 MB", 1_500_000),
        ("2MiB", 2_097_152),
        ("64B", 64),
    ],
)
def test_a_size_is_in_bytes_with_decimal_and_binary_units(text, n_bytes):
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize("text", ["", "KB", "-5", "80GB", "80 K B", "1e3", "1,5KB", "nan", NINES])
def test_another_size_is_refused_by_its_text(text):
    with pytest.raises(ConfigError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "span"),
    [("1:2", (1.0, 2.0)), (":2.5", (0.0, 2.5)), ("0.5:", (0.5, None)), (":", (0.0, None))],
)
def test_a_span_may_leave_out_its_ends(text, span):
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "3", "2:1", "1:1", "-1:2", "1:2:3", "a:b", "1e1:20"])
def test_another_span_is_refused(text):
    with pytest.raises(ConfigError, match="seconds"):
        parse_span(text)


def test_a_region_is_four_numbers():
    assert parse_region("1, 2,30,40") == (1, 2, 30, 40)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,2,3",
        "1,2,3,0",
        "1,2,0,3",
        "-1,2,3,4",
        "1.5,2,3,4",
        pytest.param(f"{'9' * 5000},0,1,1", id="long"),
    ],
)
def test_another_region_is_refused(text):
    with pytest.raises(ConfigError, match="region"):
        parse_region(text)


def test_numbers_are_refused_by_the_name_of_their_option():
    assert number_parser("--psnr")("3e1") == 30.0
    assert integer_parser("--iters")("-7") == -7
    with pytest.raises(ConfigError, match=r"--iters '9+' is not a whole number"):
        integer_parser("--iters")("9" * 5000)
    with pytest.raises(ConfigError, match="--psnr 'x' is not a number"):
        number_parser("--psnr")("x")
    with pytest.raises(ConfigError, match=r"--iters '1\.0' is not a whole number"):
        integer_parser("--iters")("1.0")
