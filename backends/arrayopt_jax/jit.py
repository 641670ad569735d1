"""The engine for JAX: the whole step under ``jit``, parameters and state donated; nothing of ours in the way."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from arrayopt.backend import Backend
from arrayopt.tree.structure import flatten


class JitEngine:
    """The engine on JAX."""

    about = "the whole step under jax.jit, parameters and state donated"

    def __init__(self, backend: Backend) -> None:
        del backend

    def missing(self, leaves: Sequence[Any]) -> str | None:
        """Nothing ever is: NumPy arrays among the leaves become JAX's."""
        del leaves
        return None

    def compile(self, step: Callable[..., Any], trees: Any) -> Callable[..., Any]:
        """The step, compiled; extra arguments that are neither arrays nor numbers are constants of it."""
        jax = importlib.import_module("jax")
        if not _is_known(jax, trees):
            return _leaf_by_leaf(step, jax, trees)
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


def _is_known(jax: Any, trees: Any) -> bool:
    """Whether JAX takes parameters, gradients and state apart as we do, into arrays and numbers."""
    a, b, c, _ = trees.counts
    ours = trees.leaves[: a + b + c]
    try:
        theirs = jax.tree_util.tree_leaves(trees.spec.unflatten(trees.leaves)[:3])
    except (TypeError, ValueError):  # keys that have no order
        return False
    return len(ours) == len(theirs) and all([x is y and _is_value(x) for x, y in zip(ours, theirs, strict=True)])


def _leaf_by_leaf(step: Callable[..., Any], jax: Any, trees: Any) -> Callable[..., Any]:
    """The step on trees that JAX does not know: it is given their leaves. What is no array or number stays."""
    donated = set(trees.donated)
    values = [i for i, x in enumerate(trees.leaves) if _is_value(x)]
    given = [[i for i in values if i in donated], [i for i in values if i not in donated]]
    rest = [None if _is_value(x) else x for x in trees.leaves]
    answer: dict[str, Any] = {}  # what is known of the result once it has been traced

    def flat(*parts: list[Any]) -> list[Any]:
        leaves = list(rest)
        for places, part in zip(given, parts, strict=True):
            for i, x in zip(places, part, strict=True):
                leaves[i] = x
        params, grads, state, extra = trees.spec.unflatten(leaves)
        found, answer["spec"] = flatten(step(params, state, grads, extra))
        answer["rest"] = [None if _is_value(x) else x for x in found]
        answer["values"] = [i for i, x in enumerate(found) if _is_value(x)]
        return [found[i] for i in answer["values"]]

    compiled = jax.jit(flat, donate_argnums=0)

    def run(params: Any, state: Any, grads: Any, extra: dict[str, Any]) -> Any:
        leaves, _ = flatten((params, grads, state, extra))
        found = compiled(*[[leaves[i] for i in places] for places in given])
        news = list(answer["rest"])
        for i, x in zip(answer["values"], found, strict=True):
            news[i] = x
        return answer["spec"].unflatten(news)

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
