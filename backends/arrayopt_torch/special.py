"""Torch's own functions: one pass over memory for what eager words would make several of, and their derivatives."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

from arrayopt.special import Axis, Special


class TorchSpecial(Special):
    """What `Special` says, by Torch."""

    @cached_property
    def torch(self) -> Any:
        """The library itself; looked up once, since a step asks for it several times."""
        return importlib.import_module("torch")

    def log_softmax(self, x: Any, axis: Axis) -> Any:
        return self.torch.log_softmax(x, axis) if isinstance(axis, int) else super().log_softmax(x, axis)

    def logsumexp(self, x: Any, axis: int) -> Any:
        return self.torch.logsumexp(x, axis)

    def softmax(self, x: Any, axis: Axis) -> Any:
        return self.torch.softmax(x, axis) if isinstance(axis, int) else super().softmax(x, axis)

    def log_sigmoid(self, x: Any) -> Any:
        return self.torch.nn.functional.logsigmoid(x)

    def binary_cross_entropy(self, x: Any, y: Any) -> Any:
        from arrayopt_torch import binary  # which imports torch, as a compiler can trace it

        return binary.cross_entropy(x, y) if binary.is_served() else super().binary_cross_entropy(x, y)

    def surprise(self, x: Any, at: Any, axis: int) -> Any:
        """Torch's ``log_softmax`` is one kernel there and one back; its ``logsumexp`` is five."""
        return -self.picked(self.log_softmax(x, axis), at, axis)

    def picked(self, x: Any, at: Any, axis: int) -> Any:
        if at.numel() and self.is_known(at):  # a look is quicker than to select what is inside
            least, greatest = at.aminmax()
            if least >= 0 and greatest < x.shape[axis]:
                return self.gathered(x, at, axis)
        return super().picked(x, at, axis)

    def gathered(self, x: Any, at: Any, axis: int) -> Any:
        if axis == 1 == x.ndim - 1 and at.shape == x.shape[:1]:  # its derivative is written at once, not added up
            return -self.torch.nn.functional.nll_loss(x, at.to(self.torch.int64), reduction="none")
        return self.torch.take_along_dim(x, at.unsqueeze(axis).to(self.torch.int64), axis).squeeze(axis)

    def is_known(self, x: Any) -> bool:
        """Not on a GPU, which would be waited for."""
        torch = self.torch
        if (
            torch.compiler.is_compiling()
            or x.device.type != "cpu"
            or type(x) not in (torch.Tensor, torch.nn.Parameter)
        ):
            return False
        try:
            return bool(x.data_ptr() != 0 or x.numel() == 0)
        except RuntimeError:  # within torch.func
            return False

    def value_and_grad(self, f: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
        def summed(x: Any) -> tuple[Any, Any]:
            value = f(x)
            return value.sum(), value

        slope, (_, value) = self.torch.func.grad_and_value(summed, has_aux=True)(x)
        return value, slope
