"""What makes a transform, and whether it does so of transforms: told by annotations.

An annotation speaks of transforms if it is one of theirs (`GradientTransformation`, `Transform`), a function or class
that makes one, or holds such: ``Transform | None``, ``Sequence[Transform]``, ``Callable[..., Transform]``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, get_args, get_origin, get_type_hints

from arrayopt.base import GradientTransformation
from arrayopt.types import Transform

_MADE_BY = "gradient_transformation"  # the method of a class like ``MultiSteps``


def makes_transforms(value: Any) -> bool:
    """Whether a function, a class or what a function makes is there to make transforms."""
    if inspect.isclass(value):
        return hasattr(value, _MADE_BY)
    returned = _hints(value).get("return")
    return _speaks_of_transforms(returned) and get_origin(returned) is not tuple


def takes_transforms(make: Callable[..., Any]) -> bool:
    """Whether it needs transforms to make one: without a default there is an argument that speaks of them."""
    return any([_speaks_of_transforms(hint) for hint in needed(make).values()])


def needed(make: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of its arguments without a default, Any where there is none."""
    hints = _hints(vars(make)["__init__"] if inspect.isclass(make) else make)
    asked = [p for p in inspect.signature(make).parameters.values() if p.default is p.empty]
    return {p.name: hints.get(p.name, Any) for p in asked if p.kind is not p.VAR_KEYWORD}


def _hints(function: Any) -> dict[str, Any]:
    return get_type_hints(function)


def _speaks_of_transforms(hint: Any) -> bool:
    if inspect.isclass(hint) and get_origin(hint) is None:
        return issubclass(hint, GradientTransformation) or hint is Transform or _is_class_of_makers(hint)
    parts = get_args(hint)
    if get_origin(hint) is Callable:
        parts = parts[-1:]  # what it returns; whom it is told of says nothing
    return any([_speaks_of_transforms(part) for part in parts])


def _is_class_of_makers(kind: type[Any]) -> bool:
    """Whether its instances make transforms, by the method or by being called."""
    called = vars(kind).get("__call__")
    return hasattr(kind, _MADE_BY) or (inspect.isfunction(called) and makes_transforms(called))


def _star_of(make: Callable[..., Any]) -> str | None:
    """The name of ``*args``, if it has such."""
    parameters = inspect.signature(make).parameters.values()
    return next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)


def by_name(make: Callable[..., Any], ours: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A function from keyword arguments to a transform; ``make`` itself if it is one.

    ``*transforms`` are given as a list by their name, in ``ours`` if it stands for that. Of what answers with a
    function, or with an object that has ``gradient_transformation``, the transform is made, with the arguments that
    are not its own.
    """
    ours = ours or make
    signature, star = inspect.signature(make), _star_of(ours)
    parameters = signature.parameters.values()
    if star is None and not inspect.isclass(ours) and not _answers_with_a_function(ours):
        return make

    @functools.wraps(make, updated=())
    def made(**kwargs: Any) -> Any:
        given: list[Any] = kwargs.pop(star, []) if star else []
        before = [kwargs.pop(p.name) for p in parameters if star and p.kind is p.POSITIONAL_OR_KEYWORD]
        own = {name: kwargs.pop(name) for name in [*kwargs] if name in signature.parameters}
        found = make(*before, *given, **own)
        if hasattr(found, _MADE_BY):
            return getattr(found, _MADE_BY)()
        return found if hasattr(found, "update") else found(**kwargs)

    named = [p.replace(name=str(star), kind=p.KEYWORD_ONLY) if p.kind is p.VAR_POSITIONAL else p for p in parameters]
    vars(made)["__signature__"] = signature.replace(parameters=sorted(named, key=lambda p: p.kind))
    return made


def _answers_with_a_function(make: Callable[..., Any]) -> bool:
    return get_origin(_hints(make).get("return")) is Callable
