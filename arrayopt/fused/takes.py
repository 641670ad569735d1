"""A formula recorded once for all leaves alike.

A model may have a thousand leaves of a few shapes. What a formula writes down for the first of them holds for the
rest; so each leaf is left with one value for each result, op ``"formula"``, and the operations come back in when a
kernel is made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from arrayopt import dtypes
from arrayopt.fused import words
from arrayopt.fused.program import Instruction
from arrayopt.fused.traced import Traced


class Expansion(NamedTuple):
    """The operations behind some results of a formula.

    Attributes:
      given: which arguments they look at.
      code: operations; an operand is ("given", k), ("value", k) of an earlier one, or ("slot", k).
      slots: the scalars, as `Traced` or Python numbers.
      results: for each result its operand.
    """

    given: tuple[int, ...]
    code: tuple[tuple[str, str, tuple[tuple[str, int], ...]], ...]
    slots: tuple[Any, ...]
    results: tuple[tuple[str, int], ...]

    def instructions(self, arrays: Sequence[int], first: int, slot: int) -> list[Instruction]:
        """In the numbers of a kernel: of the arguments, of the first value and of the first slot."""

        def number(operand: tuple[str, int]) -> int:
            what, k = operand
            return arrays[k] if what == "given" else first + k if what == "value" else -1 - slot - k

        return [Instruction(op, dtype, tuple([number(x) for x in args])) for op, dtype, args in self.code]


def _depending(given: Sequence[Traced], tape: Sequence[Traced]) -> list[Traced]:
    """What was made of the arguments; the rest is the same for every leaf."""
    known = {id(x) for x in given}
    found: list[Traced] = []
    for node in tape:
        if any([id(x) in known for x in node.args]):
            known.add(id(node))
            found.append(node)
    return found


class Take:
    """What a formula wrote down for one leaf.

    Args:
      given: the arrays it was given.
      tape: what was written.
      outs: what came of it.
      own: the scalars that were the leaf's own.
    """

    def __init__(
        self, given: tuple[Traced, ...], tape: Sequence[Traced], outs: list[Any], own: tuple[Any, ...] = ()
    ) -> None:
        self.given, self.outs, self.own = given, outs, own
        self.tape = _depending([*given, *[x for x in own if not self.is_number(x)]], tape)
        self._expansions: dict[tuple[int, ...], Expansion] = {}
        self.is_simple = self._is_simple(given)
        if self.is_simple:
            where = {id(x): k for k, x in enumerate(given)}
            self._given = [where.get(id(x)) for x in outs]  # the results that are arguments as they were
            self.needs = [self.expansion((j,)) for j in range(len(outs))]
            self.numbers: list[tuple[Traced, ...]] = []

    @staticmethod
    def is_number(node: Any) -> bool:
        """Whether a value is a single number that does not depend on the leaf: the same for all."""
        return not isinstance(node, Traced) or node.plain

    @property
    def root(self) -> Take:
        """What was written down; see `OwnTake`."""
        return self

    def number(self, x: Any) -> Any:
        """What stands for a number."""
        return x

    def can_differ(self) -> bool:
        """Whether all that is made of the leaf's own scalars is arithmetic, and can be made again of others."""
        inside = {id(node) for node in (*self.tape, *self.given)}
        known: dict[int, bool | None] = {
            id(x): True for x in self.own
        }  # whether it comes of them; None: by other ways

        def comes(x: Any) -> bool | None:
            if id(x) not in known:
                found = [comes(a) for a in x.args] if isinstance(x, Traced) else []
                usual = isinstance(x, Traced) and x.plain and x.op in words.ELEMENTWISE
                known[id(x)] = None if None in found or (True in found and not usual) else True in found
            return known[id(x)]

        outer = [x for node in self.tape for x in node.args if id(x) not in inside]
        return None not in [comes(x) for x in (*outer, *[x for x in self.outs if id(x) not in inside])]

    def _is_simple(self, given: tuple[Traced, ...]) -> bool:
        """Whether it is all elementwise, on arrays of one shape and more than one entry."""
        shape = given[0].shape
        inside = {id(node) for node in (*self.tape, *given)}
        return (
            given[0].size != 1
            and all([isinstance(x, Traced) and id(x) in inside for x in self.outs])
            and all([x.shape == shape for x in (*given, *self.tape)])
            and all([node.op in words.ELEMENTWISE and node.op != "view" for node in self.tape])
            and all([id(x) in inside or self.is_number(x) for node in self.tape for x in node.args])
        )

    def expansion(self, outs: tuple[int, ...]) -> Expansion:
        """The operations behind some of its results, and no others."""
        found = self._expansions.get(outs)
        if found is None:
            found = self._expansions[outs] = self._expanded(outs)
        return found

    def _expanded(self, outs: tuple[int, ...]) -> Expansion:
        needed = {id(self.outs[j]) for j in outs}
        for node in reversed(self.tape):
            if id(node) in needed:
                needed.update([id(x) for x in node.args])
        given = tuple([k for k, x in enumerate(self.given) if id(x) in needed])
        where = {id(self.given[k]): ("given", n) for n, k in enumerate(given)}
        code: list[tuple[str, str, tuple[tuple[str, int], ...]]] = []
        slots: list[Any] = []
        for node in self.tape:
            if id(node) in needed:
                args = tuple([where.get(id(x)) or self._slot(x, slots) for x in node.args])
                if node.op == "copy" and args[0][0] != "slot":
                    where[id(node)] = args[0]
                    continue
                where[id(node)] = ("value", len(code))
                code.append((node.op, dtypes.name(node.dtype), args))
        return Expansion(given, tuple(code), tuple(slots), tuple([where[id(self.outs[j])] for j in outs]))

    def needed(self, j: int) -> list[Traced]:
        """What must be computed for a result, in order."""
        found: list[Traced] = []
        needed = {id(self.outs[j])}
        for node in reversed(self.tape):
            if id(node) in needed:
                needed.update([id(x) for x in node.args])
                found.append(node)
        return found[::-1]

    @staticmethod
    def _slot(x: Any, slots: list[Any]) -> tuple[str, int]:
        """A slot for each place where a scalar occurs, so that numbers which happen to be equal change nothing."""
        slots.append(x)
        return "slot", len(slots) - 1

    # -- further leaves --------------------------------------------------------------------------------------

    def again(self, recorder: Any, given: tuple[Traced, ...], own: tuple[Any, ...] = ()) -> list[Any]:
        """What the formula answers for other arguments, and scalars of its own, of the same shapes and dtypes."""
        if not self.is_simple:
            return self._in_full(recorder, given, own)
        if own:
            return self._in_short(recorder, given, OwnTake(self, recorder, own))
        if not self.numbers:  # one value stands for all the scalars that a result depends on
            self.numbers = [(recorder.numbers(need.slots),) if need.slots else () for need in self.needs]
        return self._in_short(recorder, given, self)

    def _in_short(self, recorder: Any, given: tuple[Traced, ...], take: Take | OwnTake) -> list[Any]:
        kind, tape = recorder.kind, recorder.tape
        results: list[Traced] = []
        for j, (out, need, numbers) in enumerate(zip(self.outs, self.needs, take.numbers, strict=True)):
            same = self._given[j]
            if same is not None:
                results.append(given[same])
                continue
            args = (*[given[k] for k in need.given], *numbers)
            node = kind("formula", args, (take, given, j), out.shape, out.dtype, out.sig, len(tape))
            tape.append(node)
            results.append(node)
        return results

    def _in_full(self, recorder: Any, given: tuple[Traced, ...], own: tuple[Any, ...]) -> list[Any]:
        new: dict[int, Any] = {id(a): b for a, b in zip(self.given, given, strict=True)}
        new |= {id(a): b for a, b in zip(self.own, own, strict=True)}
        kind, tape = recorder.kind, recorder.tape
        for node in self.tape:
            args = tuple(
                [recorder.instead(x, new) if own and self.is_number(x) else new.get(id(x), x) for x in node.args]
            )
            attrs = node.attrs.again(new) if node.op == "call" else node.attrs
            copy = kind(node.op, args, attrs, node.shape, node.dtype, node.sig, len(tape))
            copy.plain = node.plain
            tape.append(copy)
            new[id(node)] = copy
        return [new.get(id(x), x) for x in self.outs]


