"""How much work `encode` may do, by name. Nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from inrcodec.errors import ConfigError

__all__ = ["PRESETS", "Preset", "by_name"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """A budget: how many iterations a fit takes unless it is given iterations or seconds."""

    iterations: int


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "fast": Preset(iterations=500),
        "medium": Preset(iterations=3300),
        "slow": Preset(iterations=10000),
    }
)


def by_name(name: str) -> Preset:
    """The preset of this name. Raises ConfigError, which lists the names, for any other."""
    if name not in PRESETS:
        raise ConfigError(f"preset '{name}' is not one of {', '.join(PRESETS)}")
    return PRESETS[name]
