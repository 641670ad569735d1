"""Arrayopt's functions under Optax's names, in every module of Optax that has them."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

from arrayopt_conformance.optax_names import later, public
from arrayopt_conformance.optax_tests.groups import ABSENT


def put_in_place(namespace: str, names: tuple[str, ...] = ()) -> list[str]:
    """Makes Optax's functions and states arrayopt's; to be called before what imports them.

    Args:
      namespace: of Optax, such as ``"losses"``; empty for the top level.
      names: which; empty for all that are not on the list of what comes later.

    Returns:
      The names that arrayopt lacks. Whoever calls one is told so.
    """
    missing: list[str] = []
    ours: dict[int, Any] = {}
    for name, theirs in public("optax", namespace).items():
        found, is_state = of_arrayopt(namespace, name), hasattr(theirs, "_fields")
        if (inspect.isclass(theirs) and not (is_state and found)) or _stays(namespace, name, names):
            continue
        if found is None:
            missing.append(f"{namespace}.{name}".lstrip("."))
        ours[id(theirs)] = found or _absent(missing[-1])
    for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "optax"]:
        for name, value in list(vars(module).items()):
            if id(value) in ours:
                setattr(module, name, ours[id(value)])
    return missing


def _stays(namespace: str, name: str, names: tuple[str, ...]) -> bool:
    return bool(names and name not in names) or bool(later(namespace, name))


def of_arrayopt(namespace: str, name: str) -> Any:
    """The function of that name, from the namespace or from the top level; None if there is none."""
    for place in dict.fromkeys([namespace, ""]):
        found = public("arrayopt", place).get(name)
        if found is not None:
            return found
    return None


def _absent(name: str) -> Callable[..., Any]:
    def absent(*args: Any, **kwargs: Any) -> Any:
        del args, kwargs
        raise NotImplementedError(f"{ABSENT}{name}.")

    return absent


def put_wrong(name: str) -> None:
    """Makes a function of arrayopt answer with 1 more than it should: for tests of the tests."""
    *path, last = name.split(".")
    module = importlib.import_module(".".join(["arrayopt", *path]))
    right: Callable[..., Any] = getattr(module, last)

    def wrong(*args: Any, **kwargs: Any) -> Any:
        return _one_more(right(*args, **kwargs))

    setattr(module, last, wrong)


def _one_more(answer: Any) -> Any:
    def more(count: Any) -> Any:
        return answer(count) + 1

    return more if callable(answer) else answer + 1
