"""The engine for JAX: the whole step under ``jit``, parameters and state donated; nothing of ours in the way."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from arrayopt.backend import Backend
from arrayopt.tree.structure import flatten

Step = Callable[..., Any]
Answer = tuple[tuple[Any, Any], str | None]

_KEPT = 16  # sets of constants among the extra arguments, each of which is compiled anew


class JitEngine:
    """The engine on JAX."""

    about = "the whole step under jax.jit, parameters and state donated"

    def __init__(self, backend: Backend) -> None:
        del backend

    def missing(self, leaves: Sequence[Any]) -> str | None:
        """Nothing ever is: NumPy arrays among the leaves become JAX's."""
        del leaves
        return None

    def compile(self, step: Step, trees: Any) -> Any:
        """The step, compiled; extra arguments that are neither arrays nor numbers are constants of it."""
        jax = importlib.import_module("jax")
        return _AsTrees(jax, step, trees) if _is_known(jax, trees) else _LeafByLeaf(jax, step, trees)


class _Compiled:
    """A function under ``jit``. It is traced in the first call and once more in the second.

    A function that does not do the same each time, since it draws random numbers, say, is not what was compiled.

    Args:
      jax: the library.
      function: what is compiled.
      donated: the numbers of the arguments that are given away.
    """

    def __init__(self, jax: Any, function: Step, donated: tuple[int, ...]) -> None:
        self._jax, self._function, self._donated = jax, function, donated
        self._call = self._jit(function)
        self._seen: list[Any] | None = None
        self._confirmed = False

    def _jit(self, function: Step) -> Any:
        def traced(*args: Any) -> Any:  # a function of its own, which JAX has not traced yet
            return function(*args)

        return self._jax.jit(traced, donate_argnums=self._donated)

    def __call__(self, *args: Any) -> tuple[Any, str | None]:
        """What it answers, and what shows that later calls must not be of the compiled function."""
        if self._confirmed:
            return self._call(*args), None
        if self._seen is None:
            self._seen = list(_constants(self._call.trace(*args).jaxpr))
            return self._call(*args), None
        again = self._jit(self._function)
        seen = list(_constants(again.trace(*args).jaxpr))
        self._confirmed = _alike(self._seen, seen)
        if self._confirmed or len(self._seen) != len(seen):  # shapes may be others: then it is compiled anew
            self._seen = seen
            return (self._call if self._confirmed else again)(*args), None
        return again(*args), "update does not do the same in each call: it draws random numbers, or counts"


def _constants(jaxpr: Any) -> Iterator[Any]:
    """The operations of a program by name, and the numbers and arrays within it."""
    yield from getattr(jaxpr, "consts", ())
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        yield equation.primitive.name
        yield from [tuple(x.aval.shape) for x in equation.outvars]
        yield from [x.val for x in equation.invars if hasattr(x, "val")]
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                    yield from _constants(inner)


def _alike(xs: list[Any], ys: list[Any]) -> bool:
    return len(xs) == len(ys) and all([_same(x, y) for x, y in zip(xs, ys, strict=True)])


def _same(x: Any, y: Any) -> bool:
    if x is y or isinstance(x, (str, tuple)) or isinstance(y, (str, tuple)):
        return bool(x is y or x == y)
    return bool(np.array_equal(np.asarray(x), np.asarray(y), equal_nan=np.asarray(x).dtype.kind in "fc"))


