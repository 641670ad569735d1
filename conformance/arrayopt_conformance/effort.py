"""What of the suite a rule is given: whatever could differ, once.

A rule that computes is given every case on NumPy, where arrays cost least, and elsewhere the first and the last,
which has most arguments: JAX compiles every operation of every shape, array-api-strict checks every call. What
compiles is given the last.

An alias hands its arguments on to rules that are given all this: `adam` to `scale_by_adam` and
`scale_by_learning_rate`, linked by `chain`. Its own are its signature, the order of its links and what it hands to
which. They show in every case on NumPy, compared with the oracle and with Optax; and the laws are tried once, with
the last case on NumPy, and that it can be compiled.

Where all entries are computed alike, whatever the shape of their leaf, few shapes will do; that they are,
``laws/test_reach.py`` shows.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import arrayopt
from arrayopt.calls import ByCall
from arrayopt_conformance.libraries import Library
from arrayopt_conformance.rules import Rule, everybody, rules

FIRST = "numpy"  # of the libraries


@cache
def is_alias(rule: Rule) -> bool:
    """Whether it makes, in each of its cases, what calls of other rules make, in a chain or alone."""
    if rule.wraps or rule.oracle is None:
        return False
    return all([_is_of_rules(inspect.unwrap(rule.make)(**given)) for given in rule.cases.values()])


def _is_of_rules(made: Any) -> bool:
    """Whether a transform was made by rules that have an oracle, linked by ``chain`` or alone."""
    call = made.call if isinstance(made, ByCall) else None
    if call is None:
        return False
    if call.function is arrayopt.chain:
        return all([_is_of_rules(link) for link in call.args])
    return call.function in [each.make for each in rules() if each.oracle]


def cases(rule: Rule, library: Library | str, *, dear: bool = False) -> list[str]:
    """The names of the cases to try on a library; where something is compiled, the last, which has most arguments."""
    names = list(rule.oracle.cases)
    if dear:
        return names[-1:]
    if str(library) == FIRST:
        return names
    return names[-1:] if is_alias(rule) else ends(names)


def computing() -> list[Rule]:
    """The rules that are no aliases, wrappers among them."""
    return [rule for rule in everybody() if not is_alias(rule)]


SAMPLE = ("scale_by_adam", "adafactor")  # for what hardly depends on the rule, and is compiled for each


def ends(names: list[str]) -> list[str]:
    """The first and the last."""
    return names[:: len(names) - 1 or 1]


def is_of_entries(rule: Rule) -> bool:
    """Whether each entry is computed from its own gradient, parameter and slots, in every case."""
    return not rule.wraps and all([rule.reach(case) == "elementwise" for case in rule.oracle.cases])
