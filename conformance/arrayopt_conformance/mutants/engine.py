"""Changes the text of a room, runs it as a module of its own, and asks tier 64 and the laws of sizes about it.

Of wrappers, which compute little and refuse much, also their relations and every law that is quick.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from arrayopt_conformance import effort, mutants
from arrayopt_conformance.laws import laws, sizes
from arrayopt_conformance.laws.cases import recipe
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import libraries
from arrayopt_conformance.makers import by_name
from arrayopt_conformance.relations import relations
from arrayopt_conformance.rules import Rule, arguments, everybody, public, rooms, rules
from arrayopt_conformance.semantics.trajectories import FEW, SMALL, check_case

# Where a mutant is run when NumPy's float64 in all cases and the laws of sizes have not told it from the rule: with
# the first and last case, on complex numbers, and on array-api-strict, which does not forgive what NumPy does.
TRIALS = [("numpy", "complex128"), ("array_api_strict", "float64")]


INNERS = ("adamw", "clip_by_global_norm")  # what wrappers are tried around


SIZES = (sizes.finite_gradients_make_no_nan, sizes.what_overflows_makes_no_leap)


class Edit(NamedTuple):
    """One change to the text of a room; ``old`` occurs in it exactly once."""

    title: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A room with one change."""

    room: str
    title: str
    text: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.room}: {self.title}"


@cache
def judged() -> dict[str, tuple[ModuleType, list[Rule]]]:
    """Every room that has rules with oracles, with those rules, by the room's name."""
    found: dict[str, tuple[ModuleType, list[Rule]]] = {}
    for room in rooms():
        judges = [rule for rule in everybody() if rule.make.__module__ == room.__name__ and rule.oracle]
        if judges:
            found[room.__name__.rsplit(".", 1)[-1]] = (room, judges)
    return found


@cache
def text_of(room: str) -> str:
    """The room's source."""
    module, _ = judged()[room]
    return Path(str(module.__file__)).read_text(encoding="utf-8")


@cache
def tables() -> dict[str, ModuleType]:
    """What is known of a room's mutants, by the room's name."""
    names = [module.name for module in pkgutil.iter_modules(mutants.__path__)]
    return {name: importlib.import_module(f"{mutants.__name__}.{name}") for name in names if name in judged()}


def named() -> dict[str, tuple[str, Edit]]:
    """Every mistake with a name, and the room that it is made in."""
    return {f"{room}: {edit.title}": (room, edit) for room, table in tables().items() for edit in table.NAMED}


def equivalent(room: str) -> dict[str, str]:
    """The automatic mutants of a room that compute the same, and why."""
    found: dict[str, str] = getattr(tables().get(room), "EQUIVALENT", {})
    return found


def edited(room: str, edit: Edit) -> Mutant:
    """The room with that mistake.

    Raises:
      ValueError: the old text is not there exactly once: the room has changed, and the mutant must follow it.
    """
    text = text_of(room)
    if text.count(edit.old) != 1:
        raise ValueError(f"{edit.title}: {edit.old!r} occurs {text.count(edit.old)} times in {room}, not once.")
    return Mutant(room, edit.title, text.replace(edit.old, edit.new))


def executed(mutant: Mutant) -> ModuleType:
    """The mutant as a module of a name of its own; what it imports from other rooms is unchanged."""
    module = ModuleType(f"arrayopt.mutant_of_{mutant.room}")  # as one of ours, errors speak of it
    sys.modules[module.__name__] = module  # where pickle looks for the classes of states
    exec(compile(mutant.text, f"<{mutant}>", "exec"), vars(module))
    return module


def killer(mutant: Mutant) -> str:
    """The first case that tells the mutant from the rule, by a wrong value or an exception; empty if it survives."""
    module = executed(mutant)
    return next(filter(None, _killers(mutant.room, module)), "")


def _killers(room: str, module: ModuleType) -> Iterator[str]:
    """What tells a changed room from the rules that it holds; empty where something does not."""
    _, judges = judged()[room]
    for rule in judges:
        for case in rule.oracle.cases:
            yield _killer_in(rule, module, case, "numpy", "float64")
    for rule in judges:
        for case in effort.cases(rule, "numpy", dear=effort.is_alias(rule)):
            make = Recipe(_made_by(module, rule), arguments(rule.oracle.cases[case]))
            yield "" if all([_holds(law, make) for law in SIZES]) else f"{rule} {case} sizes"
    for library, dtype in TRIALS:
        for rule in judges if library in libraries() else []:
            for case in effort.ends(list(rule.oracle.cases)):
                yield _killer_in(rule, module, case, library, dtype)
    for rule in wrappers(room):
        yield _killer_of_a_wrapper(rule, module)


def _killer_in(rule: Rule, module: ModuleType, case: str, library: str, dtype: str) -> str:
    """The case, if the changed room does not pass it."""
    shapes = FEW if library == "array_api_strict" else SMALL
    check = partial(check_case, shapes=shapes, make=_made_by(module, rule))
    return "" if _is_quiet(check, rule, case, libraries()[library], dtype) else f"{rule} {case} {library} {dtype}"


def wrappers(room: str) -> list[Rule]:
    """Those of the room's rules that are of transforms."""
    return [rule for rule in judged()[room][1] if rule.wraps]


def _killer_of_a_wrapper(rule: Rule, module: ModuleType) -> str:
    """The first relation or quick law that the mutant of a wrapper does not hold; empty if there is none."""
    numpy = libraries()["numpy"]
    makers = [Recipe(public(inner.name), inner.usual) for inner in rules() if inner.name in INNERS]
    for name in ("numpy", "array_api_strict"):
        for relation in relations(rule.name) if name in libraries() else []:
            on = libraries()[name]
            if not all([_is_quiet(relation.holds, getattr(module, rule.name), make, on) for make in makers]):
                return f"{relation} {on}"
    for law in [law for law in laws() if law.speaks_of(numpy) and not law.dear]:
        for case in [*rule.oracle.cases][:: len(rule.oracle.cases) - 1 or 1]:
            if not _holds(law.holds, recipe(rule, case, numpy, _made_by(module, rule))):
                return f"{rule} {case} {law}"
    return ""


def _made_by(module: ModuleType, rule: Rule) -> Callable[..., Any]:
    """What makes the rule in a changed room."""
    return by_name(getattr(module, rule.name))


def _holds(law: Callable[..., None], make: Recipe) -> bool:
    return _is_quiet(law, make, libraries()["numpy"])


def _is_quiet(check: Callable[..., None], *args: Any) -> bool:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            check(*args)
        except Exception:
            return False
    return True
