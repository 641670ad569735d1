"""States that somebody hands to ``update``: not all come from ``init``, or come back as they went."""

from __future__ import annotations

from typing import Any, NamedTuple

from arrayopt import dtypes
from arrayopt.answers import described
from arrayopt.dispatch import backend, backend_named, is_array, library, same_library
from arrayopt.each import Each, mode
from arrayopt.mixed import Meeting, takes
from arrayopt.numerics import GREATEST
from arrayopt.tree.align import places
from arrayopt.tree.structure import LEAF, Spec, flatten
from arrayopt.types import OptState, Updates


def known(who: str, kind: type[Any], state: OptState, updates: Updates) -> tuple[OptState, Updates]:
    """The state of a transform, found to have the fields of its class, and the updates; all arrays of one library.

    A counter that came back as an integer, from JSON say, or as a NumPy array is the number that it holds. Beside
    JAX's counters updates of NumPy are JAX's. Within `count_per_parameter` counters are trees, and become `Each`.

    Args:
      who: name of the transform, for messages.
      kind: class of its state, a NamedTuple whose counters have names that begin with ``count``.
      state: what was handed in, of that class or another with its fields.
      updates: tree of gradients.

    Raises:
      TypeError: it is no such state, a counter is no integer, or one of another library; there is one counter where
        each parameter must have its own, or the other way round.
      StructureError: counters have another structure than the updates.
    """
    names: tuple[str, ...] = kind._fields
    fields: tuple[str, ...] = getattr(state, "_fields", ())
    if not isinstance(state, kind) and not set(names) <= set(fields):
        raise TypeError(
            f"{who}: the state must be a {kind.__name__} of {', '.join(names)}; got {described(state)}. "
            f"Call init first."
        )
    leaves, spec = flatten(updates)
    like = Meeting(leaves).like
    found = {}
    for name in names:
        if name.startswith("count"):
            old = getattr(state, name)
            what = f"{kind.__name__}.{name}"
            if mode.per_parameter:
                new = found[name] = _counters(who, what, old, like, spec)
                old = new.values[0]
            else:
                new = _counter(who, what, old, like)
            if new is not old and not mode.per_parameter:
                found[name] = new
            elif is_array(old) and is_array(like) and not same_library(old, like):
                updates = spec.unflatten(Meeting(leaves, [old]).received(leaves))
    return state._replace(**found) if found else state, updates


def gathered(old: OptState, new: OptState, updates: Updates) -> OptState:
    """A new state with trees for its `Each`, in which a counter whose gradient is None is what it was."""
    gs, spec = flatten(updates)
    found = {}
    for name in new._fields:
        before, after = getattr(old, name), getattr(new, name)
        if type(before) is Each and type(after) is Each:
            counts = list(before.values[: before.spec.size])
            for g, i in zip(gs, places(spec, before.spec), strict=True):
                counts[i] = backend(g).owned(after.values[i], g)
            found[name] = before.spec.unflatten(counts)
    return new._replace(**found)


def at_home(who: str, state: OptState, tree: Updates) -> OptState:
    """A state with its counters in the library of a tree of arrays: of a transform that was shown none of those.

    Raises:
      TypeError: a counter is of another library, not NumPy.
    """
    like = Meeting(flatten(tree)[0]).like
    leaves, spec = flatten(state)
    return spec.unflatten([_counter(who, "a counter", x, like) if _is_counter(x) else x for x in leaves])


def _is_int(x: Any) -> bool:
    return type(x) is int


def _is_counter(x: Any) -> bool:
    return is_array(x) and tuple(x.shape) == () and dtypes.is_integer(x.dtype)


def _are_counters(x: Any) -> bool:
    leaves, spec = flatten(x)
    return spec is not LEAF and bool(leaves) and all(map(_is_counter, leaves))


class _One(NamedTuple):
    """One of the counters, for messages."""

    what: str
    spec: Spec
    place: int

    def __str__(self) -> str:
        return f"{self.what}{self.spec.path(self.place)}"


def _counters(who: str, what: str, counts: Any, like: Any, updates: Spec) -> Each:
    """The counters of the parameters, found to lie along the updates."""
    if (_is_int(counts) or _is_counter(counts)) and updates is not LEAF and updates.kind is not type(None):
        raise TypeError(
            f"{who}: {what} must be a tree of counters, one for each parameter, within count_per_parameter; got one "
            f"for all. Call init of the same optimizer."
        )
    leaves, spec = flatten(counts)
    places(updates, spec, f"{who}: the gradient", f"its {what}")  # raises
    found = [_counter(who, _One(what, spec, i), x, like) for i, x in enumerate(leaves)]
    nobodys = backend_named("numpy") if like is None else backend(like)
    return Each(found or [nobodys.counter(like)], spec)


def _counter(who: str, what: str | _One, count: Any, like: Any) -> Any:
    is_plain = _is_int(count) and count >= 0
    if not is_plain and not _is_counter(count):
        if _are_counters(count):
            raise TypeError(
                f"{who}: {what} must be one counter for all parameters, a 0-d integer array; got a tree of them, as "
                f"count_per_parameter keeps. Call init of the same optimizer."
            )
        raise TypeError(f"{who}: {what} must be a 0-d integer array; got {described(count)}.")
    if like is None:
        return count
    if not is_plain and not dtypes.is_python(count.dtype):
        if takes(count, like):  # if they are of two libraries, it is the gradients that change
            return count
        if library(count) != "numpy":
            raise TypeError(
                f"{who}: all arrays must be of one library; {what} is of {library(count)}, "
                f"the gradients of {library(like)}."
            )
        count = int(count)
    zero = backend(like).counter(like)
    return backend(zero).settle(zero + (min(count, GREATEST) if _is_int(count) else count))
