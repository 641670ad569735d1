"""What stands in cases: markers of schedules and transforms, and functions that can be called as they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from .words import Array

Tree = Array | list["Tree"] | dict[str, "Tree"]


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
