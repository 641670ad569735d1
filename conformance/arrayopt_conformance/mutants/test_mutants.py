"""The mutation gate: every change to a rule is noticed by tier 64, but those that are shown to change nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from arrayopt_conformance.libraries import libraries
from arrayopt_conformance.mutants import automatic, engine
from arrayopt_conformance.mutants.engine import Mutant

RecordProperty = Callable[[str, object], None]


@pytest.mark.parametrize("room", engine.judged())
def test_the_unchanged_rule_survives(room: str) -> None:
    assert engine.killer(Mutant(room, "unchanged", engine.text_of(room))) == ""


@pytest.mark.parametrize("name", engine.named())
def test_a_named_mutant_is_killed(name: str, record_property: RecordProperty) -> None:
    room, edit = engine.named()[name]
    killer = engine.killer(engine.edited(room, edit))
    record_property("mutant", f"{room} named {'killed' if killer else 'survived'}")
    assert killer, f"{name} survives"


@pytest.mark.parametrize("mutant", automatic.automatic(), ids=str)
def test_an_automatic_mutant_is_killed(mutant: Mutant, record_property: RecordProperty) -> None:
    killer, reason = engine.killer(mutant), engine.equivalent(mutant.room).get(mutant.title)
    if not killer and not reason and "array_api_strict" not in libraries():
        pytest.skip("array-api-strict, which forgives least, is not installed")
    fate = "equivalent" if reason else "killed" if killer else "survived"
    record_property("mutant", f"{mutant.room} automatic {fate}")
    if reason:
        assert not killer, f"{mutant} is listed as equivalent, but {killer} tells it apart"
    else:
        assert killer, f"{mutant} survives: strengthen the cases of the oracle"


@pytest.mark.parametrize("room", engine.tables())
def test_what_is_listed_as_equivalent_exists(room: str) -> None:
    assert engine.equivalent(room).keys() <= {mutant.title for mutant in automatic.automatic()}
