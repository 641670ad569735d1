"""The binary cross entropy of logits with a derivative of its own: autograd would keep what each word makes."""

from __future__ import annotations

from typing import Any

import torch

_lib: Any = torch  # whose parts used here have no complete types


def is_served() -> bool:
    """Whether what follows may do it. Torch's compiler wants plain words, and so does ``torch.func``."""
    return not (torch.compiler.is_compiling() or _lib._C._are_functorch_transforms_active())


def cross_entropy(x: Any, y: Any) -> Any:
    """x ([x ≥ 0] − y) + log(1 + e^(−|x|)), for autograd."""
    apply: Any = _Binary.apply
    return apply(*_lib.broadcast_tensors(x, y))


class _Binary(torch.autograd.Function):
    """The derivatives are σ(x) − y and −x."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        """With few passes and little memory; the derivative comes of what is at hand."""
        below, sign = x.abs().neg_(), x.sign()  # of 0 it is 0, which goes well: the linear part is 0 there, σ(x) is ½
        loss = _lib.nn.functional.softplus(below)
        rest = below.sigmoid_().mul_(sign) if ctx.needs_input_grad[0] else None  # [x > 0] − σ(x)
        linear = sign.add_(1).mul_(0.5).sub_(y)  # [x ≥ 0] − y
        loss.addcmul_(x, linear)
        slope = None if rest is None else linear.sub_(rest)
        ctx.save_for_backward(x, y, slope)
        ctx.save_for_forward(x, y)
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x, y, slope), (grad,) = ctx.saved_tensors, grads
        by_x, by_y = ctx.needs_input_grad
        if by_x and torch.is_grad_enabled():
            slope = _slope(x, y)  # of which there may be a derivative
        return grad * slope if by_x else None, -x * grad if by_y else None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        (x, y, *_), (along_x, along_y) = ctx.saved_tensors, tangents
        found = 0 if along_x is None else _slope(x, y) * along_x
        return found if along_y is None else found - x * along_y


def _slope(x: Any, y: Any) -> Any:
    """σ(x) − y, between σ(x) and −σ(−x): so it does not cancel."""
    return torch.lerp(torch.sigmoid(x), -torch.sigmoid(-x), y)
