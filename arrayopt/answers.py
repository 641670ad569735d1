"""Functions that a caller hands in for a number: what they are given, and a look at what they answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from arrayopt import dtypes
from arrayopt.counts import bare
from arrayopt.dispatch import backend, is_array, is_recorded, library, same_library
from arrayopt.each import Each
from arrayopt.types import Scalar


class Asked:
    """A function that answers with a number, whose answer is looked at.

    Args:
      who: whom messages name.
      name: the argument it was given for.
      function: it.
    """

    __slots__ = ("function", "name", "who")

    def __init__(self, who: str, name: str, function: Callable[..., Any]) -> None:
        self.who, self.name, self.function = who, name, function

    def __call__(self, k: Any, *rest: Any) -> Scalar:
        """What it answers at k, a number or a real 0-d array of the library of k; at each k, if there are several.

        Raises:
          TypeError: it is something else.
          ValueError: it is an array, but not 0-d.
        """
        if type(k) is Each:
            of_each: Any = Each([self(x, *rest) for x in k.values], k.spec)
            return cast(Scalar, of_each)
        answer: Any = bare(self.function(k, *rest))
        if type(answer) is int or type(answer) is float:
            return answer
        if not is_array(answer) or not dtypes.is_real(answer.dtype):
            raise TypeError(f"{self}must answer with a real number or a 0-d array; got {described(answer)}.")
        if tuple(answer.shape) != ():
            raise ValueError(f"{self}must answer with a scalar; got an array of shape {tuple(answer.shape)}.")
        return self._of_library(answer, bare(k))

    def _of_library(self, answer: Any, k: Any) -> Scalar:
        if not is_array(k) or same_library(answer, k):
            found: Scalar = answer
            return found
        if library(answer) == "numpy":
            return float(answer)
        raise TypeError(
            f"{self}must answer with a number or an array of the gradients' library, {library(k)}; "
            f"got one of {library(answer)}."
        )

    def __str__(self) -> str:
        return f"{self.who}: {self.name} " if self.who else f"{self.name} "


def asked(name: str, function: Callable[..., Any]) -> Asked:
    """The function with its answers looked at, which it may be already."""
    return function if isinstance(function, Asked) else Asked("", name, function)


def stepping(count: Any) -> Any:
    """A step count as a schedule is given it: an integer that meets Python floats in the widest real dtype."""
    if type(count) is Each:
        return count.map(stepping)
    if not is_array(count) or is_recorded(count):  # numbers that are recorded will be worked with in double
        return count
    return backend(count).stepping(count)


def described(x: Any) -> str:
    """What somebody handed in, for messages."""
    if is_array(x) and hasattr(x, "dtype"):
        return f"an array of {dtypes.name(x.dtype)}"
    return f"{type(x).__name__} {str(x)[:40]}" if isinstance(x, str) else f"{type(x).__name__} {repr(x)[:40]}"
