"""Flags and a TOML file -> EncodeRequest. The command line wins over the file.

Keys of the file are the long names of the flags, with underscores; `docs/config.md` lists them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from inrcodec.api import choose_target
from inrcodec.cli._parse import parse_size
from inrcodec.errors import ConfigError
from inrcodec.representations import NAMES
from inrcodec.request import EncodeRequest, Measure, Target

__all__ = ["KEYS", "build_request"]

KEYS: Mapping[str, type] = {
    "model": str,
    "preset": str,
    "time": float,
    "iters": int,
    "seed": int,
    "tune": str,
    "group": int,
    "no_verify": bool,
}
"""Type of each setting that is no target."""

_FIELD_OF_KEY = {"time": "seconds", "iters": "iterations", "group": "group_frames"}
_AMOUNTS = ("preset", "iters")
_TABLES = ("options", *NAMES)

_Fields = dict[str, object]


def build_request(
    config: str | None, given: Mapping[str, object], targets: Mapping[Measure, float | None]
) -> EncodeRequest:
    """The request of a command line; None in `given` and `targets` is a flag that was not given.

    `config` names a TOML file of `KEYS`, of at most one target, and of tables [options] or [name of
    a model] with fields of that model's Config, of which that of the model that is used applies.
    `given` has the same keys. Raises ConfigError.
    """
    file = {} if config is None else _read_toml(config)
    target = _target_of(targets, file)
    tables = {key: _table(key, file.pop(key)) for key in _TABLES if key in file}
    in_file = {key: _checked(key, value) for key, value in file.items()}
    flags = {key: value for key, value in given.items() if value is not None}
    if any(key in flags for key in _AMOUNTS):  # either replaces both
        in_file = {key: value for key, value in in_file.items() if key not in _AMOUNTS}
    return _request_of(in_file | flags, target, tables)


def _request_of(settings: _Fields, target: Target, tables: Mapping[str, _Fields]) -> EncodeRequest:
    named = {_FIELD_OF_KEY.get(key, key): value for key, value in settings.items()}
    named["verify"] = not named.pop("no_verify", False)
    named["options"] = tables.get("options", {})
    return EncodeRequest(**named, target=target, tables=tables)  # type: ignore[arg-type]


def _read_toml(path: str) -> _Fields:
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read config {path}: {error.strerror}") from None
    except ValueError as error:  # TOML, UTF-8, or a number of over 4300 digits
        raise ConfigError(f"config {path} is not TOML: {error}") from None


def _target_of(flags: Mapping[Measure, float | None], table: _Fields) -> Target:
    """The target of the flags, else that of the file, whose keys are taken out of the table."""
    in_file: dict[Measure, float | None] = {}
    for measure in get_args(Measure):
        if measure in table:
            in_file[measure] = _number(measure, table.pop(measure))
    given = any(value is not None for value in flags.values())
    return choose_target(flags if given else in_file)


def _number(name: str, value: object) -> float:
    if name == "size" and isinstance(value, str):
        return parse_size(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"config: {name} {value!r} is not a number")
    try:
        return float(value)
    except OverflowError:
        raise ConfigError(f"config: {name} {value} is too large") from None


def _checked(key: str, value: object) -> object:
    """The value of a key. Raises ConfigError for an unknown key or another type."""
    if key not in KEYS:
        choices = ", ".join([*KEYS, *get_args(Measure), *(f"[{table}]" for table in _TABLES)])
        raise ConfigError(f"config: '{key}' is not one of {choices}")
    wanted = KEYS[key]
    if wanted is float:
        return _number(key, value)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ConfigError(f"config: {key} {value!r} has the wrong type")
    return value


def _table(name: str, value: object) -> _Fields:
    if not isinstance(value, dict):
        raise ConfigError(f"config: '{name}' is a table of fields, not {value!r}")
    return value
