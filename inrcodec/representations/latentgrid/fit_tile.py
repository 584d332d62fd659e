"""The fit of one tile: its latents, its weights with their steps, and what moves them.

The loss is J = MSE + lam * bits, the bits of latents and of weights both. Latents move by Adam;
weights by SOAP (Vyas et al. 2024, arXiv:2409.11321). The steps of weights are fitted with them:
first noise stands for rounding, at the end weights are rounded as they will be stored (Esser et al.
2020, arXiv:1902.08153).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec.entropy import MAX_DEVIATE, MAX_SYMBOL
from inrcodec.kernels import (
    LatentShape,
    Soap,
    Softness,
    Weight,
    latent_cost,
    latent_pixels,
    soft_latents,
)
from inrcodec.quantize import relaxed, step_size
from inrcodec.representations.latentgrid.fit_descent import (
    Descent,
    Kind,
    Leaves,
    Losses,
    Measured,
    Mover,
)
from inrcodec.representations.latentgrid.fit_graphs import GraphedDescent
from inrcodec.representations.latentgrid.fit_target import Target
from inrcodec.representations.latentgrid.pack import LatentTile, coded_networks
from inrcodec.representations.latentgrid.schedule import GAIN, Moment, Weighing

__all__ = ["TileFit", "TileState"]

_KNOWN_DECAY: Final = 0.5  # of weights with a prior, towards it, times the learning rate
_FIRST_STEP: Final = 2.0**-5  # of the spread of a group of weights
_SMALLEST_STEP: Final = -13.0  # log2
_FIRST_SHARPENING: Final = 2.0**0.5  # so that fine latents count twice as much
_TABLE_BITS: Final = 28  # what the step and the table of a group take
_OTHER_BYTES: Final = 8  # of a tile: a length, and what is over at the end of the latents' words


class TileState(NamedTuple):
    """The numbers of a fit before rounding, from which another can go on."""

    latents: Tensor
    weights: dict[str, Tensor]
    log2_steps: Tensor


class TileFit:
    """The state of a fit and the steps that change it."""

    def __init__(
        self,
        shape: LatentShape,
        target: Target,
        *,
        n_samples: float,
        n_pixels: int,
        seed: int,
        frozen: frozenset[str] = frozenset(),
        weight_rate: bool = True,
        start: TileState | None = None,
    ) -> None:
        self.shape, self._target = shape, target
        self._n_samples, self._n_pixels = n_samples, n_pixels
        self._weight_rate = weight_rate
        device = target.pixels.device
        self._first_random = torch.Generator().manual_seed(seed)
        self._random = self._first_random
        if device.type != "cpu":
            self._random = torch.Generator(device).manual_seed(seed)
        self._priors = torch.cat(
            [torch.tensor(np.resize(w.prior, w.size), dtype=torch.float32) for w in shape.weights]
        ).to(device)
        n_values = torch.tensor([sum(w.size for w in group) for group in shape.groups])
        self._sizes = n_values.float().to(device)
        self._members = torch.eye(len(n_values)).repeat_interleave(n_values, dim=1).to(device)
        self._weighed = start is not None
        state = start or self._beginning()
        self._latents = state.latents.to(device, copy=True).requires_grad_()
        self._log2_steps = state.log2_steps.to(device, copy=True).requires_grad_()
        self._frozen = self._marked(frozen).to(device) if frozen else None
        self._weights = self._joined(state.weights).requires_grad_()
        leaves = Leaves(self._latents, self._weights, self._log2_steps, self._frozen)
        self._mover = self._new_mover(leaves)

    def _new_mover(self, leaves: Leaves) -> Mover:
        """With SOAP for all weights, of which those that have a prior decay towards it."""
        weights, prior = self.shape.weights, self.shape.prior
        decays = tuple(_KNOWN_DECAY if prior and weight.of_context else 0.0 for weight in weights)
        soap = Soap(tuple(weight.shape for weight in weights), decays)
        if leaves.latents.is_cuda:
            return GraphedDescent(leaves, soap, self._random)
        return Descent(leaves, soap)

    def _marked(self, frozen: frozenset[str]) -> Tensor:
        """Which weights stay 0: whole tensors or groups, by name."""
        tensors = self.shape.weights
        marks = [weight.name in frozen or weight.group in frozen for weight in tensors]
        sizes = torch.tensor([weight.size for weight in tensors])
        return torch.tensor(marks).repeat_interleave(sizes)

    def _joined(self, weights: Mapping[str, Tensor]) -> Tensor:
        """All weights, one after the other; 0 where they are frozen."""
        flat = torch.cat([weights[weight.name].flatten() for weight in self.shape.weights])
        flat = flat.to(self._priors.device)
        return flat if self._frozen is None else flat.masked_fill_(self._frozen, 0.0)

    def _beginning(self) -> TileState:
        """Latents of 0, and networks that are all but linear; the same on every device."""
        weights = {weight.name: self._first(weight) for weight in self.shape.weights}
        return TileState(
            torch.zeros(self.shape.n_latents), weights, torch.zeros(len(self.shape.groups))
        )

    def _first(self, weight: Weight) -> Tensor:
        first = torch.zeros(weight.shape)
        outputs = weight.shape[0]
        if weight.group in ("head", "feature") and not self.shape.prior:
            return first.normal_(0.0, 1.0 / outputs**2, generator=self._first_random)
        if weight.name == "sharpen":
            first[:, -1] = _FIRST_SHARPENING - weight.prior[-1]
            return first
        if weight.name in ("lift", "lower", "blend"):
            bound = 1.0 / math.sqrt(weight.shape[1]) / outputs**2
            return first.uniform_(-bound, bound, generator=self._first_random)
        return first

    # --- one iteration ---------------------------------------------------------------------------

    def step(self, moment: Moment, lam: float) -> Measured:
        """One step downhill; what was measured on the way, of soft latents, may be not finite."""
        if moment.weighing != "free":
            self._begin_to_weigh()
        return self._mover.step(moment, lam / self._n_pixels, self._losses)

    def _losses(self, kind: Kind, softness: Softness | Tensor, price: float | Tensor) -> Losses:
        """J at a price of a bit, of soft latents unless they are whole."""
        weights, weight_bits = self._weights_at(kind.weighing)
        if kind.hard:
            latents = (self._latents.detach() * GAIN).round()
        else:
            noise = torch.empty_like(self._latents).normal_(generator=self._random)
            latents = soft_latents(self._latents, noise, softness)
        bits = latent_cost(latents, self.shape, weights)
        error = self._target.error(latent_pixels(latents, self.shape, weights))
        counted = bits + weight_bits if self._weight_rate else bits
        return Losses(error / self._n_samples + price * counted, error, bits + weight_bits)

    def _weights_at(self, weighing: Weighing) -> tuple[dict[str, Tensor], Tensor]:
        """All weights, and the bits that they take; 0 of weights that are free."""
        flat = self._weights
        if weighing == "free":
            return self._split(flat + self._priors), self._sizes.new_zeros(())
        stored = relaxed.nearest_log2_steps(self._log2_steps)
        steps = torch.exp2(self._log2_steps + (stored - self._log2_steps).detach())
        step = steps @ self._members
        scaled = flat / step
        if weighing == "rounded":
            symbols = scaled + (scaled.round() - scaled).detach()
        else:
            noise = torch.empty_like(scaled).uniform_(-0.5, 0.5, generator=self._random)
            symbols = scaled + noise
        sums = self._members @ torch.stack([symbols.abs(), symbols.square()], dim=1)
        bits = relaxed.expected_bits(sums, self._sizes, noisy=weighing == "noisy").sum()
        return self._split(symbols * step + self._priors), bits + _TABLE_BITS * len(steps)

    def _split(self, flat: Tensor) -> dict[str, Tensor]:
        """All weights, by name, of their values one after the other."""
        parts = torch.split(flat, [weight.size for weight in self.shape.weights])
        return {
            weight.name: part.view(weight.shape)
            for weight, part in zip(self.shape.weights, parts, strict=True)
        }

    def _groups(self) -> tuple[Tensor, ...]:
        """The weights of each group that shares a step."""
        sizes = [sum(weight.size for weight in group) for group in self.shape.groups]
        return torch.split(self._weights.detach(), sizes)

    def _begin_to_weigh(self) -> None:
        """Choose the first steps."""
        if self._weighed:
            return
        self._weighed = True
        with torch.no_grad():
            for number, values in enumerate(self._groups()):
                spread = float(values.square().mean().sqrt()) * _FIRST_STEP
                self._log2_steps[number] = max(math.log2(spread + 1e-9), _SMALLEST_STEP)

    # --- states ----------------------------------------------------------------------------------

    @torch.no_grad()
    def measure(self, weighing: Weighing = "rounded") -> Measured:
        """Error and bits of everything rounded as it would be stored now, or with free weights."""
        if weighing != "free":
            self._begin_to_weigh()
        weights, weight_bits = self._weights_at(weighing)
        latents = (self._latents * GAIN).round().clamp_(-MAX_DEVIATE, MAX_DEVIATE)
        bits, beside = float(latent_cost(latents, self.shape, weights)), float(weight_bits)
        if weighing != "free" and math.isfinite(beside):
            beside = self._stored_bits()
        outputs = latent_pixels(latents, self.shape, weights)
        error, squares = self._target.error(outputs), self._target.squares(outputs)
        return Measured(float(error), float(squares), bits + beside)

    def _stored_bits(self) -> float:
        """What weights take as they would be stored now, and a tile beside weights and latents."""
        stored = coded_networks(*self._whole_weights())
        return 8.0 * (sum(map(len, stored)) + _OTHER_BYTES + len(self.shape.grids))

    def cost(self, lam: float) -> float:
        """J of latents rounded and weights free of charge; infinite where it is not a number."""
        measured = self.measure("free")
        cost = measured.error / self._n_samples + lam / self._n_pixels * measured.bits
        return cost if math.isfinite(cost) else math.inf

    def state(self) -> TileState:
        """A copy of where the fit stands."""
        weights = self._split(self._weights.detach().clone())
        return TileState(self._latents.detach().clone(), weights, self._log2_steps.detach().clone())

    @torch.no_grad()
    def restore(self, state: TileState) -> None:
        """Go back to a state."""
        self._latents.copy_(state.latents)
        self._log2_steps.copy_(state.log2_steps)
        self._weights.copy_(self._joined(state.weights))

    @torch.no_grad()
    def tile(self) -> LatentTile:
        """Where the fit stands, in integers."""
        self._begin_to_weigh()
        indices, symbols = self._whole_weights()
        return LatentTile(self.shape, indices, symbols, self._whole_latents())

    @torch.no_grad()
    def _whole_weights(self) -> tuple[tuple[int, ...], tuple[NDArray[np.int64], ...]]:
        """The indices of the steps, and the symbols of each group."""
        indices = relaxed.snap_steps(self._log2_steps)
        symbols = []
        for values, index in zip(self._groups(), indices, strict=True):
            scaled = (values / step_size(index)).round().clamp(-MAX_SYMBOL, MAX_SYMBOL)
            symbols.append(scaled.cpu().numpy().astype(np.int64))
        return indices, tuple(symbols)

    def _whole_latents(self) -> tuple[NDArray[np.int32], ...]:
        whole = (self._latents * GAIN).round().clamp(-MAX_DEVIATE, MAX_DEVIATE)
        parts = torch.split(
            whole.to("cpu", torch.int32), [grid.n_values for grid in self.shape.grids]
        )
        return tuple(
            part.view(grid.height, grid.width).numpy().copy()
            for grid, part in zip(self.shape.grids, parts, strict=True)
        )
