"""Every error that inrcodec raises on purpose.

InrcodecError
├── SignalError          the input cannot be coded: empty, NaN, not a media file
├── ConfigError          an option is out of range, unknown, or contradicts another
├── MissingExtraError    the work needs an optional package; the message names the extra
└── BitstreamError       the bytes are not a stream that we can decode; carries `.offset`
    ├── TruncatedError   the bytes end too early
    ├── CorruptError     a checksum, a value or a length is wrong
    ├── UnsupportedError well-formed, but of a newer version or with an unknown id
    └── LimitError       asks for more than `DecodeLimits` allows; raised before allocation
"""

__all__ = [
    "BitstreamError",
    "ConfigError",
    "CorruptError",
    "InrcodecError",
    "LimitError",
    "MissingExtraError",
    "SignalError",
    "TruncatedError",
    "UnsupportedError",
]


class InrcodecError(Exception):
    """Base of every error that inrcodec raises on purpose. Its text is one line."""

    exit_code = 1


class SignalError(InrcodecError):
    """The input cannot be read or cannot be coded."""

    exit_code = 3


class ConfigError(InrcodecError):
    """An option is out of range, unknown, or contradicts another."""

    exit_code = 2


class MissingExtraError(InrcodecError):
    """An optional package is not installed."""

    exit_code = 1

    def __init__(self, what: str, *, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}': pip install 'inrcodec[{extra}]'")
        self.extra = extra


class BitstreamError(InrcodecError):
    """The bytes are not a stream that we can decode. `offset` is the byte where this showed.

    `reason` is the message without it.
    """

    exit_code = 4

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self.reason, self.offset = message, offset


class TruncatedError(BitstreamError):
    """The bytes end before the stream does."""


class CorruptError(BitstreamError):
    """A checksum, a value or a length contradicts the format."""


class UnsupportedError(BitstreamError):
    """A well-formed stream that names something this version does not know."""


class LimitError(BitstreamError):
    """The stream asks for more than the decoder was told to allow."""
