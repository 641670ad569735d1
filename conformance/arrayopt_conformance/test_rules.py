"""Rules and their oracles find one another; what is said to the decorator of an oracle is kept."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from arrayopt_conformance.oracles import Array, Inner, Leaves, all_leaves, every, leaf_by_leaf, markers, oracle_of
from arrayopt_conformance.rules import everybody


@leaf_by_leaf(reach="leafwise", cases={"defaults": {}, "half": {"step": 0.5}}, exempt={"theme.law": "a reason"})
def by_leaf(p: Array, gs: Iterable[Array], *, step: float = 1.0) -> Iterator[Array]:
    """u = −s·g"""
    for g in gs:
        yield -step * g


@all_leaves(reach="treewise", cases={"defaults": {}}, meets_nan=True)
def by_leaves(ps: Leaves, gradients: Iterable[Leaves], *, step: float = 1.0) -> Iterator[Leaves]:
    for _ in gradients:
        yield [-step * p for p in ps]


def test_each_rule_has_its_oracle_in_the_file_of_its_room() -> None:
    """None without the other, none twice, none elsewhere."""
    rooms = Counter([(rule.name, rule.make.__module__.rpartition(".")[-1]) for rule in everybody()])
    found = Counter([(oracle.name, oracle.room) for oracle in every()])
    assert not [*(rooms - found)], "these rules have no oracle in the file named as theirs"
    assert not [*(found - rooms)], "these oracles are of no rule of such a file"


def test_it_is_found_by_its_name() -> None:
    assert all([rule.oracle is oracle_of(rule.name) for rule in everybody()])
    assert oracle_of("adam") is not oracle_of("adamw")
    assert oracle_of("nobody") is None
    with pytest.raises(LookupError, match="nobody has no oracle"):
        markers.plain({"inner": Inner("nobody")})


def test_an_oracle_knows_what_is_said_of_it() -> None:
    assert (by_leaf.reach, by_leaf.meets_nan, by_leaf.exempt) == ("leafwise", False, {"theme.law": "a reason"})
    assert by_leaf.cases == {"defaults": {}, "half": {"step": 0.5}}
    assert (by_leaves.reach, by_leaves.meets_nan, by_leaves.exempt) == ("treewise", True, {})
    assert [by_leaf.name, by_leaf.room, by_leaf.__doc__] == ["by_leaf", "test_rules", "u = −s·g"]
    assert list(inspect.signature(by_leaf).parameters) == ["p", "gs", "step"]


def test_an_oracle_moves_a_copy_of_the_parameters() -> None:
    p, gs = np.asarray([1.0, 2.0]), [np.zeros(2)]
    moved = [us[0].tolist() for us in by_leaves([p], [gs, gs], step=0.5)]
    assert moved == [[-0.5, -1.0], [-0.25, -0.5]]
    assert [us[0].tolist() for us in by_leaf([p], [[p], [p]], step=0.5)] == [[-0.5, -1.0]] * 2
    assert p.tolist() == [1.0, 2.0]