class _AsTrees:
    """A step on trees that JAX takes apart as we do."""

    def __init__(self, jax: Any, step: Step, trees: Any) -> None:
        self._jax, self._step = jax, step
        self._plain = _Compiled(jax, step, (0, 1))
        self._known: dict[Any, _Compiled] = {}
        leaves, self._tree = self._flat(trees.spec.unflatten(trees.leaves))
        self._types = list(map(type, leaves))
        self._fixed = [(i, x) for i, x in enumerate(leaves) if not _is_value(x)]

    def _flat(self, given: tuple[Any, ...]) -> tuple[list[Any], Any]:
        found: tuple[list[Any], Any] = self._jax.tree_util.tree_flatten(given)
        return found

    def leaves_of(self, given: tuple[Any, ...]) -> list[Any] | None:
        """The leaves, if the trees are those of the first step and hold the same types; None: find out otherwise."""
        try:
            leaves, tree = self._flat(given)
            same = tree == self._tree and list(map(type, leaves)) == self._types
        except (TypeError, ValueError):  # keys without order, arrays among what does not change
            return None
        return leaves if same and all([leaves[i] is x or callable(x) for i, x in self._fixed]) else None

    def run(self, params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> Answer:
        """New parameters and state."""
        if not extra:
            return self._plain(params, state, grads, {})
        leaves, spec = self._flat((extra,))
        fixed = tuple([None if _is_value(x) else x for x in leaves])
        key = (spec, tuple([x if isinstance(x, (str, bool, type(None))) else id(x) for x in fixed]))
        call = self._known.pop(key, None) or self._closed(spec, fixed)
        self._known[key] = call
        while len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return call(params, state, grads, [x for x in leaves if _is_value(x)])

    def _closed(self, spec: Any, fixed: tuple[Any, ...]) -> _Compiled:
        """The step with the constants among its extra arguments put in."""

        def closed(params: Any, state: Any, grads: Any, values: list[Any]) -> Any:
            left = iter(values)
            leaves = [next(left) if x is None else x for x in fixed]
            return self._step(params, state, grads, *self._jax.tree_util.tree_unflatten(spec, leaves))

        return _Compiled(self._jax, closed, (0, 1))


class _LeafByLeaf:
    """A step on trees that JAX does not know: it is given their leaves. What is no array or number stays."""

    def __init__(self, jax: Any, step: Step, trees: Any) -> None:
        self._step, self._spec = step, trees.spec
        donated = set(trees.donated)
        values = [i for i, x in enumerate(trees.leaves) if _is_value(x)]
        self._given = [[i for i in values if i in donated], [i for i in values if i not in donated]]
        self._rest = [None if _is_value(x) else x for x in trees.leaves]
        self._answer: dict[str, Any] = {}  # what is known of the result once it has been traced
        self._compiled = _Compiled(jax, self._flat, (0,))

    def _flat(self, *parts: list[Any]) -> list[Any]:
        leaves, answer = list(self._rest), self._answer
        for places, part in zip(self._given, parts, strict=True):
            for i, x in zip(places, part, strict=True):
                leaves[i] = x
        params, grads, state, extra = self._spec.unflatten(leaves)
        found, answer["spec"] = flatten(self._step(params, state, grads, extra))
        answer["rest"] = [None if _is_value(x) else x for x in found]
        answer["values"] = [i for i, x in enumerate(found) if _is_value(x)]
        return [found[i] for i in answer["values"]]

    def leaves_of(self, given: tuple[Any, ...]) -> list[Any] | None:
        """None: whoever asks must find out."""
        del given
        return None

    def run(self, params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> Answer:
        """New parameters and state."""
        leaves, _ = flatten((params, grads, state, extra))
        found, changed = self._compiled(*[[leaves[i] for i in places] for places in self._given])
        news = list(self._answer["rest"])
        for i, x in zip(self._answer["values"], found, strict=True):
            news[i] = x
        return self._answer["spec"].unflatten(news), changed


def _is_known(jax: Any, trees: Any) -> bool:
    """Whether JAX takes parameters, gradients and state apart as we do, into arrays and numbers."""
    a, b, c, _ = trees.counts
    ours = trees.leaves[: a + b + c]
    try:
        theirs = jax.tree_util.tree_leaves(trees.spec.unflatten(trees.leaves)[:3])
    except (TypeError, ValueError):  # keys that have no order
        return False
    return len(ours) == len(theirs) and all([x is y and _is_value(x) for x, y in zip(ours, theirs, strict=True)])


def _is_value(x: Any) -> bool:
    return hasattr(x, "dtype") or type(x) in (int, float, complex)


engine = JitEngine
