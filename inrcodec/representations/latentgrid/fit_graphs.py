"""The steps of a fit on a GPU. An iteration of each kind is captured once as a CUDA graph.

What changes from step to step, such as learning rates, lies in the memory of the GPU, where the
kernels of a graph read it. The order of all sums is fixed, so that a fit can be repeated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

import torch
from torch import Tensor

from inrcodec.kernels import Soap, torch_gpu_moves
from inrcodec.representations.latentgrid.fit_descent import (
    LATENT_BETAS,
    LATENT_EPSILON,
    MOST_GRADIENT,
    STEP_BETAS,
    STEP_EPSILON,
    STEP_RATE,
    UNKNOWN,
    Kind,
    Leaves,
    LossOf,
    Measured,
    softness_of,
)
from inrcodec.representations.latentgrid.schedule import Moment

__all__ = ["GraphedDescent", "own_stream"]

_EAGER_STEPS: Final = 2  # of a kind, before its graph is captured
_CAPTURING: Final = Lock()  # to begin one waits for all streams, which no other capture may see
_FREE_STREAMS: Final[list[torch.cuda.Stream]] = []


@contextmanager
def own_stream() -> Iterator[None]:
    """Inside, work on the GPU goes on beside that of other threads, and graphs can be captured.

    No two threads have the same stream: torch has 32 and gives them out in turns, so that they are
    kept here once they are there.
    """
    try:
        stream = _FREE_STREAMS.pop()
    except IndexError:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        stream.synchronize()
        _FREE_STREAMS.append(stream)


class GraphedDescent:
    """Steps on a GPU: a `Mover`, to be used inside `own_stream`."""

    def __init__(self, leaves: Leaves, soap: Soap, random: torch.Generator) -> None:
        self._leaves, self._random = leaves, random
        self._scalars = _Scalars(leaves.latents.device)
        self._soap = torch_gpu_moves.SoapMoves(soap, leaves.weights.device)
        self._latent_adam = torch_gpu_moves.AdamMoves(leaves.latents, LATENT_BETAS, LATENT_EPSILON)
        self._step_adam = torch_gpu_moves.AdamMoves(leaves.log2_steps, STEP_BETAS, STEP_EPSILON)
        self._counts: Counter[str] = Counter()
        self._seen: Counter[Kind] = Counter()
        self._graphs: dict[Kind, torch.cuda.CUDAGraph] = {}
        self._out = torch.zeros(3, device=leaves.latents.device)

    def step(self, moment: Moment, price: float, loss_of: LossOf) -> Measured:
        kind = Kind(moment.weighing, moment.hard)
        self._scalars.set(moment, price, self._counts)
        self._run(kind, loss_of)
        error, bits, finite = self._out.tolist()
        if not math.isfinite(error + bits):
            return Measured(error, error, bits)
        if not finite:
            return UNKNOWN
        self._counts["weights"] += 1
        self._counts["latents"] += not kind.hard
        self._counts["steps"] += kind.weighing != "free"
        return Measured(error, error, bits)

    def _run(self, kind: Kind, loss_of: LossOf) -> None:
        if kind in self._graphs:
            self._graphs[kind].replay()
            return
        self._seen[kind] += 1
        if self._seen[kind] <= _EAGER_STEPS:
            self._iterate(kind, loss_of)
            return
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._random)
        # none runs beside another, or leaves anything in memory, so that they can share theirs
        pool = next((other.pool() for other in self._graphs.values()), None)
        mode, stream = "thread_local", torch.cuda.current_stream()
        with _CAPTURING, torch.cuda.graph(graph, pool, stream, capture_error_mode=mode):
            self._iterate(kind, loss_of)
        self._graphs[kind] = graph
        graph.replay()

    def _iterate(self, kind: Kind, loss_of: LossOf) -> None:
        """Queue an iteration; what is measured goes to `_out`."""
        leaves, scalars = self._leaves, self._scalars
        losses = loss_of(kind, scalars.softness, scalars.price)
        moved = [leaves.weights]
        if not kind.hard:
            moved.append(leaves.latents)
        if kind.weighing != "free":
            moved.append(leaves.log2_steps)
        with torch.no_grad():
            of_weights, *others = torch.autograd.grad(losses.loss, moved)
            of_weights = self._clipped(of_weights)
            self._out[:2] = torch.stack([losses.error, losses.bits]).detach()
            # a sum is not finite if any of its numbers is not
            sums = [self._out[:2].sum(), *(gradient.sum() for gradient in (of_weights, *others))]
            self._out[2] = torch.stack(sums).isfinite().all()
            flag = self._out[2:]
            self._soap.move(leaves.weights.detach(), of_weights, scalars.soap, flag)
            if not kind.hard:
                gradient = others.pop(0)
                self._latent_adam.move(gradient, scalars.latents, flag)
            if kind.weighing != "free":
                self._step_adam.move(others.pop(0), scalars.steps, flag)

    def _clipped(self, gradient: Tensor) -> Tensor:
        if self._leaves.frozen is not None:
            gradient = gradient.masked_fill(self._leaves.frozen, 0.0)
        length = torch.linalg.vector_norm(gradient)
        scale: Tensor = (MOST_GRADIENT / (length + 1e-6)).clamp(max=1.0)
        return gradient * scale


class _Scalars:
    """What changes from step to step, in the memory of the GPU."""

    def __init__(self, device: torch.device) -> None:
        self._host = torch.zeros(13).pin_memory()
        self._all = torch.zeros(13, device=device)
        self.softness, price, self.latents, self.steps, self.soap = torch.split(
            self._all, [4, 1, 2, 2, 4]
        )
        self.price = price[0]

    def set(self, moment: Moment, price: float, counts: Counter[str]) -> None:
        softness = softness_of(moment)
        if moment.hard:
            softness = softness._replace(temperature=1.0)
        values = [
            *torch_gpu_moves.soft_scalars(softness),
            price,
            *torch_gpu_moves.adam_scalars(moment.rate, LATENT_BETAS, counts["latents"] + 1),
            *torch_gpu_moves.adam_scalars(STEP_RATE, STEP_BETAS, counts["steps"] + 1),
            *torch_gpu_moves.soap_scalars(moment.rate, counts["weights"] + 1),
        ]
        self._host.copy_(torch.tensor(values))
        self._all.copy_(self._host, non_blocking=True)
