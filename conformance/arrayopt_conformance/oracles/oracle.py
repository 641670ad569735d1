"""The oracle of a rule: a generator of updates, with all that is to be known of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import update_wrapper
from typing import Any, Concatenate, Generic, Literal, NamedTuple, ParamSpec

import numpy as np

from .words import Array, Leaves, double

Arguments = ParamSpec("Arguments")
Cases = dict[str, dict[str, Any]]
Link = Callable[[Leaves, Iterable[Leaves]], Iterator[Leaves]]  # to the updates, of parameters that another moves
OfLeaves = Callable[Concatenate[Leaves, Iterable[Leaves], Arguments], Iterator[Leaves]]
OfALeaf = Callable[Concatenate[Array, Iterable[Array], Arguments], Iterator[Array]]
Reach = Literal["elementwise", "leafwise", "treewise"]


class Facts(NamedTuple):
    """What is stated of an oracle, see `arrayopt_conformance.oracles`."""

    reach: Reach
    cases: Cases
    meets_nan: bool
    exempt: Mapping[str, str]


class Oracle(Generic[Arguments]):
    """That of a rule, whose name it has; made of ``link``: the same with parameters that another moves, in place."""

    def __init__(self, link: OfLeaves[Arguments], facts: Facts) -> None:
        self.link = link
        self.reach, self.cases, self.meets_nan, self.exempt = facts
        self.name, self.room = link.__name__, link.__module__.rpartition(".")[-1]
        update_wrapper(self, link)

    def __call__(
        self, params: Leaves, gradients: Iterable[Leaves], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Iterator[Leaves]:
        ps = [double(p) for p in params]
        days = ([double(g) for g in gs] for gs in gradients)
        for us in self.link(ps, days, *args, **kwargs):
            yield us
            for p, u in zip(ps, us, strict=True):
                np.add(p, u, out=p)  # in place: every rule of a chain holds this very array


class LeafOracle(Oracle[Arguments]):
    """One made of ``leaf``, the same for one leaf."""

    def __init__(self, leaf: OfALeaf[Arguments], facts: Facts) -> None:
        def link(
            ps: Leaves, gradients: Iterable[Leaves], /, *args: Arguments.args, **kwargs: Arguments.kwargs
        ) -> Iterator[Leaves]:
            today = Today()
            runs = [leaf(p, today.of(i), *args, **kwargs) for i, p in enumerate(ps)]
            for gs in gradients:
                today[:] = gs
                yield [np.asarray(next(run)) for run in runs]

        self.leaf = leaf
        super().__init__(update_wrapper(link, leaf), facts)


class Today(list[Array]):
    """The gradients of a step, for those who see some of them only."""

    def of(self, i: int) -> Iterator[Array]:
        """that of leaf i, of every step"""
        while True:
            yield self[i]

    def among(self, chosen: list[int]) -> Iterator[Leaves]:
        """those of some leaves, of every step"""
        while True:
            yield [self[i] for i in chosen]


def all_leaves(
    *, reach: Reach, cases: Cases, meets_nan: bool = False, exempt: Mapping[str, str] | None = None
) -> Callable[[OfLeaves[Arguments]], Oracle[Arguments]]:
    """makes an oracle of a rule of all leaves, ``(ps, gradients) -> updates``; it may read the ps and moves none"""
    facts = Facts(reach, cases, meets_nan, exempt or {})
    return lambda link: Oracle(link, facts)


def leaf_by_leaf(
    *, reach: Reach, cases: Cases, meets_nan: bool = False, exempt: Mapping[str, str] | None = None
) -> Callable[[OfALeaf[Arguments]], LeafOracle[Arguments]]:
    """lifts a rule of one leaf, ``(p, gradients) -> updates``, to lists of leaves"""
    facts = Facts(reach, cases, meets_nan, exempt or {})
    return lambda leaf: LeafOracle(leaf, facts)
