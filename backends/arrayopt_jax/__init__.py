"""JAX: arrays may be sharded, so a scalar is never tied to a device; float64 exists only when switched on."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from arrayopt.backend import Backend
from arrayopt_jax.special import JaxSpecial


class JaxBackend(JaxSpecial, Backend):
    engines = ("jit", "eager")

    def counter(self, like: Any) -> Any:
        return self.xp.zeros((), dtype=self.xp.int32)

    def stepping(self, count: Any) -> Any:
        return count  # as it should be by itself

    def receive(self, x: Any) -> Any:
        return self.xp.asarray(x) if self.takes(x) else x

    def takes(self, x: Any) -> bool:
        return type(x).__module__ == "numpy"  # NumPy's arrays, as JAX's own functions take them

    def number(self, value: Any, beside: Any = None) -> Any:
        return self.xp.asarray(value)

    def wide(self) -> Any:
        return self.xp.float64 if importlib.import_module("jax").config.jax_enable_x64 else self.xp.float32

    def cond(self, condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        """Outside of ``jit`` the value is waited for: ``lax.cond`` would compile anew in each call.

        And several sums over devices that are under way at once may lock XLA's CPU client.
        """
        jax = importlib.import_module("jax")
        if isinstance(condition, jax.core.Tracer):
            return jax.lax.cond(condition, then, otherwise)
        return then() if condition else otherwise()

    def stop_gradient(self, x: Any) -> Any:
        return importlib.import_module("jax").lax.stop_gradient(x)

    def devices(self) -> list[Any]:
        return list(importlib.import_module("jax").devices())


backend = JaxBackend("jax", "jax.numpy", "arrayopt[jax]")
