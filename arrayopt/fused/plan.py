"""One structure of trees: its schedule, or why there is none."""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.base import apply_updates
from arrayopt.dispatch import backend, is_array
from arrayopt.fused.lower import schedule
from arrayopt.fused.program import Schedule
from arrayopt.fused.recorder import Recorder
from arrayopt.fused.traced import NotRecordable, Traced
from arrayopt.mixed import takes
from arrayopt.tree.structure import Spec, flatten

_NUMBERS = (int, float, complex)

IMMUTABLE = (bool, str, bytes, type(None), type(Ellipsis))
"""What among the leaves may be taken for the same in each step if it is equal."""


class Trees(NamedTuple):
    """The arguments of a step, flattened together.

    Attributes:
      leaves: of parameters, gradients, state and extra arguments, in that order.
      spec: structure of the tuple of the four.
      kinds: what each leaf must have in common with another for the same step to serve it.
      counts: how many leaves each of the four has.
    """

    leaves: list[Any]
    spec: Spec
    kinds: Sequence[tuple[Any, ...]] = ()

    @classmethod
    def of(cls, trees: Any) -> Trees:
        """The four, flattened."""
        leaves, spec = flatten(trees)
        return cls(leaves, spec, [_kind(x) for x in leaves])

    @property
    def key(self) -> Any:
        """Equal for trees that the same step serves."""
        kinds = tuple(self.kinds)
        try:
            hash(kinds)
        except TypeError:  # a library's devices need not have a hash
            kinds = tuple([kind if kind[1] is None else (*kind[:2], *map(str, kind[2:])) for kind in kinds])
        return self.spec, kinds

    @property
    def counts(self) -> tuple[int, int, int, int]:
        a, b, c, d = [child.size for child in self.spec.children]
        return a, b, c, d

    @property
    def donated(self) -> list[int]:
        """The places of parameters and state."""
        a, b, c, _ = self.counts
        return [*range(a), *range(a + b, a + b + c)]

    def path(self, place: int) -> str:
        """What a message calls a leaf."""
        a, b, c, _ = self.counts
        kinds = ("parameter", "gradient", "state", "argument")
        who = kinds[bisect_right((a, a + b, a + b + c), place)]
        path = _strip(self.spec.path(place))
        return f"the {who} at {path}" if path else f"the {who}"


def hollow(spec: Spec) -> Spec:
    """An equal structure, made of containers that hold nothing: one may remember what it was found in."""
    return flatten(spec.unflatten([...] * spec.size))[1]


def _kind(x: Any) -> tuple[Any, ...]:
    kind = cast(Any, type(x))
    if is_array(x):
        return kind, tuple(x.shape), x.dtype, device_of(x)
    return kind, None, x if kind in IMMUTABLE else None


def opaque(leaves: Sequence[Any]) -> Any:
    """A leaf that is no array, number or constant, and may hold something else in each step; None if all are."""
    known = (*_NUMBERS, *IMMUTABLE)
    return next((x for x in leaves if type(x) not in known and not is_array(x)), None)


def device_of(x: Any) -> Any:
    """Where an array lies; None for what is none."""
    return getattr(x, "device", None)


def _strip(path: str) -> str:
    return path[path.index("]") + 1 :]


