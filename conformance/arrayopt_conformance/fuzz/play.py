"""A case played: each step held to what eager updates do to copies of its arguments."""

from __future__ import annotations

import contextlib
import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from arrayopt.dispatch import is_array
from arrayopt.tree.structure import flatten
from arrayopt_conformance.fuzz.cases import Case
from arrayopt_conformance.fuzz.compare import (
    Outcome,
    Wrong,
    assert_near,
    eager,
    host,
    kin,
    must_be_in_place,
    refused,
    tolerance,
    twin,
)
from arrayopt_conformance.fuzz.memory import Places, among, is_tensor, merged, places
from arrayopt_conformance.fuzz.moves import make
from arrayopt_conformance.fuzz.table import Table


class Played(NamedTuple):
    """How many steps were tried, and how many of them raised no error."""

    steps: int
    worked: int


def play(case: Case) -> Played:
    """Plays a case.

    Raises:
      Wrong: a step did not do what it should; the message begins with what was wrong.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = Table(case)
        except (TypeError, ValueError):  # the rule is not for such parameters
            return Played(0, 0)
        steps = successes = 0
        for move in case.moves:
            good = twin(table.params), twin(table.state)
            try:
                make(table, move.name, move.which, move.how)
                worked = _step(table)
            except Wrong as error:
                raise Wrong(f"step {steps}, {move.name}: {error}") from error.__cause__
            finally:
                _undo(table)
            steps, successes = steps + 1, successes + worked
            if not worked and move.how % 2:
                table.params, table.state = table.watched(good[0]), table.watched(good[1])
            table.renew()
    return Played(steps, successes)


def _undo(table: Table) -> None:
    while table.undo:
        table.undo.pop()()
    table.around = []
    table.beside = None


def _step(table: Table) -> bool:
    """Takes a step; says whether it worked."""
    try:
        before = _copies(table)
    except (RuntimeError, ValueError, TypeError, NotImplementedError):  # an array that is gone has none
        before = None
    wanted = _expected(table, before)
    if table.beside is not None:
        table.beside()
    for block in table.memory.blocks:
        block.remember()
    given = table.donated()
    kept = merged(given)
    with contextlib.ExitStack() as stack:
        for context in table.around:
            stack.enter_context(context)
        got = _taken(table)
    if got.error is not None:
        _check_error(table, got.error, wanted)
        if before is not None:
            _check_unmoved(table, before)
        _check_untouched(table, merged([]))
        return False
    _check_found(table, got, wanted, before, given)
    _check_untouched(table, kept)
    if before is not None:
        _check_gradients(table, before[1])
    assert got.found is not None
    table.params, table.state = got.found
    return True


def _copies(table: Table) -> tuple[Any, Any, Any, Any]:
    params, grads, state, extra = table.params, table.grads, table.state, table.extra
    return twin(params), twin(grads), twin(state), twin(extra)


def _expected(table: Table, before: Any) -> list[Outcome]:
    """What may come of the step: what comes of eager updates, with a failing rule and without it."""
    if before is None:
        return [Outcome(None, RuntimeError("an array is gone"))]
    found: list[Outcome] = []
    fails = table.world.failing and table.case.rule == "raises_when_told"
    for failing in [True, False] if fails else [False]:
        table.other_world.follow(table.world)
        table.other_world.failing = failing
        params, _, state, extra = twin(before)
        grads = before[1] if table.case.rule == "edits_gradients" else twin(before[1])
        with contextlib.ExitStack() as stack:
            for context in table.around:
                if not isinstance(context, np.errstate):  # a fused step need not raise them
                    stack.enter_context(context)
            found.append(eager(table.shadow, params, grads, state, extra))
    if table.case.library == "jax" and found[-1].error is not None and "of one library" in str(found[-1].error):
        found.append(_all_jax(table, before))
    return found


def _all_jax(table: Table, before: Any) -> Outcome:
    """What comes of eager updates where NumPy's arrays are JAX's, as they are for its compiler."""

    def there(x: Any) -> Any:
        return table.library.backend.asarray(x) if isinstance(x, np.ndarray) else x

    leaves, spec = flatten(before)
    try:
        params, grads, state, extra = spec.unflatten([there(x) for x in leaves])
    except Exception as error:
        return Outcome(None, error)
    return eager(table.shadow, params, grads, state, extra)


def _taken(table: Table) -> Outcome:
    try:
        return Outcome(table.step(table.params, table.grads, table.state, **table.extra), None)
    except Exception as error:
        return Outcome(None, error)


def _check_error(table: Table, error: Exception, wanted: list[Outcome]) -> None:
    if refused(error, table.donated(), table.leaves()):
        return
    raised = [outcome.error for outcome in wanted if outcome.error is not None]
    if not raised:
        raise Wrong(f"raises: {type(error).__name__}: {_short(error)}") from error
    if not any([kin(error, other) for other in raised]):
        theirs = f"{type(raised[0]).__name__}: {_short(raised[0])}"
        raise Wrong(f"foreign error: {type(error).__name__}: {_short(error)}; eagerly {theirs}") from error


def _short(error: Exception) -> str:
    return str(error).split("\n")[0][:200]


def _check_found(table: Table, got: Outcome, wanted: list[Outcome], before: Any, given: list[Any]) -> None:
    values = [outcome for outcome in wanted if outcome.found is not None]
    if not values:
        error = wanted[0].error
        if "meta" in str(error) and not any([math.prod(x.shape) for x in table.leaves() if _is_on_meta(x)]):
            return  # an empty tensor that lies elsewhere: there is nothing to compute with it
        raise Wrong(f"no error: eagerly {type(error).__name__}: {_short(error) if error else ''}")
    moved = before[0], before[2]
    bound = tolerance(before, values[-1].found)
    assert_near(got.found, values[-1].found, [moved, before[1]], bound)
    news, spec = flatten(got.found)
    if spec.children == flatten((table.params, table.state))[1].children:
        for path, old, new in zip(spec.paths(), given, news, strict=True):
            if table.case.library != "jax" and must_be_in_place(old, new) and new is not old:
                raise Wrong(f"not in place: {path}")


def _is_on_meta(x: Any) -> bool:
    return is_tensor(x) and x.device.type == "meta"


def _check_untouched(table: Table, kept: Places) -> None:
    """No byte is another, but those of the arrays that are donated."""
    if table.beside is not None:  # somebody else writes
        return
    if table.case.rule == "edits_state" and not kept.size:
        return
    if table.case.rule == "edits_gradients":
        kept = np.sort(np.concatenate([kept, merged(flatten(table.grads)[0])]))
    for block in table.memory.blocks:
        changed = block.changed()
        strange = changed[~among(changed, kept)]
        if strange.size:
            raise Wrong(f"memory: {strange.size} bytes that are not donated have been written")


def _check_unmoved(table: Table, before: Any) -> None:
    """After an error everything is as it was."""
    if table.case.rule in ("edits_gradients", "edits_state"):
        return
    now = flatten((table.params, table.grads, table.state))[0]
    for x, old in zip(now, flatten(before[:3])[0], strict=True):
        _same(x, old, "half a step")


def _check_gradients(table: Table, before: Any) -> None:
    donated = merged(table.donated())
    for g, old in zip(flatten(table.grads)[0], flatten(before)[0], strict=True):
        if not np.any(among(places(g), donated)):
            _same(g, old, "gradient written")


def _same(x: Any, old: Any, what: str) -> None:
    if not is_array(x):
        return
    try:
        a, b = host(x), host(old)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise Wrong(f"{what}: {type(error).__name__}: {_short(error)}") from error
    if isinstance(a, np.ndarray) and np.asarray(a).tobytes() != np.asarray(b).tobytes():
        raise Wrong(f"{what}: {a.ravel()[:4]}, it was {b.ravel()[:4]}")
