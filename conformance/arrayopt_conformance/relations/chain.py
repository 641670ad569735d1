"""Chains: associative, with the identity for none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import arrayopt
from arrayopt_conformance.harness.compare import assert_same
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library
from arrayopt_conformance.relations.steps import assert_alike, given, taking

Chain = Callable[..., Any]


def of_one_link_it_is_that(chain: Chain, inner: Recipe, library: Library) -> None:
    assert_alike(chain(inner()), inner(), library, lambda state: state[0])


def of_none_it_is_the_identity(chain: Chain, inner: Recipe, library: Library) -> None:
    del inner
    assert chain().init(given(library)[0]) == ()
    assert_alike(chain(), arrayopt.identity(), library, lambda state: arrayopt.EmptyState(*state))


def identities_drop_out(chain: Chain, inner: Recipe, library: Library) -> None:
    assert_alike(chain(inner(), arrayopt.identity()), inner(), library, lambda state: state[0])
    assert_alike(chain(arrayopt.identity(), inner()), inner(), library, lambda state: state[1])


def it_is_associative(chain: Chain, inner: Recipe, library: Library) -> None:
    a, b, c = arrayopt.trace(0.9), inner(), arrayopt.add_decayed_weights(0.1)
    assert_alike(chain(chain(a, b), c), chain(a, b, c), library, lambda state: (*state[0], state[1]))
    assert_alike(chain(a, chain(b, c)), chain(a, b, c), library, lambda state: (state[0], *state[1]))


def each_link_is_given_what_the_one_before_made(chain: Chain, inner: Recipe, library: Library) -> None:
    """One after the other by hand, with the same parameters."""
    params, days = given(library)
    first, second = inner(), arrayopt.add_decayed_weights(0.1)
    tx = chain(first, second)
    state, (s, t) = tx.init(params), (first.init(params), second.init(params))
    for gs in days:
        us, state = tx.update(gs, state, params)
        wanted, s = first.update(gs, s, params)
        wanted, t = second.update(wanted, t, params)
        assert_same((us, state), (wanted, (s, t)), "of (update, state) ")


def extra_arguments_reach_those_that_take_them(chain: Chain, inner: Recipe, library: Library) -> None:
    params, (gs, *_) = given(library)
    tx = chain(taking("value"), inner(), taking("value"))
    plain = inner()
    us, state = tx.update(gs, tx.init(params), params, value=params)
    wanted, s = plain.update(arrayopt.tree.add(gs, params), plain.init(params), params)
    assert_same((us, state[1]), (arrayopt.tree.add(wanted, params), s), "of (update, state) ")


def a_state_of_another_length_is_refused(chain: Chain, inner: Recipe, library: Library) -> None:
    params, (gs, *_) = given(library)
    tx = chain(inner(), arrayopt.identity())
    (state, none) = tx.init(params)
    assert_same(tx.update(gs, [state, none], params), tx.update(gs, (state, none), params), "with a list ")
    for wrong, said in (
        ((), "one of 0"),
        ((state,), "one of 1"),
        ((state, none, none), "one of 3"),
        ({}, "dict"),
        ({1: state, 2: none}, "dict"),
    ):
        try:
            tx.update(gs, wrong, params)
        except ValueError as error:
            assert str(error) == f"chain: the state must be a tuple of 2; got {said}. Call init first."
        else:
            raise AssertionError(f"a state {wrong} of two links is taken without complaint")


def a_link_must_be_a_transform(chain: Chain, inner: Recipe, library: Library) -> None:
    del library
    try:
        chain(inner(), inner)
    except TypeError as error:
        assert str(error).startswith("chain: transform 1 must have init and update; got ")
    else:
        raise AssertionError("a function is taken for a transform")
