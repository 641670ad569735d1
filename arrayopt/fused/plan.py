"""One structure of trees: its schedule, or why there is none."""

from __future__ import annotations

import gc
import traceback
from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.base import apply_updates
from arrayopt.dispatch import backend, is_array
from arrayopt.fused.lower import schedule
from arrayopt.fused.program import Schedule
from arrayopt.fused.recorder import Recorder
from arrayopt.fused.traced import NoNumber, NotRecordable, Traced
from arrayopt.tree.structure import Spec, flatten

_NUMBERS = (int, float, complex)


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
        except TypeError:
            kinds = tuple(map(_hashable, kinds))
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
        path = _strip(self.spec.paths()[place])
        return f"the {who} at {path}" if path else f"the {who}"


def _kind(x: Any) -> tuple[Any, ...]:
    if is_array(x):
        return cast(Any, type(x)), tuple(x.shape), x.dtype, device_of(x)
    return cast(Any, type(x)), None, None if type(x) in (int, float, complex) else x


def device_of(x: Any) -> Any:
    """Where an array lies; None for what is none."""
    return getattr(x, "device", None)


def _hashable(kind: tuple[Any, ...]) -> Any:
    try:
        hash(kind)
    except TypeError:
        if kind[1] is None:
            return kind[0], id(kind[2])
        return kind[0], kind[1], dtypes.name(kind[2]), str(kind[3])  # a library's devices need not have a hash
    return kind


def _strip(path: str) -> str:
    return path[path.index("]") + 1 :]


def record(update: Callable[..., Any], trees: Trees, library: Backend) -> Schedule:
    """Runs a step once on recording arrays, and makes its schedule.

    Raises:
      NotRecordable: something in it cannot be recorded.
      Exception: whatever the transform raises.
    """
    with _recorder(library) as recorder, _undisturbed():
        try:
            return _record(update, trees, recorder)
        except NoNumber as error:  # seldom: once more, knowing that
            return _record(update, trees, recorder, error.places)


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


def _record(
    update: Callable[..., Any], trees: Trees, recorder: Recorder, arrays: frozenset[int] = frozenset()
) -> Schedule:
    recorder.begin(arrays)
    nodes = [_traced(recorder, place, leaf) for place, leaf in enumerate(trees.leaves)]
    params, grads, state, extra = trees.spec.unflatten(nodes)
    updates, new_state = update(grads, state, params, **extra)
    new_params = apply_updates(params, updates)
    a, b, _, _ = trees.counts
    outputs, spec = flatten((new_params, new_state))
    if spec.children != (trees.spec.children[0], trees.spec.children[2]):
        raise NotRecordable("the structure of the state changes")
    donated = {p: _output(recorder, p, new, trees.leaves[p]) for p, new in zip(trees.donated, outputs, strict=True)}
    stored = {p: new for p, new in donated.items() if new is not None}
    moving = frozenset(range(a + b))
    return schedule(stored, moving, len(trees.leaves), recorder.tape)


def _traced(recorder: Recorder, place: int, leaf: Any) -> Any:
    if type(leaf) in _NUMBERS:
        return recorder.number(place, leaf)
    return recorder.input(place, leaf) if hasattr(leaf, "shape") and hasattr(leaf, "dtype") else leaf


def _output(recorder: Recorder, place: int, new: Any, old: Any) -> Traced | None:
    """The recorded value that a donated place takes; None if it stays as it is."""
    if not isinstance(new, Traced):
        if new is old:
            return None
        if not is_array(new):
            raise NotRecordable("the state takes a value that was not computed from arrays")
        new = recorder.operand(new)
    found = cast(Traced, new)
    if type(old) in _NUMBERS:
        if found.dtype is not type(old):
            raise NotRecordable(f"a number in the state, {type(old).__name__}, becomes {dtypes.name(found.dtype)}")
        return found
    if new.shape != tuple(old.shape) or dtypes.name(new.dtype) != dtypes.name(old.dtype):
        raise NotRecordable(
            f"a state of shape {tuple(old.shape)} and dtype {dtypes.name(old.dtype)} becomes one of shape "
            f"{new.shape} and dtype {dtypes.name(new.dtype)}"
        )
    return found


def stopping_line(error: BaseException) -> str:
    """The line of somebody's code that stopped a recording: ``file:line: text``."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if _HOME in Path(f.filename).parents]
    theirs = [f for f in frames if f not in ours]
    frame = ([f for f in theirs if _LIBRARIES.isdisjoint(Path(f.filename).parts)] or theirs or frames)[-1]
    return f"{frame.filename}:{frame.lineno}: {frame.line}"


_HOME = Path(__file__).parents[1]
_LIBRARIES = frozenset({"array_api_compat", "array_api_strict", "numpy", "torch", "jax", "cupy"})


def library_of(leaves: list[Any]) -> Backend | None:
    """The one library whose arrays the leaves are; None if there are several, or none."""
    kinds: dict[type[Any], Any] = {type(x): x for x in leaves}
    found = {id(b): b for b in [backend(x) for x in kinds.values() if is_array(x)]}
    return next(iter(found.values())) if len(found) == 1 else None