class OwnTake:
    """A take for a leaf that has scalars of its own: its operations, with other numbers.

    Attributes:
      root: the take.
      numbers: for each result, what stands for all the scalars that it depends on.
    """

    def __init__(self, root: Take, recorder: Any, own: tuple[Any, ...]) -> None:
        self.root, self.given, self.outs = root, root.given, root.outs
        self._new: dict[int, Any] = {id(a): b for a, b in zip(root.own, own, strict=True) if isinstance(a, Traced)}
        self._expansions: dict[tuple[int, ...], Expansion] = {}
        self.numbers: list[tuple[Traced, ...]] = []
        for j, need in enumerate(root.needs):
            slots = tuple([recorder.instead(x, self._new) for x in need.slots])
            self._expansions[(j,)] = need._replace(slots=slots)
            self.numbers.append((recorder.numbers(slots),) if slots else ())

    def number(self, x: Any) -> Any:
        """What stands for a number of the take."""
        return self._new.get(id(x), x)

    def expansion(self, outs: tuple[int, ...]) -> Expansion:
        """The operations behind some of its results, and no others."""
        found = self._expansions.get(outs)
        if found is None:
            whole = self.root.expansion(outs)
            found = self._expansions[outs] = whole._replace(slots=tuple(map(self.number, whole.slots)))
        return found

    def needed(self, j: int) -> list[Traced]:
        """What must be computed for a result, in order, with the numbers of the take."""
        return self.root.needed(j)
