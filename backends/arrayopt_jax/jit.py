"""The engine for JAX: the whole step under ``jit``, parameters and state donated; nothing of ours in the way."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from arrayopt.backend import Backend


class JitEngine:
    """The engine on JAX."""

    about = "the whole step under jax.jit, parameters and state donated"

    def __init__(self, backend: Backend) -> None:
        del backend

    def missing(self, leaves: Sequence[Any]) -> str | None:
        """Nothing ever is: NumPy arrays among the leaves become JAX's."""
        del leaves
        return None

    def compile(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """The step, compiled; extra arguments that are neither arrays nor numbers are constants of it."""
        jax = importlib.import_module("jax")
        known: dict[Any, Callable[..., Any]] = {}

        def run(params: Any, state: Any, grads: Any, extra: dict[str, Any]) -> Any:
            if not extra:
                return plain(params, state, grads, {})
            leaves, spec = jax.tree_util.tree_flatten(extra)
            fixed = tuple([None if _is_value(x) else x for x in leaves])
            key = (spec, tuple([x if isinstance(x, (str, bool, type(None))) else id(x) for x in fixed]))
            if key not in known:
                known[key] = jax.jit(_closed(step, jax, spec, fixed), donate_argnums=(0, 1))
            return known[key](params, state, grads, [x for x in leaves if _is_value(x)])

        plain = jax.jit(step, donate_argnums=(0, 1))
        return run


def _is_value(x: Any) -> bool:
    return hasattr(x, "dtype") or type(x) in (int, float, complex)


def _closed(step: Callable[..., Any], jax: Any, spec: Any, fixed: tuple[Any, ...]) -> Callable[..., Any]:
    """The step with the constants among its extra arguments put in."""

    def closed(params: Any, state: Any, grads: Any, values: list[Any]) -> Any:
        left = iter(values)
        leaves = [next(left) if x is None else x for x in fixed]
        return step(params, state, grads, jax.tree_util.tree_unflatten(spec, leaves))

    return closed


engine = JitEngine
