"""What is made of segments when it is asked for, and kept as long as there is room for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Kept"]

_KEPT_VALUES = 1 << 24
_LEAST_KEPT = 3  # a segment and its neighbours

T = TypeVar("T")


class Kept(Generic[T]):
    """Values by number, each made once while those that are kept are few, as `size` counts them."""

    def __init__(self, size: Callable[[T], int]) -> None:
        self._size = size
        self._known: dict[int, T] = {}
        self._n_values = 0

    def get(self, number: int, make: Callable[[int], T]) -> T:
        """The value of a number, which `make` makes if it is not kept."""
        known = self._known.get(number)
        if known is not None:
            return known
        made = self._known[number] = make(number)
        self._n_values += self._size(made)
        while len(self._known) > _LEAST_KEPT and self._n_values > _KEPT_VALUES:
            oldest = self._known.pop(next(iter(self._known)))
            self._n_values -= self._size(oldest)
        return made

    def __len__(self) -> int:
        return len(self._known)
