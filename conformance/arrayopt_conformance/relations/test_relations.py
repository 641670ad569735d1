"""Wrappers keep to their relations, whatever rule is within: on NumPy every rule, on the other libraries a few."""

from __future__ import annotations

import pytest

from arrayopt_conformance.laws.cases import recipe
from arrayopt_conformance.libraries import Library
from arrayopt_conformance.relations import Relation, relations
from arrayopt_conformance.rules import combinators, everybody

FEW = ("adamw", "clip_by_global_norm")  # of a chain with slots; of all leaves together


@pytest.mark.parametrize("relation", relations(), ids=str)
def test_relation(relation: Relation, library: Library) -> None:
    (wrapper,) = [wrapper for wrapper in combinators() if wrapper.name == relation.wrapper]
    tried = [rule for rule in everybody() if library.name == "numpy" or rule.name in FEW]
    for rule in tried:
        case = next(iter(rule.oracle.cases))
        try:
            relation.holds(wrapper.public, recipe(rule, case, library), library)
        except Exception as error:
            error.add_note(f"of {rule}, case {case!r}")
            raise


def test_every_wrapper_has_relations() -> None:
    assert {relation.wrapper for relation in relations()} == {wrapper.name for wrapper in combinators()}
