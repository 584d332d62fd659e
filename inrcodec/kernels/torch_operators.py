"""How a kernel becomes an operator of torch: schema, fake shape and gradient, declared once.

An operator's way through torch's dispatcher and back to Python, once for its gradient and once for
its value, takes longer than a small kernel. Where torch computes at once, a call therefore goes
straight to the kernel, and what autograd records is an `autograd.Function` of the same gradient.
The operator itself is for whatever has to see it whole: `torch.compile`, tracing, export, modes
such as that of fake tensors, transforms of functions, and tensors that are more than numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

__all__ = ["Operator"]

_library: Final = torch.library.Library("inrcodec", "FRAGMENT")  # type: ignore[no-untyped-call]
_PLAIN: Final = (Tensor, torch.nn.Parameter)

# Names of torch's own; where one is gone, every call goes through the operator, which is right too.
_count_modes: Final = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
_tracing_state: Final = getattr(torch._C, "_get_tracing_state", lambda: True)
_in_transform: Final = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)


class Operator:
    """The operator of a `schema`, as torch writes them: `name(arguments) -> results`.

    `run` computes it, and `fake` gives results of the right shapes, also for tensors without data.
    `keep` gets the context, the inputs and the output on the way there, and `back` gives the
    gradients of all inputs, from the context and those of the output; without them, what is asked
    for a gradient raises NotImplementedError.
    """

    def __init__(
        self,
        schema: str,
        run: Callable[..., Any],
        *,
        fake: Callable[..., Any],
        keep: Callable[[Any, tuple[Any, ...], Any], None] | None = None,
        back: Callable[..., Any] | None = None,
    ) -> None:
        name = schema.partition("(")[0]
        _library.define(schema)  # type: ignore[no-untyped-call]
        _library.impl(name, run, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
        torch.library.register_fake(f"inrcodec::{name}", fake, lib=_library)
        keep, back = keep or _keep_nothing, back or _refusal(name)
        torch.library.register_autograd(f"inrcodec::{name}", back, setup_context=keep, lib=_library)
        self._run, self._whole = run, getattr(torch.ops.inrcodec, name).default
        self._recorded = _function(name, run, keep=keep, back=back).apply

    def __call__(self, *inputs: Any) -> Any:
        """The results, recorded by autograd where it records."""
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        if _has_to_be_seen(tensors):
            return self._whole(*inputs)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return self._recorded(*inputs)
        return self._run(*inputs)


def _keep_nothing(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """What a refusal needs."""


def _refusal(name: str) -> Callable[..., Any]:
    """In place of a gradient: torch alone would only warn, and give zeros."""

    def refuse(ctx: Any, *cotangents: Any) -> Any:
        raise NotImplementedError(f"results of {name} have no derivatives here")

    return refuse


def _function(
    name: str, run: Callable[..., Any], *, keep: Callable[..., None], back: Callable[..., Any]
) -> Any:
    """What autograd records of a call: the same as of the operator."""

    def forward(ctx: Any, *inputs: Any) -> Any:
        output = run(*inputs)
        keep(ctx, inputs, output)
        return output

    members = {"forward": staticmethod(forward), "backward": staticmethod(back)}
    return type(name, (torch.autograd.Function,), members)


def _has_to_be_seen(tensors: list[Tensor]) -> bool:
    """Whether more than numbers is asked of a call on these, so that torch has to know of it."""
    return (
        torch.compiler.is_compiling()
        or _tracing_state() is not None
        or _count_modes() > 0
        or _in_transform()
        or not all(
            type(x) in _PLAIN and (x.is_cpu or x.is_cuda) and not x.is_neg() for x in tensors
        )
    )
