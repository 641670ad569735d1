"""A transform stepped over gradients, the parameters moving along."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import arrayopt
from arrayopt_conformance.harness.compare import assert_alike, kinds
from arrayopt_conformance.libraries import as_is

_FROM_INIT: Any = object()


class Run(NamedTuple):
    """What came out, one entry a step."""

    updates: list[Any]
    states: list[Any]
    params: list[Any]


def run(
    tx: Any,
    params: Any,
    gradients: Iterable[Any],
    state: Any = _FROM_INIT,
    *,
    mode: Callable[[Callable[..., Any]], Callable[..., Any]] = as_is,
) -> Run:
    """The updates, states and parameters after each step.

    Args:
      tx: the transform.
      params: what the parameters are before the first step.
      gradients: of each step.
      state: to go on from; by default what ``init`` makes.
      mode: how to run ``update``: as it is, jitted, …
    """
    done = Run([], [], [])
    state = tx.init(params) if state is _FROM_INIT else state
    update = mode(tx.update)
    for gs in gradients:
        us, state = update(gs, state, params)
        params = arrayopt.apply_updates(params, us)
        done.updates.append(us)
        done.states.append(state)
        done.params.append(params)
    return done


def standing(tx: Any, params: Any, gradients: Iterable[Any]) -> list[Any]:
    """The updates of each step, the parameters staying where they are."""
    state, updates = tx.init(params), list[Any]()
    for gs in gradients:
        us, state = tx.update(gs, state, params)
        updates.append(us)
    return updates


def trial(
    tx: Any,
    params: Any,
    gradients: Iterable[Any],
    mode: Callable[[Callable[..., Any]], Callable[..., Any]] = as_is,
) -> Any:
    """Steps a transform without a look at values: updates must be like the gradients, the state stay of its kind.

    Returns:
      The last state.
    """
    state = tx.init(params)
    update, given = mode(tx.update), kinds(state)
    for gs in gradients:
        us, state = update(gs, state, params)
        assert_alike(us, gs, "the update")
        assert kinds(state) == given, f"the state becomes {kinds(state)}; init made {given}"
    return state
