"""What moves the numbers of a fit: Adam for latents and steps, SOAP for weights.

`Descent` does it on the CPU. `fit_graphs.py` has the same for a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import torch
from torch import Tensor

from inrcodec.kernels import Soap, Softness, soap_step
from inrcodec.representations.latentgrid.schedule import GAIN, Moment, Weighing

__all__ = [
    "LATENT_BETAS",
    "LATENT_EPSILON",
    "MOST_GRADIENT",
    "STEP_BETAS",
    "STEP_EPSILON",
    "STEP_RATE",
    "UNKNOWN",
    "Descent",
    "Kind",
    "Leaves",
    "Losses",
    "Measured",
    "Mover",
    "softness_of",
]

LATENT_BETAS: Final = (0.5, 0.97)
STEP_BETAS: Final = (0.9, 0.999)
STEP_RATE: Final = 0.02
LATENT_EPSILON: Final = 1e-12
"""What Adam adds to the root of its square: far below a gradient of J, which for a latent of a
large image is 1e-9. With the usual 1e-8, J of kodim03 came out 4 % higher at a lambda of 0.001."""

STEP_EPSILON: Final = 1e-8
"""The same for steps: above the gradient of a group of few weights, which is mostly noise. With
1e-15 for these and for latents, J of kodim03 came out 3 % higher than with both as they are."""

MOST_GRADIENT: Final = 0.1
"""The longest gradient of all weights; a longer one is scaled to it."""


class Measured(NamedTuple):
    """What is made small of errors on the [0, 1] scale, their plain squares, and bits; sums."""

    error: float
    squares: float
    bits: float


UNKNOWN: Final = Measured(math.nan, math.nan, math.nan)


class Leaves(NamedTuple):
    """The numbers that a fit moves, flat; `frozen` marks weights that stay 0."""

    latents: Tensor
    weights: Tensor
    log2_steps: Tensor
    frozen: Tensor | None


class Kind(NamedTuple):
    """What sort of iteration: how weights are, and whether latents are whole."""

    weighing: Weighing
    hard: bool


class Losses(NamedTuple):
    """The loss, and the error and the bits that it is made of."""

    loss: Tensor
    error: Tensor
    bits: Tensor


LossOf = Callable[[Kind, Softness | Tensor, float | Tensor], Losses]
"""The losses of an iteration, by the softness of latents and the price of a bit."""


class Mover(Protocol):
    """Makes one step downhill at a price of a bit; says what was measured on the way there.

    Nothing moves where the loss or a gradient is not finite; the answer is then not finite either.
    `loss_of` is the same function at each call. It is not kept, so that a fit that nobody needs any
    more leaves memory at once.
    """

    def step(self, moment: Moment, price: float, loss_of: LossOf) -> Measured: ...


def softness_of(moment: Moment) -> Softness:
    """How a moment sees latents; of no meaning where they are whole."""
    return Softness(GAIN, moment.noise, moment.temperature)


class Descent:
    """Steps on the CPU."""

    def __init__(self, leaves: Leaves, soap: Soap) -> None:
        self._leaves = leaves
        self._soap, self._soap_count = soap, 0
        self._soap_state = torch.zeros(soap.n_state)
        self._adam = torch.optim.Adam(
            [leaves.latents], betas=LATENT_BETAS, eps=LATENT_EPSILON, fused=True
        )
        self._step_adam = torch.optim.Adam(
            [leaves.log2_steps], lr=STEP_RATE, betas=STEP_BETAS, eps=STEP_EPSILON
        )

    def step(self, moment: Moment, price: float, loss_of: LossOf) -> Measured:
        kind = Kind(moment.weighing, moment.hard)
        losses = loss_of(kind, softness_of(moment), price)
        error = float(losses.error.detach())
        measured = Measured(error, error, float(losses.bits.detach()))
        if not math.isfinite(sum(measured)):
            return measured
        return measured if self._descend(losses.loss, moment) else UNKNOWN

    def _descend(self, loss: Tensor, moment: Moment) -> bool:
        self._leaves.weights.grad = None
        for optimizer in (self._adam, self._step_adam):
            optimizer.zero_grad()
        torch.autograd.backward(loss)
        gradients = [self._leaves.latents.grad, self._leaves.log2_steps.grad]
        sums = [float(gradient.sum()) for gradient in gradients if gradient is not None]
        if not math.isfinite(sum(sums)):
            return False
        if not self._move_weights(moment.rate):
            return False
        if not moment.hard:
            self._adam.param_groups[0]["lr"] = moment.rate
            self._adam.step()
        if moment.weighing != "free":
            self._step_adam.step()
        return True

    def _move_weights(self, rate: float) -> bool:
        weights, frozen = self._leaves.weights, self._leaves.frozen
        assert weights.grad is not None
        if frozen is not None:
            weights.grad.masked_fill_(frozen, 0.0)
        torch.nn.utils.clip_grad_norm_(weights, MOST_GRADIENT)
        arrays = weights.detach(), weights.grad, self._soap_state
        moved = soap_step(*arrays, self._soap, rate=rate, count=self._soap_count + 1)
        self._soap_count += moved
        return moved
