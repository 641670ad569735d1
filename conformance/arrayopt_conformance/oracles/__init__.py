"""Every update rule a second time: plain NumPy in double precision, from its paper.

An oracle shares no code with what it judges. One file per public rule, named after it, holds

- ``oracle(params, gradients, **arguments)``, with the rule's own argument names and defaults. It yields
  the updates of every step, one array per leaf, and moves its copy of the parameters by them before the
  next step. Complex leaves are complex128, their second moments real.
- ``CASES``, named sets of arguments: between them every argument has a value that matters within twelve
  steps of standard-normal gradients on leaves of ``SHAPES``. Schedules stand there as ``Schedule`` markers,
  transforms as ``Inner``, functions that make one as ``Maker``, dtypes as names ("float32"); ``Power``,
  ``Hyperbola``, ``Matrices`` and ``Backwards`` can be called as they are.
- ``REACH``: "elementwise", "leafwise" or "treewise"; of a wrapper, what it adds to that of the inner transforms.
- ``MEETS_NAN = True`` if some gradients are to hold NaN.
- ``EXEMPT``, the laws that the rule does not promise to hold, each with the reason, if there are any.

Most rules see one leaf at a time. They are written for one leaf under ``leaf_by_leaf``, as generators from
gradients to updates, so that a chain of rules is a chain of generators::

    @leaf_by_leaf
    def oracle(p, gs, *, learning_rate, b1=0.9):
        us = ema.leaf(p, gs, decay=b1)
        return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)

Others see all leaves at once and are written under ``all_leaves``: generators of lists of updates. So are wrappers,
which make a transform of others: the oracle is given a ``Link`` for each ``Inner``, and moves nothing itself.
``*transforms`` stand in ``CASES`` by their name.

Letters: p parameter, g gradient, u update, k = 0, 1, … the step counted from zero, t = k + 1.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
ScalarOrSchedule = float | Callable[[int], float]
Cases = dict[str, dict[str, Any]]
Tree = Array | list["Tree"] | dict[str, "Tree"]
Arguments = ParamSpec("Arguments")

SHAPES: list[tuple[int, ...]] = [
    *[(), (5,), (0, 4)],
    *[(4, 6), (6, 4), (3, 5, 4), (5, 3, 4)],  # the largest axes in every place
    *[(2, 8, 8), (8, 2, 8), (4, 6, 4), (4, 4, 4)],  # and tied
]


Leaves = list[Array]
Link = Callable[[Leaves, Iterable[Leaves]], Iterator[Leaves]]  # to the updates, of parameters that another moves


class Whole(Generic[Arguments]):
    """An oracle, made of ``link``: the same with parameters that another moves, in place."""

    def __init__(self, link: Callable[Concatenate[Leaves, Iterable[Leaves], Arguments], Iterator[Leaves]]) -> None:
        self.link = link
        update_wrapper(self, link)

    def __call__(
        self,
        params: list[Array],
        gradients: Iterable[list[Array]],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Iterator[list[Array]]:
        ps = [double(p) for p in params]
        days = ([double(g) for g in gs] for gs in gradients)
        for us in self.link(ps, days, *args, **kwargs):
            yield us
            for p, u in zip(ps, us, strict=True):
                np.add(p, u, out=p)  # in place: every rule of a chain holds this very array


class Lifted(Whole[Arguments]):
    """One made of ``leaf``, the same for one leaf."""

    def __init__(self, leaf: Callable[Concatenate[Array, Iterable[Array], Arguments], Iterator[Array]]) -> None:
        def link(
            ps: Leaves, gradients: Iterable[Leaves], /, *args: Arguments.args, **kwargs: Arguments.kwargs
        ) -> Iterator[Leaves]:
            today = Today()
            runs = [leaf(p, today.of(i), *args, **kwargs) for i, p in enumerate(ps)]
            for gs in gradients:
                today[:] = gs
                yield [np.asarray(next(run)) for run in runs]

        super().__init__(link)
        self.leaf = leaf
        update_wrapper(self, leaf)


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
    link: Callable[Concatenate[Leaves, Iterable[Leaves], Arguments], Iterator[Leaves]],
) -> Whole[Arguments]:
    """makes an oracle of a rule of all leaves, ``(ps, gradients) -> updates``; it may read the ps and moves none"""
    return Whole(link)


def leaf_by_leaf(
    leaf: Callable[Concatenate[Array, Iterable[Array], Arguments], Iterator[Array]],
) -> Lifted[Arguments]:
    """lifts a rule of one leaf, ``(p, gradients) -> updates``, to lists of leaves"""
    return Lifted(leaf)


def double(x: npt.ArrayLike) -> Array:
    """a copy in double precision"""
    return np.array(x, dtype=np.complex128 if np.iscomplexobj(x) else np.float64)


def stored(x: Array, dtype: str | None) -> Array:
    """x after a rest in a slot of this dtype (None: as wide as x); a complex x keeps both parts"""
    if dtype is None:
        return x
    slot = np.result_type(dtype, np.complex64) if np.iscomplexobj(x) else np.dtype(dtype)
    return double(np.asarray(x).astype(slot))


def at(value: ScalarOrSchedule, k: int) -> float:
    """a number, or a schedule's value at step k = 0, 1, …"""
    return float(value(k)) if callable(value) else value


