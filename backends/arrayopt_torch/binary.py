"""The binary cross entropy of logits with a derivative of its own: autograd would keep what each word makes."""

from __future__ import annotations

from typing import Any

import torch

_lib: Any = torch  # whose parts used here have no complete types
_STEP = 2.0**-100  # so small that x times anything in [0, 1] is nothing beside log 2


def is_served() -> bool:
    """Whether it can be what follows: Torch's compiler, and ``torch.func`` in forward mode twice, want plain words."""
    return not (torch.compiler.is_compiling() or _lib._C._are_functorch_transforms_active())


def cross_entropy(x: Any, y: Any) -> Any:
    """x ([x ≥ 0] − y) + log(1 + e^(−|x|)), for autograd."""
    return _Binary.apply(*torch.broadcast_tensors(x, y))


class _Binary(torch.autograd.Function):
    """The derivatives are σ(x) − y and −x."""

    @staticmethod
    def forward(x: Any, y: Any) -> Any:
        """With few passes and little memory, which a cast of x ≥ 0 would cost."""
        loss = _lib.nn.functional.softplus(x.abs().neg_())
        step = x.clamp(0, _STEP)
        torch.add(y, step, alpha=-1 / _STEP, out=step)  # y − [x ≥ 0], or between them where x is within a step of 0
        return loss.addcmul_(x, step, value=-1)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        del output
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x, y), (grad,) = ctx.saved_tensors, grads
        by_x, by_y = ctx.needs_input_grad
        return grad * _slope(x, y) if by_x else None, -x * grad if by_y else None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        (x, y), (along_x, along_y) = ctx.saved_tensors, tangents
        found = 0 if along_x is None else _slope(x, y) * along_x
        return found if along_y is None else found - x * along_y


def _slope(x: Any, y: Any) -> Any:
    """σ(x) − y, between σ(x) and −σ(−x): so it does not cancel. In place where it is not differentiated in turn."""
    if torch.is_grad_enabled():
        return torch.lerp(torch.sigmoid(x), -torch.sigmoid(-x), y)
    return torch.sigmoid(x).lerp_(x.neg().sigmoid_().neg_(), y)
