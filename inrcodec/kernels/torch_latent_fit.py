"""The bits and the pixels of latents as a fit needs them: native where that is built.

The native kernels are torch operators, which profiles show by name; their calls take so long that
the dispatcher does not count. A shape travels through the schema as its fields, the weights of a
network as one vector. `torch_latent.py` is their meaning, and runs for every type but float32, and
on GPUs for which native code was not built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor

from inrcodec.kernels import dispatch, native, torch_gpu_moves, torch_latent
from inrcodec.kernels.arguments import plain
from inrcodec.kernels.pyramid import LatentShape, Softness

__all__ = ["latent_cost", "latent_pixels", "soft_latents"]

_FIELDS: Final = (
    "int height, int width, int channels, int size, int n_levels, int n_hyper, int prior"
)
_library: Final = torch.library.Library("inrcodec", "FRAGMENT")  # type: ignore[no-untyped-call]
_known_shape = lru_cache(maxsize=256)(LatentShape)


def latent_cost(latents: Tensor, shape: LatentShape, weights: Mapping[str, Tensor]) -> Tensor:
    """`inrcodec.kernels.latent_cost`."""
    tensors = [weights[weight.name] for weight in shape.weights if weight.of_context]
    if not _is_native(latents, *tensors):
        return torch_latent.latent_bits(latents, shape, weights).sum()
    bits, *_ = torch.ops.inrcodec.latent_cost(latents, _joined(tensors), *astuple(shape))
    cost: Tensor = bits[0]
    return cost


def latent_pixels(latents: Tensor, shape: LatentShape, weights: Mapping[str, Tensor]) -> Tensor:
    """`inrcodec.kernels.latent_pixels`."""
    tensors = [weights[weight.name] for weight in shape.weights if not weight.of_context]
    if not _is_native(latents, *tensors):
        return torch_latent.latent_pixels(latents, shape, weights)
    pixels: Tensor = torch.ops.inrcodec.latent_pixels(latents, _joined(tensors), *astuple(shape))[0]
    return pixels


def soft_latents(units: Tensor, noise: Tensor, softness: Softness | Tensor) -> Tensor:
    """`inrcodec.kernels.soft_latents`."""
    scalars = None
    if isinstance(softness, Tensor):
        scalars, softness = softness, Softness(0.0, 0.0, 1.0)  # those of the tensor count
    elif not _is_native(units, noise):
        return torch_latent.soft_latents(units, noise, softness)
    elif units.is_cuda:
        scalars = units.new_tensor(torch_gpu_moves.soft_scalars(softness))
    latents: Tensor = torch.ops.inrcodec.soft_latents(units, noise, scalars, *softness)[0]
    return latents


# --- the operators -------------------------------------------------------------------------------


def _cost(latents: Tensor, weights: Tensor, *fields: int) -> tuple[Tensor, Tensor, Tensor]:
    """Bits [1], and with them the gradients: both take the same way through the context model."""
    shape, inputs = _known_shape(*fields), (plain(latents), plain(weights))
    bits, *out = _empty_cost(latents, weights)
    if latents.is_cuda:
        options = (*native.native_shape(shape), *out, bits)
        scratch = _on_gpu("latent_cost_scratch", shape, latents)
        native.queue_on_gpu("latent_cost", latents, *inputs, *options, scratch)
    else:
        bits.fill_(native.latent_cost(inputs, shape, (out[0], out[1])))
    return bits, out[0], out[1]


def _pixels(latents: Tensor, weights: Tensor, *fields: int) -> tuple[Tensor, Tensor]:
    """Pixels, and the upsampled latents and inputs of the tail that the way back needs."""
    shape, inputs = _known_shape(*fields), (plain(latents), plain(weights))
    pixels, kept = _empty_pixels(latents, weights, *fields)
    if latents.is_cuda:
        options = (*native.native_shape(shape), kept, pixels)
        native.queue_on_gpu("latent_pixels", latents, *inputs, *options)
    else:
        native.latent_pixels(inputs, shape, (kept, pixels))
    return pixels, kept


def _pixels_gradients(
    gradient: Tensor, latents: Tensor, weights: Tensor, kept: Tensor, *fields: int
) -> tuple[Tensor, Tensor]:
    shape = _known_shape(*fields)
    inputs = plain(gradient), plain(latents), plain(weights)
    out = torch.empty_like(inputs[1]), torch.empty_like(inputs[2])
    if latents.is_cuda:
        scratch = _on_gpu("latent_pixels_scratch", shape, latents)
        options = (*native.native_shape(shape), kept, *out, scratch)
        native.queue_on_gpu("latent_pixels_gradients", latents, *inputs, *options)
    else:
        native.latent_pixels_gradients(inputs, shape, kept, out)
    return out


def _soft(
    units: Tensor, noise: Tensor, scalars: Tensor | None, *softness: float
) -> tuple[Tensor, Tensor]:
    """Soft latents and their slopes; on a GPU softness is read from `scalars`."""
    inputs = plain(units), plain(noise)
    out = torch.empty_like(inputs[0]), torch.empty_like(inputs[0])
    if units.is_cuda:
        native.queue_on_gpu("soft_latents", units, *inputs, scalars, *out)
    else:
        native.soft_latents(inputs, Softness(*softness), out)
    return out


# The shapes of the results, also for tensors without data.


def _empty_cost(latents: Tensor, weights: Tensor, *fields: int) -> tuple[Tensor, Tensor, Tensor]:
    return latents.new_empty(1), latents.new_empty(latents.shape), weights.new_empty(weights.shape)


def _empty_pixels(latents: Tensor, weights: Tensor, *fields: int) -> tuple[Tensor, Tensor]:
    shape = _known_shape(*fields)
    on_gpu = latents.is_cuda
    n_kept = native.latent_floats_on_gpu("latent_kept", shape) if on_gpu else None
    kept = latents.new_empty(native.latent_kept(shape) if n_kept is None else n_kept)
    return latents.new_empty((shape.channels, shape.height, shape.width)), kept


def _empty_gradients(
    gradient: Tensor, latents: Tensor, weights: Tensor, kept: Tensor, *fields: int
) -> tuple[Tensor, Tensor]:
    return latents.new_empty(latents.shape), weights.new_empty(weights.shape)


def _empty_soft(
    units: Tensor, noise: Tensor, scalars: Tensor | None, *softness: float
) -> tuple[Tensor, Tensor]:
    return units.new_empty(units.shape), units.new_empty(units.shape)


# What each keeps for the way back, and the way back.


def _keep_gradients(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*output[1:])


def _cost_backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    of_latents, of_weights = ctx.saved_tensors
    return of_latents * gradient, of_weights * gradient, *_NO_FIELDS


def _soft_backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    (slopes,) = ctx.saved_tensors
    return gradient * slopes, None, None, None, None, None


def _keep_pixels(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    latents, weights, *fields = inputs
    ctx.save_for_backward(latents, weights, output[1])
    ctx.fields = fields


def _pixels_backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    gradients = torch.ops.inrcodec.latent_pixels_gradients
    return *gradients(gradient, *ctx.saved_tensors, *ctx.fields), *_NO_FIELDS


_NO_FIELDS: Final = (None,) * len(_FIELDS.split(", "))


def _define(schema: str, run: Callable[..., object], fake: Callable[..., object]) -> None:
    name = schema.split("(")[0]
    _library.define(schema)  # type: ignore[no-untyped-call]
    _library.impl(name, run, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"inrcodec::{name}", fake, lib=_library)


def _differentiate(name: str, backward: Callable[..., Any], keep: Callable[..., None]) -> None:
    """Only the first result of an operator is for others; no zeros are made for the rest."""

    def keep_alone(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.set_materialize_grads(False)
        keep(ctx, inputs, output)

    torch.library.register_autograd(
        f"inrcodec::{name}", backward, setup_context=keep_alone, lib=_library
    )


_INPUTS: Final = "Tensor latents, Tensor weights"
_define(f"latent_cost({_INPUTS}, {_FIELDS}) -> (Tensor, Tensor, Tensor)", _cost, _empty_cost)
_define(f"latent_pixels({_INPUTS}, {_FIELDS}) -> (Tensor, Tensor)", _pixels, _empty_pixels)
_define(
    f"latent_pixels_gradients(Tensor gradient, {_INPUTS}, Tensor kept, {_FIELDS})"
    " -> (Tensor, Tensor)",
    _pixels_gradients,
    _empty_gradients,
)
_define(
    "soft_latents(Tensor units, Tensor noise, Tensor? scalars, float gain, float noise_deviation,"
    " float temperature) -> (Tensor, Tensor)",
    _soft,
    _empty_soft,
)
_differentiate("latent_cost", _cost_backward, _keep_gradients)
_differentiate("latent_pixels", _pixels_backward, _keep_pixels)
_differentiate("soft_latents", _soft_backward, _keep_gradients)


def _on_gpu(what: str, shape: LatentShape, like: Tensor) -> Tensor:
    return like.new_empty(native.latent_floats_on_gpu(what, shape))


def _joined(weights: Iterable[Tensor]) -> Tensor:
    return torch.cat([weight.reshape(-1) for weight in weights])


def _is_native(*tensors: Tensor) -> bool:
    module, device = dispatch.native(), tensors[0].device
    if module is None or (device.type == "cuda" and module.cuda_runtime is None):
        return False
    return device.type in ("cpu", "cuda") and all(
        tensor.dtype == torch.float32 and tensor.device == device for tensor in tensors
    )
