"""Steps of Adam and SOAP on a GPU, whose numbers are read from its memory.

So a CUDA graph of them can be run at any step: see `cuda_ext/common/fit_moves.h`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inrcodec.kernels import native
from inrcodec.kernels.pyramid import Softness
from inrcodec.kernels.soap import SOAP_BETAS, SOAP_PERIOD, Soap

__all__ = ["AdamMoves", "SoapMoves", "adam_scalars", "soap_scalars", "soft_scalars"]


def soft_scalars(softness: Softness) -> tuple[float, float, float, float]:
    """What `soft_latents` wants on a GPU, as a tensor [4]."""
    gain, noise, temperature = softness
    return gain, noise, 1.0 / temperature, 0.5 / math.tanh(0.5 / temperature)


def adam_scalars(rate: float, betas: tuple[float, float], count: int) -> tuple[float, float]:
    """What `AdamMoves.move` wants at step `count`, from 1 on, as a tensor [2]."""
    of_mean, of_square = (1.0 - beta**count for beta in betas)
    return rate / of_mean, 1.0 / math.sqrt(of_square)


def soap_scalars(rate: float, count: int) -> tuple[float, float, float, float]:
    """What `SoapMoves.move` wants at step `count`, from 1 on, as a tensor [4]."""
    if count == 1:
        return 0.0, rate, 1.0, 0.0
    of_mean, of_square = (1.0 - beta ** (count - 1) for beta in SOAP_BETAS)
    return rate * math.sqrt(of_square) / of_mean, rate, 0.0, float(count % SOAP_PERIOD == 1)


class AdamMoves:
    """Moves `values` [n] by Adam (Kingma & Ba 2015)."""

    def __init__(self, values: Tensor, betas: tuple[float, float], epsilon: float) -> None:
        self._values = values.detach()
        self._mean, self._square = torch.zeros_like(values), torch.zeros_like(values)
        self._options = (*(1.0 - beta for beta in betas), epsilon)

    def move(self, gradient: Tensor, scalars: Tensor, finite: Tensor) -> None:
        """Queue a step by `gradient` [n]; where `finite` [1] is 0 nothing changes."""
        arrays = self._values, gradient.contiguous(), self._mean, self._square
        native.queue_on_gpu("adam_step", self._values, *arrays, scalars, finite, *self._options)


class SoapMoves:
    """Moves tensors as `kernels.soap_step` does."""

    def __init__(self, soap: Soap, device: torch.device) -> None:
        self._soap, self._state = soap, torch.zeros(soap.n_state, device=device)

    def move(self, values: Tensor, gradient: Tensor, scalars: Tensor, finite: Tensor) -> None:
        """Queue a step of `values` [n] by `gradient` [n]; where `finite` is 0 nothing changes."""
        arrays = values, gradient.contiguous(), self._state
        options = scalars, finite, self._soap.shapes, self._soap.decays
        native.queue_on_gpu("soap_step", values, *arrays, *options)
