"""What a law is given: how to make the transform, again and with other arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """A function that makes a transform, and the arguments to call it with.

    Attributes:
      function: that makes it.
      arguments: given by name.
      name: that every error must begin with; None where that is not promised.
      reach: that is promised; None to go by what is measured.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    name: str | None = None
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

    def accepting(self, *kinds: str) -> list[str]:
        """The arguments whose annotation has one of these words in it, in order."""
        words = {name: str(parameter.annotation) for name, parameter in self.parameters.items()}
        return [name for name, text in words.items() if any(kind in text for kind in kinds)]
