"""A case made smaller as long as it fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from arrayopt_conformance.fuzz.cases import Case, Move

TRIES = 25


def smaller(case: Case, fails: Callable[[Case], bool]) -> Case:
    """The smallest case found that fails alike, in a few tries.

    Args:
      case: one that fails.
      fails: whether another fails in the same way.
    """
    tries, going = 0, True
    while going:
        going = False
        for candidate in _simpler(case):
            tries += 1
            if tries > TRIES:
                return case
            if fails(candidate):
                case, going = candidate, True
                break
    return case


def _simpler(case: Case) -> Iterator[Case]:
    moves, leaves = case.moves, case.leaves
    for k in reversed(range(len(moves))):
        if len(moves) > 1:
            yield case._replace(moves=moves[:k] + moves[k + 1 :])
    for k in range(len(leaves)):
        if len(leaves) > 1:
            yield case._replace(leaves=leaves[:k] + leaves[k + 1 :])
    for k, move in enumerate(moves):
        if move.name != "plain" and k < len(moves) - 1:
            yield case._replace(moves=(*moves[:k], Move("plain"), *moves[k + 1 :]))
    for k, leaf in enumerate(leaves):
        tame = leaf._replace(layout="C", gradients="C", dtype="float32", shape=(5,))
        if tame != leaf:
            yield case._replace(leaves=(*leaves[:k], tame, *leaves[k + 1 :]))
    for rule, tree in (("sgd", "dict"), ("adam", "dict"), (case.rule, "dict"), (case.rule, "list")):
        if (rule, tree) != (case.rule, case.tree):
            yield case._replace(rule=rule, tree=tree)
