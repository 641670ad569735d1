"""What a recorded step becomes.

Stages of kernels, with work on single numbers before and library calls after each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from arrayopt.fused.probe import Call as LibraryCall
from arrayopt.fused.traced import Traced


def kind(dtype: str) -> str:
    """What a number of a dtype is: ``f``, ``i``, ``b`` or ``c``."""
    if dtype == "bool":
        return "b"
    return "c" if dtype.startswith("complex") else "i" if "int" in dtype else "f"


class Instruction(NamedTuple):
    """One elementwise operation: ``args`` ≥ 0 are values, −1 − k is the scalar in slot k."""

    op: str
    dtype: str
    args: tuple[int, ...]


class Program(NamedTuple):
    """A kernel: what is done at one place of a set of arrays. Equal programs share their machine code.

    Values are numbered: first what is loaded, then the result of each instruction. Arrays are numbered too: first
    those that are loaded, then those only stored or summed to.
    """

    loads: tuple[str, ...]  # dtype of each array that is read
    code: tuple[Instruction, ...]
    stores: tuple[tuple[int, int, str], ...]  # value, array, dtype of the array
    reduces: tuple[tuple[str, int], ...]  # sum, max, …, and of which value
    slots: str  # kind of each scalar: f, i, b or c
    flat: bool  # whether all arrays have one size, so that the kernel may run over them as vectors
    views: bool  # whether one value appears in two shapes
    walks: tuple[bool, ...] = ()  # if not flat: for each array, whether along a row it has the next entry each time
    folds: tuple[tuple[int, int, str], ...] = ()  # sums along axes: value, array, dtype of the array

    def dtype(self, value: int) -> str:
        """The dtype of a value."""
        n = len(self.loads)
        return self.loads[value] if value < n else self.code[value - n].dtype

    @property
    def arrays(self) -> int:
        """The number of arrays."""
        return max([len(self.loads) - 1, *[array for _, array, _ in (*self.stores, *self.folds)]]) + 1


class Number(NamedTuple):
    """An operand of work on single numbers.

    Attributes:
      source: ``"known"``, ``"result"`` or ``"number"``.
      value: the place among the numbers known, the position of an earlier operation, or the Python number itself.
    """

    source: str
    value: Any


class Operation(NamedTuple):
    """One operation on numbers.

    Its dtype is ``float64``, ``complex128``, ``bool``, ``int``, or that of an integer.
    """

    op: str
    dtype: str
    args: tuple[Number, ...]


class Arithmetic(NamedTuple):
    """The work on single numbers that one stage begins with."""

    code: tuple[Operation, ...]
    stores: tuple[tuple[int, Number], ...]  # place among the numbers known, what is put there
    answers: tuple[Number, ...]  # the scalars that kernels want


@dataclass(slots=True)
class Site:
    """One set of arrays that a program is applied to."""

    arrays: tuple[int, ...]  # places among the buffers
    shapes: tuple[tuple[int, ...], ...]  # the shape in which each is met
    shape: tuple[int, ...]  # that the arrays have together
    scalars: tuple[int, ...]  # for each slot, the place among the scalars of the stage
    results: tuple[int, ...]  # for each reduction, the place among the numbers known

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(slots=True)
class Launch:
    """A program, and all that it is applied to in one go."""

    program: Program
    sites: list[Site] = field(default_factory=list[Site])
    bound: Any = None  # what an engine keeps of it from step to step
    owners: list[int | None] = field(default_factory=list[int | None])  # of each site, the gradient it depends on


@dataclass(slots=True)
class Temporary:
    """A buffer that exists within a step."""

    place: int
    shape: tuple[int, ...]
    dtype: str
    like: int  # a buffer of the library and device


@dataclass(slots=True)
class Run:
    """A call of the library: arrays by buffer, numbers by where they are known, results to either."""

    call: LibraryCall
    values: dict[int, tuple[str, int, str]]  # by id of the node: ("array" or "number", place, dtype)
    answers: list[Traced]  # what it answers, as recorded
    arrays: list[tuple[int | None, int]]  # part (None: the whole), buffer
    numbers: list[tuple[int | None, int]]  # part, place among the numbers known
    is_number: list[bool]  # of each answer, whether it is among the numbers
    owner: int | None = None  # the gradient it depends on

    def in_order(self) -> list[Traced]:
        """What it answers: the arrays, then the numbers."""
        pairs = list(zip(self.answers, self.is_number, strict=True))
        return [x for x, number in pairs if not number] + [x for x, number in pairs if number]


@dataclass(slots=True)
class Stage:
    """What can be done without waiting for a reduction or a library call."""

    arithmetic: Arithmetic
    scalars: Callable[[list[Any]], list[Any]]  # the same as a function of the numbers known
    temporaries: list[Temporary]  # to be made now; from the first stage that writes on there are none any more
    launches: list[Launch]
    runs: list[Run]
    dropped: list[int]  # buffers that nobody needs any more


@dataclass(slots=True)
class Schedule:
    """A whole step."""

    leaves: int  # of the trees
    buffers: int  # how many, the leaves of the trees first
    numbers: str  # kind of each number known in the course of a step: f, i, b or c
    captured: list[tuple[int, Any]]  # buffer, array that the rule holds
    kinds: list[tuple[tuple[int, ...], Any]]  # of each of these, shape and dtype as recorded
    read: list[tuple[int, int]]  # buffer, number: read at the beginning
    stages: list[Stage]
    written: list[tuple[int, int, str]]  # buffer, number, dtype: written at the end
    copied: list[tuple[int, int]]  # from a buffer to a buffer, at the end
    bound: Any = None  # what an engine keeps of it from step to step
    prepared: bool = False  # whether its kernels have been compiled
    owners: dict[int, int | None] = field(
        default_factory=dict[int, "int | None"]
    )  # of what is copied or written at the end
    own: dict[int, frozenset[int]] = field(
        default_factory=dict[int, frozenset[int]]
    )  # of each parameter's own counter that is written, the places that its gradient is made of

    def holds(self) -> bool:
        """Whether the arrays that the rule holds still have the shapes and dtypes that were recorded."""
        return [(tuple(x.shape), x.dtype) for _, x in self.captured] == self.kinds


def size_of(dtype: str) -> int:
    """The bytes of an entry."""
    if dtype == "bool":
        return 1
    return int(dtype.lstrip("abcdefghijklmnopqrstuvwxyz")) // 8
