"""Masks: the inner transform on the part, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import arrayopt
from arrayopt import dispatch
from arrayopt.tree import StructureError
from arrayopt_conformance.harness.compare import assert_same
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.laws.moving import moved
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.relations.steps import assert_alike, given, leaves, taking

Masked = Callable[..., Any]

_CHOSEN = ("w", "o")  # matrix and, where there are many shapes, vector


def _mask(params: Any, *names: str) -> dict[str, bool]:
    return {name: name in names for name in params}


def _inner_state(state: Any) -> Any:
    return state.inner_state


def where_all_is_true_it_is_the_inner_one(masked: Masked, inner: Recipe, library: Library) -> None:
    params, _ = given(library)
    assert_alike(masked(inner(), True), inner(), library, _inner_state)
    assert_alike(masked(inner(), _mask(params, *params)), inner(), library, _inner_state)


def where_all_is_false_it_is_the_identity(masked: Masked, inner: Recipe, library: Library) -> None:
    params, days = given(library)
    for mask in (False, _mask(params)):
        tx = masked(inner(), mask)
        ran = run(tx, params, days)
        same = [u is g for us, gs in zip(ran.updates, days, strict=True) for u, g in _pairs(us, gs)]
        assert all(same), "an update is not the gradient that came"
        loaded = moved(tx.init(params), libraries()["numpy"])  # counters of NumPy are numbers
        kept = arrayopt.tree.leaves((tx.init(params), ran.states, tx.update(days[0], loaded, params)[1]))
        assert not [x for x in kept if x.ndim], "something is remembered of what is hidden"
        assert all([dispatch.library(x) == library.name for x in kept]), "a counter is of another library"


def _pairs(some: Any, others: Any) -> list[tuple[Any, Any]]:
    return list(zip(arrayopt.tree.leaves(some), arrayopt.tree.leaves(others), strict=True))


def it_is_the_inner_one_on_the_part(masked: Masked, inner: Recipe, library: Library) -> None:
    """As if there were no other parameters; those have their gradients for updates."""
    params, days = given(library)
    part = [name for name in params if name in _CHOSEN]
    tx, alone = masked(inner(), _mask(params, *part)), inner()
    state, s = tx.init(params), alone.init(_only(params, part))
    for gs in days:
        us, state = tx.update(gs, state, params)
        wanted, s = alone.update(_only(gs, part), s, _only(params, part))
        assert_same(_only(us, part), wanted, "within the mask, the update ")
        assert all(us[name] is gs[name] for name in params if name not in part), "a hidden gradient is not handed on"
        assert leaves(state) == leaves(s), "the state is not that of the part"
        params = arrayopt.apply_updates(params, us)


def _only(tree: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: tree[name] for name in names}


def nested_masks_intersect(masked: Masked, inner: Recipe, library: Library) -> None:
    params, _ = given(library)
    many, few, both = _mask(params, "w", "s", "b"), _mask(params, "w", "o", "z"), _mask(params, "w")
    for outer, within in ((many, few), (few, many)):
        assert_alike(masked(masked(inner(), within), outer), masked(inner(), both), library, _inner_state)


def a_prefix_a_function_and_flags_of_arrays_are_masks(masked: Masked, inner: Recipe, library: Library) -> None:
    """A function is asked for the parameters, or for the updates if there are none; also of a callable tree."""
    params, _ = given(library)
    plain = _mask(params, *_CHOSEN)
    wanted = masked(inner(), plain)
    flags = {name: library.asarray(flag, "bool") for name, flag in plain.items()}
    numpys = {name: np.bool_(flag) for name, flag in plain.items()}

    def made(tree: Any) -> Any:
        return _mask(tree, *_CHOSEN)

    def made_of_numpys(tree: Any) -> Any:
        return numpys

    masks: tuple[Any, ...] = (made, made_of_numpys, flags, numpys)
    for mask in masks:
        assert_alike(masked(inner(), mask), wanted, library)
    branch = {"enc": [params["w"], {"x": params["s"]}], "dec": params["w"]}
    whole = {"enc": [True, {"x": True}], "dec": False}
    short, long = masked(inner(), {"enc": True, "dec": False}), masked(inner(), whole)
    state = long.init(branch)
    assert_same(short.init(branch), state, "with a prefix, the first state")
    wanted = long.update(branch, state, branch)
    assert_same(short.update(branch, state, branch), wanted, "with a prefix, of (update, state) ")


def a_function_is_asked_again_without_parameters(masked: Masked, inner: Recipe, library: Library) -> None:
    """In ``update`` of the parameters, so that it may look at what gradients have not; else of the updates."""
    params, (gs, *_) = given(library)
    asked = list[Any]()

    def mask(tree: Any) -> Any:
        asked.append(tree)
        return _mask(tree, *_CHOSEN)

    tx = masked(arrayopt.scale(2.0), mask)
    state = tx.init(params)
    us, _ = tx.update(gs, state, params)
    assert_same(tx.update(gs, state)[0], us, "without parameters, the update ")
    assert [id(tree) for tree in asked] == [id(params), id(params), id(gs)], "the mask is asked of something else"


def a_hidden_subtree_may_be_one_none(masked: Masked, inner: Recipe, library: Library) -> None:
    """And one within the mask passes through as without it."""
    params, (gs, *_) = given(library)
    branch, days = [{"in": {"a": tree["w"]}, "out": {"b": tree["w"]}} for tree in (params, gs)]
    tx = masked(inner(), {"in": True, "out": False})
    state = tx.init(branch)
    us, _ = tx.update({**days, "out": None}, state, branch)
    assert us["out"] is None
    assert_same(us["in"], tx.update(days, state, branch)[0]["in"], "beside a hidden None, the update ")
    us, new = tx.update({**days, "in": None}, state, branch)
    assert us["in"] in (None, {"a": None})
    assert us["out"]["b"] is gs["w"]
    kept = [[x for x in leaves(s) if x[2]] for s in (new, state)]
    assert kept[0] == kept[1], "without a gradient, the state changes"


def extra_arguments_are_masked_if_that_is_asked_for(masked: Masked, inner: Recipe, library: Library) -> None:
    """Those with the structure of the updates; the others, and otherwise all, reach the inner one as they are."""
    params, (gs, *_) = given(library)
    mask, seen = _mask(params, *_CHOSEN), list[Any]()

    def noted(updates: Any, state: Any, params: Any = None, **extra_args: Any) -> tuple[Any, Any]:
        seen.append(extra_args)
        return updates, state

    noting = arrayopt.GradientTransformationExtraArgs(arrayopt.init_empty_state, noted)
    for compatible in (False, True):
        tx = masked(noting, mask, mask_compatible_extra_args=compatible)
        tx.update(gs, tx.init(params), params, like=params, other=[params], number=0.5)
    (whole, hidden) = seen
    assert whole["like"] is params
    assert all([x["other"][0] is params and x["number"] == 0.5 for x in seen])
    assert [type(x).__name__ for name, x in hidden["like"].items() if name not in _CHOSEN] == ["MaskedNode"] * (
        len(params) - len([name for name in params if name in _CHOSEN])
    )
    assert all([hidden["like"][name] is params[name] for name in params if name in _CHOSEN])
    adding = masked(taking("value"), mask, mask_compatible_extra_args=True)
    us, _ = adding.update(gs, adding.init(params), params, value=params)
    assert_same(us, {name: gs[name] + params[name] if mask[name] else gs[name] for name in gs}, "the update ")


def extra_arguments_that_the_inner_one_has_no_use_for_are_dropped(
    masked: Masked, inner: Recipe, library: Library
) -> None:
    params, (gs, *_) = given(library)
    tx = masked(arrayopt.add_decayed_weights(0.1), _mask(params, *_CHOSEN))
    state = tx.init(params)
    wanted = tx.update(gs, state, params)
    assert_same(tx.update(gs, state, params, value=0.5), wanted, "with a value, of (update, state) ")


class Layer(NamedTuple):
    """A tree that can be called, such as a module of Equinox is."""

    w: Any
    s: Any

    def __call__(self, tree: Any) -> Any:
        raise AssertionError("a tree of bools is called for a mask")


class Nothing(NamedTuple):
    """A function that is a tree without leaves, such as ``jax.tree_util.Partial(f)`` is."""

    def __call__(self, tree: Any) -> Any:
        return Layer(True, False)


def a_tree_of_flags_that_can_be_called_is_a_tree(masked: Masked, inner: Recipe, library: Library) -> None:
    params, gs = [Layer(tree["w"], tree["s"]) for tree in (given(library)[0], given(library)[1][0])]
    arrays = Layer(library.asarray(True, "bool"), library.asarray(False, "bool"))
    for mask in (Layer(True, False), arrays, Layer(np.bool_(True), arrays.s), Nothing()):
        tx = masked(arrayopt.scale(2.0), mask)
        us, _ = tx.update(gs, tx.init(params), params)
        assert us.s is gs.s and us.w is not gs.w, f"with a mask {mask}, the update is {us}"


def what_is_no_mask_is_refused(masked: Masked, inner: Recipe, library: Library) -> None:
    params, (gs, *_) = given(library)
    ones = library.asarray(1.0, "float32")
    for wrong, kind, said in (
        ({**_mask(params), "w": 1}, TypeError, "masked: the mask at ['w'] must be True or False; got int 1."),
        (None, StructureError, "masked: the tree has "),
        ("w", TypeError, "masked: the mask must be True or False; got str 'w'."),
        ({**_mask(params), "w": ones}, TypeError, "masked: the mask at ['w'] must be True or False; got "),
        ({**_mask(params), "w": gs["w"] > 0}, TypeError, "masked: the mask at ['w'] must be True or False; got "),
        ({"w": True}, StructureError, "masked: the tree has "),
    ):
        try:
            tx = masked(inner(), wrong)
            tx.update(gs, tx.init(params), params)
        except kind as error:
            assert str(error).startswith(said), error
        else:
            raise AssertionError(f"a mask {wrong} is taken without complaint")


def a_state_of_something_else_is_refused(masked: Masked, inner: Recipe, library: Library) -> None:
    params, (gs, *_) = given(library)
    try:
        masked(inner(), True).update(gs, inner().init(params), params)
    except TypeError as error:
        assert str(error).startswith("masked: the state must be a MaskedState of inner_state; got "), error
    else:
        raise AssertionError("a state of something else is taken without complaint")
