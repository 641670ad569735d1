"""Steps in which some parameters have no gradient, without a recording for each set of them.

Where what becomes of a parameter depends on its own gradient and on sums over all of them, a parameter without one is
left out of the kernels of the step in which all have one: its arrays stay as they are, and to the sums it adds
nothing. Whether that is so is seen by comparing recordings in which not the same gradients are None.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from arrayopt.backend import Backend
from arrayopt.fused import words
from arrayopt.fused.compare import Print
from arrayopt.fused.owners import Owned
from arrayopt.fused.plan import Trees, hollow
from arrayopt.tree.align import StructureError, places
from arrayopt.tree.structure import flatten

JOINS = {"sum": "add", "max": "maximum", "min": "minimum", "any": "logical_or", "all": "logical_and"}
"""How a reduction of one array joins that of the next."""

_SAME = frozenset({"astype", "hand_on", "view"})


class Filled:
    """Trees in which a gradient may be None, and the same with a place for each gradient.

    Attributes:
      trees: with None at the places of gradients that are.
      names: the place there of each leaf of the trees as they were given.
      missing: the places of gradients that are None.
      key: equal for trees that differ in which gradients are None, and in nothing else.
    """

    def __init__(self, given: Trees, leaves: list[Any], kinds: list[Any], spec: Any, where: list[int]) -> None:
        a, b, _, _ = given.counts
        self.trees = Trees(leaves, spec, kinds)
        self.names = [*range(a), *[a + i for i in where], *range(2 * a, len(leaves))]
        self.missing = frozenset(range(a, 2 * a)) - frozenset(self.names)
        rest = Trees(leaves, spec, [kind for i, kind in enumerate(kinds) if not a <= i < 2 * a])
        self.key = rest.key
        assert len(self.names) == len(given.leaves) and b == len(where)

    def without_leaves(self) -> Filled:
        """The same, to be remembered."""
        found = copy.copy(self)
        found.trees = self.trees._replace(leaves=[])
        return found


def filled(given: Trees) -> Filled | None:
    """Trees with a place for each gradient; None if the gradients do not lie along the parameters."""
    a, b, _, _ = given.counts
    try:
        where = places(given.spec.children[1], given.spec.children[0])
    except StructureError:
        return None
    grads, kinds = [None] * a, list(given.kinds[:a])
    for i, k in enumerate(where):
        grads[k], kinds[k] = given.leaves[a + i], given.kinds[a + i]
    leaves = [*given.leaves[:a], *grads, *given.leaves[a + b :]]
    params, _, state, extra = given.spec.unflatten(given.leaves)
    spec = hollow(flatten((params, params, state, extra))[1])
    return Filled(given, leaves, [*given.kinds[:a], *kinds, *given.kinds[a + b :]], spec, where)


# -- whether it is so ------------------------------------------------------------------------------------------


def steady(library: Backend, one: Print, other: Print) -> bool:
    """Whether two recordings with different gradients meet the same arrays beside them: none in them is drawn."""
    first, second = [{library.to_numpy(x).tobytes() for x in recording.captured} for recording in (one, other)]
    return first == second


def agree(
    library: Backend,
    full: Print,
    some: Print,
    names: Sequence[int],
    missing: frozenset[int],
    owned: Owned | None,
) -> bool:
    """Whether a recording in which all gradients are there becomes another one by leaving parameters out.

    Args:
      library: of the arrays.
      full: the recording with all gradients.
      some: the one in which some are None.
      names: for each leaf of the latter its place in the former.
      missing: the places of those that are None.
      owned: what `owners` says of the schedule of the former.
    """
    if owned is None:
        return False
    table: dict[Any, int] = {}
    common = set(map(id, full.captured)) & set(map(id, some.captured))

    def known(x: Any) -> Any:  # the same array, or one made anew by each call
        return id(x) if id(x) in common else library.to_numpy(x).tobytes()

    whole = _Values(full, known, range(len(names) + len(missing)), missing, table)
    part = _Values(some, known, names, frozenset(), table)
    stay = {place for place, value in whole.outputs.items() if value in whole.tainted or value in whole.nothing}
    left_out = {place for place in whole.outputs if owned.places.get(place) in missing}
    return left_out == stay and {p: v for p, v in whole.outputs.items() if p not in stay} == part.outputs


class _Values:
    """The values of a recording, by number; equal ones of several recordings have one number.

    Attributes:
      outputs: what is stored, by place.
      tainted: the values that depend on a missing gradient, but for sums, which are as if it were not there.
      nothing: reductions of what depends on a missing gradient, and which they are.
    """

    def __init__(
        self,
        recording: Print,
        known: Callable[[Any], Any],
        names: Sequence[int],
        missing: frozenset[int],
        table: dict[Any, int],
    ) -> None:
        self.tainted: set[int] = set()
        self._table, self._names, self._missing = table, names, missing
        self.nothing: dict[int, str] = {}
        self._captured = map(known, recording.captured)
        self._formulas: list[Any] = []
        self._known: list[int] = []
        for entry in recording.operations:
            self._known.append(self._value(*entry))
        outputs = {names[place]: self._known[i] for place, i in recording.outputs}
        self.outputs = {p: value for p, value in outputs.items() if value != table.get(("input", p))}

    def _value(self, op: str, shape: Any, dtype: str, attrs: Any, *args: Any) -> int:
        if op == "input":
            value = self._number(("input", self._names[attrs]))
            self.tainted.update([value] if self._names[attrs] in self._missing else [])
            return value
        if op == "captured":
            return self._number(("captured", next(self._captured)))
        if op == "numbers":
            return -1
        if op == "formula":
            return self._formula(shape, attrs, [self._known[x] for x in args])
        if op == "call":
            attrs = tuple([self._known[x] if isinstance(x, int) else x for x in attrs])
        return self._made_of(op, shape, dtype, attrs, [self._operand(x) for x in args])

    def _operand(self, x: Any) -> Any:
        return self._known[x] if isinstance(x, int) else x

    def _made_of(self, op: str, shape: Any, dtype: str, attrs: Any, args: list[Any]) -> int:
        gone = [x for x in args if x in self.nothing]
        if gone and op in _SAME:
            return int(gone[0])
        if gone and JOINS[self.nothing[gone[0]]] == op:
            return int(next((x for x in args if x not in self.nothing), gone[0]))
        value = self._number((op, shape, dtype, attrs, *args))
        if gone or any([x in self.tainted for x in args]):
            if op in words.REDUCTIONS:
                self.nothing[value] = op
            else:
                self.tainted.add(value)
        return value

    def _formula(self, shape: Any, formula: Any, args: list[int]) -> int:
        if isinstance(formula, int):
            formula = self._formulas[formula]
        else:
            formula = (*formula[:3], [self._operand(x) for x in formula[3]])
            self._formulas.append(formula)
        count, code, result, slots = formula
        known: dict[str, list[Any]] = {"given": args[:count], "slot": slots, "value": []}
        for op, dtype, operands in code:
            known["value"].append(self._made_of(op, shape, dtype, None, [known[what][k] for what, k in operands]))
        return int(known[result[0]][result[1]])

    def _number(self, key: Any) -> int:
        return self._table.setdefault(key, len(self._table))
