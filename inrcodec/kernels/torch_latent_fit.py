"""The bits and the pixels of latents as a fit needs them: native where that is built.

`torch_latent.py` is their meaning, and runs for every type but float32, and on GPUs for which
native code was not built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from inrcodec.kernels import dispatch, native, torch_gpu_moves, torch_latent
from inrcodec.kernels.pyramid import LatentShape, Softness

__all__ = ["latent_cost", "latent_pixels", "soft_latents"]


def latent_cost(latents: Tensor, shape: LatentShape, weights: Mapping[str, Tensor]) -> Tensor:
    """`inrcodec.kernels.latent_cost`."""
    tensors = [weights[weight.name] for weight in shape.weights if weight.of_context]
    if not _is_native(latents, *tensors):
        return torch_latent.latent_bits(latents, shape, weights).sum()
    cost: Tensor = _Cost.apply(shape, latents, *tensors)  # type: ignore[no-untyped-call]
    return cost


def latent_pixels(latents: Tensor, shape: LatentShape, weights: Mapping[str, Tensor]) -> Tensor:
    """`inrcodec.kernels.latent_pixels`."""
    tensors = [weights[weight.name] for weight in shape.weights if not weight.of_context]
    if not _is_native(latents, *tensors):
        return torch_latent.latent_pixels(latents, shape, weights)
    pixels: Tensor = _Pixels.apply(shape, latents, *tensors)  # type: ignore[no-untyped-call]
    return pixels


def soft_latents(units: Tensor, noise: Tensor, softness: Softness | Tensor) -> Tensor:
    """`inrcodec.kernels.soft_latents`."""
    if isinstance(softness, Softness):
        if not _is_native(units, noise):
            return torch_latent.soft_latents(units, noise, softness)
        if units.is_cuda:
            softness = units.new_tensor(torch_gpu_moves.soft_scalars(softness))
    latents: Tensor = _Soft.apply(units, noise, softness)  # type: ignore[no-untyped-call]
    return latents


class _Soft(torch.autograd.Function):
    """Finds the slopes with the values."""

    @staticmethod
    def forward(ctx: Any, units: Tensor, noise: Tensor, softness: Softness | Tensor) -> Tensor:
        inputs = units.detach().contiguous(), noise.detach().contiguous()
        out, slopes = torch.empty_like(inputs[0]), torch.empty_like(inputs[0])
        if isinstance(softness, Softness):
            native.soft_latents(inputs, softness, (out, slopes))
        else:
            native.queue_on_gpu("soft_latents", out, *inputs, softness, out, slopes)
        ctx.save_for_backward(slopes)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return gradients[0] * slopes, None, None


class _Cost(torch.autograd.Function):
    """Finds the gradients with the bits: both take the same way through the context model."""

    @staticmethod
    def forward(ctx: Any, shape: LatentShape, latents: Tensor, *weights: Tensor) -> Tensor:
        inputs = latents.detach().contiguous(), _joined(weights)
        out = torch.empty_like(inputs[0]), torch.empty_like(inputs[1])
        ctx.save_for_backward(*out)
        ctx.shapes = [weight.shape for weight in weights]
        if not latents.is_cuda:
            return latents.new_tensor(native.latent_cost(inputs, shape, out))
        bits, scratch = latents.new_empty(1), _on_gpu("latent_cost_scratch", shape, latents)
        options = (*native.native_shape(shape), *out, bits, scratch)
        native.queue_on_gpu("latent_cost", latents, *inputs, *options)
        return bits[0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_latents, of_weights = ctx.saved_tensors
        (scale,) = gradients
        return None, of_latents * scale, *_split(of_weights * scale, ctx.shapes)


class _Pixels(torch.autograd.Function):
    """Keeps the upsampled latents and the inputs of the layers of the tail for the way back."""

    @staticmethod
    def forward(ctx: Any, shape: LatentShape, latents: Tensor, *weights: Tensor) -> Tensor:
        inputs = latents.detach().contiguous(), _joined(weights)
        pixels = latents.new_empty((shape.channels, shape.height, shape.width))
        if latents.is_cuda:
            kept = _on_gpu("latent_kept", shape, latents)
            options = (*native.native_shape(shape), kept, pixels)
            native.queue_on_gpu("latent_pixels", latents, *inputs, *options)
        else:
            kept = latents.new_empty(native.latent_kept(shape))
            native.latent_pixels(inputs, shape, (kept, pixels))
        ctx.save_for_backward(*inputs, kept)
        ctx.shape, ctx.shapes = shape, [weight.shape for weight in weights]
        return pixels

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        latents, parameters, kept = ctx.saved_tensors
        out = torch.empty_like(latents), torch.empty_like(parameters)
        inputs = gradients[0].contiguous(), latents, parameters
        if latents.is_cuda:
            scratch = _on_gpu("latent_pixels_scratch", ctx.shape, latents)
            options = (*native.native_shape(ctx.shape), kept, *out, scratch)
            native.queue_on_gpu("latent_pixels_gradients", latents, *inputs, *options)
        else:
            native.latent_pixels_gradients(inputs, ctx.shape, kept, out)
        return None, out[0], *_split(out[1], ctx.shapes)


def _on_gpu(what: str, shape: LatentShape, like: Tensor) -> Tensor:
    return like.new_empty(native.latent_floats_on_gpu(what, shape))


def _joined(weights: Iterable[Tensor]) -> Tensor:
    return torch.cat([weight.detach().reshape(-1) for weight in weights])


def _split(joined: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
    parts = torch.split(joined, [shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _is_native(*tensors: Tensor) -> bool:
    module, device = dispatch.native(), tensors[0].device
    if module is None or (device.type == "cuda" and module.cuda_runtime is None):
        return False
    return device.type in ("cpu", "cuda") and all(
        tensor.dtype == torch.float32 and tensor.device == device for tensor in tensors
    )
