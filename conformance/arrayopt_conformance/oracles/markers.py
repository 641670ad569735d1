"""What the markers of cases are to an oracle: of a schedule a function of k, of a transform its link."""

from functools import partial
from typing import Any

from . import Inner, Maker, Oracle, Schedule, oracle_of, within
from .schedules import function


def plain(case: dict[str, Any]) -> dict[str, Any]:
    """the arguments of a case for its oracle"""
    return {key: meant(value) for key, value in case.items()}


def meant(value: Any) -> Any:
    """an argument, also within lists and dicts"""
    if isinstance(value, Schedule):
        return function(value)
    if isinstance(value, Inner):
        return partial(oracle(value.name).link, **plain(value.kwargs))
    if isinstance(value, Maker):
        return oracle(value.name)
    return within(value, meant)


def oracle(name: str) -> Oracle[...]:
    """that of a rule"""
    found = oracle_of(name)
    if found is None:
        raise LookupError(f"{name} has no oracle.")
    return found
