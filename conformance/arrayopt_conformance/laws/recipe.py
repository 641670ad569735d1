"""What a law is given: how to make the transform, again and with other arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from arrayopt.calls import ByCall


@dataclass(frozen=True)
class Recipe:
    """A function that makes a transform, and the arguments to call it with.

    Attributes:
      function: that makes it.
      arguments: given by name.
      name: that every error must begin with, or several, one of which it must; None where that is not promised.
      reach: that is promised; None to go by what is measured.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    name: str | tuple[str, ...] | None = None
    reach: str | None = None

    def __call__(self) -> Any:
        """The transform."""
        return self.function(**self.arguments)

    def but(self, **changes: Any) -> Recipe:
        """The same with other arguments."""
        return replace(self, arguments={**self.arguments, **changes})

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What the function takes."""
        return inspect.signature(self.function).parameters

    def value(self, name: str) -> Any:
        """What it is called with for this argument: what is given, or the default; None if there is neither."""
        default = self.parameters[name].default if name in self.parameters else None
        return self.arguments.get(name, None if default is inspect.Parameter.empty else default)

    def everything(self) -> Iterator[tuple[str, Any]]:
        """What it is called with, by name, and what the transforms among that were made with."""
        for name in dict.fromkeys([*self.parameters, *self.arguments]):
            yield from _told(name, self.value(name))

    def accepting(self, *kinds: str) -> list[str]:
        """The arguments whose annotation has one of these words in it, in order."""
        words = {name: str(parameter.annotation) for name, parameter in self.parameters.items()}
        return [name for name, text in words.items() if any(kind in text for kind in kinds)]


def _told(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield name, value
    if isinstance(value, ByCall) and value.call is not None:
        value = {str(key): x for key, x in value.call.given().items()}
    held: Any = value
    if isinstance(value, dict):
        for key, part in held.items():
            yield from _told(str(key), part)
    elif isinstance(value, (list, tuple)):
        for part in held:
            yield from _told(name, part)
