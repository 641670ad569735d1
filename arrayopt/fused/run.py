"""The ways a step can be run: in kernels, compiled whole by the library, or eagerly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.dispatch import is_array
from arrayopt.fused.plan import Trees
from arrayopt.fused.program import Schedule
from arrayopt.fused.runner import carry_out, uninterrupted
from arrayopt.layout import Layout, Ranges
from arrayopt.tree.structure import Spec, flatten

Step = Callable[..., Any]


class Way:
    """How steps on trees of one structure are run.

    Args:
      library: adapter of the arrays; None if they are of several.
      trees: the first ones.
      engine: name of the engine.
      reason: why it is this one.
      schedule: the recorded step, if it could be recorded.
      stopped: what stopped the recording.
    """

    def __init__(
        self,
        library: Backend | None,
        trees: Trees,
        engine: str,
        reason: str,
        schedule: Schedule | None,
        stopped: str | None = None,
    ) -> None:
        self.library, self.engine, self.reason = library, engine, reason
        self.schedule, self.stopped = schedule, stopped
        self.spec: Spec = trees.spec
        self.names = Trees([], trees.spec)
        self.donated = trees.donated
        self.kinds = [_kind(x) for x in trees.leaves]

    def fits(self, trees: Trees) -> bool:
        """Whether these trees are of that structure, with leaves of the same shapes and dtypes."""
        return trees.spec == self.spec and all(
            [_fits(x, kind) for x, kind in zip(trees.leaves, self.kinds, strict=True)]
        )

    def run(self, trees: Trees, params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        raise NotImplementedError


def _kind(x: Any) -> tuple[Any, ...]:
    if is_array(x):
        return type(x), tuple(x.shape), x.dtype
    return (type(x), None, None if type(x) in (int, float, complex) else x)


def _fits(x: Any, kind: tuple[Any, ...]) -> bool:
    if type(x) is not kind[0]:
        return False
    if kind[1] is None:
        return kind[2] is None or x is kind[2] or bool(x == kind[2])
    return x.shape == kind[1] and x.dtype == kind[2]


class Whole(Way):
    """Compiled by the library itself, parameters and state given to it."""

    def __init__(self, compiled: Step, *rest: Any) -> None:
        super().__init__(*rest)
        self._compiled = compiled

    def run(self, trees: Trees, params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        found: tuple[Any, Any] = self._compiled(params, state, grads, extra)
        return found


class Eagerly(Way):
    """As it stands; the results are then written into the donated arrays, where the library writes in place."""

    def __init__(self, step: Step, *rest: Any) -> None:
        super().__init__(*rest)
        self._step = step

    def run(self, trees: Trees, params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        layouts = self._layouts(trees)
        raw_params, raw_state = params, state
        if self.library is not None:
            raw_params, raw_state = [_raw(self.library, tree) for tree in (params, state)]
        found = self._step(raw_params, raw_state, grads, extra)
        if self.library is None or not layouts:
            return found
        news, spec = flatten(found)
        olds = [trees.leaves[p] for p in self.donated]
        if len(news) != len(olds):
            return found
        return self._kept(news, olds, spec, layouts)

    def _layouts(self, trees: Trees) -> dict[int, Layout]:
        """Of the donated arrays; empty if the library does not write in place."""
        found: dict[int, Layout] = {}
        for p in self.donated if self.library is not None else ():
            x = trees.leaves[p]
            layout = self.library.layout(x) if is_array(x) else None
            if layout is not None:
                found[p] = layout
        check_writable(self.names, self.library, trees.leaves, found)
        return found

    def _kept(self, news: list[Any], olds: list[Any], spec: Spec, layouts: dict[int, Layout]) -> tuple[Any, Any]:
        library = self.library
        assert library is not None
        ranges = Ranges(layouts.items())
        fits = [_same_kind(new, old, layouts.get(p)) for new, old, p in zip(news, olds, self.donated, strict=True)]
        for i, (new, old) in enumerate(zip(news, olds, strict=True)):
            layout = library.layout(new) if is_array(new) else None
            if new is not old and layout is not None and ranges.touches(layout):
                news[i] = library.copy(new)  # it would change under our hands
        with uninterrupted():
            for i, (new, old) in enumerate(zip(news, olds, strict=True)):
                if fits[i]:
                    if new is not old:
                        library.assign(old, new)
                    news[i] = old
        params, state = spec.unflatten(news)
        return params, state


def _raw(library: Backend, tree: Any) -> Any:
    leaves, spec = flatten(tree)
    return spec.unflatten([library.raw(x) if is_array(x) else x for x in leaves])


def _same_kind(new: Any, old: Any, layout: Layout | None) -> bool:
    """Whether a result can be written into the array it replaces."""
    if layout is None or not is_array(new):
        return False
    return tuple(new.shape) == layout.shape and dtypes.name(new.dtype) == dtypes.name(old.dtype)


class InKernels(Way):
    """Recorded, and run by an engine of kernels."""

    def __init__(self, engine: Any, *rest: Any) -> None:
        super().__init__(*rest)
        self._engine = engine
        self._last = threading.local()
        self._arrays = [i for i, kind in enumerate(self.kinds) if kind[1] is not None]
        a, b, _, _ = self.names.counts
        self._grads = range(a, a + b)
        donated = set(self.donated)
        self._read_only = [i for i in self._arrays if i not in donated]
        self._written = [i for i in self._arrays if i in donated]

    def run(self, trees: Trees, params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        assert self.library is not None and self.schedule is not None
        leaves = trees.leaves
        layouts = self._layouts(leaves)
        replaced = carry_out(self.schedule, self._engine, self.library, leaves, layouts)
        self.library.written([leaves[i] for i in self._written])
        if not replaced:
            return params, state
        new_params, _, new_state, _ = self.spec.unflatten([replaced.get(p, x) for p, x in enumerate(leaves)])
        return new_params, new_state

    def _layouts(self, leaves: list[Any]) -> list[Layout | None]:
        """Of all leaves. Those of donated arrays are looked at once, for as long as the arrays are the same."""
        library = self.library
        assert library is not None
        donated = [leaves[i] for i in self._written]
        kept = getattr(self._last, "kept", None)
        if kept is None or not library.same_places(donated, kept[0], kept[1]):
            found = {i: library.layout(leaves[i]) for i in self._written}
            known = {i: layout for i, layout in found.items() if layout is not None}
            check_writable(self.names, library, leaves, known)
            kept = self._last.kept = (donated, list(found.values()), Ranges(known.items()))
        layouts: list[Layout | None] = [None] * len(leaves)
        for i, layout in zip(self._written, kept[1], strict=True):
            layouts[i] = layout
        for i, layout in zip(self._read_only, library.layouts([leaves[i] for i in self._read_only]), strict=True):
            if layout is not None and kept[2].touches(layout):
                leaves[i] = library.copy(leaves[i])  # a gradient that would change while it is read
                layout = library.layout(leaves[i])
            layouts[i] = layout
        return layouts


def check_writable(
    names: Trees, library: Backend | None, leaves: Sequence[Any], layouts: dict[int, Layout]
) -> None:
    """Raises ValueError if a donated array cannot be written, or shares memory with another."""
    for p, layout in layouts.items():
        if not layout.writable:
            raise ValueError(f"fused_step: {names.path(p)} must be writable, since it is updated in place.")
        if layout.repeats:
            raise ValueError(
                f"fused_step: {names.path(p)} must have a place in memory for each entry; got one that is expanded."
            )
    for a, b in Ranges(layouts.items()).overlapping():
        if library is None or library.shares_memory(leaves[a], leaves[b]):
            raise ValueError(
                f"fused_step: {names.path(a)} and {names.path(b)} share memory, and both are updated in place. Keep "
                f"one of them in the tree, or a copy."
            )
