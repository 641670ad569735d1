"""States that somebody hands to ``update``: not all come from ``init``, or come back as they went."""

from __future__ import annotations

from typing import Any

from arrayopt import dtypes
from arrayopt.answers import described
from arrayopt.dispatch import backend, is_array, library, same_library
from arrayopt.mixed import Meeting, takes
from arrayopt.numerics import GREATEST
from arrayopt.tree.structure import flatten
from arrayopt.types import OptState, Updates


def known(who: str, kind: type[Any], state: OptState, updates: Updates) -> tuple[OptState, Updates]:
    """The state of a transform, found to have the fields of its class, and the updates; all arrays of one library.

    A counter that came back as an integer, from JSON say, or as a NumPy array is the number that it holds. Beside
    JAX's counters updates of NumPy are JAX's.

    Args:
      who: name of the transform, for messages.
      kind: class of its state, a NamedTuple whose counters have names that begin with ``count``.
      state: what was handed in, of that class or another with its fields.
      updates: tree of gradients.

    Raises:
      TypeError: it is no such state, a counter is no integer, or one of another library.
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
            new = _counter(who, f"{kind.__name__}.{name}", old, like)
            if new is not old:
                found[name] = new
            elif is_array(old) and is_array(like) and not same_library(old, like):
                updates = spec.unflatten(Meeting(leaves, [old]).received(leaves))
    return state._replace(**found) if found else state, updates


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


def _counter(who: str, what: str, count: Any, like: Any) -> Any:
    is_plain = _is_int(count) and count >= 0
    if not is_plain and not _is_counter(count):
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
