"""The one table of representations: wire ids and classes. Ids are append-only and never reused."""

from __future__ import annotations

from inrcodec.errors import ConfigError, UnsupportedError
from inrcodec.representations.base import Representation
from inrcodec.representations.coordinate.hashgrid import HashGrid
from inrcodec.representations.coordinate.simplexgrid import SimplexGrid
from inrcodec.representations.coordinate.siren import Siren
from inrcodec.representations.coordinate.spder import Spder
from inrcodec.representations.cosine.family import Cosine
from inrcodec.representations.latentgrid.family import LatentGrid

__all__ = ["NAMES", "by_id", "by_name", "id_of"]

_TABLE: dict[int, type[Representation]] = {
    1: Siren,
    2: HashGrid,
    3: Spder,
    4: SimplexGrid,
    5: LatentGrid,
    6: Cosine,
}

NAMES = tuple(representation.name for representation in _TABLE.values())


def by_id(representation_id: int) -> type[Representation]:
    """The representation that a stream names. Raises UnsupportedError."""
    if representation_id not in _TABLE:
        raise UnsupportedError(f"representation {representation_id} is not one of {list(_TABLE)}")
    return _TABLE[representation_id]


def by_name(name: str) -> type[Representation]:
    """The representation of this name. Raises ConfigError, which lists the names."""
    for representation in _TABLE.values():
        if representation.name == name:
            return representation
    raise ConfigError(f"model '{name}' is not one of auto, {', '.join(NAMES)}")


def id_of(representation: type[Representation]) -> int:
    """The wire id of a representation."""
    return next(key for key, value in _TABLE.items() if value is representation)
