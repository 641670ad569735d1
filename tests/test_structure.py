"""Trees taken apart and put together: containers, order, registries, paths, alignment."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

from arrayopt.tree import StructureError, flatten
from arrayopt.tree.align import places, subtrees
from arrayopt.tree.structure import LEAF


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass
class Layer:
    weight: Any
    bias: Any = None
    name: str = field(default="dense", metadata={"static": True})


@dataclass(frozen=True)
class Frozen:
    x: Any


TREES = [
    1.0,
    None,
    {},
    [],
    (),
    {"b": 1, "a": 2},
    {1: "x", "a": "y", (2,): "z"},
    OrderedDict([("b", 1), ("a", 2)]),
    defaultdict(list, {"b": 1, "a": None}),
    Pair([1, None], {"k": (2,)}),
    Layer(1, [2, 3]),
    Frozen({"x": 1}),
    [(1, [2, {"c": Pair(3, None)}]), None],
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_unflatten_restores_the_tree(tree: Any) -> None:
    leaves, spec = flatten(tree)
    again = spec.unflatten(leaves)
    assert again == tree
    assert type(again) is type(tree)
    assert spec.size == len(leaves) == len(spec.paths())
    assert flatten(again)[1] == spec
    assert hash(flatten(again)[1]) == hash(spec)


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_each_path_leads_to_its_leaf(tree: Any) -> None:
    leaves, spec = flatten(tree)
    for path, leaf in zip(spec.paths(), leaves, strict=True):
        assert eval(f"tree{path}", {"tree": tree}) == leaf


def test_different_structures_differ() -> None:
    specs = [flatten(tree)[1] for tree in TREES]
    assert len(set(specs)) == len(TREES)


def test_dicts_are_read_by_sorted_key_and_rebuilt_in_the_callers_order() -> None:
    leaves, spec = flatten({"b": 1, "a": 2})
    assert leaves == [2, 1]
    assert list(spec.unflatten([20, 10]).items()) == [("b", 10), ("a", 20)]
    assert spec == flatten({"a": 0, "b": 0})[1]


def test_ordered_dicts_keep_their_order() -> None:
    assert flatten(OrderedDict([("b", 1), ("a", 2)]))[0] == [1, 2]


def test_defaultdict_keeps_its_factory() -> None:
    leaves, spec = flatten(defaultdict(list, {"a": 1}))
    again = spec.unflatten(leaves)
    assert again["new"] == []


def test_static_fields_of_a_dataclass_belong_to_the_structure() -> None:
    assert flatten(Layer(1, 2))[1] != flatten(Layer(1, 2, name="other"))[1]
    assert flatten(Layer(1, 2))[0] == [1, 2]


def test_is_leaf_stops_the_walk() -> None:
    leaves, _ = flatten([None, (1, 2)], is_leaf=lambda x: x is None or isinstance(x, tuple))
    assert leaves == [None, (1, 2)]


def test_unknown_objects_are_leaves() -> None:
    odd = object()
    assert flatten([odd])[0] == [odd]
    assert flatten(odd)[1] is LEAF


@pytest.mark.parametrize(
    ("inner", "outer", "found"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, [0, 1]),
        ({"a": None, "b": 2}, {"a": 1, "b": 2}, [1]),
        ({"a": None, "b": 2}, {"a": [1, 2, (3,)], "b": 2}, [3]),
        (None, {"a": 1}, []),
        ([None, [1, None]], [(1, 2), [3, 4]], [2]),
    ],
)
def test_none_stands_for_any_subtree(inner: Any, outer: Any, found: list[int]) -> None:
    assert places(flatten(inner)[1], flatten(outer)[1]) == found


@pytest.mark.parametrize(
    ("inner", "outer", "message"),
    [
        ({"a": 1}, {"b": 1}, "x has dict(['a']), y has dict(['b'])."),
        ({"l": [1, 2]}, {"l": [1]}, "x has list([0], [1]) at ['l'], y has list([0])."),
        ({"l": [1, 2]}, {"l": [1, None]}, "x has an array at ['l'][1], y has None."),
        ([1], (1,), "x has list([0]), y has tuple([0])."),
        (1, [1], "x has an array, y has list([0])."),
    ],
)
def test_a_mismatch_names_both_and_the_path(inner: Any, outer: Any, message: str) -> None:
    with pytest.raises(StructureError) as caught:
        places(flatten(inner)[1], flatten(outer)[1], "x", "y")
    assert str(caught.value) == message


def test_subtrees_gives_what_lies_below_a_prefix() -> None:
    assert subtrees(flatten({"a": 0, "b": 0})[1], {"a": [1, 2], "b": None}) == [[1, 2], None]
    assert subtrees(flatten({"a": [0, 0]})[1], {"a": None}) == [None, None]
    with pytest.raises(StructureError, match=r"\['a'\]"):
        subtrees(flatten({"a": [0, 0]})[1], {"a": 1})


def test_a_spec_of_plain_containers_survives_many_leaves() -> None:
    tree = {f"k{i}": [float(i)] * 3 for i in range(1000)}
    leaves, spec = flatten(tree)
    assert spec.unflatten(leaves) == tree
    assert len(leaves) == 3000


def test_state_pickles() -> None:
    import arrayopt

    state = arrayopt.adam(0.1).init({"w": np.ones(2)})
    again = pickle.loads(pickle.dumps(state))
    assert flatten(again)[1] == flatten(state)[1]


JAX_NODES = """
import sys
import numpy as np
from arrayopt.tree import flatten
assert "jax" not in sys.modules
import jax
class Box:
    def __init__(self, x): self.x = x
assert len(flatten([Box(1), Box(2)])[0]) == 2 and type(flatten(Box(1))[0][0]) is Box
jax.tree_util.register_pytree_node(Box, lambda b: ((b.x,), None), lambda _, c: Box(*c))
leaves, spec = flatten({"b": Box([1, 2])})
assert leaves == [1, 2], leaves
assert spec.unflatten([3, 4])["b"].x == [3, 4]
assert spec == flatten({"b": Box([5, 6])})[1]
print(spec.paths())
"""

TORCH_NODES = """
import sys
from arrayopt.tree import flatten
import torch
import torch.utils._pytree as pytree
class Box:
    def __init__(self, x): self.x = x
pytree.register_pytree_node(Box, lambda b: ([b.x], None), lambda c, _: Box(*c), serialized_type_name="Box")
leaves, spec = flatten({"b": Box([1, 2])})
assert leaves == [1, 2], leaves
assert spec.unflatten([3, 4])["b"].x == [3, 4]
assert "jax" not in sys.modules
print(spec.paths())
"""


@pytest.mark.parametrize(("library", "program"), [("jax", JAX_NODES), ("torch", TORCH_NODES)])
def test_nodes_registered_elsewhere_are_seen(library: str, program: str) -> None:
    pytest.importorskip(library)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "['b']" in done.stdout


@pytest.mark.parametrize("tree", [t for t in TREES if not isinstance(t, (Layer, Frozen))], ids=repr)
def test_leaf_order_is_that_of_jax(tree: Any) -> None:
    jax = pytest.importorskip("jax")
    if isinstance(tree, dict) and len({type(key) for key in tree}) > 1:
        with pytest.raises(ValueError):
            jax.tree.leaves(tree)
        return
    assert flatten(tree)[0] == jax.tree.leaves(tree)
