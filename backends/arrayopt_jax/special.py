"""JAX's own functions: those that Optax's losses call, so that XLA is given the same graph."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from arrayopt.special import Axis, Special


class JaxSpecial(Special):
    """What `Special` says, by JAX."""

    def log_softmax(self, x: Any, axis: Axis) -> Any:
        return _nn().log_softmax(x, axis)

    def logsumexp(self, x: Any, axis: int) -> Any:
        return _nn().logsumexp(x, axis)

    def softmax(self, x: Any, axis: Axis) -> Any:
        return _nn().softmax(x, axis)

    def log_sigmoid(self, x: Any) -> Any:
        return _nn().log_sigmoid(x)

    def picked(self, x: Any, at: Any, axis: int) -> Any:
        """JAX's own indexing answers NaN where there is nothing, and wraps once."""
        xp: Any = self.xp
        return xp.take_along_axis(x, xp.expand_dims(at, axis), axis=axis).take(0, axis=axis)

    def matmul(self, x: Any, y: Any) -> Any:
        xp: Any = self.xp
        return xp.matmul(x, y, precision="highest")  # GPUs and TPUs round the factors else

    def is_known(self, x: Any) -> bool:
        return not isinstance(x, importlib.import_module("jax").core.Tracer) and bool(x.is_fully_addressable)

    def value_and_grad(self, f: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
        def summed(x: Any) -> tuple[Any, Any]:
            value = f(x)
            return value.sum(), value

        (_, value), slope = importlib.import_module("jax").value_and_grad(summed, has_aux=True)(x)
        return value, slope


def _nn() -> Any:
    return importlib.import_module("jax").nn
