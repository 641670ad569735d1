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

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], carry: list[Any]) -> list[Any]:
        """In Python on values, and from where a condition is traced by ``lax``, which must compile anew each time."""
        jax = importlib.import_module("jax")
        if not self._is_traced(carry):
            while not isinstance(going := cond(carry), jax.core.Tracer):  # `body` may close over what is traced
                if not going:
                    return carry
                carry = body(carry)
        found: list[Any] = jax.lax.while_loop(cond, body, carry)
        return found

    def scan(
        self, step: Callable[[Any, Any], Any], carry: list[Any], xs: list[Any], length: int, reverse: bool
    ) -> tuple[list[Any], list[Any]]:
        if not self._is_traced([*carry, *xs]):
            return super().scan(step, carry, xs, length, reverse)
        lax: Any = importlib.import_module("jax").lax
        found: tuple[list[Any], list[Any]] = lax.scan(step, carry, xs, length=length, reverse=reverse)
        return found

    def _is_traced(self, xs: list[Any]) -> bool:
        """Whether these are, or whatever is computed here is: under ``jit`` constants are too, once used."""
        tracer = importlib.import_module("jax").core.Tracer
        return any([isinstance(x, tracer) for x in [*xs, self.xp.zeros(())]])

    def vmap(self, f: Callable[[Any], Any], xs: Any) -> Any:
        return importlib.import_module("jax").vmap(f)(xs)

    def stop_gradient(self, x: Any) -> Any:
        return importlib.import_module("jax").lax.stop_gradient(x)

    def custom_jvp(self, function: Callable[..., Any], jvp: Callable[..., Any], xs: tuple[Any, ...]) -> Any:
        known = importlib.import_module("jax").custom_jvp(function)
        known.defjvp(lambda primals, tangents: (function(*primals), jvp(primals, tangents)))
        return known(*xs)

    def devices(self) -> list[Any]:
        return list(importlib.import_module("jax").devices())


backend = JaxBackend("jax", "jax.numpy", "arrayopt[jax]")
