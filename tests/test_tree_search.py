"""State by name: found, changed, mapped."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import arrayopt

P = {"w": np.ones((2, 3)), "b": np.ones(3)}


def state(tx: Any) -> Any:
    return tx.init(P)


def test_fields_keys_and_classes_are_names() -> None:
    found = state(arrayopt.adam(0.1))
    assert arrayopt.tree.get(found, "nu") is found[0].nu
    assert arrayopt.tree.get(found, "ScaleByAdamState") is found[0]
    assert [path for path, _ in arrayopt.tree.get_all_with_path(found, "w")] == ["[0].mu['w']", "[0].nu['w']"]
    assert arrayopt.tree.get(found, "w", filtering=lambda path, _: ".nu" in path) is found[0].nu["w"]
    assert arrayopt.tree.get(found, "absent", default=3) == 3


def test_several_of_one_name_are_an_error() -> None:
    two = state(arrayopt.adam(arrayopt.constant_schedule(0.1)))
    with pytest.raises(KeyError, match=r"count must name one thing; it names \[0\]\.count, \[1\]\.count"):
        arrayopt.tree.get(two, "count")


def test_set_replaces_all_of_the_name() -> None:
    two = state(arrayopt.adam(arrayopt.constant_schedule(0.1)))
    new = arrayopt.tree.set(two, count=7)
    assert (new[0].count, new[1].count) == (7, 7)
    assert new[0].mu["w"] is two[0].mu["w"]
    only = arrayopt.tree.set(two, lambda path, _: path.startswith("[1]"), count=7)
    assert only[0].count is two[0].count
    assert arrayopt.tree.set(two, ScaleByScheduleState=None)[1] is None
    with pytest.raises(KeyError, match="lr must name something"):
        arrayopt.tree.set(two, lr=1.0)


@pytest.mark.parametrize(
    "tx",
    [
        arrayopt.adam(0.1),
        arrayopt.contrib.ademamix(0.1),
        arrayopt.sgd(0.1, momentum=0.9),
        arrayopt.adafactor(0.1, min_dim_size_to_factor=2),
        arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adamw(arrayopt.linear_schedule(1.0, 0.0, 3))),
        arrayopt.masked(arrayopt.adam(0.1), {"w": True, "b": False}),
        arrayopt.adamw(0.1, mask=lambda params: arrayopt.tree.map(lambda x: x.ndim > 1, params)),
    ],
)
def test_map_params_finds_what_mirrors_the_parameters(tx: Any) -> None:
    marked = arrayopt.tree.map_params(tx, lambda x: "slot", state(tx), transform_non_params=lambda x: "other")
    leaves, spec = arrayopt.tree.flatten(marked)
    for path, leaf in zip(spec.paths(), leaves, strict=True):
        assert (leaf == "slot") == ("['w']" in path or "['b']" in path), path


def test_names_are_whole_keys() -> None:
    tree = {"23": 1, 23: 2, "it's": 3, "a\nb": 4, "list": [0] * 1300, "mu": {"mu": 5}}
    for key, value in (("23", 1), ("it's", 3), ("a\nb", 4)):
        assert arrayopt.tree.get(tree, key) == value
        assert arrayopt.tree.set(tree, **{key: 7})[key] == 7
    assert arrayopt.tree.set(tree, **{"23": 7})["list"] == tree["list"]
    assert arrayopt.tree.get(tree, "'23'") is None
    assert [path for path, _ in arrayopt.tree.get_all_with_path(tree, "mu")] == ["['mu']", "['mu']['mu']"]
    assert arrayopt.tree.set(tree, mu=6)["mu"] == 6


def test_a_field_called_as_its_class_is_found_once() -> None:
    class Inner(NamedTuple):
        x: Any

    assert arrayopt.tree.get({"Inner": Inner(1)}, "Inner") == Inner(1)
    assert arrayopt.tree.set({"Inner": Inner(1)}, Inner=2) == {"Inner": 2}


def test_map_params_takes_further_trees() -> None:
    tx = arrayopt.adam(0.1)
    named = arrayopt.tree.map_params(tx, lambda x, name: name, state(tx), {"w": "matrix", "b": "vector"})
    assert named[0].mu == {"w": "matrix", "b": "vector"}


def test_optax_maps_our_states() -> None:
    optax = pytest.importorskip("optax")
    jnp = pytest.importorskip("jax.numpy")
    tx = arrayopt.adamw(0.1)
    shapes = optax.tree.map_params(tx, lambda x: x.shape, tx.init({"w": jnp.ones((2, 3))}))
    assert shapes[0].nu == {"w": (2, 3)}
