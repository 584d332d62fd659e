"""Calls of the native functions, for numpy arrays and torch tensors alike. Knows no meaning.

Arrays are float32, contiguous, and of shapes that fit the geometry; the native side checks that
again. Results are written to `out`, which the caller allocates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrcodec.kernels import dispatch
from inrcodec.kernels.geometry import GridGeometry

if TYPE_CHECKING:
    import torch

    Array = NDArray[np.floating] | torch.Tensor

__all__ = ["call_on_cpu", "call_on_gpu"]


def call_on_cpu(name: str, inputs: tuple[Array, ...], geometry: GridGeometry, out: Array) -> None:
    """Run the native function `name` on CPU arrays."""
    function = getattr(dispatch.native(), name)
    function(*inputs, geometry.scales, geometry.sizes, out, dispatch.threads())


def call_on_gpu(
    name: str, inputs: tuple[torch.Tensor, ...], geometry: GridGeometry, out: torch.Tensor
) -> None:
    """Queue the native function `name` on the current stream of the GPU that holds `out`."""
    import torch

    function = getattr(dispatch.native(), f"{name}_cuda")
    stream = torch.cuda.current_stream(out.device).cuda_stream
    function(*inputs, geometry.scales, geometry.sizes, out, stream)
