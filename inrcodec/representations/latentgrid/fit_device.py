"""Where a fit runs: on the CPU or a GPU, beside others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Final, Generic, TypeVar

import torch

from inrcodec import kernels
from inrcodec.errors import ConfigError
from inrcodec.kernels import native
from inrcodec.representations.latentgrid.fit_graphs import own_stream

__all__ = ["at_home", "device_for"]

_MOST_CHANNELS_ON_GPU: Final = 8  # of more, SOAP's work on the tail takes too much shared memory


def device_for(n_channels: int) -> str:
    """Where an image of so many channels is fitted. Raises ConfigError if that cannot be."""
    if n_channels <= _MOST_CHANNELS_ON_GPU:
        return kernels.device()
    if kernels.gpu_is_asked_for():
        raise ConfigError(
            f"device cuda takes images of up to {_MOST_CHANNELS_ON_GPU} channels, not {n_channels}"
        )
    return "cpu"


T = TypeVar("T")


class _Shared(Generic[T]):
    """Something that holds while any fit runs: what the first one does, and the last one undoes."""

    def __init__(self, do: Callable[[], T], undo: Callable[[T], object]) -> None:
        self._do, self._undo = do, undo
        self._before: T | None = None
        self._lock, self._n_holders = Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if self._n_holders == 0:
                self._before = self._do()
            self._n_holders += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._n_holders -= 1
            if self._n_holders == 0 and self._before is not None:
                self._undo(self._before)


def _one_torch_thread() -> int:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    return before


_ONE_TORCH_THREAD: Final = _Shared(_one_torch_thread, torch.set_num_threads)
_FREED_MEMORY_KEPT: Final = _Shared(native.keep_freed_memory, lambda give_back: give_back())


@contextmanager
def at_home(device: str, *, several: bool) -> Iterator[None]:
    """Inside, a fit of one or several tiles runs on a device, with a stream of its own on a GPU.

    torch has one thread where tiles have theirs, or native code leaves it little. On the CPU freed
    memory is kept: iterations of tiles of a megapixel take 0.9 times as long for it. Whatever the
    process had set of glibc's malloc is overwritten by that.
    """
    few = several or kernels.backend() == "native"
    with (
        _ONE_TORCH_THREAD if few else nullcontext(),
        own_stream() if device == "cuda" else _FREED_MEMORY_KEPT,
    ):
        yield
