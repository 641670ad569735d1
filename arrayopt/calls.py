"""Optimizers and schedules as data: what the call that made one says of it.

A public function that makes a transform or a schedule is decorated by `by_call`. What it makes is printed as that
call, equal to what an equal call makes, hashed alike, copied and pickled by making it again.
"""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from arrayopt import dtypes
from arrayopt.dispatch import is_array
from arrayopt.tree.structure import flatten

F = TypeVar("F", bound=Callable[..., Any])


def by_call(function: F) -> F:
    """The same function, whose results are compared, printed, copied and pickled as its calls.

    Args:
      function: of a module; makes a transform or a schedule, each time a new one.
    """

    @functools.wraps(function)
    def made(*args: Any, **kwargs: Any) -> Any:
        found = function(*args, **kwargs)
        if not isinstance(found, ByCall):
            found = MadeFunction(found)
        found.made_by = made, args, kwargs
        return found

    return cast(F, made)


class Call:
    """A call of a function that makes something.

    Args:
      function: it.
      args: by position.
      kwargs: by name.
    """

    __slots__ = ("_key", "args", "function", "kwargs")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self._key: Any = None

    @property
    def key(self) -> Any:
        """Hashable; equal for calls that differ only in how arguments were passed."""
        if self._key is None:
            given = self.given()
            rest = given.pop(None, ())
            self._key = self.function, tuple([(name, _key(x)) for name, x in given.items()]), _key(tuple(rest))
        return self._key

    def given(self, defaults: bool = True) -> dict[Any, Any]:
        """The arguments by name, defaults among them if they are wanted; those of ``*args`` under None."""
        bound = _signature(self.function).bind(*self.args, **self.kwargs)
        if defaults:
            bound.apply_defaults()
        found: dict[Any, Any] = {}
        for name, x in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                found.update(x)
            else:
                found[None if kind is inspect.Parameter.VAR_POSITIONAL else name] = x
        return found

    def __repr__(self) -> str:
        parameters, shown, by_name = _signature(self.function).parameters, list[str](), False
        for name, x in self.given().items():
            if name is None:
                shown += [_shown(y) for y in x]
                continue
            default = parameters[name].default if name in parameters else inspect.Parameter.empty
            if default is not inspect.Parameter.empty and _key(x) == _key(default):
                by_name = True
                continue
            by_name = by_name or default is not inspect.Parameter.empty or _is_by_name(parameters, name)
            shown.append(f"{name}={_shown(x)}" if by_name else _shown(x))
        return f"{_public_name(self.function)}({', '.join(shown)})"

    def again(self, change: Callable[[Any], Any]) -> Any:
        """What the same call makes of changed arguments."""
        args, kwargs = [change(x) for x in self.args], {name: change(x) for name, x in self.kwargs.items()}
        return self.function(*args, **kwargs)

    def check_picklable(self) -> None:
        """Raises PicklingError, naming the argument, if one cannot be pickled."""
        for name, x in self.given(defaults=False).items():
            for place, y in enumerate(x if name is None else [x]):
                self._check_picklable(f"argument {place}" if name is None else name, y)

    def _check_picklable(self, name: str, x: Any) -> None:
        if isinstance(x, ByCall) and x.call is not None:
            return x.call.check_picklable()
        try:
            pickle.dumps(x)
        except Exception as error:
            raise pickle.PicklingError(
                f"{_public_name(self.function)}: {name} must be picklable, such as a function of a module is; "
                f"got {_shown(x)}: {error}"
            ) from error
        return None


class ByCall:
    """What knows the call that made it."""

    made_by: Any = None  # function and arguments; looked at when somebody asks, since most are never compared

    @property
    def call(self) -> Call | None:
        """The call that made it, if a decorated function did."""
        if isinstance(self.made_by, tuple):
            self.made_by = Call(*cast("tuple[Any, Any, Any]", self.made_by))
        found: Call | None = self.made_by
        return found

    def __reduce_ex__(self, protocol: Any) -> Any:
        call = self.call
        if call is None:
            return self._reduced(protocol)
        if not _is_pickled_by_value():
            call.check_picklable()
        return _again, (call.function, call.args, call.kwargs)

    def _reduced(self, protocol: Any) -> Any:
        """How to pickle one of which no call is known."""
        return super().__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self if self.call is None else self.call.again(functools.partial(copy.deepcopy, memo=memo))


class MadeFunction(ByCall):
    """A function that was made by a call.

    Args:
      function: it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)

    def __repr__(self) -> str:
        return repr(self.call)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MadeFunction) and same_call(self, other)

    def __hash__(self) -> int:
        return hash(self.call.key) if self.call is not None else id(self)


def same_call(x: ByCall, y: ByCall) -> bool:
    """Whether equal calls made them."""
    a, b = x.call, y.call
    return x is y or (a is not None and b is not None and bool(a.key == b.key))


def _again(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return function(*args, **kwargs)


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _is_by_name(parameters: Mapping[str, inspect.Parameter], name: str) -> bool:
    return name not in parameters or parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


# -- arguments ---------------------------------------------------------------------------------------------------


class _Same:
    """An object that is compared by identity, and kept alive as long as it may be."""

    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.x is other.x

    def __hash__(self) -> int:
        return id(self.x)


def _key(x: Any) -> Any:
    """What stands for an argument where calls are compared."""
    x = _plain(x)
    if isinstance(x, (bool, str, bytes)) or x is None:
        return type(x), x
    if isinstance(x, (int, float, complex)):
        return x
    if isinstance(x, ByCall) and x.call is not None:
        return x.call.key
    if is_array(x) and not inspect.isclass(x):
        return _Same(x)
    if _is_dtype(x):
        return str, dtypes.name(x)
    leaves, spec = flatten(x, _is_made)
    if len(leaves) == 1 and leaves[0] is x:
        return _of_leaf(x)
    return spec, tuple(map(_key, leaves))


def _is_made(x: Any) -> bool:
    return isinstance(x, ByCall)


def _of_leaf(x: Any) -> Any:
    try:
        hash(x)
    except TypeError:
        return _Same(x)
    return type(x), x


def _plain(x: Any) -> Any:
    """A scalar of NumPy as the Python number it is."""
    is_numpys = type(x).__module__ in ("numpy", "ml_dtypes") and getattr(x, "shape", None) == ()
    return x.item() if is_numpys and type(x).__name__ != "ndarray" else x


def _is_dtype(x: Any) -> bool:
    try:
        return not isinstance(x, str) and (dtypes.is_inexact(x) or x is float)
    except TypeError:  # what has no hash is none
        return False


def _shown(x: Any) -> str:
    """An argument as it is printed."""
    x = _plain(x)
    if inspect.isfunction(x) or inspect.isbuiltin(x) or (inspect.isclass(x) and not _is_dtype(x)):
        return _public_name(x)
    return repr(dtypes.name(x)) if _is_dtype(x) else repr(x)


def _public_name(function: Any) -> str:
    """The name of a function as one writes it after ``from arrayopt import *``."""
    name = str(function.__qualname__).rsplit(".<locals>.", 1)[-1]
    package = sys.modules["arrayopt"]
    if getattr(package, name, None) is function:
        return name
    for part, module in vars(package).items():
        if inspect.ismodule(module) and getattr(module, name, None) is function:
            return f"{part}.{name}"
    return name


def _is_pickled_by_value() -> bool:
    """Whether who pickles also takes functions that no module has, as cloudpickle and dill do."""
    frame = inspect.currentframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).split(".")[0] in ("cloudpickle", "dill"):
            return True
        frame = frame.f_back
    return False
