"""Which array of a file is meant, and how it is to be seen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from inrcodec.errors import ConfigError, SignalError
from inrcodec.media.guard import one_line

__all__ = ["Choice"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The name of an array in its file (None: the only one), and whether its last axis is channels.

    Options of arrays alone: a choice that says anything refuses every other kind.
    """

    variable: str | None = None
    channels_last: bool = False

    def check_unused(self, name: str) -> None:
        """Raise ConfigError if something is chosen, of `name`, which is no array."""
        if self.variable is not None:
            raise ConfigError(f"variable '{self.variable}' is for arrays, not for {name}")
        if self.channels_last:
            raise ConfigError(f"channels_last is for arrays, not for {name}")

    def pick(self, names: Collection[str]) -> str:
        """The name that is meant among those of a file.

        Raises ConfigError for another one, SignalError where it takes a choice and none is made.
        """
        listed = one_line(", ".join(names))
        if self.variable is not None:
            if self.variable not in names:
                raise ConfigError(f"variable '{self.variable}' is not one of {listed or 'none'}")
            return self.variable
        if len(names) == 1:
            return next(iter(names))
        if not names:
            raise SignalError("holds no array")
        raise SignalError(f"holds several arrays; choose a variable of {listed}")
