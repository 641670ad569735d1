"""What a function of arrays is called with, made fit to compute with: losses, projections, norms.

Arrays meet in one library, in at least float32, and the answer is rounded once, to the dtype that promotion gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from arrayopt import dtypes
from arrayopt.answers import described
from arrayopt.backend import Backend
from arrayopt.counts import bare
from arrayopt.dispatch import backend, backend_named, is_array, library, namespace, same_library
from arrayopt.mixed import leading
from arrayopt.types import Array, Namespace


class Operands(NamedTuple):
    """The arrays of one call.

    Attributes:
      xp: the namespace to compute in.
      backend: of their library.
      dtype: the name of the dtype that the answer is rounded to.
      wide: the name of the dtype to compute in, float32 or float64.
      values: the arguments in order; floating-point ones in ``wide``, others as they came, None where it was given.
      kinds: the names of the dtypes in which they came; None for Python numbers, and where None was given.
    """

    xp: Namespace
    backend: Backend
    dtype: str
    wide: str
    values: list[Any]
    kinds: list[str | None]

    def rounded(self, x: Array) -> Array:
        """An answer in the dtype it is to have."""
        return self.backend.settle(_cast(self, x, self.dtype))

    def like(self, *arguments: int) -> Operands:
        """The same, the answer to be rounded to the widest dtype of some arguments: others do not count.

        Args:
          *arguments: their places.
        """
        kinds = [kind for kind in [self.kinds[k] for k in arguments] if kind in dtypes.REALS]
        return self._replace(dtype=max(kinds, key=dtypes.rank)) if kinds else self

    def widened(self, x: Array) -> Array:
        """An array of any dtype, such as labels, in the dtype to compute in."""
        return _cast(self, x, self.wide)


def operands(
    who: str,
    floating: Mapping[str, Any],
    others: Mapping[str, Any] | None = None,
    numbers: Mapping[str, Any] | None = None,
) -> Operands:
    """The arguments of a function as arrays that can meet.

    Python numbers become 0-d arrays of the library of the others, or NumPy's if there are none, and take part in
    promotion only then. Beside JAX's arrays NumPy's become JAX's, as JAX itself does.

    Args:
      who: name of the function, for messages.
      floating: arguments by name that must be floating point, Python numbers, or None.
      others: arguments by name that may be integers or bools too, and stay what they are: labels, masks.
      numbers: arguments by name that may be integers too, and are to be computed with: a threshold, a weight.

    Raises:
      TypeError: an argument is no array or number, of another library than the rest, or of a wrong dtype.
    """
    numbers = numbers or {}
    given = {**_real(floating), **(others or {}), **_real(numbers)}
    arrays = _of_one_library(who, given)
    first = next((x for x in arrays.values() if x is not None), None)
    if first is None:
        raise TypeError(f"{who}: {next(iter(given))} must be an array or a number; got None.")
    for name in (*floating, *numbers):
        _check(who, name, arrays[name], name in floating)
    xp, of = namespace(first), backend(first)
    kind = _promoted(xp, [x for name, x in arrays.items() if x is not None and not _is_number(given[name])])
    kind = kind or _promoted(xp, [x for x in arrays.values() if x is not None]) or dtypes.name(of.wide())
    kinds = [None if x is None or _is_number(given[name]) else dtypes.name(x.dtype) for name, x in arrays.items()]
    found = Operands(xp, of, kind, dtypes.widened(kind), list(arrays.values()), kinds)
    return found._replace(values=[_computable(found, x, name in numbers) for name, x in arrays.items()])


def _real(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(x) if type(x) is int else x for name, x in given.items()}


def _of_one_library(who: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as arrays of the library that those of them are of which are arrays already."""
    like = leading([bare(x) for x in given.values() if _may_be_array(x)])
    return {name: None if x is None else _met(who, name, bare(x), like) for name, x in given.items()}


def _met(who: str, name: str, x: Any, like: Any) -> Any:
    of = backend_named("numpy") if like is None else backend(like)
    if _is_number(x) or isinstance(x, bool):
        return of.number(x, like)
    if not is_array(x):
        raise TypeError(f"{who}: {name} must be an array or a number; got {described(x)}.")
    if same_library(x, like):
        return x
    if of.takes(x):
        return of.receive(x)
    raise TypeError(
        f"{who}: all arrays must be of one library; {name} is of {library(x)}, others are of {library(like)}."
    )


def _may_be_array(x: Any) -> bool:
    """False of None and of numbers, which a compiler may know as symbols only: they cannot be asked for a dtype."""
    return x is not None and not _is_number(x)


def _is_number(x: Any) -> bool:
    return type(x) in (float, int)


def _check(who: str, name: str, x: Any, floating: bool) -> None:
    if x is None or dtypes.name(x.dtype) in dtypes.REALS:
        return
    if floating or not dtypes.is_integer(x.dtype):
        wanted = "floating point" if floating else "a real number"
        raise TypeError(f"{who}: {name} must be {wanted}; got {described(x)}.")


def _promoted(xp: Namespace, xs: list[Any]) -> str | None:
    """The name of the dtype that floating-point arrays among these are promoted to; None if there are none."""
    reals = [x for x in xs if dtypes.name(x.dtype) in dtypes.REALS]
    return dtypes.name(xp.result_type(*reals)) if reals else None


def _computable(to: Operands, x: Any, number: bool) -> Any:
    if x is not None and (number or dtypes.name(x.dtype) in dtypes.REALS):
        return _cast(to, x, to.wide)
    return x


def _cast(to: Operands, x: Any, kind: str) -> Array:
    return cast(Array, x if dtypes.name(x.dtype) == kind else to.xp.astype(x, to.backend.dtype(kind)))
