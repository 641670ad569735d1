"""A case: a rule, a tree, how its arrays lie, and what the caller does before each of a few steps."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from arrayopt_conformance.fuzz.memory import LAYOUTS
from arrayopt_conformance.fuzz.rules import ELSEWHERE, RULES
from arrayopt_conformance.harness.forests import Box, Pair, Sealed
from arrayopt_conformance.libraries import libraries


class Leaf(NamedTuple):
    """One leaf: its parameter, and how that and its gradients lie."""

    shape: tuple[int, ...]
    dtype: str
    layout: str = "C"
    gradients: str = "C"


class Move(NamedTuple):
    """What the caller does before a step: its name, and two numbers that say where and how."""

    name: str
    which: int = 0
    how: int = 0


class Case(NamedTuple):
    """A run to be tried. Its ``repr`` makes it again."""

    library: str
    engine: str | None
    rule: str
    tree: str
    leaves: tuple[Leaf, ...]
    moves: tuple[Move, ...]
    seed: int = 0


KEYS: list[Any] = [1, "x", (2,), "1", None, 0.5, b"b", frozenset[int]()]  # no order between them

TREES: dict[str, Callable[[Sequence[Any]], Any]] = {
    "dict": lambda x: dict(zip("abcdefgh", x, strict=False)),
    "renamed": lambda x: dict(zip("ABCDEFGH", x, strict=False)),
    "integer keys": lambda x: dict(enumerate(x)),
    "mixed keys": lambda x: dict(zip(KEYS, x, strict=False)),
    "list": list,
    "tuple": tuple,
    "pair": lambda x: Pair(x[0], list(x[1:])),
    "box": lambda x: Box(x[0], {"r": tuple(x[1:])}),
    "sealed": lambda x: Sealed([Sealed(leaf) for leaf in x]),
    "nested": lambda x: {"a": [x[0], ({"b": list(x[1:])},)], "c": ()},
    "with None": lambda x: {"a": None, "b": [x[0], None, *x[1:]], "c": (None,)},
    "with empty ones": lambda x: [{}, (), list(x), [[]], Pair({}, ())],
    "ordered": lambda x: OrderedDict(zip("hgfedcba", x, strict=False)),
    "one": lambda x: x[0],
}
"""By name: how leaves become a tree."""

SHAPES = [(), (1,), (5,), (3, 4), (2, 3, 2), (1, 6), (6, 1), (0,), (0, 3)]
LARGE = (70_001,)  # more than one task of a kernel
ENGINES: dict[str, list[str | None]] = {
    "numpy": [None, "numba", "tiles", "eager"],
    "torch": [None, "numba", "tiles", "eager"],
    "jax": [None, "jit", "eager"],
}
DTYPES = {
    "numpy": ["float32", "float64", "float16", "bfloat16", "complex64"],
    "torch": ["float32", "float64", "float16", "bfloat16", "complex64"],
    "jax": ["float32", "bfloat16", "float16", "complex64"],
}


def rules_of(library: str) -> list[str]:
    """The names of the rules that a library can be tried with."""
    return [name for name in RULES if library in ELSEWHERE.get(name, (library,))]


def cases(
    names: Sequence[str],
    moves: Callable[[str], Sequence[str]],
    *,
    engines: Sequence[str | None] | None = None,
    rules: Sequence[str] | None = None,
    dtypes: Sequence[str] | None = None,
    longest: int = 8,
) -> st.SearchStrategy[Case]:
    """Cases.

    Args:
      names: those of the libraries to draw from.
      moves: the names of the moves that a library knows.
      engines: those to draw from; by default all that a library has.
      rules: names of those to draw from; by default all.
      dtypes: names of those to draw from; by default all.
      longest: the greatest number of moves.
    """

    def of(library: str) -> st.SearchStrategy[Case]:
        known = libraries()[library].dtypes
        kinds = [kind for kind in DTYPES[library] if kind in known and (dtypes is None or kind in dtypes)]
        one = st.builds(
            Leaf,
            st.one_of(st.sampled_from(SHAPES), st.sampled_from(SHAPES[2:4])),
            st.one_of(st.sampled_from(kinds[:1]), st.sampled_from(kinds)),
            st.one_of(st.just("C"), st.just("C"), st.sampled_from(LAYOUTS)),
            st.one_of(st.just("C"), st.just("C"), st.sampled_from(LAYOUTS)),
        )
        alike = one.flatmap(lambda leaf: st.integers(2, 4).map(lambda n: (leaf,) * n))
        large = one.map(lambda leaf: (leaf._replace(shape=LARGE), leaf))
        some = st.lists(one, min_size=1, max_size=4).map(tuple)
        move = st.builds(Move, st.sampled_from(list(moves(library))), st.integers(0, 7), st.integers(0, 15))
        plain = st.just(Move("plain"))
        return st.builds(
            Case,
            st.just(library),
            st.sampled_from(ENGINES[library] if engines is None else _served(library, engines)),
            st.sampled_from([r for r in rules_of(library) if rules is None or r in rules]),
            st.sampled_from(list(TREES)),
            st.one_of(some, some, some, alike, alike, alike, large) if library != "jax" else st.one_of(some, alike),
            st.lists(st.one_of(move, move, move, plain), min_size=2, max_size=longest).map(tuple),
            st.integers(0, 99),
        )

    return st.sampled_from(list(names)).flatmap(of)


def _served(library: str, engines: Sequence[str | None]) -> list[str | None]:
    """Those of some engines that a library has; ``"cuda"`` is there where somebody emulates it."""
    return [name for name in engines if name in ENGINES[library] or name == "cuda"]


def by_repr(text: str) -> Case:
    """The case that was printed."""
    names: dict[str, Any] = {"Case": Case, "Leaf": Leaf, "Move": Move}
    found: Case = eval(text, names)
    return found
