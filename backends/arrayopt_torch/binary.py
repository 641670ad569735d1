"""The binary cross entropy of logits with a derivative of its own: autograd would keep what each word makes."""

from __future__ import annotations

from typing import Any

import torch

_lib: Any = torch  # whose parts used here have no complete types


def cross_entropy(x: Any, y: Any) -> Any:
    """x ([x ≥ 0] − y) + log(1 + e^(−|x|)), for autograd and ``torch.func`` in both modes, of any order."""
    return _Binary.apply(*torch.broadcast_tensors(x, y))


class _Binary(torch.autograd.Function):
    """The derivatives are σ(x) − y and −x, in words that are differentiated in turn."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Any, y: Any) -> Any:
        """In place only on what both made: under ``vmap`` one of them may be a batch and the other not."""
        linear = _lib.add(x >= 0, y, alpha=-1).mul_(x)
        return linear.add_(_lib.nn.functional.softplus(x.abs().neg_()))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        del output
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x, y), (grad,) = ctx.saved_tensors, grads
        by_x, by_y = ctx.needs_input_grad
        return (torch.sigmoid(x) - y) * grad if by_x else None, -x * grad if by_y else None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        (x, y), (along_x, along_y) = ctx.saved_tensors, tangents
        found = 0 if along_x is None else (torch.sigmoid(x) - y) * along_x
        return found if along_y is None else found - x * along_y
