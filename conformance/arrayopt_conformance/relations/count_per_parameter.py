"""Steps counted for each parameter by itself: the inner transform, of each parameter alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import arrayopt
from arrayopt_conformance.harness.compare import assert_same
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library
from arrayopt_conformance.relations.steps import assert_alike, given, taking

Counting = Callable[..., Any]


def with_all_gradients_it_is_the_inner_one(counting: Counting, inner: Recipe, library: Library) -> None:
    params, days = given(library)
    plain, own = run(inner(), params, days), run(counting(inner()), params, days)
    assert_same(own.updates, plain.updates, "the update of step ")
    assert_same(own.params, plain.params, "the parameters of step ")


def twice_is_once(counting: Counting, inner: Recipe, library: Library) -> None:
    assert_alike(counting(counting(inner())), counting(inner()), library)


def a_gradient_of_none_is_no_step(counting: Counting, inner: Recipe, library: Library) -> None:
    """What comes after it is as if it had not been, the counters of that parameter too."""
    params, days = given(library)
    tx, first = counting(inner()), min(params)
    state = tx.init(params)
    _, before = tx.update(days[0], state, params)
    _, after = tx.update({**days[1], first: None}, before, params)
    found, kept = [{path: x for path, x in _by_path(s).items() if f"['{first}']" in path} for s in (after, before)]
    assert_same(found, kept, "without a gradient, the state ")


def extra_arguments_get_through(counting: Counting, inner: Recipe, library: Library) -> None:
    params, (gs, *_) = given(library)
    tx = counting(taking("value"))
    us, _ = tx.update(gs, tx.init(params), params, value=params)
    assert_same(us, arrayopt.tree.add(gs, params), "the update ")
    plain = counting(inner())
    wanted = plain.update(gs, plain.init(params), params)
    assert_same(plain.update(gs, plain.init(params), params, value=1.0), wanted, "with a value, of (update, state) ")


class _State(NamedTuple):
    """What one may remember."""

    other: Any
    count: Any


def a_counter_for_all_is_refused(counting: Counting, inner: Recipe, library: Library) -> None:
    """Wherever it stands; what has another name, or is no counter, is not taken for one."""
    del inner
    params, _ = given(library)
    one, three = library.asarray(3, "int32"), library.asarray([3, 3], "int32")
    for state in (_State(None, one), (None, {"a": [_State(None, one)]})):
        message = _refused(counting, params, state)
        assert message.startswith("count_per_parameter: ") and f"{__name__}._State.count, one for all" in message, (
            message
        )
    for x in (library.asarray(3.0, "float32"), three, 3, None):
        assert not _refused(counting, params, (_State(one, x), one, [one])), f"{x} is taken for a counter"
    (first, *_) = params.values()
    assert not _refused(counting, first, _State(None, one)), "of one parameter a counter is its own"


def _refused(counting: Counting, params: Any, state: Any) -> str:
    def init(params: Any) -> Any:
        del params
        return state

    try:
        counting(arrayopt.GradientTransformation(init, arrayopt.identity().update)).init(params)
    except TypeError as error:
        return str(error)
    return ""


def _by_path(tree: Any) -> dict[str, Any]:
    leaves, spec = arrayopt.tree.flatten(tree)
    return dict(zip(spec.paths(), leaves, strict=True))
