"""Many leaves and deep trees: work grows as the tree does, and no depth is too deep."""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import arrayopt
from arrayopt.tree import StructureError, flatten
from arrayopt.tree.align import places, prefix_leaves, subtrees
from arrayopt.tree.reading import reader

DEEP = 1200  # Python's stack holds 1000 calls; what walks cost grows as the square


@dataclass
class Node:
    x: Any
    below: Any


class Pair(NamedTuple):
    x: Any
    below: Any


LINKS: dict[str, Callable[[Any, Any], Any]] = {
    "dict": lambda x, below: {"x": x, "z": below},
    "list": lambda x, below: [x, below],
    "tuple": lambda x, below: (below, x),
    "NamedTuple": Pair,
    "OrderedDict": lambda x, below: OrderedDict(z=below, x=x),
    "defaultdict": lambda x, below: defaultdict(list, x=x, z=below),
    "dataclass": Node,
}


def deep(depth: int, link: Callable[[Any, Any], Any], leaf: Callable[[], Any]) -> Any:
    tree = leaf()
    for _ in range(depth):
        tree = link(leaf(), tree)
    return tree


def ones() -> Any:
    return np.ones(1)


SHAPES: dict[str, Callable[[int], Any]] = {
    "one dict": lambda n: {f"k{i:06d}": np.ones(1) for i in range(n)},
    "one list": lambda n: [np.ones(1) for _ in range(n)],
    "layers": lambda n: {f"l{i}": {"w": np.ones(1), "b": [np.ones(1), None]} for i in range(n // 2)},
    "unordered keys": lambda n: {frozenset({i, i + 1}): np.ones(1) for i in range(n)},
    "deep": lambda n: deep(n // 4, LINKS["dict"], ones),
}


def calls(f: Callable[[], Any]) -> int:
    """How many functions are called, Python's own included: a count, where a time would depend on the machine."""
    count = 0

    def look(frame: Any, event: str, _: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(look)
    try:
        f()
    finally:
        sys.setprofile(None)
    return count


def stepped(tx: Any, step: Any = None) -> Callable[[Any], Any]:
    """A step from new state, made before the count."""

    def prepared(tree: Any) -> Callable[[], Any]:
        grads, state = arrayopt.tree.ones_like(tree), tx.init(tree)
        if step is not None:
            return lambda: step(tree, grads, state)
        return lambda: arrayopt.apply_updates(tree, tx.update(grads, state, tree)[0])

    return prepared


def aligned(tree: Any) -> Any:
    """With a hole, so that structures are not simply equal."""
    leaves, spec = flatten(tree)
    holed = flatten(spec.unflatten([None, *leaves[1:]]))[1]
    return places(holed, spec)


def refused(tree: Any) -> None:
    leaves, spec = flatten(tree)
    with pytest.raises(StructureError):
        places(flatten(spec.unflatten([*leaves[:-1], [1.0]]))[1], spec)


def each_path(tree: Any) -> None:
    spec = flatten(tree)[1]
    for place in range(0, spec.size, max(1, spec.size // 10)):
        spec.path(place)


def all_true(tree: Any) -> Any:
    return arrayopt.tree.map(lambda x: True, tree)


ADAM = arrayopt.adam(0.1)
WORK: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "flatten": lambda tree: lambda: flatten(tree),
    "unflatten": lambda tree: lambda: flatten(tree)[1].unflatten(flatten(tree)[0]),
    "==": lambda tree: lambda: flatten(tree)[1] == flatten(tree)[1],
    "hash": lambda tree: lambda: hash(flatten(tree)[1]),
    "paths": lambda tree: lambda: flatten(tree)[1].paths(),
    "path": lambda tree: lambda: each_path(tree),
    "places": lambda tree: lambda: aligned(tree),
    "a mismatch": lambda tree: lambda: refused(tree),
    "subtrees": lambda tree: lambda: subtrees(flatten(tree)[1], tree),
    "prefix_leaves": lambda tree: lambda: prefix_leaves(tree, tree),
    "reader": lambda tree: lambda: reader(flatten(tree)[1])(tree, []),
    "map": lambda tree: lambda: arrayopt.tree.map(lambda x, y: x, tree, tree),
    "get": lambda tree: lambda: arrayopt.tree.get_all_with_path(tree, "b"),
    "set": lambda tree: lambda: arrayopt.tree.set({"a": tree, "new": 1}, new=2),
    "map_params": lambda tree: lambda: arrayopt.tree.map_params(ADAM, lambda x: x, ADAM.init(tree)),
    "norm": lambda tree: lambda: arrayopt.tree.norm(tree),
    "init": lambda tree: lambda: ADAM.init(tree),
    "update": stepped(ADAM),
    "masked": stepped(arrayopt.masked(ADAM, all_true)),
    "masked by a prefix": stepped(arrayopt.masked(ADAM, True)),
    "chain": stepped(arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.scale(-0.1))),
    "fused, eagerly": stepped(ADAM, arrayopt.fused_step(ADAM, engine="eager")),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("work", WORK)
def test_work_grows_as_the_tree_does(work: str, shape: str) -> None:
    few, many = [WORK[work](SHAPES[shape](n)) for n in (100, 400)]
    few(), many()  # what is done once is done now
    assert calls(many) <= 5 * calls(few)


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_walks_of_deep_trees(link: Any) -> None:
    tree = deep(DEEP, link, ones)
    leaves, spec = flatten(tree)
    assert spec.size == DEEP + 1
    again = spec.unflatten(leaves)
    assert [x is y for x, y in zip(flatten(again)[0], leaves, strict=True)] == [True] * spec.size
    other = flatten(again)[1]
    assert other == spec and hash(other) == hash(spec)
    assert flatten(deep(DEEP, link, list))[1] != spec
    assert len(aligned(tree)) == DEEP
    assert spec.path(DEEP // 2) == spec.paths()[DEEP // 2]
    read: list[Any] = []
    assert reader(spec)(tree, read) and len(read) == spec.size
    assert not reader(spec)(deep(DEEP - 1, link, ones), [])
    refused(tree)
    repr(spec)


@pytest.mark.parametrize("link", ["dict", "NamedTuple", "dataclass"])
def test_searches_of_deep_trees(link: str) -> None:
    tree = deep(DEEP, LINKS[link], ones)
    named = {"in": tree, "out": {"name": 1}}
    assert arrayopt.tree.get(named, "name") == 1
    assert arrayopt.tree.get(arrayopt.tree.set(named, name=2), "name") == 2
    everywhere = arrayopt.tree.set(tree, lambda path, x: isinstance(x, np.ndarray), x=7)
    assert len([x for x in flatten(everywhere)[0] if type(x) is int]) == DEEP
    assert len(prefix_leaves(tree, tree)) == DEEP + 1


CLIPPED = arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.sgd(0.1, momentum=0.9))


@pytest.mark.parametrize(
    ("tx", "library", "depth"),
    [
        (ADAM, "numpy", 900),
        (ADAM, "torch", 900),
        (ADAM, "numpy", DEEP),
        (CLIPPED, "torch", DEEP),
        (arrayopt.masked(arrayopt.adamw(0.1), all_true), "numpy", DEEP),
    ],
)
def test_steps_on_deep_trees(tx: Any, library: str, depth: int) -> None:
    every = depth // 10
    make = pytest.importorskip(library).ones
    params: Any = make(1)
    for i in range(depth):
        params = {"w": make(1), "z": params} if i % every == 0 else [params]
    grads, state = arrayopt.tree.ones_like(params), tx.init(params)
    updates, state = tx.update(grads, state, params)
    new = flatten(arrayopt.apply_updates(params, updates))[0]
    assert [bool(x < 1.0) for x in new] == [True] * 11
    step = arrayopt.fused_step(tx, engine="eager")
    stepped_params, state = step(params, grads, state)
    stepped_params, state = step(stepped_params, grads, state)
    assert [bool(x < y) for x, y in zip(flatten(stepped_params)[0], new, strict=True)] == [True] * len(new)


def test_a_hundred_thousand_leaves() -> None:
    tree: Any = {f"k{i}": [1.0] for i in range(50_000)}
    tree["list"] = [1.0] * 50_000
    leaves, spec = flatten(tree)
    assert len(leaves) == 100_000
    assert flatten(spec.unflatten(leaves))[1] == spec
    assert len({spec.path(place) for place in range(0, spec.size, 10)}) == 10_000
    holed = {**tree, "k0": None}
    assert len(places(flatten(holed)[1], spec)) == 99_999
    with pytest.raises(StructureError) as caught:
        subtrees(spec, {**tree, "new": 1.0}, "x")
    assert str(caught.value).endswith("Only the former has ['new'].") and len(str(caught.value)) < 400


def test_jax_traces_deep_trees() -> None:
    jax = pytest.importorskip("jax")
    spec = flatten(deep(DEEP, lambda _, below: {"z": [below]}, ones))[1]

    def total(x: Any) -> Any:
        found = spec.unflatten([x])
        return arrayopt.tree.sum(arrayopt.tree.map(lambda x, y: x * y, found, found))

    assert jax.jit(total)(jax.numpy.ones(3)) == 3
