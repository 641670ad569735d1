"""Trees come apart and together again as they were, in the order JAX has where JAX can take them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

import arrayopt
from arrayopt.tree.structure import flatten
from arrayopt_conformance.harness.compare import assert_same, by_path
from arrayopt_conformance.harness.forests import SETTINGS, familiar, filled, trees


@SETTINGS
@given(trees)
def test_a_tree_is_put_together_again(tree: Any) -> None:
    leaves, spec = flatten(tree)
    again = spec.unflatten(leaves)
    others, same = flatten(again)
    assert type(again) is type(tree)
    assert all(a is b for a, b in zip(leaves, others, strict=True))
    assert same == spec
    assert hash(same) == hash(spec)


@SETTINGS
@given(trees)
def test_paths_are_one_for_each_leaf(tree: Any) -> None:
    leaves, spec = flatten(tree)
    assert len(spec.paths()) == spec.size == len(leaves)
    assert len(set(spec.paths())) == len(leaves)


@SETTINGS
@given(familiar)
def test_leaves_come_in_the_order_of_jax(tree: Any) -> None:
    jax = pytest.importorskip("jax")
    ours, theirs = arrayopt.tree.leaves(tree), jax.tree.leaves(tree)
    assert all(a is b for a, b in zip(ours, theirs, strict=True))


@SETTINGS
@given(trees)
def test_updates_are_applied_leaf_by_leaf(tree: Any) -> None:
    params, updates = filled(tree, 0), filled(tree, 1)
    moved = by_path(arrayopt.apply_updates(params, updates))
    for path, p in by_path(params).items():
        assert_same(moved[path], np.asarray(p + by_path(updates)[path]), path)


@SETTINGS
@given(trees)
def test_a_tree_of_none_moves_nothing(tree: Any) -> None:
    params = filled(tree, 0)

    def nothing(x: Any) -> None:
        del x

    assert_same(arrayopt.apply_updates(params, arrayopt.tree.map(nothing, params)), params, "without updates ")
