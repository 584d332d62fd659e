"""Flags and a TOML file -> EncodeRequest. The command line wins over the file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import get_args

from inrcodec.api import choose_target
from inrcodec.cli._parse import parse_size
from inrcodec.errors import ConfigError
from inrcodec.representations import NAMES
from inrcodec.request import EncodeRequest, Measure, Target

__all__ = ["build_request"]

_Fields = dict[str, object]

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "model": str,
    "preset": str,
    "seconds": (int, float),
    "iterations": int,
    "seed": int,
    "verify": bool,
}


def build_request(
    config: str | None, given: Mapping[str, object], targets: Mapping[Measure, float | None]
) -> EncodeRequest:
    """The request of a command line; None in `given` and `targets` is a flag that was not given.

    `config` names a TOML file of EncodeRequest's fields, of at most one target, and of tables
    [options] or [name of a model] with fields of that model's Config. Raises ConfigError.
    """
    table = {} if config is None else _read_toml(config)
    target = _target_of(targets, table)
    tables = {key: table.pop(key) for key in ("options", *NAMES) if key in table}
    known = {field.name for field in fields(EncodeRequest)} - {"target", "options"}
    for key, value in table.items():
        _check(key, value, known)
    merged = table | {key: value for key, value in given.items() if value is not None}
    options = _options_of(tables, str(merged.get("model", "auto")))
    return EncodeRequest(**merged, target=target, options=options)  # type: ignore[arg-type]


def _read_toml(path: str) -> _Fields:
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read config {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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
    return value


def _check(key: str, value: object, known: set[str]) -> None:
    if key not in known:
        choices = ", ".join([*sorted(known), *get_args(Measure), "[options]"])
        raise ConfigError(f"config: '{key}' is not one of {choices}")
    wanted = _TYPES[key]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ConfigError(f"config: {key} {value!r} has the wrong type")


def _options_of(tables: _Fields, model: str) -> dict[str, object]:
    """What [options] says, then what the table of the model says."""
    options: dict[str, object] = {}
    for name in ("options", model):
        table = tables.get(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"config: '{name}' is a table of fields, not {table!r}")
        options |= table
    return options