def rms(x: Array) -> float:
    """√mean |x|², zero for an empty leaf"""
    return float(np.sqrt(np.mean(abs(x) ** 2))) if x.size else 0.0


class Schedule(NamedTuple):
    """Marks an argument that is a schedule, ``name(**kwargs)``. Its values are in ``schedules``."""

    name: str
    kwargs: dict[str, Any]

    @classmethod
    def of(cls, name: str, /, **kwargs: Any) -> "Schedule":
        """Schedule.of("linear_schedule", init_value=0.0, end_value=1.0, transition_steps=5)"""
        return cls(name, kwargs)


class Inner:
    """Marks an argument that is a transform, ``name(**kwargs)``: Inner("adam", learning_rate=0.1)."""

    def __init__(self, name: str, /, **kwargs: Any) -> None:
        self.name, self.kwargs = name, kwargs

    def __repr__(self) -> str:
        return f"{self.name}({', '.join([f'{key}={value!r}' for key, value in self.kwargs.items()])})"


class Maker(NamedTuple):
    """Marks an argument that is a function that makes a transform: Maker("adam")."""

    name: str


def within(value: Any, change: Callable[[Any], Any]) -> Any:
    """a dict or list, each of its parts changed; anything else as it is"""
    held: Any = value
    if isinstance(value, dict):
        return {key: change(x) for key, x in held.items()}
    return [change(x) for x in held] if isinstance(value, list) else value


@dataclass(frozen=True)
class Power:
    """x ↦ xᵃ, of numbers or arrays"""

    exponent: float

    def __call__(self, x: Any) -> Any:
        return x**self.exponent


@dataclass(frozen=True)
class Hyperbola:
    """i, a ↦ 1 − 1/(1 + c·a·i), of numbers or arrays: a decay rate that grows from 0 to 1"""

    scale: float

    def __call__(self, i: Any, a: Any) -> Any:
        return 1 - 1 / (1 + self.scale * a * i)


@dataclass(frozen=True)
class Matrices:
    """The mask that selects leaves with at least ``ndim`` axes; of one leaf, or of nested dicts and lists."""

    ndim: int = 2

    def __call__(self, tree: Tree) -> Any:
        if isinstance(tree, dict):
            return {key: self(branch) for key, branch in tree.items()}
        if isinstance(tree, list):
            return [self(branch) for branch in tree]
        return tree if isinstance(tree, tuple) else tree.ndim >= self.ndim  # the former is a MaskedNode


@dataclass(frozen=True)
class Backwards:
    """u, p ↦ −a·u, of an array, or of dicts and lists of them; p is not looked at"""

    scale: float

    def __call__(self, u: Tree, p: Any) -> Any:
        if isinstance(u, dict):
            return {key: self(branch, p) for key, branch in u.items()}
        if isinstance(u, list):
            return [self(branch, p) for branch in u]
        return -self.scale * u
