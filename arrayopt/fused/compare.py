"""Whether two recordings of a step are of the same step.

What `update` does may depend on more than its arguments: on a generator of random numbers, on a counter of its own.
Then a recording holds for the call it was made in, and for no other. Two recordings show it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.fused.plan import Recording
from arrayopt.fused.takes import OwnTake, Take
from arrayopt.fused.traced import Traced


class Print(NamedTuple):
    """What tells one recording from another.

    Attributes:
      operations: each with the positions of its operands, numbers as they print.
      outputs: place and position of what is stored.
      captured: the arrays that the rule holds, or makes without looking at its arguments, in order.
    """

    operations: list[tuple[Any, ...]]
    outputs: list[tuple[int, int]]
    captured: list[Any]


def fingerprint(recording: Recording) -> Print:
    """The print of a recording, to be taken before its schedule is made.

    Raises:
      NotRecordable: a result cannot be stored.
    """
    stored = recording.stored()
    tape = recording.recorder.tape
    reader = _Reader(tape)
    captured = [node.attrs for node in tape if node.op == "captured"]
    outputs = [(place, reader.position[id(node)]) for place, node in stored.items()]
    return Print([reader.read(node) for node in tape], outputs, captured)


class _Reader:
    def __init__(self, tape: Sequence[Traced]) -> None:
        self.position = {id(node): i for i, node in enumerate(tape)}
        self._takes: dict[tuple[int, int], int] = {}

    def read(self, node: Traced) -> tuple[Any, ...]:
        shape = node.shape, dtypes.name(node.dtype)
        return (node.op, *shape, self._attrs(node), *[self._operand(x) for x in node.args])

    def _operand(self, x: Any) -> Any:
        return self.position[id(x)] if isinstance(x, Traced) else repr(x)

    def _attrs(self, node: Traced) -> Any:
        if node.op == "call":
            seen: list[Any] = [node.attrs.path]

            def note(x: Any) -> None:
                seen.append(self._operand(x))

            node.attrs.operands.map(note)
            return tuple(seen)
        if node.op == "formula":
            take, _, j = node.attrs
            return self._formula(take, j)
        return None if node.op == "captured" else node.attrs

    def _formula(self, take: Take | OwnTake, j: int) -> Any:
        """The number of a result of a formula; at first its operations too."""
        key = id(take), j
        if key in self._takes:
            return self._takes[key]
        self._takes[key] = len(self._takes)
        expansion = take.expansion((j,))
        return len(expansion.given), expansion.code, expansion.results[0], tuple(map(self._operand, expansion.slots))


def difference(old: Print, new: Print, library: Backend) -> str | None:
    """What is not the same in two calls of `update`, for people; None if nothing is."""
    if (old.operations, old.outputs) != (new.operations, new.outputs):
        return f"update does not do the same in each call: {_which(old, new)}"
    for x, y in zip(old.captured, new.captured, strict=True):
        if x is not y and not same_entries(library, x, y):
            return "update makes another array in each call, such as noise"
    return None


def _which(old: Print, new: Print) -> str:
    for a, b in zip(old.operations, new.operations, strict=False):
        if a != b and a[:3] == b[:3]:
            return next((f"{x} was {y} before" for x, y in zip(b[3:], a[3:], strict=False) if x != y), b[0])
    return f"{len(old.operations)} operations became {len(new.operations)}"


def same_entries(library: Backend, x: Any, y: Any) -> bool:
    """Whether two arrays are equal, NaN being equal to NaN."""
    if tuple(x.shape) != tuple(y.shape) or dtypes.name(x.dtype) != dtypes.name(y.dtype):
        return False
    same = (x == y) | ((x != x) & (y != y))
    return bool(library.read(library.xp.all(same)))


def kept_as_they_are(library: Backend, arrays: Sequence[Any]) -> Callable[[], bool]:
    """A question to be asked later: whether some arrays still hold what they hold now."""
    copies = [library.copy(x) for x in arrays]
    return lambda: all([same_entries(library, x, copy) for x, copy in zip(arrays, copies, strict=True)])
