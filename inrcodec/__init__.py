"""inrcodec: images, sound, film and arrays as functions, in small files that decode everywhere.

The public names. They are loaded on first use, so that `import inrcodec` is quick and imports
neither torch nor an image library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inrcodec import errors, presets
    from inrcodec.api import decode, encode, open
    from inrcodec.container import DecodeLimits
    from inrcodec.errors import (
        BitstreamError,
        ConfigError,
        CorruptError,
        InrcodecError,
        LimitError,
        MissingExtraError,
        SignalError,
        TruncatedError,
        UnsupportedError,
    )
    from inrcodec.media import probe, read, write
    from inrcodec.reader import Reader
    from inrcodec.signal import Kind, Metadata, SampleFormat, Signal, SignalSpec

__all__ = [
    "BitstreamError",
    "ConfigError",
    "CorruptError",
    "DecodeLimits",
    "InrcodecError",
    "Kind",
    "LimitError",
    "Metadata",
    "MissingExtraError",
    "Reader",
    "SampleFormat",
    "Signal",
    "SignalError",
    "SignalSpec",
    "TruncatedError",
    "UnsupportedError",
    "__version__",
    "decode",
    "encode",
    "errors",
    "open",
    "presets",
    "probe",
    "read",
    "write",
]

__version__ = "0.1.0"

_HOMES = {
    "inrcodec.api": ("decode", "encode", "open"),
    "inrcodec.container": ("DecodeLimits",),
    "inrcodec.errors": (
        "BitstreamError",
        "ConfigError",
        "CorruptError",
        "InrcodecError",
        "LimitError",
        "MissingExtraError",
        "SignalError",
        "TruncatedError",
        "UnsupportedError",
    ),
    "inrcodec.media": ("probe", "read", "write"),
    "inrcodec.reader": ("Reader",),
    "inrcodec.signal": ("Kind", "Metadata", "SampleFormat", "Signal", "SignalSpec"),
}
_MODULES = ("errors", "presets")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"inrcodec.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'inrcodec' has no attribute '{name}'")
    value: object = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
