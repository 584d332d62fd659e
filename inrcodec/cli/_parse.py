"""The small languages of option values: sizes, spans and regions."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from inrcodec.errors import ConfigError

__all__ = [
    "FrameSpan",
    "Region",
    "Span",
    "integer_parser",
    "number_parser",
    "parse_frames",
    "parse_rate",
    "parse_region",
    "parse_size",
    "parse_span",
]

Span = tuple[float, float | None]
"""Start and stop in seconds; None is the end."""

FrameSpan = tuple[int, int | None]
"""Start and stop in frames; None is the end."""

Region = tuple[int, int, int, int]
"""x, y, width and height in samples."""

_DIGITS = r"\d{1,18}"  # more is refused, not computed with
_UNITS = {"": 1, "b": 1, "kb": 1000, "kib": 1024, "mb": 1000**2, "mib": 1024**2}


def number_parser(option: str) -> Callable[[str], float]:
    """A parser of an option's number, whose ConfigError names the option and what it was given."""

    def parse(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise ConfigError(f"{option} '{text}' is not a number") from None

    return parse


def integer_parser(option: str) -> Callable[[str], int]:
    """As `number_parser`, for whole numbers."""

    def parse(text: str) -> int:
        if not re.fullmatch(rf"[+-]?{_DIGITS}", text.strip()):
            raise ConfigError(f"{option} '{text}' is not a whole number")
        return int(text)

    return parse


def parse_size(text: str) -> int:
    """Bytes of '25000', '80KB' (80,000) or '80KiB' (81,920). Raises ConfigError."""
    match = re.fullmatch(rf"({_DIGITS}(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    unit = match and _UNITS.get(match[2].lower())
    if not match or not unit:
        raise ConfigError(
            f"size '{text}' is not a number below 1e18 with B, KB, KiB, MB, MiB or no unit"
        )
    return int(float(match[1]) * unit)


def parse_span(text: str) -> Span:
    """Seconds 'a:b'; a missing one is the start or the end. Raises ConfigError."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)?:(\d+(?:\.\d*)?|\.\d+)?", text.strip())
    if not match:
        raise ConfigError(f"seconds '{text}' is not a:b with two numbers, such as 1.5:4")
    start, stop = float(match[1] or 0), float(match[2]) if match[2] else None
    if stop is not None and stop <= start:
        raise ConfigError(f"seconds '{text}' end before they start")
    return start, stop


def parse_frames(text: str) -> FrameSpan:
    """Frames 'a:b'; a missing one is the start or the end. Raises ConfigError."""
    match = re.fullmatch(rf"({_DIGITS})?:({_DIGITS})?", text.strip())
    if not match:
        raise ConfigError(f"frames '{text}' is not a:b with two whole numbers, such as 16:32")
    start, stop = int(match[1] or 0), int(match[2]) if match[2] else None
    if stop is not None and stop <= start:
        raise ConfigError(f"frames '{text}' end before they start")
    return start, stop


def parse_rate(text: str) -> Fraction:
    """'44100', '29.97' or '30000/1001'. Raises ConfigError."""
    if not re.fullmatch(rf"{_DIGITS}(\.{_DIGITS}|/{_DIGITS})?", text.strip()):
        raise ConfigError(f"rate '{text}' is not a number such as 44100, 29.97 or 30000/1001")
    try:
        return Fraction(text.strip())
    except ZeroDivisionError:
        raise ConfigError(f"rate '{text}' divides by 0") from None


def parse_region(text: str) -> Region:
    """Samples 'x,y,w,h'. Raises ConfigError."""
    match = re.fullmatch(",".join([f"({_DIGITS})"] * 4), text.replace(" ", ""))
    if not match or int(match[3]) == 0 or int(match[4]) == 0:
        raise ConfigError(f"region '{text}' is not x,y,w,h below 1e18 with w and h of at least 1")
    x, y, width, height = (int(number) for number in match.groups())
    return x, y, width, height
