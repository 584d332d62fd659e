"""Where a fit runs: on the CPU or a GPU, beside others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

import torch

from inrcodec import kernels
from inrcodec.errors import ConfigError
from inrcodec.representations.latentgrid.fit_graphs import own_stream
from inrcodec.representations.process import FREED_MEMORY_KEPT, Shared

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


def _one_torch_thread() -> int:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    return before


_ONE_TORCH_THREAD: Final = Shared(_one_torch_thread, torch.set_num_threads)


@contextmanager
def at_home(device: str, *, several: bool) -> Iterator[None]:
    """Inside, a fit of one or several tiles runs on a device, with a stream of its own on a GPU.

    torch has one thread where tiles have theirs, or native code leaves it little. On the CPU freed
    memory is kept: iterations of tiles of a megapixel take 0.9 times as long for it.
    """
    few = several or kernels.uses_native()
    with (
        _ONE_TORCH_THREAD if few else nullcontext(),
        own_stream() if device == "cuda" else FREED_MEMORY_KEPT,
    ):
        yield
