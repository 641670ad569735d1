"""Hypothesis strategies for nested trees of every kind of container, with leaves that are 0-d, empty or plain."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import arrayopt

# The same examples in every run, none kept on disk, none timed.
SETTINGS = settings(
    max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

_SHAPES: list[tuple[int, ...]] = [(), (1,), (3,), (2, 3), (0,), (2, 0)]


class Pair(NamedTuple):
    """A NamedTuple of parameters."""

    left: Any
    right: Any


@dataclass
class Box:
    """A dataclass of parameters."""

    inside: Any
    beside: Any = None


@dataclass(frozen=True)
class Sealed:
    """One that cannot be assigned to."""

    inside: Any


def _ordered(items: Mapping[str, Any]) -> OrderedDict[str, Any]:
    return OrderedDict(reversed(list(items.items())))


def _counting(items: Mapping[str, Any]) -> defaultdict[str, Any]:
    return defaultdict(list, items)


_TEXT = st.text("abc", min_size=1, max_size=2)
_ANY_KEY = st.one_of(_TEXT, st.integers(0, 3), st.tuples(st.integers(0, 3)))  # no order between them


def _familiar(trees: st.SearchStrategy[Any]) -> list[st.SearchStrategy[Any]]:
    """Containers that JAX takes for what we take them."""
    named = st.dictionaries(_TEXT, trees, max_size=3)
    few = st.lists(trees, max_size=3)
    return [named, named.map(_ordered), named.map(_counting), few, few.map(tuple), st.builds(Pair, trees, trees)]


def _every(trees: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Also dicts whose keys have no order, and dataclasses, which JAX refuses or takes for leaves."""
    unordered = st.dictionaries(_ANY_KEY, trees, max_size=3)
    return st.one_of(*_familiar(trees), unordered, st.builds(Box, trees, trees), st.builds(Sealed, trees))


_LEAVES: st.SearchStrategy[Any] = st.builds(np.zeros, st.sampled_from(_SHAPES))
_TIPS = st.one_of(_LEAVES, st.none())


def _one_familiar(trees: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*_familiar(trees))


def _present(tree: Any) -> bool:
    """None alone is no parameters at all."""
    return tree is not None


familiar: st.SearchStrategy[Any] = st.recursive(_TIPS, _one_familiar, max_leaves=8).filter(_present)
trees: st.SearchStrategy[Any] = st.recursive(_TIPS, _every, max_leaves=8).filter(_present)


def filled(tree: Any, seed: int, dtype: str = "float32") -> Any:
    """The tree with standard-normal numbers in its leaves."""
    rng = np.random.default_rng(seed)

    def numbers(x: Any) -> Any:
        return np.asarray(rng.standard_normal(x.shape), dtype=dtype)

    return arrayopt.tree.map(numbers, tree)
