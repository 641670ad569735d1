"""The ways a step can be run: in kernels, compiled whole by the library, or eagerly."""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.dispatch import backend, is_array, same_library
from arrayopt.fused.plan import Trees, device_of, stopping_line
from arrayopt.fused.program import Schedule, size_of
from arrayopt.fused.runner import carry_out, uninterrupted
from arrayopt.layout import Layout, Ranges, Spots
from arrayopt.tree.reading import reader
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
        self.kinds = trees.kinds
        self._read = reader(trees.spec)

    def leaves_of(self, *given: Any) -> list[Any] | None:
        """The leaves of the arguments of a step; None if they are not of that structure, shapes and dtypes."""
        leaves: list[Any] = []
        if not self._read(given, leaves) or len(leaves) != len(self.kinds):
            return None
        return leaves if self.fits(leaves) else None

    def forget(self) -> None:
        """Forgets the arrays of the last step."""

    def look(self) -> None:
        """Sees to it that the schedule is known, if it can be."""

    def fits(self, leaves: list[Any]) -> bool:
        """Whether leaves are of the same types, shapes and dtypes."""
        return all([_fits(x, kind) for x, kind in zip(leaves, self.kinds, strict=True)])

    def run(self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        raise NotImplementedError


def _fits(x: Any, kind: tuple[Any, ...]) -> bool:
    if type(x) is not kind[0]:
        return False
    if kind[1] is None:
        return kind[2] is None or x is kind[2] or bool(x == kind[2])
    return bool(x.shape == kind[1] and x.dtype == kind[2] and device_of(x) == kind[3])


class Whole(Way):
    """Compiled by the library itself, parameters and state given to it.

    It is recorded only when somebody asks for an explanation. What the library cannot compile, it runs as it stands.
    """

    def __init__(
        self, compiled: Step, step: Step, record: Callable[[], tuple[Schedule | None, str | None]], *rest: Any
    ) -> None:
        super().__init__(*rest)
        self._compiled, self._step = compiled, step
        self._record = record
        self._works = False
        self._type = self.kinds[0][0] if self.kinds else None

    def leaves_of(self, *given: Any) -> list[Any] | None:
        """Nothing, once it works: the compiler itself looks at structure, shapes and dtypes, and faster."""
        if self._works and type(first_leaf(given[0])) is self._type:
            return []
        return super().leaves_of(*given)

    def look(self) -> None:
        """Records the step."""
        if self.schedule is None and self.stopped is None:
            self.schedule, self.stopped = self._record()

    def run(self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        if not self._works and self.stopped is None:
            return self._first(leaves, params, grads, state, extra)
        found: tuple[Any, Any] = (self._compiled if self._works else self._step)(params, state, grads, extra)
        return found

    def _first(
        self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]
    ) -> tuple[Any, Any]:
        """The first step, which shows whether it can be compiled."""
        self._check_apart(leaves)
        found: tuple[Any, Any]
        try:
            found = self._compiled(params, state, grads, extra)
            self._works = True
        except Exception as error:  # may be the transform's own word on bad input: then it comes again
            if any([x.is_deleted() for x in leaves if hasattr(x, "is_deleted")]):
                raise
            found = self._step(params, state, grads, extra)
            text = str(error).split("\n")[0]
            self.stopped = f"it cannot be compiled: {type(error).__name__}: {text}; {stopping_line(error)}"
            self.engine, self.reason = "eager", f"not {self.engine}: {self.stopped}"
        return found

    def _check_apart(self, leaves: list[Any]) -> None:
        """Raises ValueError if an array is given away and given a second time."""
        seen: dict[int, int] = {}
        for p in [*self.donated, *range(len(leaves))]:
            other = seen.setdefault(id(leaves[p]), p)
            if other != p and is_array(leaves[p]):
                raise ValueError(
                    f"fused_step: {self.names.path(other)} and {self.names.path(p)} are one array, and the former is "
                    f"given away. Keep one of them in the tree, or a copy."
                )


def first_leaf(tree: Any) -> Any:
    """Some leaf of a tree, found without opening all of it; None if that is not so easy."""
    while isinstance(tree, (dict, list, tuple)):
        if not tree:
            return None
        found: Any = cast(Any, tree)
        tree = next(iter(found.values())) if isinstance(tree, dict) else found[0]
    return tree


class Eagerly(Way):
    """As it stands; the results are then written into the donated arrays, where the library writes in place."""

    def __init__(self, step: Step, *rest: Any) -> None:
        super().__init__(*rest)
        self._step = step

    def run(self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        layouts = self._layouts(leaves)
        found: tuple[Any, Any] = self._step(self._raw(params), self._raw(state), grads, extra)
        news, spec = flatten(found)
        olds = [leaves[p] for p in self.donated]
        if len(news) != len(olds):  # the state is another; the parameters are those they were
            few = self.names.counts[0]
            olds = olds[:few] + [None] * (len(news) - few)
        return self._kept(news, olds, spec, layouts)

    def _home(self, x: Any) -> Backend:
        return self.library or backend(x)

    def _raw(self, tree: Any) -> Any:
        leaves, spec = flatten(tree)
        return spec.unflatten([self._home(x).raw(x) if is_array(x) else x for x in leaves])

    def _layouts(self, leaves: list[Any]) -> dict[int, Layout]:
        """Of the donated arrays; empty if the library does not write in place."""
        found: dict[int, Layout] = {}
        for p in self.donated:
            layout = self._home(leaves[p]).layout(leaves[p]) if is_array(leaves[p]) else None
            if layout is not None:
                found[p] = layout
        check_writable(self.names, self.library, leaves, found, Ranges(found.items()))
        return found

    def _kept(self, news: list[Any], olds: list[Any], spec: Spec, layouts: dict[int, Layout]) -> tuple[Any, Any]:
        ranges = Ranges(layouts.items())
        fits = [_same_kind(new, old) and self._home(old).can_assign(old) for new, old in zip(news, olds, strict=True)]
        for i, (new, old) in enumerate(zip(news, olds, strict=True)):
            layout = self._home(new).layout(new) if is_array(new) else None
            if new is not old and layout is not None and ranges.touches(layout):
                news[i] = self._home(new).copy(new)  # it would change under our hands
        with uninterrupted():
            for i, (new, old) in enumerate(zip(news, olds, strict=True)):
                if fits[i]:
                    if new is not old:
                        self._home(old).assign(old, new)
                    news[i] = old
        params, state = spec.unflatten(news)
        return params, state


def _same_kind(new: Any, old: Any) -> bool:
    """Whether a result can be written into the array it replaces."""
    if not is_array(new) or not is_array(old):
        return False
    return (
        tuple(new.shape) == tuple(old.shape)
        and dtypes.name(new.dtype) == dtypes.name(old.dtype)
        and same_library(new, old)
    )


class InKernels(Way):
    """Recorded, and run by an engine of kernels."""

    def __init__(self, engine: Any, *rest: Any) -> None:
        super().__init__(*rest)
        self._engine = engine
        self._last = threading.local()
        donated = set(self.donated)
        arrays = [i for i, kind in enumerate(self.kinds) if kind[1] is not None]
        self._written = [i for i in arrays if i in donated]
        self._fresh = [i for i in arrays if i not in donated]
        kinds: list[Any] = [self.kinds[i] for i in self._fresh]
        self._types, self._shapes, self._dtypes = [[kind[k] for kind in kinds] for k in range(3)]
        self._all_written, self._all_fresh = _picker(self._written), _picker(self._fresh)
        self._others = [(i, kind) for i, kind in enumerate(self.kinds) if kind[1] is None]
        self._lengths = [math.prod(self.kinds[i][1]) * size_of(dtypes.name(self.kinds[i][2])) for i in self._fresh]
        self._blank: list[Layout | None] = [None] * len(self.kinds)

    def forget(self) -> None:
        """Forgets the arrays of the last step."""
        self._last.kept = None

    def fits(self, leaves: list[Any]) -> bool:
        """Whether leaves are as before. Donated arrays that are the same objects at the same places are."""
        library = self.library
        assert library is not None
        kept = getattr(self._last, "kept", None)
        if kept is None or not library.same_places(self._all_written(leaves), kept.arrays, kept.all, kept.plain):
            self.forget()
            return super().fits(leaves)
        fresh = self._all_fresh(leaves)
        ends = [(i, leaves[i]) for i in {*self._fresh[:1], *self._fresh[-1:]}]  # they move from a device together
        return (
            all([device_of(x) == self.kinds[i][3] for i, x in ends])
            and list(map(type, fresh)) == self._types
            and [x.shape for x in fresh] == self._shapes
            and [x.dtype for x in fresh] == self._dtypes
            and all([_fits(leaves[i], kind) for i, kind in self._others])
        )

    def run(self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        assert self.library is not None and self.schedule is not None
        spots = self._spots(leaves)
        if self.schedule.captured:
            spots.held = self._apart()
        own = getattr(self._engine, "carry_out", None)  # an engine that keeps numbers on a device has its own way
        if own is not None:
            replaced = own(self.schedule, leaves, spots)
        else:
            replaced = carry_out(self.schedule, self._engine, self.library, leaves, spots)
        self.library.written(self._all_written(leaves))
        if not replaced:
            return params, state
        new_params, _, new_state, _ = self.spec.unflatten([replaced.get(p, x) for p, x in enumerate(leaves)])
        return new_params, new_state

    def _apart(self) -> dict[int, Any]:
        """Copies of arrays that the rule holds and that this step writes to."""
        library, schedule, ranges = self.library, self.schedule, self._last.kept.ranges
        assert library is not None and schedule is not None
        held = [(place, x, library.layout(x)) for place, x in schedule.captured]
        return {place: library.copy(x) for place, x, layout in held if layout is not None and ranges.touches(layout)}

    def _spots(self, leaves: list[Any]) -> Spots:
        """Where all leaves lie. Donated arrays are looked at once, for as long as they are the same."""
        library = self.library
        assert library is not None
        kept = getattr(self._last, "kept", None)
        if kept is None:
            kept = self._last.kept = _Kept(self, leaves, self._written, self._fresh)
        fresh = self._all_fresh(leaves)
        if kept.plain and library.all_plain(fresh):
            addresses = library.addresses(fresh)
            if addresses == kept.clear or not kept.ranges.touched(addresses, self._lengths):
                kept.clear = addresses
                return Spots(self._blank, kept, addresses, True)
        return self._all_spots(leaves, kept)

    def _all_spots(self, leaves: list[Any], kept: _Kept) -> Spots:
        """The same where something is out of the ordinary."""
        library = self.library
        assert library is not None
        layouts = list(self._blank)
        for i, layout in zip(self._written, kept.layouts, strict=True):
            layouts[i] = layout
        for i in self._fresh:
            layout = library.layout(leaves[i])
            if layout is None or kept.ranges.touches(layout):
                leaves[i] = library.copy(leaves[i])  # a gradient that would change while it is read
                layout = library.layout(leaves[i])
            layouts[i] = layout
        return Spots(layouts, object(), [], False)


def _picker(places: list[int]) -> Callable[[list[Any]], Sequence[Any]]:
    """What reads the leaves at some places; all at once, since there may be a thousand."""
    if len(places) > 1:
        return operator.itemgetter(*places)
    return lambda leaves: [leaves[i] for i in places]


class _Kept:
    """The donated arrays of the last step, and where they lie."""

    def __init__(self, way: Way, leaves: list[Any], places: list[int], fresh: list[int]) -> None:
        library = way.library
        assert library is not None
        self.arrays = [leaves[i] for i in places]
        self.layouts = [library.layout(x) for x in self.arrays]
        known = {i: layout for i, layout in zip(places, self.layouts, strict=True) if layout is not None}
        self.ranges = Ranges(known.items())
        check_writable(way.names, library, leaves, known, self.ranges)
        self.plain = all([layout is not None and layout.strides is None for layout in self.layouts])
        self.addresses = {i: layout.address for i, layout in known.items()}
        self.all = [layout.address if layout is not None else 0 for layout in self.layouts]
        self.fresh = fresh
        self.clear: list[int] = []  # addresses of gradients that were found to touch none of them


def check_writable(
    names: Trees, library: Backend | None, leaves: Sequence[Any], layouts: dict[int, Layout], ranges: Ranges
) -> None:
    """Raises ValueError if a donated array cannot be written, or shares memory with another."""
    for p, layout in layouts.items():
        if not layout.writable:
            raise ValueError(f"fused_step: {names.path(p)} must be writable, since it is updated in place.")
        if layout.repeats:
            raise ValueError(
                f"fused_step: {names.path(p)} must have a place in memory for each entry; got one that is expanded."
            )
    for a, b in map(sorted, ranges.overlapping()):
        if library is None or library.shares_memory(leaves[a], leaves[b]):
            raise ValueError(
                f"fused_step: {names.path(a)} and {names.path(b)} share memory, and both are updated in place. Keep "
                f"one of them in the tree, or a copy."
            )