class Recording:
    """A step that was run once on recording arrays: its results, as they were written down.

    Attributes:
      update: of the optimizer.
      recorder: that wrote it down; it belongs to the recording until that is closed.
      trees: the arguments.
      found: the new parameters and state, with recorded arrays in them.
    """

    def __init__(self, update: Callable[..., Any], trees: Trees, recorder: Recorder, arrays: frozenset[int]) -> None:
        self.recorder, self.trees = recorder, trees
        recorder.begin(arrays, trees.leaves)
        nodes = [_traced(recorder, place, leaf) for place, leaf in enumerate(trees.leaves)]
        params, grads, state, extra = trees.spec.unflatten(nodes)
        updates, new_state = update(grads, state, params, **extra)
        self.found = apply_updates(params, updates), new_state

    @property
    def stop(self) -> str | None:
        """What stopped the recording, with the line of code; None if nothing did."""
        return self.recorder.stop

    def values(self) -> tuple[Any, Any]:
        """The new parameters and state, computed as the library would have."""
        self.recorder.stopped(NotRecordable("its values are wanted"))
        leaves, spec = flatten(self.found)
        found: tuple[Any, Any] = spec.unflatten([self.recorder.plainly(x) for x in leaves])
        return found

    def schedule(self, look: Callable[[Any], None] | None = None) -> Schedule:
        """The kernels that do the same.

        Args:
          look: raises NotRecordable if an array that the rule holds will not do.

        Raises:
          NotRecordable: there are none.
        """
        return schedule(self.stored(), self.moving, len(self.trees.leaves), self.recorder.tape, look)

    @property
    def moving(self) -> frozenset[int]:
        """The places of parameters and gradients."""
        a, b, _, _ = self.trees.counts
        return frozenset(range(a + b))

    def stored(self) -> dict[int, Traced]:
        """What each donated place becomes; those that stay as they are are left out.

        Raises:
          NotRecordable: it cannot be stored there.
        """
        trees, recorder = self.trees, self.recorder
        outputs, spec = flatten(self.found)
        if spec.children != (trees.spec.children[0], trees.spec.children[2]):
            raise NotRecordable("the structure of the state changes")
        news = zip(trees.donated, outputs, strict=True)
        donated = {p: _output(recorder, p, new, trees.leaves[p]) for p, new in news}
        return {p: new for p, new in donated.items() if new is not None}


@contextmanager
def recording(
    update: Callable[..., Any], trees: Trees, library: Backend, arrays: frozenset[int] = frozenset()
) -> Generator[Recording]:
    """Runs a step once on recording arrays.

    Args:
      update: of the optimizer.
      trees: the arguments of the step.
      library: of the arrays.
      arrays: places where a counter would be taken for a number, and is none.

    Raises:
      Exception: whatever the transform raises.
    """
    with _recorder(library) as recorder, _undisturbed():
        yield Recording(update, trees, recorder, arrays)


_idle: dict[str, list[Recorder]] = {}


@contextmanager
def _recorder(library: Backend) -> Generator[Recorder]:
    """A recorder of a library that nobody else is using: the type of its arrays stays known, so there are few."""
    idle = _idle.setdefault(library.name, [])
    try:
        recorder = idle.pop()
    except IndexError:
        recorder = Recorder(library)
    try:
        yield recorder
    finally:
        recorder.begin()  # it outlives the step, the arrays that the rule holds should not
        idle.append(recorder)


@contextmanager
def _undisturbed() -> Generator[None]:
    """Without the garbage collector: it would look through thousands of new objects again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _traced(recorder: Recorder, place: int, leaf: Any) -> Any:
    if type(leaf) in _NUMBERS:
        return recorder.number(place, leaf)
    return recorder.input(place, leaf) if is_array(leaf) or isinstance(leaf, Shape) else leaf


class Shape:
    """What is to be known of an array that may be gone when it is asked for."""

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        self.shape, self.dtype = tuple(shape), dtype


def _output(recorder: Recorder, place: int, new: Any, old: Any) -> Traced | None:
    """The recorded value that a donated place takes; None if it stays as it is."""
    if not isinstance(new, Traced):
        if new is old or (type(new) is type(old) and type(new) in IMMUTABLE and new == old):
            return None
        if not is_array(new):
            raise NotRecordable("the state takes a value that was not computed from arrays")
        new = recorder.operand(new)
    found = cast(Traced, new)
    if type(old) in _NUMBERS:
        if found.dtype is not type(old):
            raise NotRecordable(f"a number in the state, {type(old).__name__}, becomes {dtypes.name(found.dtype)}")
        return found
    if not is_array(old) and not isinstance(old, Shape):
        raise NotRecordable(f"the state has {type(old).__name__} where it takes an array")
    if new.shape != tuple(old.shape) or dtypes.name(new.dtype) != dtypes.name(old.dtype):
        raise NotRecordable(
            f"a state of shape {tuple(old.shape)} and dtype {dtypes.name(old.dtype)} becomes one of shape "
            f"{new.shape} and dtype {dtypes.name(new.dtype)}"
        )
    return found


def library_of(leaves: list[Any]) -> Backend | None:
    """The one library whose arrays the leaves are, or are taken for; None if there are several, or none."""
    kinds: dict[type[Any], Any] = {type(x): x for x in leaves}
    arrays = [x for x in kinds.values() if is_array(x)]
    found = [backend(x) for x in arrays if all([takes(x, y) for y in arrays])]
    return found[0] if found else None
